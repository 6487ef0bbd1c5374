/** Members of a real etcd, as programs of a test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { freePort } from './free-port.ts';

export interface EtcdPlace {
  name: string;
  /** URLs. */
  client: string;
  peer: string;
}

/** Where a member will listen. @param scheme `https` wants certificates when it starts. @param ip of this machine */
export async function etcdPlace(name: string, scheme: 'http' | 'https', ip = '127.0.0.1'): Promise<EtcdPlace> {
  const url = async () => `${scheme}://${ip}:${await freePort()}`;
  return { name, client: await url(), peer: await url() };
}

export interface EtcdStart {
  /** Its data lies below, in a folder of its name. */
  folder: string;
  /** `name=peer-url,…` */
  cluster: string;
  state?: 'new' | 'existing';
  /** A folder with kubeadm's files below pki/etcd, for TLS on both sides. */
  pki?: string;
  /** Another one than that of this machine. */
  program?: string;
  /** `--quota-backend-bytes`; absent: etcd's own. */
  quotaBytes?: number;
}

export function startEtcd(
  { name, client, peer }: EtcdPlace,
  { folder, cluster, state = 'new', pki, program = 'etcd', quotaBytes }: EtcdStart,
): ChildProcess {
  const flags = {
    name,
    'data-dir': join(folder, name),
    'listen-client-urls': client,
    'advertise-client-urls': client,
    'listen-peer-urls': peer,
    'initial-advertise-peer-urls': peer,
    'initial-cluster': cluster,
    'initial-cluster-state': state,
    'log-level': 'error',
    ...(pki === undefined ? {} : certificateFlags(pki)),
    ...(quotaBytes === undefined ? {} : { 'quota-backend-bytes': quotaBytes }),
  };
  const words = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
  return spawn(program, words, { stdio: 'ignore' });
}

const certificateFlags = (pki: string) => ({
  'cert-file': `${pki}/server.crt`,
  'key-file': `${pki}/server.key`,
  'client-cert-auth': 'true',
  'trusted-ca-file': `${pki}/ca.crt`,
  'peer-cert-file': `${pki}/peer.crt`,
  'peer-key-file': `${pki}/peer.key`,
  'peer-client-cert-auth': 'true',
  'peer-trusted-ca-file': `${pki}/ca.crt`,
});
