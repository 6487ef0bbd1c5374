/** postStart and preStop of a container. */
import { setTimeout as delay } from 'node:timers/promises';
import type { LifecycleHookInput } from '../types.ts';
import { httpProbe, httpTarget } from './http.ts';

/** Longest that a hook may run on its own; the caller ends it earlier with the signal (grace period). */
const execLimitMs = 0;
const httpLimitMs = 30_000;
const userAgent = 'kube-lifecycle/1.36';
/** Hooks that ask for HTTPS of a plain server are tried again without. */
const plainAnswer = 'http: server gave HTTP response to HTTPS client';

/** @throws Error with the text that upstream's event carries */
export async function runLifecycleHook(input: LifecycleHookInput): Promise<void> {
  const { runtime, pod, container, containerId, podIp, hook, signal } = input;
  const where = `for Container "${container.name}" in Pod "${pod.metadata?.name}_${pod.metadata?.namespace}(${pod.metadata?.uid})"`;
  if (hook.exec) {
    const command = hook.exec.command ?? [];
    const intro = `Exec lifecycle hook ([${command.join(' ')}]) ${where} failed - error: `;
    const result = await runtime.execSync(containerId, command, execLimitMs, signal).catch((error: Error) => {
      throw new Error(`${intro}${error.message}, message: ""`);
    });
    if (result.exitCode === 0) return;
    const output = Buffer.concat([result.stdout, result.stderr]).toString();
    throw new Error(
      `${intro}command '${command.join(' ')}' exited with ${result.exitCode}: ${output}, message: ${JSON.stringify(output)}`,
    );
  }
  if (hook.httpGet) {
    const target = httpTarget(hook.httpGet, container, podIp);
    let answer = await httpProbe(target, httpLimitMs, signal, userAgent);
    if (answer.error?.endsWith(plainAnswer))
      answer = await httpProbe(
        { ...target, url: target.url.replace(/^https:/, 'http:') },
        httpLimitMs,
        signal,
        userAgent,
      );
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
