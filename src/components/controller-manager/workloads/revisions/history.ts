/** ControllerRevisions: the templates that a DaemonSet or StatefulSet has had, as `kubectl rollout undo` applies them. */
import { fnv1a32, safeEncode, stableJson } from '../../../../machinery/api/hash.ts';
import { controllerReference } from '../../../../machinery/api/owners.ts';
import { timeOf } from '../../../../machinery/api/time.ts';
import type { ControllerRevision, KubeObject, PodTemplateSpec } from '../../../../machinery/api/types.ts';
import { isNotFound } from '../../../../machinery/client/errors.ts';
import { controllerRevisions } from '../../../../machinery/client/resources.ts';
import type { Client, ResourceType } from '../../../../machinery/client/types.ts';

/** On pods: which revision they were made from. */
export const revisionHashLabel = 'controller-revision-hash';

/** The strategic merge patch that brings an owner back to this template. */
export const templatePatch = (template: PodTemplateSpec | undefined): object => ({
  spec: { template: { ...structuredClone(template), $patch: 'replace' } },
});

export const sameData = (a: unknown, b: unknown): boolean => stableJson(a) === stableJson(b);

export const dataHash = (data: object, collisionCount: number | undefined): string =>
  safeEncode(String(fnv1a32(stableJson(data) + (collisionCount === undefined ? '' : `#${collisionCount}`))));

export const highestRevision = (revisions: ControllerRevision[]): number =>
  revisions.reduce((highest, { revision }) => Math.max(highest, revision), 0);

export const byRevision = (a: ControllerRevision, b: ControllerRevision): number =>
  a.revision - b.revision ||
  timeOf(a.metadata?.creationTimestamp) - timeOf(b.metadata?.creationTimestamp) ||
  ((a.metadata?.name ?? '') < (b.metadata?.name ?? '') ? -1 : 1);

export interface NewRevision {
  owner: KubeObject;
  ownerType: ResourceType<unknown>;
  hash: string;
  /** The label that carries the hash: it differs between the owners' kinds. */
  hashLabel: string;
  labels: Record<string, string> | undefined;
  data: object;
  revision: number;
}

export function newRevision(wanted: NewRevision): ControllerRevision {
  const { name = '', namespace = '', annotations } = wanted.owner.metadata ?? {};
  return {
    metadata: {
      name: `${name.slice(0, 223)}-${wanted.hash}`,
      namespace,
      labels: { ...wanted.labels, [wanted.hashLabel]: wanted.hash },
      ...(annotations ? { annotations: { ...annotations } } : {}),
      ownerReferences: [controllerReference(wanted.owner, wanted.ownerType)],
    },
    data: wanted.data,
    revision: wanted.revision,
  };
}

/** Old revisions beyond the limit that nothing uses, oldest first. */
export function revisionsToCleanUp(
  old: ControllerRevision[],
  limit: number,
  inUse: (revision: ControllerRevision) => boolean,
): ControllerRevision[] {
  return old
    .filter((revision) => !inUse(revision))
    .sort(byRevision)
    .slice(0, Math.max(0, old.length - limit));
}

export async function deleteRevisions(client: Client, revisions: ControllerRevision[]): Promise<void> {
  for (const { metadata } of revisions) {
    try {
      await client
        .resource(controllerRevisions)
        .delete({ namespace: metadata?.namespace ?? '', name: metadata?.name ?? '' });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}
