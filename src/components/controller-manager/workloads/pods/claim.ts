/** Who an object belongs to: owners adopt orphans that their selector matches and release what no longer matches. */
import { controllerOf, controllerReference } from '../../../../machinery/api/owners.ts';
import { type MaybeSelector, matchesSelector } from '../../../../machinery/api/selectors.ts';
import type { KubeObject } from '../../../../machinery/api/types.ts';
import { isInvalid, isNotFound } from '../../../../machinery/client/errors.ts';
import type { Client, ResourceType } from '../../../../machinery/client/types.ts';
import type { Informer } from '../../../../machinery/informer/types.ts';

export type Claim = 'ours' | 'not ours' | 'adopt' | 'release';

/** What is to be done with one object. */
export function claimOf(object: KubeObject, owner: KubeObject, selector: MaybeSelector): Claim {
  const controller = controllerOf(object);
  const matches = matchesSelector(selector, object.metadata?.labels);
  const ownerDeleting = Boolean(owner.metadata?.deletionTimestamp);
  if (controller) {
    if (controller.uid !== owner.metadata?.uid) return 'not ours';
    if (matches) return 'ours';
    return ownerDeleting ? 'not ours' : 'release';
  }
  if (ownerDeleting || !matches || object.metadata?.deletionTimestamp) return 'not ours';
  return object.metadata?.namespace === owner.metadata?.namespace ? 'adopt' : 'not ours';
}

export interface ClaimOptions<T extends KubeObject> {
  client: Client;
  owner: KubeObject;
  ownerType: ResourceType<KubeObject>;
  type: ResourceType<T>;
  selector: MaybeSelector;
  /** Put on what is adopted, taken off what is released. */
  finalizer?: string;
}

/** The candidates that are the owner's, after adopting and releasing. */
export async function claimObjects<T extends KubeObject>(candidates: T[], options: ClaimOptions<T>): Promise<T[]> {
  const { client, owner, ownerType, type, selector } = options;
  const claimed: T[] = [];
  let adoptable: Promise<void> | undefined;
  for (const object of candidates) {
    const claim = claimOf(object, owner, selector);
    if (claim === 'ours') claimed.push(object);
    else if (claim === 'release') await release(object, options);
    else if (claim === 'adopt') {
      adoptable ??= assertLive(client, owner, ownerType);
      await adoptable;
      const { namespace = '', name = '', uid } = object.metadata ?? {};
      const metadata = {
        uid,
        ownerReferences: [controllerReference(owner, ownerType)],
        ...(options.finalizer ? { finalizers: [options.finalizer] } : {}),
      };
      try {
        claimed.push(await client.resource(type).patch({ namespace, name }, { metadata }, { type: 'strategic' }));
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
  }
  return claimed;
}

async function release<T extends KubeObject>(object: T, options: ClaimOptions<T>): Promise<void> {
  const { client, owner, type, finalizer } = options;
  const { namespace = '', name = '', uid } = object.metadata ?? {};
  const metadata = {
    uid,
    ownerReferences: [{ $patch: 'delete', uid: owner.metadata?.uid }],
    ...(finalizer ? { '$deleteFromPrimitiveList/finalizers': [finalizer] } : {}),
  };
  try {
    await client.resource(type).patch({ namespace, name }, { metadata }, { type: 'strategic' });
  } catch (error) {
    // Gone, or replaced by one of the same name: not ours any more either way.
    if (!isNotFound(error) && !isInvalid(error)) throw error;
  }
}

/** A cache may show an owner that is deleted already; the garbage collector would then delete what it adopts. */
async function assertLive(client: Client, owner: KubeObject, type: ResourceType<KubeObject>): Promise<void> {
  const { namespace = '', name = '', uid } = owner.metadata ?? {};
  const live = await client.resource(type).get({ namespace, name });
  if (live.metadata?.uid !== uid)
    throw new Error(`original ${type.kind} ${namespace}/${name} is gone: got uid ${live.metadata?.uid}, wanted ${uid}`);
  if (live.metadata?.deletionTimestamp)
    throw new Error(`${namespace}/${name} has just been deleted at ${live.metadata.deletionTimestamp}`);
}

const ownerIndex = 'controller-uid';
const orphanOf = (namespace: string | undefined): string => `orphan in ${namespace ?? ''}`;

/** Makes `candidatesFor` possible: objects by their controller's uid, orphans by namespace. */
export function indexByController<T extends KubeObject>(informer: Informer<T>): void {
  informer.addIndex(ownerIndex, (object) => [controllerOf(object)?.uid ?? orphanOf(object.metadata?.namespace)]);
}

/** What the owner controls. */
export const controlledBy = <T extends KubeObject>({ store }: Informer<T>, owner: KubeObject): T[] =>
  store.byIndex(ownerIndex, owner.metadata?.uid ?? '');

/** What the owner controls, and the orphans of its namespace. */
export const candidatesFor = <T extends KubeObject>(informer: Informer<T>, owner: KubeObject): T[] => [
  ...controlledBy(informer, owner),
  ...informer.store.byIndex(ownerIndex, orphanOf(owner.metadata?.namespace)),
];
