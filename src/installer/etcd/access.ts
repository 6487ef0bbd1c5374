/** How the etcd of a control plane is reached: what its API server's manifest says, whether etcd runs here or elsewhere. */
import { defaultCertificatesDir, manifestsDir } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { type Host, readText } from '../host/host.ts';
import { certificateFile, keyFile } from '../pki/ensure.ts';
import { type EtcdCredentials, type EtcdTarget, etcdMessage, withEtcd } from './connection.ts';
import { type EtcdMember, EtcdMembers, memberOf, type RawMember } from './members.ts';

/** etcdctl's flags. */
export interface EtcdFlags {
  endpoints?: string[];
  cacert?: string;
  cert?: string;
  key?: string;
}

export interface EtcdAccess {
  /** Where to begin asking; the members tell the others. */
  endpoints: string[];
  credentials?: EtcdCredentials;
  serverName?: string;
  /** Not run by kinit. */
  external: boolean;
}

/** `--name=value` in a static pod's manifest. */
export const manifestArgument = (manifest: string, name: string): string | undefined =>
  new RegExp(`--${name}=([^\\s"']+)`).exec(manifest)?.[1];

const missing = (path: string) =>
  new KinitError('Validation', `${path} is missing; etcd cannot be asked without it`, {
    advice: 'run this as root on a control plane, or give --endpoints, --cacert, --cert and --key',
  });

async function credentialsFrom(
  host: Host,
  ca?: string,
  cert?: string,
  key?: string,
): Promise<EtcdCredentials | undefined> {
  const read = async (path: string) => (await host.readFile(path)) ?? Promise.reject(missing(path));
  if (ca === undefined) return undefined;
  return {
    rootCertificate: await read(ca),
    ...(cert && key ? { certChain: await read(cert), privateKey: await read(key) } : {}),
  };
}

/** @throws KinitError when this is no control plane and the flags do not say where etcd is */
export async function etcdAccess(host: Host, flags: EtcdFlags = {}): Promise<EtcdAccess> {
  if (flags.endpoints?.length) {
    const credentials = await credentialsFrom(host, flags.cacert, flags.cert, flags.key);
    return { endpoints: flags.endpoints, ...(credentials ? { credentials } : {}), external: true };
  }
  const etcd = await readText(host, `${manifestsDir}/etcd.yaml`);
  const server = await readText(host, `${manifestsDir}/kube-apiserver.yaml`);
  const local = etcd === undefined ? undefined : manifestArgument(etcd, 'advertise-client-urls');
  if (etcd !== undefined && local !== undefined) {
    const ca = manifestArgument(etcd, 'trusted-ca-file') ?? certificateFile(defaultCertificatesDir, 'etcd/ca');
    const pki = ca.replace(/\/etcd\/ca\.crt$/, '');
    const client = 'etcd/healthcheck-client';
    const credentials = await credentialsFrom(host, ca, certificateFile(pki, client), keyFile(pki, client));
    return { endpoints: [local], ...(credentials ? { credentials } : {}), serverName: 'localhost', external: false };
  }
  const servers = server === undefined ? undefined : manifestArgument(server, 'etcd-servers');
  if (server === undefined || servers === undefined) {
    throw new KinitError('Validation', 'there is no etcd on this host, and no API server that says where it is', {
      seen: `neither ${manifestsDir}/etcd.yaml nor ${manifestsDir}/kube-apiserver.yaml is there`,
      advice: 'run this on a control plane, with --inventory, or give --endpoints, --cacert, --cert and --key',
    });
  }
  const file = (name: string) => manifestArgument(server, `etcd-${name}`);
  const credentials = await credentialsFrom(host, file('cafile'), file('certfile'), file('keyfile'));
  return { endpoints: servers.split(','), ...(credentials ? { credentials } : {}), external: true };
}

export function targetOf({ credentials, serverName }: EtcdAccess, endpoint: string): EtcdTarget {
  return { endpoint, ...(credentials ? { credentials } : {}), ...(serverName ? { serverName } : {}) };
}

/** Membership as it can be changed: over all members that answer to clients. */
export function membersOf(access: EtcdAccess, endpoints: readonly string[], timeoutMs: number, signal: AbortSignal) {
  const { credentials, serverName = '' } = access;
  return new EtcdMembers({ endpoints, ...(credentials ? { credentials } : {}), serverName, timeoutMs, signal });
}

const askTimeoutMs = 3_000;

/** The members as the first endpoint that answers knows them, also when etcd has lost its majority. */
export async function knownMembers(access: EtcdAccess): Promise<EtcdMember[]> {
  const seen: string[] = [];
  for (const endpoint of access.endpoints) {
    try {
      const { members } = await withEtcd(targetOf(access, endpoint), ({ cluster }) =>
        cluster.memberList({}, { deadline: Date.now() + askTimeoutMs }),
      );
      return members.map((member) => memberOf(member as RawMember));
    } catch (error) {
      seen.push(`${endpoint}: ${etcdMessage(error)}`);
    }
  }
  throw new KinitError('Connection', 'etcd does not answer', {
    seen: [...new Set(seen)].join('\n'),
    advice: 'look at: /var/log/pods/kube-system_etcd-*; journalctl -u kubelet -n 50',
  });
}
