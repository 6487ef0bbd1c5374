/** Deletes what a namespace contains, by discovery, and counts what remains. */
import type { KubeObject, Pod } from '../../../../machinery/api/types.ts';
import { ApiError, isNotFound } from '../../../../machinery/client/errors.ts';
import { pods } from '../../../../machinery/client/resources.ts';
import type { Client } from '../../../../machinery/client/types.ts';
import type { DiscoveredResource, Discovery } from '../../framework/discovery.ts';
import type { Outcome } from './conditions.ts';

/** How long something with a finalizer is given before the next look. */
const finalizerEstimateSeconds = 15;

export interface ContentDeletion extends Outcome {
  /** Seconds until it is worth looking again; 0 when all is gone. */
  estimateSeconds: number;
}

const isMissing = (error: unknown) => isNotFound(error) || (error instanceof ApiError && error.code === 405);

/** Asks for the deletion of everything; pods first, the rest only when they are gone. */
export async function deleteContent(client: Client, namespace: string, discovery: Discovery): Promise<ContentDeletion> {
  const result: ContentDeletion = {
    discoveryFailures: discovery.failed,
    deletionErrors: [],
    remaining: [],
    finalizers: new Map(),
    estimateSeconds: 0,
  };
  const all = discovery.resources.filter(
    ({ namespaced, verbs, resource }) => namespaced && verbs.includes('delete') && !resource.includes('/'),
  );
  const isPods = ({ group, resource }: DiscoveredResource) => group === '' && resource === 'pods';
  for (const type of all.filter(isPods)) await deleteType(client, namespace, type, result);
  if (result.remaining.length > 0) return result;
  const rest = all.filter((type) => !isPods(type));
  const workers = Array.from({ length: 4 }, async () => {
    for (let type = rest.shift(); type; type = rest.shift()) await deleteType(client, namespace, type, result);
  });
  await Promise.all(workers);
  return result;
}

async function deleteType(client: Client, namespace: string, type: DiscoveredResource, result: ContentDeletion) {
  const api = client.dynamic({ ...type, metadataOnly: true });
  try {
    const before = await remainingOf(client, namespace, type);
    if (before.length === 0) return;
    if (type.verbs.includes('deletecollection'))
      await api.deleteCollection({ namespace }, { propagationPolicy: 'Background' });
    else
      for (const { metadata } of before) {
        try {
          await api.delete({ namespace, name: metadata?.name ?? '' }, { propagationPolicy: 'Background' });
        } catch (error) {
          if (!isNotFound(error)) throw error;
        }
      }
    const left = await remainingOf(client, namespace, type);
    if (left.length === 0) return;
    result.remaining.push({ group: type.group, resource: type.resource, count: left.length });
    for (const finalizer of left.flatMap(({ metadata }) => metadata?.finalizers ?? []))
      result.finalizers.set(finalizer, (result.finalizers.get(finalizer) ?? 0) + 1);
    const seconds =
      type.group === '' && type.resource === 'pods'
        ? await podSeconds(client, namespace)
        : left.some(({ metadata }) => metadata?.finalizers?.length)
          ? finalizerEstimateSeconds
          : 1;
    result.estimateSeconds = Math.max(result.estimateSeconds, seconds);
  } catch (error) {
    if (!isMissing(error)) result.deletionErrors.push((error as Error).message);
  }
}

async function remainingOf(client: Client, namespace: string, type: DiscoveredResource): Promise<KubeObject[]> {
  if (!type.verbs.includes('list')) return [];
  return (await client.dynamic({ ...type, metadataOnly: true }).list({ namespace })).items;
}

/** The longest grace period of the pods that still run. */
async function podSeconds(client: Client, namespace: string): Promise<number> {
  const { items } = await client.resource<Pod>(pods).list({ namespace });
  const running = items.filter(({ status }) => status?.phase !== 'Succeeded' && status?.phase !== 'Failed');
  return Math.max(1, ...running.map(({ spec }) => spec?.terminationGracePeriodSeconds ?? 0));
}
