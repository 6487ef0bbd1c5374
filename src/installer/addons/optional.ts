/** Add-ons that a cluster has when somebody turns them on. */
import type { UnknownObject } from '../../machinery/api/types.ts';
import { deployments } from '../../machinery/client/resources.ts';
import type { Client } from '../../machinery/client/types.ts';
import { configuredReference, type ImageSettings } from '../bundle/image-names.ts';
import { defaultHost } from '../config/defaults.ts';
import { directoryPattern } from '../config/schema.ts';
import { renderObjects } from '../config/templates.ts';
import { KinitError } from '../errors.ts';
import { applyObjects, resourceTypeOf } from './apply.ts';
import { localPathObjects } from './objects.ts';

interface OptionalAddon {
  about: string;
  /** @param directory of those that have one on the nodes */
  objects(images: ImageSettings, directory?: string): UnknownObject[];
  /** The directory that it has now. */
  directory?(client: Client, signal: AbortSignal): Promise<string | undefined>;
}

export const optionalAddons: Record<string, OptionalAddon> = {
  'metrics-server': {
    about: 'what nodes and pods use: kubectl top',
    objects: (images) =>
      renderObjects('addons/metrics-server.yaml', { image: configuredReference('metrics-server', images) }),
  },
  'local-path': {
    about: 'volumes in directories of the nodes: the default StorageClass',
    objects: (images, directory = defaultHost.storage.directory) => localPathObjects(images, directory),
    directory: localPathDirectory,
  },
};

async function localPathDirectory(client: Client, signal: AbortSignal): Promise<string | undefined> {
  const found = await client
    .resource(deployments)
    .find({ namespace: 'local-path-storage', name: 'local-path-provisioner' }, { signal });
  const flag = '--directory=';
  const given = found?.spec?.template.spec?.containers[0]?.args?.find((word) => word.startsWith(flag));
  return given?.slice(flag.length);
}

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

/**
 * @param directory on the nodes; without it the one that the add-on has, or its default
 * @returns whether anything changed
 */
export async function enableAddon(
  client: Client,
  name: string,
  images: ImageSettings,
  signal: AbortSignal,
  directory?: string,
): Promise<boolean> {
  const addon = find(name);
  if (directory !== undefined && !addon.directory)
    throw new KinitError('Usage', `the add-on "${name}" has no directory on the nodes`);
  if (directory !== undefined && !directoryPattern.test(directory))
    throw new KinitError('Usage', `--directory is "${directory}"; it takes an absolute path without blanks and dots`);
  const chosen = directory ?? (await addon.directory?.(client, signal));
  return applyObjects(client, addon.objects(images, chosen), { signal });
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
