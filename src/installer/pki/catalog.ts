/** The certificates of a cluster, as kubeadm v1.36 makes them: names, signers, subjects, alternative names and usages. */
import { isIP } from 'node:net';
import { addressAt, parseCidr, splitHostPort } from '../config/cidr.ts';
import type { InitConfiguration } from '../config/types.ts';
import type { ExtendedKeyUsage } from './x509.ts';

export type AuthorityName = 'ca' | 'front-proxy-ca' | 'etcd/ca';

export interface Authority {
  /** File name without ending, below the certificates folder. */
  name: AuthorityName;
  commonName: string;
  title: string;
}

export interface LeafCertificate {
  name: string;
  authority: AuthorityName;
  title: string;
  usages: ExtendedKeyUsage[];
  organizations?: string[];
  commonName(config: InitConfiguration): string;
  altNames?(config: InitConfiguration): string[];
}

export const authorities: Authority[] = [
  { name: 'ca', commonName: 'kubernetes', title: 'the Kubernetes CA' },
  { name: 'front-proxy-ca', commonName: 'front-proxy-ca', title: 'the CA of the front proxy' },
  { name: 'etcd/ca', commonName: 'etcd-ca', title: 'the CA of etcd' },
];

/** With an etcd that is elsewhere, its authority is too. */
export const isUsed = (name: AuthorityName, { etcd }: { etcd: { external?: unknown } }): boolean =>
  name !== 'etcd/ca' || etcd.external === undefined;

/** DNS names first, then addresses, each sorted and once: the order in which kubeadm's sets come out. */
export function orderAltNames(names: string[]): string[] {
  const unique = [...new Set(names.filter((name) => name !== ''))];
  return [...unique.filter((name) => !isIP(name)).sort(), ...unique.filter((name) => isIP(name)).sort()];
}

export function apiServerAltNames({ nodeRegistration, localAPIEndpoint, cluster }: InitConfiguration): string[] {
  const services = parseCidr(cluster.networking.serviceSubnet);
  return orderAltNames([
    nodeRegistration.name,
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    `kubernetes.default.svc.${cluster.networking.dnsDomain}`,
    services ? addressAt(services, 1) : '',
    localAPIEndpoint.advertiseAddress,
    splitHostPort(cluster.controlPlaneEndpoint)?.host ?? '',
    ...cluster.apiServer.certSANs,
  ]);
}

function etcdAltNames({ nodeRegistration, localAPIEndpoint }: InitConfiguration, extra: string[]): string[] {
  return orderAltNames([
    nodeRegistration.name,
    'localhost',
    localAPIEndpoint.advertiseAddress,
    '127.0.0.1',
    '::1',
    ...extra,
  ]);
}

export const leafCertificates: LeafCertificate[] = [
  {
    name: 'apiserver',
    authority: 'ca',
    title: 'the certificate of the API server',
    usages: ['serverAuth'],
    commonName: () => 'kube-apiserver',
    altNames: apiServerAltNames,
  },
  {
    name: 'apiserver-kubelet-client',
    authority: 'ca',
    title: 'the certificate with which the API server connects to kubelets',
    usages: ['clientAuth'],
    organizations: ['kubeadm:cluster-admins'],
    commonName: () => 'kube-apiserver-kubelet-client',
  },
  {
    name: 'front-proxy-client',
    authority: 'front-proxy-ca',
    title: 'the certificate of the front proxy',
    usages: ['clientAuth'],
    commonName: () => 'front-proxy-client',
  },
  {
    name: 'etcd/server',
    authority: 'etcd/ca',
    title: 'the certificate with which etcd serves',
    usages: ['serverAuth', 'clientAuth'],
    commonName: (config) => config.nodeRegistration.name,
    altNames: (config) => etcdAltNames(config, config.cluster.etcd.local.serverCertSANs),
  },
  {
    name: 'etcd/peer',
    authority: 'etcd/ca',
    title: 'the certificate with which etcd members talk to each other',
    usages: ['serverAuth', 'clientAuth'],
    commonName: (config) => config.nodeRegistration.name,
    altNames: (config) => etcdAltNames(config, config.cluster.etcd.local.peerCertSANs),
  },
  {
    name: 'etcd/healthcheck-client',
    authority: 'etcd/ca',
    title: "the certificate of etcd's health checks",
    usages: ['clientAuth'],
    commonName: () => 'kube-etcd-healthcheck-client',
  },
  {
    name: 'apiserver-etcd-client',
    authority: 'etcd/ca',
    title: 'the certificate with which the API server connects to etcd',
    usages: ['clientAuth'],
    commonName: () => 'kube-apiserver-etcd-client',
  },
];
