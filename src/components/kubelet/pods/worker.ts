/** One pod's life on this node: synced whenever something may have changed, one step at a time, until nothing of it is left. */
import { timeOf } from '../../../machinery/api/time.ts';
import type { Pod, PodStatus } from '../../../machinery/api/types.ts';
import { podStatus } from '../status/compute.ts';
import { allContainers, concernsKubelet, formatPod, isHostNetwork } from './containers.ts';
import type { PodContext } from './context.ts';
import { podDns } from './dns.ts';
import { gracePeriod, hasRunning, killContainer, killPod } from './kill.ts';
import { isRunning, newestOf, type ObservedPod, sandboxIps } from './observed.ts';
import { type PodPlan, planPod } from './plan.ts';
import { podCgroupResources } from './resources.ts';
import { sandboxConfig } from './sandbox-config.ts';
import { StartError, startContainer } from './start-container.ts';
import { ContainerWaits } from './waits.ts';

/** Without any event a pod is looked at this often. */
const resyncMs = 60_000;
const firstRetryMs = 500;
const longestRetryMs = 10_000;

export type WorkerState = 'running' | 'terminating' | 'terminated';

export class PodWorker {
  readonly uid: string;
  pod: Pod;
  status: PodStatus | undefined;
  state: WorkerState = 'running';
  private readonly context: PodContext;
  private readonly waits: ContainerWaits;
  private ended: { reason: string; message: string } | undefined;
  private grace: number | undefined;
  private admitted = false;
  private syncing = false;
  private triggered = false;
  private closed = false;
  private failures = 0;
  private timer: NodeJS.Timeout | undefined;
  private deadline: NodeJS.Timeout | undefined;
  private step = new AbortController();

  /** @param status what is known of the pod's status from before */
  constructor(pod: Pod, context: PodContext, status: PodStatus | undefined) {
    this.pod = pod;
    this.uid = pod.metadata?.uid ?? '';
    this.context = context;
    this.status = status;
    this.waits = new ContainerWaits(context, () => this.trigger());
  }

  /** A new version of the pod's object. */
  update(pod: Pod): void {
    const before = this.pod;
    this.pod = pod;
    if (pod.metadata?.deletionTimestamp) this.terminate();
    // Most new versions are only the echo of the kubelet's own writes.
    if (before === pod || concernsKubelet(before, pod)) this.trigger();
  }

  /**
   * The pod is to end: deleted, its manifest is gone, or the kubelet gave it up (`ended`).
   * @param graceSeconds instead of what the pod says
   */
  terminate(graceSeconds?: number, ended?: { reason: string; message: string }): void {
    const grace = graceSeconds ?? gracePeriod(this.pod);
    if (ended) this.ended ??= ended;
    if (this.state === 'running') {
      this.state = 'terminating';
      this.grace = grace;
      this.step.abort(new Error('the pod is to end'));
    } else if (this.state === 'terminating' && grace < (this.grace ?? Number.POSITIVE_INFINITY)) {
      // Less patience than before: what waits now is cut short.
      this.grace = grace;
      this.step.abort(new Error('the grace period was shortened'));
      void this.hurry(grace);
    }
    this.trigger();
  }

  trigger(): void {
    if (this.closed) return;
    this.triggered = true;
    if (!this.syncing) void this.run();
  }

