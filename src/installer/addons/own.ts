/** Add-ons of one's own: manifests that are applied as they are, labelled, and taken away again. */

import { isConditionTrue } from '../../machinery/api/conditions.ts';
import type { UnknownObject } from '../../machinery/api/types.ts';
import { ApiError, isNotFound } from '../../machinery/client/errors.ts';
import { namespaces } from '../../machinery/client/resources.ts';
import type { Client, ResourceType } from '../../machinery/client/types.ts';
import { builtInAddon } from '../config/addon-values.ts';
import { KinitError } from '../errors.ts';
import type { PlannedChange } from '../host/dry-run.ts';
import { waitUntil } from '../host/wait.ts';
import { describeName, inOrder, leftOut, type ManifestObject, nameOf } from './manifests.ts';
import { type ResourceTypes, resourceTypes } from './resource-types.ts';
import { type ObjectName, readStore, type StoredAddon, writeStore } from './store.ts';

export const addonLabel = 'kinit.local/addon';
const definitionTimeoutMs = 30_000;
const endingTimeoutMs = 60_000;

export interface OwnAddon {
  client: Client;
  name: string;
  by: StoredAddon['by'];
  signal: AbortSignal;
  /** What has left the manifests is removed; otherwise it is told. */
  prune?: boolean;
  /** Fields of other managers are taken over. */
  force?: boolean;
  /** In a dry run: told of objects whose kind the manifests themselves define. The client tells the others. */
  plan?(change: PlannedChange): void;
}

export interface OwnAddonResult {
  changed: boolean;
  created: ObjectName[];
  configured: ObjectName[];
  unchanged: ObjectName[];
  removed: ObjectName[];
  /** Not in the manifests any more, and still there. */
  left: ObjectName[];
}

interface Target extends ManifestObject {
  type: ResourceType<UnknownObject>;
  body: UnknownObject;
}

const refOf = ({ name, namespace }: ObjectName) => ({ name, ...(namespace ? { namespace } : {}) });

/** @throws KinitError Usage for a name that cannot be that of an add-on of one's own */
export function ownName(name: string): string {
  if (builtInAddon(name)) throw new KinitError('Usage', `--name: ${name} is an add-on of kinit's; take another name`);
  if (name.length > 63 || !/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(name))
    throw new KinitError('Usage', `--name is "${name}"; it takes lower-case letters, digits and dashes`);
  return name;
}

/** The object with its label, in the namespace that it goes to. */
function bodyOf(object: UnknownObject, type: ResourceType<UnknownObject>, addon: string): UnknownObject {
  const { namespace, ...metadata } = object.metadata ?? {};
  const labels = { ...metadata.labels, [addonLabel]: addon };
  return {
    ...object,
    metadata: { ...metadata, ...(type.namespaced ? { namespace: namespace || 'default' } : {}), labels },
  };
}

/** The server's words, with the place of each field that it names. */
function refusal(target: ManifestObject, error: unknown): string {
  if (!(error instanceof ApiError)) throw error;
  const { causes = [] } = error.status.details ?? {};
  const conflict = error.code === 409;
  if (!causes.length || conflict) {
    const message = error.status.message ?? error.message;
    const field = /unknown field "([^"]+)"/.exec(message)?.[1] ?? '';
    return `${target.place(pathOf(field))}: ${target.what}: ${message}`;
  }
  return causes
    .map(({ field = '', message }) => `${target.place(pathOf(field))}: ${target.what}: ${field}: ${message}`)
    .join('\n');
}

/** `spec.ports[0].port` */
const pathOf = (field: string): (string | number)[] =>
  [...field.matchAll(/([^.[\]]+)|\[(\d+)\]/g)].map(([, name, index]) => name ?? Number(index));

async function targetsOf(
  objects: readonly ManifestObject[],
  addon: string,
  types: ResourceTypes,
  unknown: (one: ManifestObject, why: string) => void,
): Promise<Target[]> {
  const targets: Target[] = [];
  for (const one of objects) {
    const { apiVersion = '', kind = '' } = one.object;
    const type = await types.find(apiVersion, kind);
    if (type) targets.push({ ...one, type, body: bodyOf(one.object, type, addon) });
    else unknown(one, `the cluster has no kind "${kind}" in ${apiVersion}${await types.near(apiVersion, kind)}`);
  }
  return targets;
}

