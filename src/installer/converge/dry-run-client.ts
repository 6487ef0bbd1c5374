/** A client of which the server only tries the writes, and tells what they would change. */
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

const nameOfObject = (object: object): string => describeName(nameOf(object as UnknownObject));

/** Without what the server keeps account of. */
function shown(object: object): string {
  const { metadata, status: _status, ...fields } = structuredClone(object) as UnknownObject;
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

export function dryRunClient(client: Client, { tell, stored = [] }: DryRunClientOptions): Client {
  /** Namespaces that the run would make: of what is in them the server can say nothing yet. */
  const awaited = new Set<string>();
  const told = (action: 'create' | 'change', before: object | undefined, after: object) => {
    const difference = objectDifference(before, after);
    tell({ action, what: nameOfObject(after), ...(difference ? { difference } : {}) });
  };
  const refused = (what: string) => Promise.reject(new Error(`a dry run does not ${what}`));

  function trying<T extends KubeObject>(real: ResourceClient<T>, type: ResourceType<T>): ResourceClient<T> {
    const typed = (object: T): T => ({
      ...object,
      apiVersion: type.group ? `${type.group}/${type.version}` : type.version,
      kind: type.kind,
    });
    const stands = (ref: ObjectRef): T | undefined =>
      stored.find(({ kind, metadata }) => kind === type.kind && sameRef(metadata ?? {}, ref)) as T | undefined;
    const created = async (object: T, work: () => Promise<T>): Promise<T> => {
      const after = awaited.has(object.metadata?.namespace ?? '') ? object : await work();
      if (type.kind === 'Namespace') awaited.add(object.metadata?.name ?? '');
      told('create', undefined, typed(after));
      return after;
    };
    return {
      ...real,
      get: async (ref, options) => stands(ref) ?? real.get(ref, options),
      find: async (ref, options) => stands(ref) ?? real.find(ref, options),
      create: (object, options) => created(object, () => real.create(object, { ...options, dryRun: true })),
      async update(object, options) {
        const before = await real.find(refOf(object), options);
        const after = await real.update(object, { ...options, dryRun: true });
        told('change', before && typed(before), typed(after));
        return after;
      },
      async patch(ref, body, options) {
        // Whoever only asks has no plan.
        if (options.dryRun) return real.patch(ref, body, options);
        const before = await real.find(ref, options);
        const patched = () => real.patch(ref, body, { ...options, dryRun: true });
        if (!before) return options.type === 'apply' ? created(body as T, patched) : patched();
        const after = await patched();
        const same = objectDifference(typed(before), typed(after)) === undefined;
        if (!same) told('change', typed(before), typed(after));
        // A server that only tries may leave the version as it is.
        const resourceVersion = same ? before.metadata?.resourceVersion : '';
        return {
          ...after,
          metadata: { ...after.metadata, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
        };
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

const refOf = ({ metadata }: KubeObject): ObjectRef => ({
  name: metadata?.name ?? '',
  ...(metadata?.namespace ? { namespace: metadata.namespace } : {}),
});

const sameRef = (a: { name?: string; namespace?: string }, b: ObjectRef): boolean =>
  a.name === b.name && (a.namespace ?? '') === (b.namespace ?? '');
