/** ConfigMaps and Secrets given as plain data instead of an API server, for tests of volumes and environments. */
import type { ReferencedObjects } from '../../../src/components/kubelet/types.ts';

export interface GivenObjects extends ReferencedObjects {
  configMaps: Record<string, { data?: Record<string, string>; binaryData?: Record<string, string> }>;
  secrets: Record<string, { data?: Record<string, string> }>;
}

/** Keys are `namespace/name`; both tables may be changed later. */
export function givenObjects(
  configMaps: GivenObjects['configMaps'] = {},
  secrets: GivenObjects['secrets'] = {},
): GivenObjects {
  return {
    configMaps,
    secrets,
    configMap: async (namespace, name) => configMaps[`${namespace}/${name}`],
    secret: async (namespace, name) => secrets[`${namespace}/${name}`],
    serviceAccountToken: async (pod, audience, seconds) => `token of ${pod.metadata?.name} for ${audience} ${seconds}`,
    track: () => undefined,
    release: () => undefined,
  };
}

export const base64 = (text: string): string => Buffer.from(text).toString('base64');
