/** Membership of etcd over its gRPC API: who is in, joining as a learner, becoming a voter, leaving. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ClusterClient } from 'etcd3/lib/rpc.js';
import { KinitError } from '../errors.ts';
import { type Host, readText } from '../host/host.ts';
import { certificateFile, keyFile } from '../pki/ensure.ts';
import { type EtcdCredentials, etcdMessage, withEtcd } from './connection.ts';

export interface EtcdMember {
  id: string;
  /** Empty until the member has started. */
  name: string;
  peerUrls: string[];
  clientUrls: string[];
  learner: boolean;
}

const callTimeoutMs = 5_000;
const pauseMs = 250;

/** The identity of etcd's health checks may also change the membership, as in kubeadm. */
export async function etcdCredentials(host: Host, certificatesDir: string): Promise<EtcdCredentials> {
  const read = async (path: string) => {
    const text = await readText(host, path);
    if (text === undefined) throw new KinitError('Validation', `${path} is missing; etcd cannot be asked without it`);
    return Buffer.from(text);
  };
  return {
    rootCertificate: await read(certificateFile(certificatesDir, 'etcd/ca')),
    privateKey: await read(keyFile(certificatesDir, 'etcd/healthcheck-client')),
    certChain: await read(certificateFile(certificatesDir, 'etcd/healthcheck-client')),
  };
}

/** As etcdctl prints it. */
export const hexId = (id: string): string => BigInt(id).toString(16);

export interface RawMember {
  ID: string;
  name: string;
  peerURLs?: string[];
  clientURLs?: string[];
  isLearner: boolean;
}

export const memberOf = ({ ID, name, peerURLs, clientURLs, isLearner }: RawMember): EtcdMember => ({
  id: String(ID),
  name,
  peerUrls: peerURLs ?? [],
  clientUrls: clientURLs ?? [],
  learner: isLearner,
});

export interface MembersOptions {
  /** Client URLs; tried in turn. */
  endpoints: readonly string[];
  credentials?: EtcdCredentials;
  /** Members of an etcd that kinit runs answer for `localhost`, whatever their addresses are. Empty: for their addresses. */
  serverName?: string;
  /** How long a change of the membership is tried. */
  timeoutMs: number;
  signal: AbortSignal;
}

export class EtcdMembers {
  readonly #options: MembersOptions;

  constructor(options: MembersOptions) {
    this.#options = options;
  }

  list(): Promise<EtcdMember[]> {
    return this.#retried('listing the members of etcd', async (cluster, deadline) => {
      const { members } = await cluster.memberList({}, { deadline });
      return members.map((member) => memberOf(member as RawMember));
    });
  }

  /** Adds a learner, unless a member with this peer URL is there. @returns all members, the new one without a name */
  async addLearner(peerUrl: string): Promise<EtcdMember[]> {
    const before = await this.list();
    if (before.some(({ peerUrls }) => peerUrls.includes(peerUrl))) return before;
    return this.#retried('adding this host to the members of etcd', async (cluster, deadline) => {
      try {
        const { members } = await cluster.memberAdd({ peerURLs: [peerUrl], isLearner: true } as never, { deadline });
        return members.map((member) => memberOf(member as RawMember));
      } catch (error) {
        // A try before this one may have gone through although its answer was lost.
        if (/Peer URLs already exists/i.test(etcdMessage(error))) return this.list();
        throw error;
      }
    });
  }

  /** Waits until the learner has caught up, and gives it a vote. @returns false when it had one */
  async promote(peerUrl: string): Promise<boolean> {
    const member = (await this.list()).find(({ peerUrls }) => peerUrls.includes(peerUrl));
    if (!member?.learner) return false;
    await this.#retried('making this host a voting member of etcd', async (cluster, deadline) => {
      try {
        await cluster.memberPromote({ ID: member.id }, { deadline });
      } catch (error) {
        if (!/can only promote a learner member$/.test(etcdMessage(error))) throw error;
      }
    });
    return true;
  }

  /** @returns false when no member has this peer URL, or it is the last one */
  async remove(peerUrl: string): Promise<boolean> {
    const members = await this.list();
    const own = members.find(({ peerUrls }) => peerUrls.includes(peerUrl));
    if (!own || members.length === 1) return false;
    await this.#retried('removing this host from the members of etcd', async (cluster, deadline) => {
      try {
        await cluster.memberRemove({ ID: own.id }, { deadline });
      } catch (error) {
        if (!/member not found/.test(etcdMessage(error))) throw error;
      }
    });
    return true;
  }

  async removeById(id: string): Promise<void> {
    await this.#retried(`removing the member ${hexId(id)} of etcd`, async (cluster, deadline) => {
      try {
        await cluster.memberRemove({ ID: id }, { deadline });
      } catch (error) {
        if (!/member not found/.test(etcdMessage(error))) throw error;
      }
    });
  }

  /** Tries one endpoint after the other until one answers well, or the time is over. */
  async #retried<T>(doing: string, call: (cluster: ClusterClient, deadline: number) => Promise<T>): Promise<T> {
    const { endpoints, timeoutMs, signal } = this.#options;
    const end = Date.now() + timeoutMs;
    let seen = 'no endpoint is known';
    do {
      for (const endpoint of endpoints) {
        signal.throwIfAborted();
        try {
          return await this.#at(endpoint, call);
        } catch (error) {
          if (error instanceof KinitError) throw error;
          seen = `${endpoint}: ${etcdMessage(error)}`;
        }
      }
      await delay(pauseMs, undefined, { signal });
    } while (Date.now() < end);
    throw new KinitError('Timeout', `${doing} did not succeed within ${Math.round(timeoutMs / 1000)} s`, {
      seen,
      advice: 'etcd needs more than half of its members: look at the other control planes first',
    });
  }

  #at<T>(endpoint: string, call: (cluster: ClusterClient, deadline: number) => Promise<T>): Promise<T> {
    const { credentials, serverName = 'localhost' } = this.#options;
    return withEtcd({ endpoint, ...(credentials ? { credentials } : {}), serverName }, ({ cluster }) =>
      call(cluster, Date.now() + callTimeoutMs),
    );
  }
}

/** For `--initial-cluster` of a member that joins: all members, itself under its name. */
export function initialClusterOf(members: readonly EtcdMember[], name: string, peerUrl: string): string {
  return members
    .flatMap((member) => member.peerUrls.map((url) => `${url === peerUrl ? name : member.name || member.id}=${url}`))
    .join(',');
}
