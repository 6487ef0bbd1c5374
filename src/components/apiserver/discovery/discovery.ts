/** Discovery documents: `/api`, `/apis`, `/api/v1`, `/apis/<group>[/<version>]`, aggregated or not. */
import { createHash } from 'node:crypto';
import type { UnknownObject } from '../../../machinery/api/types.ts';
import { encodeObject } from '../codec/encode.ts';
import { acceptedTypes, negotiate } from '../codec/negotiate.ts';
import type { ApiRegistry } from '../types.ts';
import { aggregated, apiGroup, apiVersions, groupList, resourceList } from './documents.ts';
import { type ServedGroup, servedGroups } from './groups.ts';

export interface DiscoveryDocument {
  contentType: string;
  body: Buffer;
  /** With its quotes, as in the ETag header; only aggregated documents have one. Answer 304 when If-None-Match equals it. */
  etag?: string;
  /** More headers of the answer. */
  headers: Record<string, string>;
}

interface Documents {
  groups: ServedGroup[];
  rendered: Map<string, DiscoveryDocument>;
}
const cache = new WeakMap<ApiRegistry, Documents>();

function documentsOf(registry: ApiRegistry): Documents {
  const known = cache.get(registry);
  if (known) return known;
  const documents = { groups: servedGroups(registry), rendered: new Map<string, DiscoveryDocument>() };
  cache.set(registry, documents);
  const stop = registry.onChange(() => {
    cache.delete(registry);
    stop();
  });
  return documents;
}

/**
 * The document for a path, negotiated by the Accept header; undefined when the path is no discovery path.
 * Throws a 406 StatusError. `serverAddress` (`host:port`) is printed in `/api` as the address for all clients.
 */
export function discoveryDocument(
  registry: ApiRegistry,
  path: string,
  accept: string | undefined,
  serverAddress = '',
): DiscoveryDocument | undefined {
  const segments = path.split('/').filter(Boolean);
  const isRoot = segments.length === 1 && (segments[0] === 'api' || segments[0] === 'apis');
  if (segments.length > 3 || (segments[0] !== 'api' && segments[0] !== 'apis')) return undefined;
  const { groups, rendered } = documentsOf(registry);
  const version = isRoot ? aggregatedVersion(accept) : undefined;
  if (version) {
    return remember(rendered, `${segments[0]} ${version}`, () => {
      const listed = groups.filter(({ group }) => (segments[0] === 'api') === (group === ''));
      return renderAggregated(aggregated(listed, version), version);
    });
  }
  const body = plainDocument(groups, segments, serverAddress);
  if (!body) return undefined;
  const negotiated = negotiate(accept);
  return remember(rendered, `${path} ${negotiated.mediaType}`, () => ({
    contentType: negotiated.contentType,
    body: encodeObject(body as unknown as UnknownObject, negotiated),
    headers: isRoot ? { Vary: 'Accept' } : ({} as Record<string, string>),
  }));
}

function remember(rendered: Documents['rendered'], key: string, render: () => DiscoveryDocument): DiscoveryDocument {
  const known = rendered.get(key) ?? render();
  rendered.set(key, known);
  return known;
}

/** Clients that know the aggregated form name it before plain JSON. */
function aggregatedVersion(accept: string | undefined): 'v2' | 'v2beta1' | undefined {
  for (const { type, parameters } of acceptedTypes(accept)) {
    if (parameters['as'] === 'APIGroupDiscoveryList' && parameters['g'] === 'apidiscovery.k8s.io') {
      if (type !== 'application/json') continue;
      if (parameters['v'] === 'v2' || parameters['v'] === 'v2beta1') return parameters['v'];
    } else if (!parameters['as']) return undefined;
  }
  return undefined;
}

function renderAggregated(document: object, version: string): DiscoveryDocument {
  const body = Buffer.from(`${JSON.stringify(document)}\n`);
  const hash = createHash('sha512').update(body).digest('hex').toUpperCase();
  return {
    contentType: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
    body,
    etag: `"${hash}"`,
    headers: { Vary: 'Accept', 'Cache-Control': 'public' },
  };
}

function plainDocument(groups: ServedGroup[], segments: string[], serverAddress: string): object | undefined {
  const [root, first, second] = segments;
  if (root === 'api') {
    if (!first) return apiVersions(serverAddress);
    const version = groups.find(({ group }) => group === '')?.versions.find(({ version }) => version === first);
    return version && !second ? resourceList('', version) : undefined;
  }
  if (!first) return groupList(groups);
  const group = groups.find(({ group }) => group === first);
  if (!group) return undefined;
  if (!second) return apiGroup(group);
  const version = group.versions.find(({ version }) => version === second);
  return version && resourceList(first, version);
}
