/** The files of a control plane through a rotation, also one that is broken off behind every single write. */

import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { kubeconfigPaths } from '../../../src/installer/config/paths.ts';
import { noConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit } from '../../../src/installer/config/resolve.ts';
import type { InitConfiguration } from '../../../src/installer/config/types.ts';
import { createChanges } from '../../../src/installer/host/changes.ts';
import { type Host, readText } from '../../../src/installer/host/host.ts';
import { openJournal } from '../../../src/installer/host/journal.ts';
import {
  ensureKubeconfig,
  kubeconfigIdentities,
  parseKubeconfig,
  restConfigOf,
} from '../../../src/installer/kubeconfig/kubeconfig.ts';
import { authorities, leafCertificates } from '../../../src/installer/pki/catalog.ts';
import { ensureAuthority, ensureLeaf, ensureServiceAccountKey } from '../../../src/installer/pki/ensure.ts';
import {
  keyId,
  keyIdOfPrivate,
  type RotationStep,
  readTrusted,
  rotatedFiles,
  rotatedNames,
  rotationSteps,
} from '../../../src/installer/rotation/authorities.ts';
import { changeShared, nextFolder } from '../../../src/installer/rotation/shared.ts';
import { rotationStatus } from '../../../src/installer/rotation/status.ts';
import { reissue, showChain, trustInKubeconfig } from '../../../src/installer/rotation/take-up.ts';
import { scratchHost, scratchRoot } from '../installer/scratch.ts';

const dir = '/etc/kubernetes/pki';
const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

async function controlPlane(): Promise<{ host: Host; config: InitConfiguration }> {
  const given = resolveInit({}, noConfig, { hostname: 'cp1', address: '127.0.0.1' }, []);
  const config = { ...given, cluster: { ...given.cluster, encryptionAlgorithm: 'ECDSA-P256' as const } };
  const root = scratchRoot();
  roots.push(root);
  const host = scratchHost(root);
  const changes = createChanges(host, await openJournal(host));
  await changes.folder('/etc/kubernetes');
  for (const authority of authorities) await ensureAuthority(changes, config.cluster, authority);
  await ensureServiceAccountKey(changes, config.cluster);
  for (const leaf of leafCertificates) await ensureLeaf(changes, config, leaf);
  const { admin, controllerManager, scheduler } = kubeconfigIdentities;
  for (const identity of [admin, controllerManager, scheduler]) await ensureKubeconfig(changes, config, identity);
  return { host, config };
}

const changesOf = async (host: Host) => createChanges(host, await openJournal(host));

/** All that a control plane does with its files in a step. */
async function make(host: Host, { cluster }: InitConfiguration, step: RotationStep): Promise<void> {
  const changes = await changesOf(host);
  await changeShared(changes, step, rotatedNames, cluster);
  const caPem = (await readText(host, `${dir}/ca.crt`)) ?? '';
  const { admin, controllerManager, scheduler } = kubeconfigPaths;
  for (const path of [admin, controllerManager, scheduler]) await trustInKubeconfig(changes, path, caPem);
  await reissue(changes, cluster);
  await showChain(changes, dir, step);
}

/** Each authority: the keys that are believed, and the one that signs. */
async function stateOf(host: Host) {
  const state: Record<string, { believed: string[]; signs: string }> = {};
  for (const name of rotatedNames) {
    const { trusted, key } = rotatedFiles[name];
    const believed = readTrusted((await readText(host, `${dir}/${trusted}`)) ?? '').map((one) => keyId(one.key));
    state[name] = { believed, signs: keyIdOfPrivate((await readText(host, `${dir}/${key}`)) ?? '') };
  }
  return state;
}

