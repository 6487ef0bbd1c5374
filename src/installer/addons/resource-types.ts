/** Which resource an object's kind is, as the API server says. */
import type { UnknownObject } from '../../machinery/api/types.ts';
import type { Client, ResourceType } from '../../machinery/client/types.ts';
import { nearestName } from '../config/nearest.ts';
import { KinitError } from '../errors.ts';

interface Resource {
  name: string;
  kind: string;
  namespaced: boolean;
}

export interface ResourceTypes {
  /** undefined: the server has no such kind. */
  find(apiVersion: string, kind: string): Promise<ResourceType<UnknownObject> | undefined>;
  /** What is near, when there is none. */
  near(apiVersion: string, kind: string): Promise<string>;
}

/** Asks for each group once; a kind that is missing is asked for again. */
export function resourceTypes(client: Client, signal: AbortSignal): ResourceTypes {
  const known = new Map<string, Resource[]>();
  const resourcesOf = async (apiVersion: string): Promise<Resource[]> => {
    const path = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const { status, body } = await client.raw('GET', path, { signal });
    if (status === 404) return [];
    if (status !== 200) throw new KinitError('Api', `the API server answers ${status} for ${path}`, { seen: body });
    const { resources = [] } = JSON.parse(body) as { resources?: Resource[] };
    return resources.filter(({ name }) => !name.includes('/'));
  };
  return {
    async find(apiVersion, kind) {
      let found = known.get(apiVersion)?.find((one) => one.kind === kind);
      if (!found) {
        known.set(apiVersion, await resourcesOf(apiVersion));
        found = known.get(apiVersion)?.find((one) => one.kind === kind);
      }
      if (!found) return undefined;
      const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
      return { group: group ?? '', version: version ?? '', resource: found.name, kind, namespaced: found.namespaced };
    },
    async near(apiVersion, kind) {
      const kinds = (known.get(apiVersion) ?? (await resourcesOf(apiVersion))).map((one) => one.kind);
      const name = nearestName(kind, kinds);
      if (name) return `; did you mean "${name}"?`;
      return kinds.length ? '' : `; it has no ${apiVersion} either`;
    },
  };
}
