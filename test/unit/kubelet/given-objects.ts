/** ConfigMaps and Secrets given as plain data instead of an API server, for tests of volumes and environments. */

import type { ReferencedObjects } from '../../../src/components/kubelet/types.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '../../../src/machinery/api/types.ts';

export interface GivenObjects extends ReferencedObjects {
  configMaps: Record<string, { data?: Record<string, string>; binaryData?: Record<string, string> }>;
  secrets: Record<string, { data?: Record<string, string> }>;
  claims: Record<string, PersistentVolumeClaim>;
  volumes: Record<string, PersistentVolume>;
}

/** Keys are `namespace/name`; both tables may be changed later. */
export function givenObjects(
  configMaps: GivenObjects['configMaps'] = {},
  secrets: GivenObjects['secrets'] = {},
): GivenObjects {
  const claims: GivenObjects['claims'] = {};
  const volumes: GivenObjects['volumes'] = {};
  return {
    configMaps,
    secrets,
    claims,
    volumes,
    persistentVolumeClaim: async (namespace, name) =>
      claims[`${namespace}/${name}`] ?? missing('persistentvolumeclaims', name),
    persistentVolume: async (name) => volumes[name] ?? missing('persistentvolumes', name),
    configMap: async (namespace, name) => configMaps[`${namespace}/${name}`],
    secret: async (namespace, name) => secrets[`${namespace}/${name}`],
    serviceAccountToken: async (pod, audience, seconds) => `token of ${pod.metadata?.name} for ${audience} ${seconds}`,
    track: () => undefined,
    release: () => undefined,
  };
}

function missing(resource: string, name: string): never {
  throw new Error(`${resource} "${name}" not found`);
}

export const base64 = (text: string): string => Buffer.from(text).toString('base64');
