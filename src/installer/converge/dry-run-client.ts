/** A client of which the server only tries the writes, and tells what they would change. */
import { applyMergePatch } from '../../machinery/api/patch/merge-patch.ts';
import type { KubeObject, UnknownObject } from '../../machinery/api/types.ts';
import type { Client, ObjectRef, ResourceClient, ResourceType } from '../../machinery/client/types.ts';
import { describeName, nameOf } from '../addons/manifests.ts';
import { formatYaml } from '../config/format-yaml.ts';
import { differenceOf, notShown } from '../host/differences.ts';
import type { PlannedChange } from '../host/dry-run.ts';

export interface DryRunClientOptions {
  tell(change: PlannedChange): void;
  /** Objects that stand for those of the cluster. */
  stored?: readonly UnknownObject[];
}

/** What a run would make of an object, however often it writes it. */
interface Written {
  before: object | undefined;
  after: object;
  change: PlannedChange;
}

const nameOfObject = (object: object): string => describeName(nameOf(object as UnknownObject));

/** Without what the server keeps account of. */
function shown(object: object): string {
  const { metadata, status: _status, ...fields } = object as UnknownObject;
  const {
    managedFields: _managers,
    resourceVersion: _version,
    generation: _generation,
    uid: _uid,
    creationTimestamp: _created,
    ...rest
  } = metadata ?? {};
  return formatYaml({ ...fields, metadata: rest });
}

/** As of files; undefined when nothing is different. */
export function objectDifference(before: object | undefined, after: object): string | undefined {
  const [old, now] = [before && shown(before), shown(after)];
  if (old === now) return undefined;
  if ((after as UnknownObject).kind === 'Secret') return notShown;
  const files = { ...(old === undefined ? {} : { before: Buffer.from(old) }), after: Buffer.from(now) };
  return differenceOf({ path: nameOfObject(after), mode: 0, ...files });
}

const refOf = ({ metadata }: KubeObject): ObjectRef => ({
  name: metadata?.name ?? '',
  ...(metadata?.namespace ? { namespace: metadata.namespace } : {}),
});

const isOf = ({ metadata }: KubeObject, { name, namespace }: ObjectRef): boolean =>
  metadata?.name === name && (metadata.namespace ?? '') === (namespace ?? '');

const refused = (what: string) => Promise.reject(new Error(`a dry run does not ${what}`));

export function dryRunClient(client: Client, { tell, stored = [] }: DryRunClientOptions): Client {
  const written = new Map<string, Written>();
  const note = (before: object | undefined, after: object) => {
    const what = nameOfObject(after);
    const known = written.get(what);
    const change = known?.change ?? { action: before ? 'change' : 'create', what };
    const difference = objectDifference(known ? known.before : before, after);
    if (difference) change.difference = difference;
    else delete change.difference;
    written.set(what, { before: known ? known.before : before, after, change });
    if (!known) tell(change);
  };

  function trying<T extends KubeObject>(real: ResourceClient<T>, type: ResourceType<T>): ResourceClient<T> {
    const typed = (object: T): T => ({
      ...object,
      apiVersion: type.group ? `${type.group}/${type.version}` : type.version,
      kind: type.kind,
    });
    const writtenAt = ({ name, namespace }: ObjectRef) =>
      written.get(describeName({ apiVersion: '', kind: type.kind, name, ...(namespace ? { namespace } : {}) }));
    const stands = (ref: ObjectRef) =>
      stored.find((object) => object.kind === type.kind && isOf(object, ref)) as T | undefined;
    /** Of what would be in a namespace that is still to be made the server can say nothing. */
    const isAwaited = ({ namespace = '' }: ObjectRef) =>
      written.get(`Namespace ${namespace}`)?.change.action === 'create';
    const create = async (object: T, work: () => Promise<T>): Promise<T> => {
      const after = isAwaited(refOf(object)) ? object : await work();
      // As it was given: addresses and ports that the server chose for this try are not those that it would choose.
      note(undefined, typed(object));
      return after;
    };
    return {
      ...real,
      get: async (ref, options) => stands(ref) ?? real.get(ref, options),
      find: async (ref, options) => stands(ref) ?? real.find(ref, options),
      create: (object, options) => create(object, () => real.create(object, { ...options, dryRun: true })),
      async update(object, options) {
        const before = await real.get(refOf(object), options);
        const after = await real.update(object, { ...options, dryRun: true });
        note(typed(before), typed(after));
        return after;
      },
      async patch(ref, body, options) {
        // Whoever only asks has no plan.
        if (options.dryRun) return isAwaited(ref) ? (body as T) : real.patch(ref, body, options);
        const known = writtenAt(ref);
        if (known && options.type === 'merge') {
          const after = applyMergePatch(known.after, body) as T;
          note(known.before, after);
          return after;
        }
        const patch = () => real.patch(ref, body, { ...options, dryRun: true });
        const before = isAwaited(ref) ? undefined : await real.find(ref, options);
        if (!before) return options.type === 'apply' ? create(body as T, patch) : patch();
        const after = await patch();
        const same = objectDifference(typed(before), typed(after)) === undefined;
        if (!same) note(typed(before), typed(after));
        // A server that only tries leaves the version as it is.
        const { resourceVersion } = before.metadata ?? {};
        const version = same && resourceVersion !== undefined ? resourceVersion : '';
        return { ...after, metadata: { ...after.metadata, resourceVersion: version } };
      },
      async delete(ref, options) {
        const before = await real.get(ref, options);
        tell({ action: 'remove', what: nameOfObject(typed(before)) });
        return before;
      },
      createSubresource: (_ref, subresource) => refused(`write ${subresource}`),
      updateStatus: () => refused('write a status'),
      deleteCollection: () => refused('delete a collection'),
    };
  }
  return {
    ...client,
    resource: (type) => trying(client.resource(type), type),
    dynamic: (type) => trying(client.dynamic(type), type),
    raw: (method, path, options) =>
      method === 'GET' ? client.raw(method, path, options) : refused(`${method} ${path}`),
  };
}
