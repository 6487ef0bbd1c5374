/** What was said of the cluster's add-ons, in the ConfigMap kinit-addons: whether they are on, their values, what they are made of. */
import type { ConfigMap } from '../../machinery/api/types.ts';
import { isAlreadyExists, isNotFound } from '../../machinery/client/errors.ts';
import { configMaps } from '../../machinery/client/resources.ts';
import type { Client } from '../../machinery/client/types.ts';
import type { AddonValues } from '../config/addon-values.ts';

/** An object of an add-on with manifests. */
export interface ObjectName {
  apiVersion: string;
  kind: string;
  namespace?: string;
  name: string;
}

export interface StoredAddon {
  enabled: boolean;
  values: AddonValues;
  /** Who has said it: a configuration of `kinit init` and `kinit up`, or `kinit addons`. */
  by: 'configuration' | 'command';
  /** Of an add-on with manifests. */
  objects?: ObjectName[];
}

export type AddonStore = Record<string, StoredAddon>;

const ref = { name: 'kinit-addons', namespace: 'kube-system' };

/** @returns nothing for add-ons of which nobody has said anything */
export async function readStore(client: Client, signal: AbortSignal): Promise<AddonStore> {
  const map = await client.resource(configMaps).find(ref, { signal });
  return Object.fromEntries(
    Object.entries(map?.data ?? {}).map(([name, text]) => [name, JSON.parse(text) as StoredAddon]),
  );
}

/** Writes what is said of one add-on and leaves the others alone. @param entry undefined: nothing any more */
export async function writeStore(
  client: Client,
  name: string,
  entry: StoredAddon | undefined,
  signal: AbortSignal,
): Promise<void> {
  const maps = client.resource(configMaps);
  const data = { [name]: entry ? JSON.stringify(entry) : null };
  const options = { signal, fieldManager: 'kinit' };
  try {
    await maps.patch(ref, { data }, { ...options, type: 'merge' });
  } catch (error) {
    if (!isNotFound(error)) throw error;
    if (!entry) return;
    const map: ConfigMap = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: ref,
      data: { [name]: JSON.stringify(entry) },
    };
    await maps.create(map, options).catch((failure: unknown) => {
      if (!isAlreadyExists(failure)) throw failure;
      // Another phase was faster.
      return writeStore(client, name, entry, signal);
    });
  }
}
