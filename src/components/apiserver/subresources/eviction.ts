/** `pods/eviction`: deletes a pod when its disruption budget lets it go. After upstream's EvictionREST. */
import { matchesLabelSelector } from '../../../machinery/api/selectors.ts';
import { formatTime } from '../../../machinery/api/time.ts';
import type { Pod, PodDisruptionBudget, UnknownObject } from '../../../machinery/api/types.ts';
import { badRequest, forbidden, notFound, StatusError, tooManyRequests } from '../errors.ts';
import type { CacheReader, GroupResource, LoopbackClient } from '../types.ts';
import type { VirtualResource } from './virtual-resources.ts';

const pods: GroupResource = { group: '', resource: 'pods' };
const budgets: GroupResource = { group: 'policy', resource: 'poddisruptionbudgets' };
const maxDisruptedPods = 2_000;
const retrySeconds = 10;

interface DeleteOptions {
  gracePeriodSeconds?: number;
  preconditions?: { uid?: string; resourceVersion?: string };
  dryRun?: string[];
}

export function eviction({ cache, loopback }: { cache: CacheReader; loopback: LoopbackClient }): VirtualResource {
  return {
    group: '',
    resource: 'pods',
    subresource: 'eviction',
    async create({ namespace, name, object, dryRun }) {
      if (object.metadata?.name && object.metadata.name !== name)
        throw badRequest('name in URL does not match name in Eviction object');
      const options = (object['deleteOptions'] ?? {}) as DeleteOptions;
      const dry = dryRun || (options.dryRun ?? []).includes('All');
      const pod = (await loopback.get(pods, namespace, name)) as Pod | undefined;
      if (!pod) throw notFound('', 'pods', name);
      if (!ignoresBudget(pod)) {
        const budget = onlyBudget(pod, cache.list(budgets, namespace) as unknown as PodDisruptionBudget[]);
        if (budget && !unhealthyMayGo(pod, budget)) await takeDisruption(loopback, budget, pod, dry);
      }
      if (!dry) await evict(loopback, pod, options);
      return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };
    },
  };
}

async function evict(loopback: LoopbackClient, pod: Pod, options: DeleteOptions): Promise<void> {
  const { namespace = '', name = '' } = pod.metadata ?? {};
  await loopback.update(pods, namespace, name, (current) => withDisruptionTarget(current, new Date()), 'status');
  const { gracePeriodSeconds, preconditions } = options;
  await loopback.delete(pods, namespace, name, {
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    ...(preconditions ? { preconditions } : {}),
  });
}

/** The condition tells what happened to the pod; one that is going already keeps what it has. */
function withDisruptionTarget(current: UnknownObject, now: Date): UnknownObject | undefined {
  const pod = current as Pod;
  if (pod.metadata?.deletionTimestamp) return undefined;
  const others = (pod.status?.conditions ?? []).filter(({ type }) => type !== 'DisruptionTarget');
  const condition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'EvictionByEvictionAPI',
    message: 'Eviction API: evicting',
    lastProbeTime: null,
    lastTransitionTime: formatTime(now),
  };
  return { ...current, status: { ...pod.status, conditions: [...others, condition] } };
}

/** Pods that do not run, or not for long, need no permission. */
const ignoresBudget = ({ metadata, status }: Pod): boolean =>
  metadata?.deletionTimestamp !== undefined || ['Succeeded', 'Failed', 'Pending'].includes(status?.phase ?? '');

const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false;

function onlyBudget(pod: Pod, all: PodDisruptionBudget[]): PodDisruptionBudget | undefined {
  const matching = all.filter(
    ({ spec }) => spec?.selector && matchesLabelSelector(spec.selector, pod.metadata?.labels),
  );
  if (matching.length <= 1) return matching[0];
  throw new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    code: 500,
  });
}

/** A pod that is not ready takes nothing away: always, or only while the budget has enough healthy ones. */
export function unhealthyMayGo(pod: Pod, { spec, status }: PodDisruptionBudget): boolean {
  if (isReady(pod)) return false;
  if (spec?.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true;
  const desired = status?.desiredHealthy ?? 0;
  return desired > 0 && (status?.currentHealthy ?? 0) >= desired;
}

const violated = "Cannot evict pod as it would violate the pod's disruption budget.";

async function takeDisruption(
  loopback: LoopbackClient,
  { metadata }: PodDisruptionBudget,
  pod: Pod,
  dryRun: boolean,
): Promise<void> {
  const change = (current: UnknownObject) => {
    const budget = current as unknown as PodDisruptionBudget;
    checkBudget(budget);
    if (dryRun || !budget.status) return undefined;
    budget.status.disruptionsAllowed = (budget.status.disruptionsAllowed ?? 0) - 1;
    budget.status.disruptedPods = {
      ...budget.status.disruptedPods,
      [pod.metadata?.name ?? '']: formatTime(new Date()) as never,
    };
    if (budget.status.disruptionsAllowed === 0) markExhausted(budget, formatTime(new Date()));
    return current;
  };
  await loopback.update(budgets, metadata?.namespace ?? '', metadata?.name ?? '', change, 'status');
}

/** Throws what stands in the way of one more disruption. */
export function checkBudget({ metadata, status }: PodDisruptionBudget): void {
  const name = metadata?.name ?? '';
  const refuse = (message: string, after: number) =>
    tooManyRequests(violated, after, [{ reason: 'DisruptionBudget', message }]);
  if ((status?.observedGeneration ?? 0) < (metadata?.generation ?? 0))
    throw refuse(`The disruption budget ${name} is still being processed by the server.`, retrySeconds);
  const allowed = status?.disruptionsAllowed ?? 0;
  if (allowed < 0) throw forbidden('policy', 'poddisruptionbudget', name, 'pdb disruptions allowed is negative');
  if (Object.keys(status?.disruptedPods ?? {}).length > maxDisruptedPods)
    throw forbidden(
      'policy',
      'poddisruptionbudget',
      name,
      'DisruptedPods map too big - too many evictions not confirmed by PDB controller',
    );
  if (allowed > 0) return;
  const failed = status?.conditions?.find(({ type }) => type === 'DisruptionAllowed');
  if (failed?.reason === 'SyncFailed')
    throw refuse(
      `The disruption budget ${name} does not allow evicting pods currently because it failed sync: ${failed.message}`,
      0,
    );
  throw refuse(
    `The disruption budget ${name} needs ${status?.desiredHealthy ?? 0} healthy pods and has ${status?.currentHealthy ?? 0} currently`,
    0,
  );
}

function markExhausted({ metadata, status }: PodDisruptionBudget, now: string): void {
  if (!status) return;
  const before = status.conditions?.find(({ type }) => type === 'DisruptionAllowed');
  const changed = before?.status !== 'False';
  status.conditions = [
    ...(status.conditions ?? []).filter((condition) => condition !== before),
    {
      type: 'DisruptionAllowed',
      status: 'False',
      reason: 'InsufficientPods',
      message: '',
      observedGeneration: metadata?.generation ?? 0,
      lastTransitionTime: (changed ? now : (before?.lastTransitionTime ?? now)) as never,
    },
  ];
}
