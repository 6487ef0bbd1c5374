/** Whether etcd is well, for the health paths: those who ask often, as kubelets and load balancers do, cost etcd one question a second. */
import type { HealthCheck } from '../../../machinery/serving/health.ts';

const pauseMs = 1_000;

/**
 * One question at a time, and while etcd is well one a second; whoever comes between is told the last answer at once, as upstream has it. So an API
 * server goes on saying that it is ready while a question waits for etcd to elect a leader, until that takes longer than a question may.
 * @param ask throws when etcd is not well
 */
export function sparingly(ask: () => Promise<unknown>, now: () => number = () => performance.now()): HealthCheck {
  let asked = Number.NEGATIVE_INFINITY;
  let asking: Promise<string | undefined> | undefined;
  let last: { problem: string | undefined } | undefined;
  const question = async () => {
    const problem = await ask().then(
      () => undefined,
      (error: Error) => error.message,
    );
    last = { problem };
    asking = undefined;
    return problem;
  };
  return () => {
    if (asking) return last ? last.problem : asking;
    if (last && !last.problem && now() - asked < pauseMs) return undefined;
    asked = now();
    asking = question();
    return asking;
  };
}
