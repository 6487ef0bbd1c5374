/** Add-ons that a cluster has when somebody turns them on. */
import type { UnknownObject } from '../../machinery/api/types.ts';
import type { Client } from '../../machinery/client/types.ts';
import { configuredReference, type ImageSettings } from '../bundle/image-names.ts';
import { renderObjects } from '../config/templates.ts';
import { KinitError } from '../errors.ts';
import { applyObjects, resourceTypeOf } from './apply.ts';

interface OptionalAddon {
  about: string;
  objects(images: ImageSettings): UnknownObject[];
}

export const optionalAddons: Record<string, OptionalAddon> = {
  'metrics-server': {
    about: 'what nodes and pods use: kubectl top',
    objects: (images) =>
      renderObjects('addons/metrics-server.yaml', { image: configuredReference('metrics-server', images) }),
  },
};

export interface AddonState {
  name: string;
  enabled: boolean;
  about: string;
}

function find(name: string): OptionalAddon {
  const found = optionalAddons[name];
  if (!found)
    throw new KinitError('Usage', `there is no add-on "${name}"`, {
      advice: `the add-ons are: ${Object.keys(optionalAddons).join(', ')}`,
    });
  return found;
}

/** @returns whether anything changed */
export function enableAddon(
  client: Client,
  name: string,
  images: ImageSettings,
  signal: AbortSignal,
): Promise<boolean> {
  return applyObjects(client, find(name).objects(images), { signal });
}

/** Takes its objects away, what clients see first. @returns whether there was anything */
export async function disableAddon(
  client: Client,
  name: string,
  images: ImageSettings,
  signal: AbortSignal,
): Promise<boolean> {
  let changed = false;
  for (const object of find(name).objects(images).reverse()) {
    const { name: objectName = '', namespace } = object.metadata ?? {};
    const resource = client.dynamic(resourceTypeOf(object));
    const ref = { name: objectName, ...(namespace ? { namespace } : {}) };
    if (!(await resource.find(ref, { signal }))) continue;
    await resource.delete(ref, { signal, propagationPolicy: 'Background' });
    changed = true;
  }
  return changed;
}

/** An add-on is on when its workloads are there. */
export function listAddons(client: Client, images: ImageSettings, signal: AbortSignal): Promise<AddonState[]> {
  return Promise.all(
    Object.entries(optionalAddons).map(async ([name, { about, objects }]) => {
      const workloads = objects(images).filter(({ kind }) => kind === 'Deployment' || kind === 'DaemonSet');
      const found = await Promise.all(
        workloads.map((object) => {
          const { name: objectName = '', namespace } = object.metadata ?? {};
          const ref = { name: objectName, ...(namespace ? { namespace } : {}) };
          return client.dynamic(resourceTypeOf(object)).find(ref, { signal });
        }),
      );
      return { name, enabled: found.every(Boolean), about };
    }),
  );
}