/** Whether a client that believes `ca` alone accepts the API server's certificate. */
async function accepts(host: Host, ca: string): Promise<boolean> {
  const read = async (file: string) => (await readText(host, `${dir}/${file}`)) ?? '';
  const server = createServer({ cert: await read('apiserver.crt'), key: await read('apiserver.key') });
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket: TLSSocket = connect({ port, host: '127.0.0.1', servername: 'kubernetes', ca });
  try {
    await once(socket, 'secureConnect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
    server.close();
  }
}

describe('the files of a control plane', () => {
  it('go from the old authorities to new ones, and nobody is left behind in between', async () => {
    const { host, config } = await controlPlane();
    const before = await stateOf(host);
    const oldCa = (await readText(host, `${dir}/ca.crt`)) ?? '';
    const admin = async () =>
      restConfigOf(parseKubeconfig((await readText(host, kubeconfigPaths.admin)) ?? '', ''), '');
    const oldAdmin = await admin();

    await make(host, config, 'trust');
    const trust = await stateOf(host);
    for (const name of rotatedNames) {
      expect(trust[name]?.signs).toBe(before[name]?.signs);
      expect(trust[name]?.believed).toHaveLength(2);
    }
    expect((await admin()).certData).toBe(oldAdmin.certData);
    const bothCas = (await admin()).caData ?? '';
    expect(readTrusted(bothCas)).toHaveLength(2);

    await make(host, config, 'issue');
    const issue = await stateOf(host);
    for (const name of rotatedNames) {
      expect(issue[name]?.believed).toEqual([...(trust[name]?.believed ?? [])].reverse());
      expect(issue[name]?.signs).toBe(issue[name]?.believed[0]);
    }
    expect((await rotationStatus(host, dir)).authorities.flatMap(({ others }) => others)).toEqual([]);
    expect(await host.list(`${nextFolder}/etcd`)).toEqual([]);
    // A client that has not heard of the new authority follows the chain to the old one.
    expect([await accepts(host, oldCa), await accepts(host, bothCas)]).toEqual([true, true]);

    await make(host, config, 'finish');
    const finish = await stateOf(host);
    for (const name of rotatedNames)
      expect(finish[name]).toEqual({ believed: [issue[name]?.signs], signs: issue[name]?.signs });
    const newCa = (await admin()).caData ?? '';
    expect([await accepts(host, oldCa), await accepts(host, newCa)]).toEqual([false, true]);
    const signer = new X509Certificate(newCa).publicKey;
    expect(new X509Certificate((await admin()).certData ?? '').verify(signer)).toBe(true);
    expect(new X509Certificate(oldAdmin.certData ?? '').verify(signer)).toBe(false);
  });

  it('come to the same end when each write in turn is the last one before kinit is killed', async () => {
    const { host, config } = await controlPlane();
    let writes = 0;
    for (const step of rotationSteps) {
      const begun = await stateOf(host);
      for (let allowed = 0; ; allowed++) {
        let left = allowed;
        const mortal = (): Promise<never> => Promise.reject(new Error('killed'));
        const dying: Host = {
          ...host,
          writeFile: (...args) => (left-- > 0 ? host.writeFile(...args) : mortal()),
          remove: (path) => (left-- > 0 ? host.remove(path) : mortal()),
        };
        const killed = await make(dying, config, step).then(
          () => false,
          (error: Error) => {
            expect(error.message).toBe('killed');
            return true;
          },
        );
        // Whoever signs is believed, at every moment.
        for (const { believed, signs } of Object.values(await stateOf(host))) expect(believed).toContain(signs);
        if (!killed) break;
        writes++;
      }
      const ended = await stateOf(host);
      for (const name of rotatedNames) {
        const [old, now] = [begun[name], ended[name]];
        expect(now?.believed).toHaveLength(step === 'finish' ? 1 : 2);
        expect(now?.signs === old?.signs).toBe(step !== 'issue');
        expect(now?.signs).toBe(now?.believed[0]);
      }
    }
    expect(writes).toBeGreaterThan(20);
    expect((await rotationStatus(host, dir)).authorities.flatMap(({ others }) => others)).toEqual([]);
  });

  it('are left alone where the key of an authority is elsewhere', async () => {
    const { host, config } = await controlPlane();
    await host.remove(`${dir}/ca.key`);
    const changes = await changesOf(host);
    await expect(changeShared(changes, 'trust', ['ca'], config.cluster)).rejects.toThrow(
      /ca\.crt or ca\.key is not on this host/,
    );
  });
});