/** Kinds that the manifests define themselves. */
function definedKinds(objects: readonly ManifestObject[]): Set<string> {
  return new Set(
    objects.flatMap(({ object }) => {
      if (object.kind !== 'CustomResourceDefinition') return [];
      const {
        group,
        names,
        versions = [],
      } = (object['spec'] ?? {}) as {
        group?: string;
        names?: { kind?: string };
        versions?: { name?: string; served?: boolean }[];
      };
      return versions.filter(({ served }) => served).map(({ name }) => `${group}/${name}/${names?.kind}`);
    }),
  );
}

/** Namespaces that are on their way out take nothing in; they are made anew when they are gone. */
async function untilGone({ client, signal }: OwnAddon, objects: readonly ManifestObject[]): Promise<void> {
  for (const { object, what } of objects) {
    if (object.kind !== 'Namespace') continue;
    const { name } = nameOf(object);
    const ending = async () =>
      (await client.resource(namespaces).find({ name }, { signal }))?.metadata?.deletionTimestamp;
    await waitUntil(async () => (await ending()) === undefined, {
      timeoutMs: endingTimeoutMs,
      intervalMs: 250,
      signal,
      failure: () =>
        new KinitError('Timeout', `${what}: it is still being deleted after ${endingTimeoutMs / 1000} s`, {
          advice: `look at: kubectl get namespace ${name} -o yaml; then run the same command again`,
        }),
    });
  }
}

/** Namespaces that the manifests bring and the cluster does not have: nothing in them can be tried before. */
async function missingNamespaces(
  { client, signal }: OwnAddon,
  objects: readonly ManifestObject[],
): Promise<Set<string>> {
  const names = objects.filter(({ object }) => object.kind === 'Namespace').map(({ object }) => nameOf(object).name);
  const found = await Promise.all(names.map((name) => client.resource(namespaces).find({ name }, { signal })));
  return new Set(names.filter((_, index) => !found[index]));
}

/** Lets the server look at everything that it can judge already, before anything is changed. */
async function check(addon: OwnAddon, objects: readonly ManifestObject[], types: ResourceTypes): Promise<void> {
  const { client, name, signal, force = false } = addon;
  const defined = definedKinds(objects);
  const mistakes: string[] = [];
  const targets = await targetsOf(objects, name, types, ({ object: { apiVersion, kind }, place, what }, why) => {
    if (!defined.has(`${apiVersion}/${kind}`)) mistakes.push(`${place(['kind'])}: ${what}: ${why}`);
  });
  const awaited = await missingNamespaces(addon, objects);
  for (const target of targets) {
    const resource = client.dynamic(target.type);
    const ref = refOf(nameOf(target.body));
    const owner = (await resource.find(ref, { signal }))?.metadata?.labels?.[addonLabel];
    if (owner !== undefined && owner !== name)
      mistakes.push(`${target.place(['metadata', 'name'])}: ${target.what}: it belongs to the add-on ${owner}`);
    if (ref.namespace && awaited.has(ref.namespace)) continue;
    try {
      await resource.patch(ref, target.body, {
        type: 'apply',
        fieldManager: 'kinit',
        fieldValidation: 'Strict',
        dryRun: true,
        force,
        signal,
      });
    } catch (error) {
      mistakes.push(refusal(target, error));
    }
  }
  if (mistakes.length) throw refused(mistakes);
}

function refused(mistakes: readonly string[], advice = 'correct the manifests; nothing was changed'): KinitError {
  const conflict = mistakes.some((text) => /[Cc]onflict/.test(text));
  return new KinitError('Validation', mistakes.join('\n'), {
    advice: conflict ? 'leave the fields to their managers, or take them over with --force-conflicts' : advice,
  });
}

async function applyOne({ client, signal, force = false }: OwnAddon, target: Target, result: OwnAddonResult) {
  const resource = client.dynamic(target.type);
  const name = nameOf(target.body);
  const before = await resource.find(refOf(name), { signal });
  try {
    const after = await resource.patch(refOf(name), target.body, {
      type: 'apply',
      fieldManager: 'kinit',
      fieldValidation: 'Strict',
      force,
      signal,
    });
    const same = before?.metadata?.resourceVersion === after.metadata?.resourceVersion;
    (before ? (same ? result.unchanged : result.configured) : result.created).push(name);
  } catch (error) {
    throw refused([refusal(target, error)], 'correct the manifests and run the same command again');
  }
}

