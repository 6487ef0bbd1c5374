/** Owner references: who controls an object. */
import type { KubeObject, OwnerReference } from './types.ts';

export const controllerOf = (object: KubeObject): OwnerReference | undefined =>
  object.metadata?.ownerReferences?.find(({ controller }) => controller === true);

export const isControlledBy = (object: KubeObject, owner: KubeObject): boolean =>
  owner.metadata?.uid !== undefined && controllerOf(object)?.uid === owner.metadata.uid;

/** The reference that a controller puts on what it creates. */
export function controllerReference(
  owner: KubeObject,
  type: { group: string; version: string; kind: string },
): OwnerReference {
  return {
    apiVersion: type.group ? `${type.group}/${type.version}` : type.version,
    kind: type.kind,
    name: owner.metadata?.name ?? '',
    uid: owner.metadata?.uid ?? '',
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** `namespace/name`, or `name` for what has no namespace. */
export function objectKey(object: KubeObject): string {
  const { namespace, name } = object.metadata ?? {};
  return namespace ? `${namespace}/${name}` : (name ?? '');
}
