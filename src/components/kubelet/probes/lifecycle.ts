/** postStart and preStop of a container. */
import { setTimeout as delay } from 'node:timers/promises';
import type { LifecycleHookInput } from '../types.ts';
import { httpProbe, httpTarget } from './http.ts';

/** Longest that a hook may run on its own; the caller ends it earlier with the signal (grace period). */
const execLimitMs = 0;
const httpLimitMs = 30_000;

/** @throws Error with the text that upstream's event carries */
export async function runLifecycleHook(input: LifecycleHookInput): Promise<void> {
  const { runtime, pod, container, containerId, podIp, hook, signal } = input;
  const where = `for Container "${container.name}" in Pod "${pod.metadata?.name}_${pod.metadata?.namespace}(${pod.metadata?.uid})"`;
  if (hook.exec) {
    const command = hook.exec.command ?? [];
    const intro = `Exec lifecycle hook ([${command.join(' ')}]) ${where} failed - error: `;
    let output = '';
    try {
      const result = await runtime.execSync(containerId, command, execLimitMs, signal);
      if (result.exitCode === 0) return;
      output = Buffer.concat([result.stdout, result.stderr]).toString();
    } catch (error) {
      throw new Error(`${intro}${(error as Error).message}, message: ""`);
    }
    throw new Error(
      `${intro}command '${command.join(' ')}' exited with non-zero status: ${output}, message: ${JSON.stringify(output)}`,
    );
  }
  if (hook.httpGet) {
    const target = httpTarget(hook.httpGet, container, podIp);
    const answer = await httpProbe(target, httpLimitMs, signal, 'kube-lifecycle/1.36');
    // Only that there was an answer counts.
    if (answer.error !== undefined)
      throw new Error(`HTTP lifecycle hook (${hook.httpGet.path ?? ''}) ${where} failed - error: ${answer.error}`);
    return;
  }
  if (hook.sleep) {
    await delay((hook.sleep.seconds ?? 0) * 1000, undefined, signal ? { signal } : {});
    return;
  }
  throw new Error(`Invalid handler: ${JSON.stringify(hook)}`);
}
