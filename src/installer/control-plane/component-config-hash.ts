/**
 * A ConfigMap with a component's configuration that no user has written carries its hash, so that an upgrade knows it may make
 * it anew (kubeadm does the same, by the same rule).
 */
import { createHash } from 'node:crypto';
import type { ConfigMap, UnknownObject } from '../../machinery/api/types.ts';

const annotation = 'kubeadm.kubernetes.io/component-config.hash';

function hashOf(data: Record<string, string> | undefined): string {
  const hash = createHash('sha256');
  for (const key of Object.keys(data ?? {}).sort()) hash.update(data?.[key] ?? '');
  return `sha256:${hash.digest('hex')}`;
}

/** Whether a user has had a hand in it: then it carries no hash, or another one than its content has. */
export function isUserSupplied({ metadata, data }: ConfigMap): boolean {
  return metadata?.annotations?.[annotation] !== hashOf(data);
}

/** @param given whether the user has written any of it */
export function withConfigHash(objects: UnknownObject[], name: string, given: boolean): UnknownObject[] {
  if (given) return objects;
  return objects.map((object) => {
    if (object.kind !== 'ConfigMap' || object.metadata?.name !== name) return object;
    const { data } = object as UnknownObject & { data?: Record<string, string> };
    const annotations = { ...object.metadata.annotations, [annotation]: hashOf(data) };
    return { ...object, metadata: { ...object.metadata, annotations } };
  });
}
