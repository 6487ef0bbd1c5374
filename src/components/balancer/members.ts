/** The API servers that the balancer knows: learnt, remembered, forgotten, and in which order they are tried. */
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import type { EndpointSlice } from '../../machinery/api/types.ts';
import type { State } from './health.ts';

export interface Member {
  /** `host:port` */
  server: string;
  /** Since when the cluster does not list it any more, in milliseconds; absent: it does. */
  goneSince?: number;
}

/**
 * An API server that is down disappears from the list after some seconds. It is remembered for so long: when those that were
 * listed last are lost, the one that has come back is the only way to learn anything.
 */
export const rememberMs = 24 * 3_600_000;

/** What is known after the cluster has told its list. An empty list tells nothing: an API server that answers is one. */
export function learn(known: readonly Member[], listed: readonly string[], now: number): Member[] {
  if (listed.length === 0) return [...known];
  const gone = known
    .filter(({ server }) => !listed.includes(server))
    .map(({ server, goneSince = now }) => ({ server, goneSince }))
    .filter(({ goneSince }) => now - goneSince < rememberMs);
  return [...[...new Set(listed)].sort().map((server) => ({ server })), ...gone];
}

/** The servers of the EndpointSlices of the Service `default/kubernetes`. */
export function serversOf(slices: readonly EndpointSlice[]): string[] {
  return slices.flatMap(({ endpoints, ports }) => {
    const port = ports?.find(({ name }) => name === 'https')?.port ?? ports?.[0]?.port;
    if (!port) return [];
    return (endpoints ?? [])
      .filter(({ conditions }) => conditions?.ready !== false)
      .flatMap(({ addresses }) => addresses)
      .map((address) => (isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`));
  });
}

/** Splits `host:port`, with or without brackets. @throws Error when it is not that */
export function splitServer(server: string): { host: string; port: number } {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(server) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (!host || port < 1 || port > 65_535) throw new Error(`"${server}" is not <address>:<port>`);
  return { host, port };
}

const rank: Record<State, number> = { healthy: 0, unknown: 1, suspect: 2, down: 3 };

/**
 * In which order the servers are tried: by what is known of their health, listed ones before those that were, the one of this
 * host before others, and then each node in an order of its own that does not change, so that nodes spread over the servers
 * and all clients of a node talk to the same one.
 */
export function inOrder(
  members: readonly Member[],
  stateOf: (server: string) => State,
  node: string,
  isOwn: (host: string) => boolean,
): string[] {
  const weight = (server: string) => createHash('sha256').update(`${node} ${server}`).digest('hex');
  return members
    .map(({ server, goneSince }) => ({
      server,
      key: [rank[stateOf(server)], goneSince === undefined ? 0 : 1, isOwn(splitServer(server).host) ? 0 : 1],
      weight: weight(server),
    }))
    .sort((a, b) => {
      const at = a.key.findIndex((value, i) => value !== b.key[i]);
      return at < 0 ? (a.weight < b.weight ? -1 : 1) : (a.key[at] as number) - (b.key[at] as number);
    })
    .map(({ server }) => server);
}
