/**
 * The `kubernetes` service in `default`, by which pods reach the API server, and its endpoints: the addresses of all API
 * servers that have said in the last seconds that they live.
 */

import { isIPv6 } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { UnknownObject } from '../../../machinery/api/types.ts';
import type { Logger } from '../../../machinery/logging/logger.ts';
import { type EtcdClient, prefixEnd } from '../storage/etcd-client.ts';
import { addressAt, parseRange } from '../strategies/address-range.ts';
import type { GroupResource } from '../types.ts';
import { type BootstrapDeps, ensure } from './objects.ts';

/** Upstream's keys of living API servers. */
const mastersPrefix = '/registry/masterleases/';
const leaseSeconds = 15;
const renewMs = 10_000;

const namespace = 'default';
const name = 'kubernetes';
const services: GroupResource = { group: '', resource: 'services' };
const endpoints: GroupResource = { group: '', resource: 'endpoints' };
const slices: GroupResource = { group: 'discovery.k8s.io', resource: 'endpointslices' };

export interface KubernetesServiceOptions extends BootstrapDeps {
  etcd: EtcdClient;
  /** `--advertise-address`. */
  address: string;
  /** `--secure-port`. */
  port: number;
  /** `--service-cluster-ip-range`; the service gets the first address of the first one. */
  serviceRange: string;
  log: Logger;
}

export async function ensureKubernetesService(options: KubernetesServiceOptions): Promise<void> {
  const range = parseRange(options.serviceRange);
  await ensure(options, services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace, name, labels: { provider: 'kubernetes', component: 'apiserver' } },
    spec: {
      type: 'ClusterIP',
      clusterIP: addressAt(range, 1),
      clusterIPs: [addressAt(range, 1)],
      ipFamilies: [range.ipv6 ? 'IPv6' : 'IPv4'],
      ipFamilyPolicy: 'SingleStack',
      sessionAffinity: 'None',
      ports: [{ name: 'https', protocol: 'TCP', port: 443, targetPort: options.port }],
    },
  });
  await renew(options);
}

/** Keeps this server among the endpoints until the signal fires, then takes it out. */
export async function maintainEndpoints(options: KubernetesServiceOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await delay(renewMs, undefined, { signal });
    } catch {
      // Told to stop.
      break;
    }
    try {
      await renew(options);
    } catch (error) {
      options.log.warn(
        { problem: (error as Error).message },
        'the endpoints of the kubernetes service were not renewed',
      );
    }
  }
  const key = `${mastersPrefix}${options.address}`;
  const { kv } = await options.etcd.get(key);
  if (kv) await options.etcd.txn([{ key, modRevision: kv.modRevision }], [{ op: 'delete', key }]);
  await reconcile(options);
}

async function renew(options: KubernetesServiceOptions): Promise<void> {
  const { etcd, address } = options;
  const key = `${mastersPrefix}${address}`;
  const value = JSON.stringify({
    kind: 'Endpoints',
    apiVersion: 'v1',
    metadata: {},
    subsets: [{ addresses: [{ ip: address }] }],
  });
  await etcd.txn([], [{ op: 'put', key, value, lease: await etcd.grantLease(leaseSeconds) }]);
  await reconcile(options);
}

async function reconcile(options: KubernetesServiceOptions): Promise<void> {
  const { etcd, port, loopback } = options;
  const { items } = await etcd.range(mastersPrefix, { end: prefixEnd(mastersPrefix), keysOnly: true });
  const addresses = items.map(({ key }) => key.slice(mastersPrefix.length)).sort();
  if (!addresses.length) return;
  const labels = { 'endpointslice.kubernetes.io/skip-mirror': 'true' };
  await put(loopback, endpoints, {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: { namespace, name, labels },
    subsets: [{ addresses: addresses.map((ip) => ({ ip })), ports: [{ name: 'https', port, protocol: 'TCP' }] }],
  });
  await put(loopback, slices, {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace, name, labels: { 'kubernetes.io/service-name': name } },
    addressType: isIPv6(addresses[0] as string) ? 'IPv6' : 'IPv4',
    endpoints: addresses.map((ip) => ({ addresses: [ip], conditions: { ready: true } })),
    ports: [{ name: 'https', port, protocol: 'TCP' }],
  });
}

/** Creates the object, or brings everything but its metadata up to date. */
async function put(loopback: BootstrapDeps['loopback'], resource: GroupResource, wanted: UnknownObject): Promise<void> {
  const existing = await loopback.get(resource, namespace, name);
  const { metadata: _, apiVersion: _version, kind: _kind, ...content } = wanted;
  if (!existing) {
    await loopback.create(resource, wanted);
    return;
  }
  const same = Object.entries(content).every(([field, value]) => isDeepStrictEqual(existing[field], value));
  if (!same)
    await loopback.update(resource, namespace, name, (current) => ({ ...current, ...structuredClone(content) }));
}