  /** Ends the worker, not the pod. */
  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    clearTimeout(this.deadline);
    this.waits.close();
    this.step.abort(new Error('the kubelet stops'));
  }

  private async run(): Promise<void> {
    this.syncing = true;
    clearTimeout(this.timer);
    let delayMs = resyncMs;
    while (this.triggered && !this.closed) {
      this.triggered = false;
      this.step = new AbortController();
      try {
        delayMs = await this.sync();
        this.failures = 0;
      } catch (error) {
        if (this.step.signal.aborted) continue;
        this.failures += 1;
        delayMs = Math.min(firstRetryMs * 2 ** (this.failures - 1), longestRetryMs);
        this.context.log.error({ pod: formatPod(this.pod) }, `Error syncing pod: ${(error as Error).message}`);
      }
    }
    this.syncing = false;
    if (!this.closed && this.state !== 'terminated') this.timer = setTimeout(() => this.trigger(), delayMs);
  }

  /** @returns milliseconds until the pod must be looked at again without an event */
  private async sync(): Promise<number> {
    if (this.state === 'terminated') {
      if (this.status) this.context.finished(this.pod, this.status);
      return resyncMs;
    }
    const observed = await this.observe();
    if (this.state === 'running') {
      if (!this.admitted) {
        // Containers that run already are never given up.
        const refusal = hasRunning(observed) ? undefined : this.context.admit(this.pod);
        this.admitted = true;
        if (refusal && this.status?.phase !== 'Succeeded' && this.status?.phase !== 'Failed') {
          this.context.events.pod(this.pod, 'Warning', refusal.reason, refusal.message);
          this.ended = refusal;
          this.state = 'terminating';
        }
      }
      this.checkDeadline();
      const status = this.report(observed, false);
      if (status.phase === 'Succeeded' || status.phase === 'Failed') {
        this.state = 'terminating';
        this.grace ??= gracePeriod(this.pod);
      }
    }
    if (this.state === 'running') return this.bringUp(observed);
    await this.bringDown(observed);
    return resyncMs;
  }

  /** A pod with an active deadline is failed when it has been here for that long. */
  private checkDeadline(): void {
    const seconds = this.pod.spec?.activeDeadlineSeconds;
    const startTime = this.status?.startTime;
    if (seconds === undefined || startTime === undefined) return;
    const left = timeOf(startTime) + seconds * 1000 - Date.now();
    clearTimeout(this.deadline);
    if (left > 0) {
      this.deadline = setTimeout(() => this.trigger(), Math.min(left + 10, 3_600_000));
      return;
    }
    const message = 'Pod was active on the node longer than the specified deadline';
    this.ended ??= { reason: 'DeadlineExceeded', message };
    this.context.events.pod(this.pod, 'Normal', 'DeadlineExceeded', message);
  }

  private async observe(): Promise<ObservedPod> {
    const { name = '', namespace = '' } = this.pod.metadata ?? {};
    const observed = await this.context.observer.refresh(this.uid, namespace, name);
    this.probe(observed);
    return observed;
  }

  private probe(observed: ObservedPod): void {
    const { prober } = this.context;
    const podIp = (isHostNetwork(this.pod) ? this.context.hostIps() : sandboxIps(observed))[0];
    for (const container of allContainers(this.pod)) {
      for (const instance of observed.containers.filter(({ name }) => name === container.name))
        if (!isRunning(instance)) prober.untrack(instance.id);
      const instance = newestOf(observed, container.name);
      if (!instance || !isRunning(instance) || podIp === undefined || this.state !== 'running') continue;
      const startedAt = new Date(Math.floor(instance.startedAt / 1e6));
      prober.track({ pod: this.pod, container, containerId: instance.id, podIp, startedAt });
    }
  }

  /** Computes the status and hands it on. */
  private report(observed: ObservedPod, terminal: boolean): PodStatus {
    const status = podStatus({
      pod: this.pod,
      observed,
      previous: this.status,
      waiting: this.waits.reasons,
      probeResult: this.context.prober.result,
      hostIps: this.context.hostIps(),
      terminal,
      ...(this.ended ? { ended: this.ended } : {}),
      runtimeName: this.context.runtimeName,
    });
    this.status = status;
    this.context.publish(this.pod, status);
    return status;
  }

  private async bringUp(observed: ObservedPod): Promise<number> {
    const { context, pod } = this;
    const { events } = context;
    const plan = planPod({ pod, observed, probeResult: context.prober.result });
    if (plan.complete) {
      this.state = 'terminating';
      this.grace ??= gracePeriod(pod);
      await this.bringDown(observed);
      return resyncMs;
    }
    const idle = !plan.newSandbox && !plan.discard.length && !plan.kill.length && !plan.start.length;
    context.objects.track(pod);
    const resources = podCgroupResources(pod, context.resources);
    if (idle) {
      await context.cgroups.account(pod, resources);
      await this.refreshVolumes();
      return resyncMs;
    }
    const networkProblem = isHostNetwork(pod) ? undefined : context.networkProblem();
    if (networkProblem && plan.newSandbox) {
      const message = `network is not ready: ${networkProblem}`;
      events.pod(pod, 'Warning', 'NetworkNotReady', message);
      return 2000;
    }
    await this.discard(plan, observed);
    if (plan.newSandbox) await context.cgroups.prepare(pod, resources);
    await this.setUpVolumes();
    const signal = this.step.signal;
    signal.throwIfAborted();
    const attempt = plan.newSandbox?.attempt ?? plan.sandbox?.metadata.attempt ?? 0;
    const dns = podDns(pod, await context.hostDns(), context.clusterDns);
    const config = sandboxConfig(pod, attempt, dns, context.cgroups.parent(pod), context.sandbox);
    let sandboxId = plan.sandbox?.id ?? '';
    let current = observed;
    if (plan.newSandbox) {
      if (attempt > 0 && plan.discard.length)
        events.pod(pod, 'Normal', 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.');
      try {
        sandboxId = await context.runtime.runPodSandbox(config, await context.runtimeHandler(pod), signal);
      } catch (error) {
        if (!signal.aborted)
          events.pod(
            pod,
            'Warning',
            'FailedCreatePodSandBox',
            `Failed to create pod sandbox: ${(error as Error).message}`,
          );
        throw error;
      }
      current = await this.observe();
      // The address is worth telling before images are pulled.
      this.report(current, false);
    }
    const podIps = isHostNetwork(pod) ? context.hostIps() : sandboxIps(current);
    for (const { instance, message, graceSeconds } of plan.kill)
      await killContainer(context, pod, instance, podIps, graceSeconds ?? gracePeriod(pod), message, signal);
    let next = resyncMs;
    let started = false;
    for (const container of plan.start) {
      signal.throwIfAborted();
      const wait = this.waits.crash(pod, container, observed);
      if (wait > 0) {
        next = Math.min(next, wait);
        continue;
      }
      try {
        await startContainer(context, {
          pod,
          container,
          observed,
          previous: this.status,
          sandboxId,
          sandboxConfig: config,
          podIps,
          signal,
        });
        this.waits.started(container);
        started = true;
      } catch (error) {
        if (!(error instanceof StartError)) throw error;
        next = Math.min(next, this.waits.failed(pod, container, error));
      }
    }
    // What was started may already have ended, or the next init container may be due.
    if (started) this.triggered = true;
    const after = await this.observe();
    this.report(after, false);
    // The sandbox ended meanwhile, and its containers could not be started for that.
    if (planPod({ pod, observed: after, probeResult: context.prober.result }).newSandbox) next = Math.min(next, 1000);
    return next;
  }

  private async discard(plan: PodPlan, observed: ObservedPod): Promise<void> {
    if (!plan.discard.length) return;
    const ids = new Set(plan.discard.map(({ id }) => id));
    await killPod(
      this.context,
      this.pod,
      {
        ...observed,
        sandboxes: plan.discard,
        containers: observed.containers.filter(({ podSandboxId }) => ids.has(podSandboxId)),
      },
      undefined,
      this.step.signal,
    );
  }

  private async setUpVolumes(): Promise<void> {
    try {
      await this.context.volumes.setUp(this.pod);
    } catch (error) {
      this.context.events.pod(this.pod, 'Warning', 'FailedMount', (error as Error).message);
      throw error;
    }
  }

  /** Configuration and tokens of a running pod are kept fresh; a failure is told, but changes nothing. */
  private async refreshVolumes(): Promise<void> {
    try {
      await this.context.volumes.setUp(this.pod, { running: true });
    } catch (error) {
      this.context.events.pod(this.pod, 'Warning', 'FailedMount', (error as Error).message);
    }
  }

  private async bringDown(observed: ObservedPod): Promise<void> {
    const { context, pod } = this;
    const deleted = pod.metadata?.deletionTimestamp !== undefined;
    if (deleted || this.ended) this.report(observed, false);
    if (hasRunning(observed)) {
      try {
        await killPod(context, pod, observed, this.grace, this.step.signal);
      } catch (error) {
        context.events.pod(pod, 'Warning', 'FailedKillPod', (error as Error).message);
        throw error;
      }
    }
    const after = await this.observe();
    if (hasRunning(after)) throw new Error('containers of the pod still run');
    context.prober.untrackPod(this.uid);
    this.waits.close();
    const status = this.report(after, true);
    await context.volumes.tearDown(this.uid);
    await context.cgroups.remove(this.uid);
    context.images.forget(this.uid);
    context.objects.release(this.uid);
    this.state = 'terminated';
    context.finished(this.pod, status);
  }

  /** Stops again, with less grace, what is being stopped. */
  private async hurry(grace: number): Promise<void> {
    const observed = this.context.observer.get(this.uid);
    for (const instance of observed?.containers ?? []) {
      if (!isRunning(instance)) continue;
      await this.context.runtime.stopContainer(instance.id, grace).catch((error: Error) => {
        this.context.log.warn({ pod: formatPod(this.pod) }, `cannot stop container: ${error.message}`);
      });
    }
  }
}
