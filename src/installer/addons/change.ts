/** Turns kinit's own add-ons on and off in a cluster, and tells how they are. */
import type { ConfigMap, UnknownObject } from '../../machinery/api/types.ts';
import { configMaps } from '../../machinery/client/resources.ts';
import type { Client } from '../../machinery/client/types.ts';
import { type AddonValues, type BuiltInAddon, builtInAddon, builtInAddons } from '../config/addon-values.ts';
import { overlay } from '../config/overlay.ts';
import type { InitConfiguration } from '../config/types.ts';
import { isUserSupplied, withConfigHash } from '../control-plane/component-config-hash.ts';
import { KinitError } from '../errors.ts';
import { applyPatches, type PatchFile } from '../patches/patches.ts';
import { applyObjects, resourceTypeOf } from './apply.ts';
import { addons, requireBuiltIn } from './catalog.ts';
import { type DesiredAddon, decidedValues, declaredAddon, desiredAddon, differs, storedAs } from './desired.ts';
import { removeOwn } from './own.ts';
import { checkValues } from './set-values.ts';
import { type AddonStore, readStore, type StoredAddon, writeStore } from './store.ts';

export interface AddonWork {
  client: Client;
  config: InitConfiguration;
  signal: AbortSignal;
  patches?: readonly PatchFile[];
  warn?(message: string): void;
  /** Told what was set once and is not given any more. */
  leftover?(what: string): void;
}

const refOf = ({ metadata }: UnknownObject) => ({
  name: metadata?.name ?? '',
  ...(metadata?.namespace ? { namespace: metadata.namespace } : {}),
});
const isWorkload = ({ kind }: UnknownObject) => kind === 'Deployment' || kind === 'DaemonSet';

/**
 * A Corefile that somebody has written stays, as in kubeadm.
 * @throws KinitError Validation when values are given for it
 */
async function withoutOwnCorefile(
  { client, signal, warn }: AddonWork,
  objects: UnknownObject[],
  decided: ReadonlySet<string>,
): Promise<UnknownObject[]> {
  const made = withConfigHash(objects, 'coredns', false);
  const found = await client.resource(configMaps).find({ name: 'coredns', namespace: 'kube-system' }, { signal });
  const wanted = made.find(({ kind }) => kind === 'ConfigMap') as ConfigMap | undefined;
  if (!found || !isUserSupplied(found) || found.data?.['Corefile'] === wanted?.data?.['Corefile']) return made;
  const given = [...decided].filter((name) => name !== 'replicas');
  if (given.length) {
    throw new KinitError('Validation', `the Corefile was changed by hand; ${given.join(' and ')} would replace it`, {
      seen: 'ConfigMap coredns in kube-system',
      advice:
        'leave these values out, or have kinit write it anew: kubectl -n kube-system delete configmap coredns, and again',
    });
  }
  warn?.('the Corefile was changed by hand and stays as it is');
  return made.filter((object) => object !== wanted);
}

async function install(
  work: AddonWork,
  name: BuiltInAddon,
  desired: DesiredAddon,
  decided: Set<string>,
): Promise<boolean> {
  const { client, config, signal, patches = [] } = work;
  let objects = addons[name].objects(config, desired.values);
  if (name === 'dns') {
    objects = objects.map((object) =>
      object.kind === 'Deployment' ? (applyPatches('corednsdeployment', object, patches) as UnknownObject) : object,
    );
    objects = await withoutOwnCorefile(work, objects, decided);
  }
  return applyObjects(client, objects, { signal, decided });
}

/** Takes its objects away, what clients see first. @returns whether there was anything */
async function remove({ client, config, signal }: AddonWork, name: BuiltInAddon): Promise<boolean> {
  let changed = false;
  for (const object of addons[name].objects(config, {}).reverse()) {
    const resource = client.dynamic(resourceTypeOf(object));
    if (!(await resource.find(refOf(object), { signal }))) continue;
    await resource.delete(refOf(object), { signal, propagationPolicy: 'Background' });
    changed = true;
  }
  return changed;
}

/** What is said of the add-on is stored before the cluster is changed: whoever is stopped in between goes on from there. */
export async function bringAbout(
  work: AddonWork,
  name: BuiltInAddon,
  desired: DesiredAddon,
  before: StoredAddon | undefined,
): Promise<boolean> {
  const entry = storedAs(desired);
  const told = differs(before, entry);
  if (told && entry) await writeStore(work.client, name, entry, work.signal);
  const changed = desired.enabled
    ? await install(work, name, desired, decidedValues(before, desired))
    : await remove(work, name);
  if (told && !entry) await writeStore(work.client, name, undefined, work.signal);
  return changed || told;
}