/** A definition is served a moment after it is made; where there are several API servers, the one that is asked may be the last to know. */
async function untilServed({ client, signal, plan }: OwnAddon, target: Target, types: ResourceTypes): Promise<void> {
  const { body, type, what } = target;
  if (body.kind !== 'CustomResourceDefinition' || plan) return;
  const isFound = async (defined: string) => {
    const [group, version, kind = ''] = defined.split('/');
    return (await types.find(`${group}/${version}`, kind)) !== undefined;
  };
  await waitUntil(
    async () => {
      const found = await client.dynamic(type).find(refOf(nameOf(body)), { signal });
      const { conditions } = (found?.['status'] ?? {}) as { conditions?: { type: string; status: string }[] };
      if (!isConditionTrue(conditions, 'Established')) return false;
      return (await Promise.all([...definedKinds([target])].map(isFound))).every(Boolean);
    },
    {
      timeoutMs: definitionTimeoutMs,
      intervalMs: 100,
      signal,
      failure: () =>
        new KinitError('Timeout', `${what}: the API server does not serve it after ${definitionTimeoutMs / 1000} s`, {
          advice: `look at: kubectl get crd ${body.metadata?.name} -o yaml`,
        }),
    },
  );
}

/** Removes those that carry the add-on's label. @returns those that were there */
async function removeObjects(
  { client, name, signal }: Pick<OwnAddon, 'client' | 'name' | 'signal'>,
  objects: readonly ObjectName[],
  types: ResourceTypes,
): Promise<ObjectName[]> {
  const removed: ObjectName[] = [];
  for (const object of objects) {
    const type = await types.find(object.apiVersion, object.kind);
    if (!type) continue;
    const resource = client.dynamic(type);
    const found = await resource.find(refOf(object), { signal });
    if (found?.metadata?.labels?.[addonLabel] !== name) continue;
    try {
      const { uid } = found.metadata;
      const preconditions = uid ? { preconditions: { uid } } : {};
      await resource.delete(refOf(object), { signal, propagationPolicy: 'Background', ...preconditions });
      removed.push(object);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
  return removed;
}

/**
 * Brings the objects of an add-on into the cluster. What it consists of is stored first: nothing is lost when this is broken off.
 * @throws KinitError Validation that names file, document, object and field
 */
export async function applyOwn(addon: OwnAddon, objects: readonly ManifestObject[]): Promise<OwnAddonResult> {
  const { client, name, by, signal, prune = false, plan } = addon;
  const types = resourceTypes(client, signal);
  await untilGone(addon, objects);
  await check(addon, objects, types);
  const stored = (await readStore(client, signal))[name];
  const before = stored?.objects ?? [];
  const { first, others } = inOrder(objects);
  const result: OwnAddonResult = { changed: false, created: [], configured: [], unchanged: [], removed: [], left: [] };
  const entry = (names: ObjectName[]): StoredAddon => ({ enabled: true, values: {}, by, objects: names });
  const now: ObjectName[] = [];
  for (const group of [first, others]) {
    const targets = await targetsOf(group, name, types, (one, why) => {
      if (!plan) throw refused([`${one.place(['kind'])}: ${one.what}: ${why}`]);
      const object = nameOf(one.object);
      plan({ action: 'create', what: describeName(object) });
      result.created.push(object);
    });
    now.push(...targets.map(({ body }) => nameOf(body)));
    const all = [...leftOut(before, now).reverse(), ...now];
    if (leftOut(all, before).length || stored?.by !== by || !stored.enabled)
      await writeStore(client, name, entry(all), signal);
    for (const target of targets) await applyOne(addon, target, result);
    for (const target of targets) await untilServed(addon, target, types);
  }
  const left = leftOut(before, now);
  if (prune) result.removed = await removeObjects(addon, left, types);
  else result.left = left;
  if (prune && left.length) await writeStore(client, name, entry(now), signal);
  result.changed = result.created.length + result.configured.length + result.removed.length > 0;
  return result;
}

/** Removes all that an add-on consists of. @returns what was there */
export async function removeOwn(addon: Pick<OwnAddon, 'client' | 'name' | 'signal'>): Promise<ObjectName[]> {
  const { client, name, signal } = addon;
  const stored = (await readStore(client, signal))[name];
  const removed = await removeObjects(addon, [...(stored?.objects ?? [])].reverse(), resourceTypes(client, signal));
  if (stored) await writeStore(client, name, undefined, signal);
  return removed;
}

/** `ConfigMap default/app and 2 more` */
export function describeSome(names: readonly ObjectName[]): string {
  const [one, ...more] = names.map(describeName);
  return more.length > 2 ? `${one} and ${more.length} more` : [one, ...more].join(', ');
}
