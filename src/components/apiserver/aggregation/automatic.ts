/** APIServices of the groups that this server answers itself: made by the server, as upstream's auto-registration makes them. */
import type { UnknownObject } from '../../../machinery/api/types.ts';
import { StatusError } from '../errors.ts';
import type { ApiRegistry, CacheReader, LoopbackClient } from '../types.ts';
import { apiServiceName, apiServices } from './api-service.ts';
import { builtInPriority, customPriority, type Priority } from './priorities.ts';

export const managedLabel = 'kube-aggregator.kubernetes.io/automanaged';

export interface AutomaticService {
  name: string;
  group: string;
  version: string;
  /** `onstart` for built-in groups, `true` for those that come and go with their CustomResourceDefinitions. */
  managed: 'onstart' | 'true';
  priority: Priority;
}

/** One for each served group and version. */
export function automaticServices(registry: ApiRegistry): AutomaticService[] {
  const found = new Map<string, AutomaticService>();
  for (const { group, version, custom } of registry.all()) {
    const name = apiServiceName(group, version);
    if (found.has(name)) continue;
    const priority = custom ? customPriority : builtInPriority(group, version);
    if (priority) found.set(name, { name, group, version, managed: custom ? 'true' : 'onstart', priority });
  }
  return [...found.values()];
}

export interface AutomaticDeps {
  registry: ApiRegistry;
  cache: CacheReader;
  loopback: LoopbackClient;
}

/** Makes what is missing and takes away what is not served any more; APIServices that somebody else made stay as they are. */
export async function syncAutomatic({ registry, cache, loopback }: AutomaticDeps): Promise<void> {
  const wanted = automaticServices(registry);
  const names = new Set(wanted.map(({ name }) => name));
  const isCustom = ({ metadata }: UnknownObject) => metadata?.labels?.[managedLabel] === 'true';
  const gone = cache
    .list(apiServices)
    .filter((object) => isCustom(object) && !names.has(object.metadata?.name ?? ''))
    .map(({ metadata }) => unless(404, loopback.delete(apiServices, '', metadata?.name ?? '')));
  const missing = wanted
    .filter(({ name }) => !cache.get(apiServices, '', name))
    .map(({ name, group, version, managed, priority }) =>
      unless(
        409,
        loopback.create(apiServices, {
          apiVersion: 'apiregistration.k8s.io/v1',
          kind: 'APIService',
          metadata: { name, labels: { [managedLabel]: managed } },
          spec: { ...(group ? { group } : {}), version, ...priority },
        }),
      ),
    );
  await Promise.all([...gone, ...missing]);
}

/** Another server may have been faster. */
async function unless(code: number, write: Promise<unknown>): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (!(error instanceof StatusError) || error.code !== code) throw error;
  }
}
