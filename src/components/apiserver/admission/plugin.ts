/** What admission plugins share: when they apply, and how they refuse. */
import type { Pod, UnknownObject } from '../../../machinery/api/types.ts';
import type { RoleIndex } from '../authorization/rbac/role-index.ts';
import { forbidden, type StatusError } from '../errors.ts';
import type {
  AdmissionAttributes,
  AdmissionPlugin,
  ApiRegistry,
  Authorizer,
  CacheReader,
  GroupResource,
  LoopbackClient,
  Operation,
} from '../types.ts';

export interface AdmissionDeps {
  cache: CacheReader;
  loopback: LoopbackClient;
  authorizer: Authorizer;
  /** Finds the resource of an owner's kind. */
  registry?: ApiRegistry;
  /** Present when RBAC is on: turns the escalation check on. */
  roles?: RoleIndex;
}

/** Makes one plugin; called once when the chain is put together. */
export type PluginFactory<O = unknown> = (deps: AdmissionDeps, options: O) => AdmissionPlugin;

export const onOperations =
  (...operations: Operation[]) =>
  (operation: Operation): boolean =>
    operations.includes(operation);

/** True for the resource itself or the named subresource. */
export const isFor = (
  { descriptor, subresource }: AdmissionAttributes,
  group: string,
  resource: string,
  wanted = '',
): boolean => descriptor.group === group && descriptor.resource === resource && subresource === wanted;

/** The pod of a write to `pods` itself. */
export const podOf = (attributes: AdmissionAttributes): Pod | undefined =>
  isFor(attributes, '', 'pods') ? (attributes.object as Pod | undefined) : undefined;

/** An object created with generateName has no name yet while mutating plugins run. */
export const nameOf = ({ name, object }: AdmissionAttributes): string =>
  name || object?.metadata?.name || object?.metadata?.generateName || '';

/** Upstream's admission.NewForbidden: `pods "x" is forbidden: <why>`. */
export const refuse = (attributes: AdmissionAttributes, why: string): StatusError =>
  forbidden(attributes.descriptor.group, attributes.descriptor.resource, nameOf(attributes), why);

/** From the watch cache, or from etcd when the cache does not (yet) have it. */
export async function findObject(
  { cache, loopback }: Pick<AdmissionDeps, 'cache' | 'loopback'>,
  resource: GroupResource,
  namespace: string,
  name: string,
): Promise<UnknownObject | undefined> {
  return cache.get(resource, namespace, name) ?? (await loopback.get(resource, namespace, name));
}

export const mirrorPodAnnotation = 'kubernetes.io/config.mirror';
export const isMirrorPod = (pod: Pod): boolean => pod.metadata?.annotations?.[mirrorPodAnnotation] !== undefined;
