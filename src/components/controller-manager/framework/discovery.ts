/** Which resources the API server has: aggregated discovery documents, read again only when they have changed. */
import type { UnknownObject } from '../../../machinery/api/types.ts';
import type { Client, ResourceType } from '../../../machinery/client/types.ts';

export interface DiscoveredResource extends ResourceType<UnknownObject> {
  verbs: string[];
}

export interface Discovery {
  /** Each resource once, in its group's preferred version. */
  resources: DiscoveredResource[];
  /** Group versions whose server (an aggregated API) did not answer. */
  failed: string[];
}

interface DiscoveryList {
  items?: {
    metadata?: { name?: string };
    versions?: {
      version: string;
      freshness?: string;
      resources?: {
        resource: string;
        responseKind?: { group?: string; version?: string; kind?: string };
        scope: string;
        verbs?: string[];
      }[];
    }[];
  }[];
}

const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** Reads discovery; an unchanged document costs a request without a body (ETag). */
export class DiscoveryReader {
  readonly #client: Client;
  readonly #documents = new Map<string, { etag: string; list: DiscoveryList }>();
  #last: { discovery: Discovery; from: DiscoveryList[] } | undefined;

  constructor(client: Client) {
    this.#client = client;
  }

  /** Answers the same object as long as nothing has changed. */
  async read(signal?: AbortSignal): Promise<Discovery> {
    const lists = [await this.#document('/api', signal), await this.#document('/apis', signal)];
    if (this.#last?.from.every((list, i) => list === lists[i])) return this.#last.discovery;
    const discovery = preferredResources(lists);
    this.#last = { discovery, from: lists };
    return discovery;
  }

  async #document(path: string, signal: AbortSignal | undefined): Promise<DiscoveryList> {
    const known = this.#documents.get(path);
    const { status, headers, body } = await this.#client.raw('GET', path, {
      headers: { accept, ...(known?.etag ? { 'if-none-match': known.etag } : {}) },
      ...(signal ? { signal } : {}),
    });
    if (status === 304 && known) return known.list;
    if (status !== 200) throw new Error(`discovery ${path}: HTTP ${status}: ${body.slice(0, 200)}`);
    const list = JSON.parse(body) as DiscoveryList;
    this.#documents.set(path, { etag: String(headers['etag'] ?? ''), list });
    return list;
  }
}

export function preferredResources(lists: DiscoveryList[]): Discovery {
  const resources = new Map<string, DiscoveredResource>();
  const failed: string[] = [];
  for (const { metadata, versions } of lists.flatMap((list) => list.items ?? [])) {
    const group = metadata?.name ?? '';
    for (const { version, freshness, resources: found } of versions ?? []) {
      if (freshness === 'Stale') failed.push(group ? `${group}/${version}` : version);
      for (const { resource, responseKind, scope, verbs } of found ?? []) {
        const key = `${group}/${resource}`;
        if (resources.has(key) || !responseKind?.kind) continue;
        const namespaced = scope === 'Namespaced';
        resources.set(key, { group, version, resource, kind: responseKind.kind, namespaced, verbs: verbs ?? [] });
      }
    }
  }
  return { resources: [...resources.values()], failed };
}
