/** The commands on a host: from flags to a finished session. */
import { resolve } from 'node:path';
import { createClient } from '../../machinery/client/client.ts';
import type { Client } from '../../machinery/client/types.ts';
import { defaultCluster } from '../config/defaults.ts';
import type { InitFlags, JoinFlags } from '../config/flags.ts';
import { kubeconfigPaths } from '../config/paths.ts';
import { noConfig, type ReadConfig, readConfigFile } from '../config/read-config.ts';
import { resolveInit, resolveJoin } from '../config/resolve.ts';
import { KinitError } from '../errors.ts';
import { chooseCgroupDriver } from '../host/cgroups.ts';
import { type Host, localHost, readText } from '../host/host.ts';
import { parseKubeconfig, restConfigOf } from '../kubeconfig/kubeconfig.ts';
import { readPatches } from '../patches/patches.ts';
import { clusterKubeletConfig } from '../runtime/kubelet.ts';
import type { InitContext, JoinContext } from './context.ts';
import { initPhaseNames, initPhases } from './init.ts';
import { joinPhaseNames, joinPhases } from './join.ts';
import { type ResetContext, resetPhases } from './reset.ts';
import { runSession, type SessionOptions, type SessionResult } from './session.ts';

/** A client from a kubeconfig of the host. */
export async function clientFromFile(host: Host, path: string): Promise<Client> {
  const text = await readText(host, path);
  if (text === undefined) {
    throw new KinitError('Validation', `there is no ${path} on this host`, {
      advice: 'run this on a control plane, or give --kubeconfig',
    });
  }
  return createClient(restConfigOf(parseKubeconfig(text, path), path));
}

/** Opens each kubeconfig's client once. */
function clientCache(host: Host) {
  const clients = new Map<string, Promise<Client>>();
  const open = (path: string) => {
    const client = clients.get(path) ?? clientFromFile(host, path);
    clients.set(path, client);
    return client;
  };
  const close = () => {
    for (const client of clients.values()) client.then((c) => c.close()).catch(() => undefined);
  };
  return { open, close };
}

const readConfig = (path: string | undefined): Promise<ReadConfig> =>
  path === undefined ? Promise.resolve(noConfig) : readConfigFile(path);

/** Given by the user: on the machine where kinit runs. */
const patchesOf = (folder: string | undefined) =>
  folder === undefined ? [] : readPatches(localHost(), resolve(folder));

export async function runInit(
  flags: InitFlags,
  configPath: string | undefined,
  options: SessionOptions,
): Promise<SessionResult> {
  return runSession<InitContext>(
    'init',
    options,
    async (base) => {
      const { facts, host } = base;
      const file = await readConfig(configPath);
      const config = resolveInit(flags, file, facts, initPhaseNames);
      const cgroupDriver = chooseCgroupDriver(config.host.cgroupDriver, facts);
      const { open, close } = clientCache(host);
      const context: InitContext = {
        ...base,
        kind: 'init',
        config,
        node: config.nodeRegistration,
        hostSettings: config.host,
        cgroupDriver,
        imageRepository: config.cluster.imageRepository,
        controlPlanePort: config.localAPIEndpoint.bindPort,
        podCidr: config.cluster.networking.podSubnet,
        patches: await patchesOf(config.patchesFolder),
        nodeAddress: () => config.localAPIEndpoint.advertiseAddress,
        admin: () => open(kubeconfigPaths.admin),
        superAdmin: () => open(kubeconfigPaths.superAdmin),
        kubeletConfig: clusterKubeletConfig(config.cluster, cgroupDriver, config.kubelet),
      };
      return { phases: initPhases, context, skip: config.skipPhases, close };
    },
    ({ joinCommand }) => ({ joinCommand, kubeconfig: kubeconfigPaths.admin }),
  );
}

export async function runJoin(
  flags: JoinFlags,
  configPath: string | undefined,
  options: SessionOptions,
): Promise<SessionResult> {
  return runSession<JoinContext>('join', options, async (base) => {
    const { facts } = base;
    const file = await readConfig(configPath);
    const config = resolveJoin(flags, file, facts, joinPhaseNames);
    const context: JoinContext = {
      ...base,
      kind: 'join',
      config,
      node: config.nodeRegistration,
      hostSettings: config.host,
      cgroupDriver: chooseCgroupDriver(config.host.cgroupDriver, facts),
      imageRepository: defaultCluster.imageRepository,
      patches: await patchesOf(config.patchesFolder),
      nodeAddress: () => context.localAddress ?? facts.address ?? '127.0.1.1',
    };
    return { phases: joinPhases, context, skip: config.skipPhases };
  });
}

export interface ResetFlags {
  criSocket?: string;
  skipPhases?: string[];
  keepBundle?: boolean;
}

export function runReset(flags: ResetFlags, options: SessionOptions): Promise<SessionResult> {
  return runSession<ResetContext>('reset', options, async (base) => {
    if (base.facts.uid !== 0) throw new KinitError('Preflight', 'kinit must run as root', { advice: 'use sudo' });
    const context: ResetContext = {
      ...base,
      kind: 'reset',
      criSocket: flags.criSocket,
      imageRepository: defaultCluster.imageRepository,
      keepBundle: flags.keepBundle ?? false,
    };
    return { phases: resetPhases, context, skip: flags.skipPhases ?? [] };
  });
}
