/** remove-etcd-member: a control plane that goes must leave etcd first, or its vote is missing for ever. */
import { manifestsDir } from '../config/paths.ts';
import { EtcdMembers, etcdCredentials } from '../etcd/members.ts';
import { type Host, readText } from '../host/host.ts';
import type { Phase, PhaseContext } from './engine.ts';

const listTimeoutMs = 5_000;
const removeTimeoutMs = 20_000;
const clientPort = 2379;

export interface LocalMember {
  peerUrl: string;
  clientUrl: string;
  certificatesDir: string;
  /** Of the others that were there when this one joined. */
  otherClientUrls: string[];
}

/** What the static pod's manifest says of this host's member. */
export function localMemberOf(manifest: string): LocalMember | undefined {
  const argument = (name: string) => new RegExp(`--${name}=(\\S+)`).exec(manifest)?.[1];
  const peerUrl = argument('initial-advertise-peer-urls');
  const clientUrl = argument('advertise-client-urls');
  const authority = argument('trusted-ca-file');
  if (!peerUrl || !clientUrl || !authority) return undefined;
  const peers = (argument('initial-cluster') ?? '').split(',').map((pair) => pair.replace(/^[^=]*=/, ''));
  return {
    peerUrl,
    clientUrl,
    certificatesDir: authority.replace(/\/etcd\/ca\.crt$/, ''),
    otherClientUrls: peers
      .filter((url) => url !== '' && url !== peerUrl)
      .map((url) => url.replace(/:\d+$/, `:${clientPort}`)),
  };
}

async function leaveEtcd(host: Host, member: LocalMember, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  const credentials = await etcdCredentials(host, member.certificatesDir);
  const known = [member.clientUrl, ...member.otherClientUrls];
  const ask = new EtcdMembers({ endpoints: known, credentials, timeoutMs: listTimeoutMs, signal });
  const members = await ask.list();
  if (members.length < 2) return false;
  const others = members.filter(({ peerUrls }) => !peerUrls.includes(member.peerUrl));
  // Not over this host's own member: it would have to answer while it goes.
  const endpoints = others.flatMap(({ clientUrls }) => clientUrls);
  return new EtcdMembers({ endpoints, credentials, timeoutMs, signal }).remove(member.peerUrl);
}

/** `etcdTimeoutMs` is `timeouts.etcdAPICall` of a ResetConfiguration. */
type MemberContext = PhaseContext & { etcdTimeoutMs?: number };

export const removeEtcdMember: Phase<MemberContext> = {
  name: 'remove-etcd-member',
  title: 'Leave etcd',
  needed: async ({ host }) => !host.dryRun && (await host.stat(`${manifestsDir}/etcd.yaml`)) !== undefined,
  async run({ host, signal, warn, etcdTimeoutMs = removeTimeoutMs }) {
    const member = localMemberOf((await readText(host, `${manifestsDir}/etcd.yaml`)) ?? '');
    if (!member) return false;
    try {
      return await leaveEtcd(host, member, etcdTimeoutMs, signal);
    } catch (error) {
      signal.throwIfAborted();
      const reason = error instanceof Error ? error.message : String(error);
      const others = member.otherClientUrls.length > 0;
      if (others)
        warn(`failed to remove etcd member: ${reason}; please manually remove this etcd member using etcdctl`);
      return false;
    }
  },
};
