/**
 * The ConfigMap `kube-system/extension-apiserver-authentication`: from it aggregated API servers and components learn which
 * client certificates and which front proxies to believe.
 */

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { ConfigMap, UnknownObject } from '../../../machinery/api/types.ts';
import type { Logger } from '../../../machinery/logging/logger.ts';
import { coalesce } from '../../../machinery/process/coalesce.ts';
import type { Options } from '../options.ts';
import type { BootstrapDeps } from './objects.ts';

const namespace = 'kube-system';
const name = 'extension-apiserver-authentication';
const configMaps = { group: '', resource: 'configmaps' };
const lookAgainMs = 60_000;

type Data = Record<string, string>;

/** Reads what the ConfigMap shall say; the files may change while the server runs. */
export function authenticationFacts(options: Options): () => Data {
  const clientCa = options['client-ca-file'];
  const proxyCa = options['requestheader-client-ca-file'];
  return () => ({
    ...(clientCa ? { 'client-ca-file': readFileSync(clientCa, 'utf8') } : {}),
    ...(proxyCa
      ? {
          'requestheader-client-ca-file': readFileSync(proxyCa, 'utf8'),
          'requestheader-allowed-names': JSON.stringify(options['requestheader-allowed-names']),
          'requestheader-extra-headers-prefix': JSON.stringify(options['requestheader-extra-headers-prefix']),
          'requestheader-group-headers': JSON.stringify(options['requestheader-group-headers']),
          'requestheader-uid-headers': JSON.stringify(options['requestheader-uid-headers']),
          'requestheader-username-headers': JSON.stringify(options['requestheader-username-headers']),
        }
      : {}),
  });
}

/** Makes the ConfigMap and brings it up to date, now and every minute. */
export function keepAuthenticationFacts(
  { cache, loopback }: BootstrapDeps,
  facts: () => Data,
  log: Logger,
  signal: AbortSignal,
): void {
  const keep = async () => {
    const own = facts();
    if (!Object.keys(own).length) return;
    const now = new Date();
    const existing = cache.get(configMaps, namespace, name) as ConfigMap | undefined;
    if (!existing) {
      await loopback.create(configMaps, {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { namespace, name },
        data: mergedFacts({}, own, now),
      });
      return;
    }
    if (isDeepStrictEqual(existing.data, mergedFacts(existing.data ?? {}, own, now))) return;
    await loopback.update(configMaps, namespace, name, (current: UnknownObject) => ({
      ...current,
      data: mergedFacts((current as ConfigMap).data ?? {}, own, now),
    }));
  };
  const ask = coalesce(keep, {
    minIntervalMs: 0,
    periodMs: lookAgainMs,
    onError: (error) => log.warn({ problem: error.message }, `the ConfigMap ${namespace}/${name} could not be kept`),
    signal,
  });
  ask();
}

/** Other API servers may have other authorities (one is being exchanged): theirs stay until they expire. */
export function mergedFacts(existing: Data, own: Data, now: Date): Data {
  const merged: Data = {};
  for (const [key, value] of Object.entries(own))
    merged[key] = key.endsWith('-ca-file')
      ? [...new Set([...certificates(existing[key] ?? '').filter((pem) => isValid(pem, now)), ...certificates(value)])]
          .map((pem) => `${pem}\n`)
          .join('')
      : JSON.stringify([...new Set([...list(existing[key]), ...list(value)])]);
  return { ...existing, ...merged };
}

const certificates = (pem: string): string[] =>
  pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];

function isValid(pem: string, now: Date): boolean {
  try {
    return new X509Certificate(pem).validToDate > now;
  } catch {
    // Somebody has written something else there.
    return false;
  }
}

function list(text: string | undefined): string[] {
  try {
    const parsed = JSON.parse(text ?? '[]') as unknown;
    return Array.isArray(parsed) ? parsed.map(String) : [];
  } catch {
    // The same.
    return [];
  }
}