/** Whether init has anything to do with an add-on: it is usual, or somebody has named it. */
export async function isSpokenOf({ client, config, signal }: AddonWork, name: BuiltInAddon): Promise<boolean> {
  if (addons[name].usual(config) || declaredAddon(config, name)) return true;
  return (await readStore(client, signal))[name] !== undefined;
}

/** A phase of init: as the configuration, or what was said before, has it. */
export async function convergeAddon(work: AddonWork & { prune?: boolean }, name: BuiltInAddon): Promise<boolean> {
  const before = (await readStore(work.client, work.signal))[name];
  const desired = desiredAddon(name, work.config, before, work.prune);
  if (desired.unnamed && !work.prune) work.leftover?.(`the add-on ${name} as it was set`);
  return bringAbout(work, name, desired, before);
}

export interface AddonState {
  name: string;
  enabled: boolean;
  about: string;
  /** With those that hold when none is given. */
  values: Record<string, unknown>;
  /** Of these, what was given. */
  given: Record<string, unknown>;
  /** Of an add-on with manifests of its own. */
  objects?: number;
}

async function isThere({ client, config, signal }: AddonWork, name: BuiltInAddon): Promise<boolean> {
  const workloads = addons[name].objects(config, {}).filter(isWorkload);
  const found = await Promise.all(
    workloads.map((object) => client.dynamic(resourceTypeOf(object)).find(refOf(object), { signal })),
  );
  return found.every(Boolean);
}

/** An add-on of kinit's is on when its workloads are there. */
export async function listAddons(work: AddonWork): Promise<AddonState[]> {
  const store = await readStore(work.client, work.signal);
  const own = await Promise.all(
    builtInAddons.map(async (name) => {
      const { about, defaults } = addons[name];
      const given = store[name]?.values ?? {};
      const values = { ...defaults(work.config), ...given };
      return { name, enabled: await isThere(work, name), about, values, given };
    }),
  );
  return [...own, ...withManifests(store)];
}

const withManifests = (store: AddonStore): AddonState[] =>
  Object.entries(store)
    .filter(([name]) => !builtInAddon(name))
    .map(([name, { enabled, objects = [] }]) => ({
      name,
      enabled,
      about: `your own: ${objects.length === 1 ? '1 object' : `${objects.length} objects`}`,
      values: {},
      given: {},
      objects: objects.length,
    }));

export interface AddonChange {
  name: string;
  enabled: boolean;
  changed: boolean;
  note?: string;
}

/** @param patches of the values that it has, one after the other; null takes a value back */
export async function enableAddon(
  work: AddonWork,
  name: string,
  patches: readonly AddonValues[] = [],
): Promise<AddonChange> {
  const store = await readStore(work.client, work.signal);
  const own = store[name];
  if (own && !builtInAddon(name))
    throw new KinitError('Usage', `${name} is an add-on of your own; its objects come from files`, {
      advice: `kinit addons apply --name ${name} -f FILE`,
    });
  const addon = requireBuiltIn(name);
  const before = store[addon];
  const values = patches.reduce<AddonValues>((under, over) => overlay(under, over), before?.values ?? {});
  checkValues(addon, values);
  const desired = settled(addon, work.config, { enabled: true, values, by: 'command', unnamed: false });
  const changed = await bringAbout(work, addon, desired, before);
  return { name: addon, enabled: true, changed, ...noteOn(before, changed) };
}

/** Nothing has to be remembered of an add-on that is as usual. */
const settled = (name: BuiltInAddon, config: InitConfiguration, desired: DesiredAddon): DesiredAddon =>
  desired.enabled === addons[name].usual(config) && !Object.keys(desired.values).length
    ? { ...desired, by: 'usual' }
    : desired;

const noteOn = (before: StoredAddon | undefined, changed: boolean): { note?: string } =>
  changed && before?.by === 'configuration'
    ? {
        note: 'A configuration of kinit init or kinit up names it: change it there, too, or the next run brings that back.',
      }
    : {};

/** Values stay remembered for when it is turned on again. */
export async function disableAddon(work: AddonWork, name: string): Promise<AddonChange> {
  const { client, config, signal } = work;
  const store = await readStore(client, signal);
  if (!builtInAddon(name) && store[name]) {
    const before = store[name];
    await removeOwn({ client, name, signal });
    return { name, enabled: false, changed: true, ...noteOn(before, true) };
  }
  const others = Object.keys(store).filter((one) => !builtInAddon(one));
  const addon = requireBuiltIn(name, others);
  const before = store[addon];
  const values = before?.values ?? {};
  const desired = settled(addon, config, { enabled: false, values, by: 'command', unnamed: false });
  const changed = await bringAbout(work, addon, desired, before);
  return { name: addon, enabled: false, changed, ...noteOn(before, changed) };
}
