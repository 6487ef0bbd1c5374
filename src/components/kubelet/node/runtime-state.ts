/** Whether the runtime and the pods' network work; asked often while they do not, so that the node is ready as soon as it can. */
import type { Logger } from '../../../machinery/logging/logger.ts';
import type { Runtime } from '../cri/runtime.ts';
import type { RuntimeStatus } from '../cri/types.ts';

export interface RuntimeState {
  /** Why the node is not ready as far as the runtime is concerned; empty when it is. */
  problems(): string[];
  networkProblem(): string | undefined;
  /** The last answer. */
  status(): RuntimeStatus | undefined;
  /** Resolves after the first answer of the runtime, or when the signal fires. */
  answered(): Promise<void>;
}

const wellMs = 5000;
const brokenMs = 300;
/** After this long without an answer the runtime counts as down. */
const downAfterMs = 30_000;

export function watchRuntimeState(options: {
  runtime: Runtime;
  onChange(): void;
  log: Logger;
  signal: AbortSignal;
}): RuntimeState {
  const { runtime, onChange, log, signal } = options;
  let last: RuntimeStatus | undefined;
  let answeredAt = 0;
  let failure: string | undefined;
  let text = '';
  let resolveAnswered: () => void = () => undefined;
  const answered = new Promise<void>((resolve) => {
    resolveAnswered = resolve;
  });
  signal.addEventListener('abort', () => resolveAnswered());

  const conditionProblem = (type: string): string | undefined => {
    const condition = last?.status.conditions.find((candidate) => candidate.type === type);
    if (!condition) return `${type} condition is not reported`;
    if (condition.status) return undefined;
    return `${type}=false reason:${condition.reason} message:${condition.message}`;
  };
  const networkProblem = () => {
    const problem = last ? conditionProblem('NetworkReady') : undefined;
    if (!last) return 'container runtime network not ready: container runtime status check may not have completed yet';
    return problem && `container runtime network not ready: ${problem}`;
  };
  const problems = () => {
    if (!last) return ['container runtime status check may not have completed yet'];
    const found: string[] = [];
    if (failure !== undefined && Date.now() - answeredAt > downAfterMs) found.push('container runtime is down');
    const runtimeProblem = conditionProblem('RuntimeReady');
    if (runtimeProblem) found.push(`container runtime not ready: ${runtimeProblem}`);
    const network = networkProblem();
    if (network) found.push(network);
    return found;
  };

  const ask = async () => {
    try {
      last = await runtime.status(brokenMs * 20);
      answeredAt = Date.now();
      if (failure !== undefined) log.info('the container runtime answers');
      failure = undefined;
      resolveAnswered();
    } catch (error) {
      if (failure === undefined) log.error(`Container runtime sanity check failed: ${(error as Error).message}`);
      failure = (error as Error).message;
    }
    const now = problems().join();
    if (now !== text || answeredAt === 0) {
      text = now;
      onChange();
    }
    if (!signal.aborted) timer = setTimeout(ask, now === '' && failure === undefined ? wellMs : brokenMs);
  };
  let timer: NodeJS.Timeout | undefined = setTimeout(ask, 0);
  signal.addEventListener('abort', () => clearTimeout(timer));
  return { problems, networkProblem, status: () => last, answered: () => answered };
}
