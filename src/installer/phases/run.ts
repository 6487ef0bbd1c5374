/** The commands on a host: from flags to a finished session. */
import { resolve } from 'node:path';
import type { UnknownObject } from '../../machinery/api/types.ts';
import { type ClientOptions, createClient } from '../../machinery/client/client.ts';
import type { Client } from '../../machinery/client/types.ts';
import { defaultCluster } from '../config/defaults.ts';
import { parseDuration } from '../config/duration.ts';
import type { InitFlags, JoinFlags } from '../config/flags.ts';
import { kubeconfigPaths, kubernetesDir, temporaryDir } from '../config/paths.ts';
import { noConfig, type ReadConfig, readConfigFile } from '../config/read-config.ts';
import type { ResetSettings } from '../config/reset.ts';
import { resolveInit, resolveJoin } from '../config/resolve.ts';
import { apiPatience } from '../config/timeouts.ts';
import type { InitConfiguration, JoinConfiguration, OpenDocument } from '../config/types.ts';
import { kubeadmConfigObjects, kubeletConfigObjects } from '../control-plane/cluster-objects.ts';
import { assertFixed, keepStored, withFixedFields } from '../converge/cluster-settings.ts';
import { dryRunClient } from '../converge/dry-run-client.ts';
import { storedOnHost } from '../converge/stored-cluster.ts';
import { withKnownEndpoint } from '../endpoint/known-endpoint.ts';
import { KinitError } from '../errors.ts';
import { chooseCgroupDriver } from '../host/cgroups.ts';
import { createChanges } from '../host/changes.ts';
import { dryRunHost } from '../host/dry-run.ts';
import type { HostFacts } from '../host/facts.ts';
import { type Host, localHost, readText } from '../host/host.ts';
import { openJournal } from '../host/journal.ts';
import { assertSettings } from '../host/sysctl.ts';
import { ownServer, parseKubeconfig, restConfigOf } from '../kubeconfig/kubeconfig.ts';
import { readPatches } from '../patches/patches.ts';
import { firstAdministrator } from '../pki/external.ts';
import { runChecks } from '../preflight/check.ts';
import { isPrivilegedUser } from '../preflight/privileged-user.ts';
import { inspectRuntime, isProblem } from '../runtime/existing.ts';
import { clusterKubeletConfig } from '../runtime/kubelet.ts';
import type { InitContext, JoinContext, NodeContext } from './context.ts';
import type { PhaseContext } from './engine.ts';
import { withRestore } from './etcd-restore.ts';
import { initPhases } from './init.ts';
import { findCluster, joinPhases, readCluster } from './join.ts';
import { joinControlPlanePhases } from './join-control-plane.ts';
import { type ResetContext, resetPhases } from './reset.ts';
import { type RestoreIntoInit, restoredConfig } from './run-etcd-restore.ts';
import { phasesOf, selectableNames, selectPhases } from './select.ts';
import { runSession, type SessionOptions, type SessionResult } from './session.ts';

export interface FileClientOptions extends ClientOptions {
  /** Another one than the kubeconfig says. */
  server?: string | undefined;
}

/** A client from a kubeconfig of the host. */
export async function clientFromFile(host: Host, path: string, options: FileClientOptions = {}): Promise<Client> {
  const text = await readText(host, path);
  if (text === undefined) {
    throw new KinitError('Validation', `there is no ${path} on this host`, {
      advice: 'run this on a control plane, or give --kubeconfig',
    });
  }
  const { server, ...others } = options;
  const config = restConfigOf(parseKubeconfig(text, path), path);
  return createClient(server ? { ...config, server } : config, others);
}

/** Opens each kubeconfig's client once. In a dry run the API server only says what writes would change. */
function clientCache({ host, plan: tell }: PhaseContext) {
  const clients = new Map<string, Promise<Client>>();
  const open = (path: string, options: FileClientOptions = {}) => {
    const key = JSON.stringify([path, options]);
    const client =
      clients.get(key) ??
      clientFromFile(host, path, options).then((real) => (tell ? dryRunClient(real, { tell }) : real));
    clients.set(key, client);
    return client;
  };
  const close = () => {
    for (const client of clients.values()) client.then((c) => c.close()).catch(() => undefined);
  };
  return { open, close };
}

/** Read once, since it may be a pipe; what is wrong with it is told when it is awaited. */
function readConfig(path: string | undefined): Promise<ReadConfig> {
  const reading = path === undefined ? Promise.resolve(noConfig) : readConfigFile(path);
  reading.catch(() => undefined);
  return reading;
}

/** `kinit init phase …`: only these. */
export interface PhaseFlags {
  phases?: readonly string[];
}

/** A phase that is named itself runs, whatever the configuration file leaves out. */
const skippedBy = (flags: PhaseFlags & { skipPhases?: string[] }, config: { skipPhases: string[] }) =>
  flags.phases ? (flags.skipPhases ?? []) : config.skipPhases;

/**
 * The journal says what this host becomes, so that a later run knows what is in the way as kinit's own. A preflight on its
 * own only looks: what it notes is forgotten.
 */
async function noted(base: PhaseContext, { phases }: PhaseFlags, what: 'init' | 'join'): Promise<PhaseContext> {
  if (!phases) return base;
  if (phases.join() === 'preflight') {
    const host = dryRunHost(base.host);
    return { ...base, changes: createChanges(host, await openJournal(host)) };
  }
  await base.changes.journal.record({ kind: 'note', what });
  return base;
}

/** Phases that preflight finds the cluster for, when they run without it. */
const needsCluster = (name: string, _index: number, all: readonly string[]) =>
  !all.includes('preflight') && !/^(host|runtime|images)\//.test(name);

/** `dryRun: true` in a configuration file counts like the flag. What is wrong with the file is told by the session. */
async function withFileDryRun(
  options: SessionOptions,
  reading: Promise<ReadConfig>,
  kind: 'InitConfiguration' | 'JoinConfiguration',
): Promise<SessionOptions> {
  if (options.dryRun) return options;
  const file = await reading.catch((error: unknown) => {
    if (error instanceof KinitError) return noConfig;
    throw error;
  });
  return { ...options, dryRun: file.documents[kind]?.dryRun ?? false };
}

/** Given by the user: on the machine where kinit runs. */
const patchesOf = (folder: string | undefined) =>
  folder === undefined ? [] : readPatches(localHost(), resolve(folder));

/** What a runtime that is there says decides the socket, when none was given, and the cgroup driver. */
async function settleRuntime(
  host: Host,
  { host: settings, nodeRegistration: node }: InitConfiguration | JoinConfiguration,
  facts: HostFacts,
): Promise<Pick<NodeContext, 'node' | 'cgroupDriver' | 'existing'>> {
  if (settings.runtime !== 'existing') return { node, cgroupDriver: chooseCgroupDriver(settings.cgroupDriver, facts) };
  const existing = await inspectRuntime(host, node.criSocket);
  const driver = isProblem(existing) ? undefined : existing.cgroupDriver;
  return {
    node: { ...node, criSocket: existing.socket || node.criSocket },
    cgroupDriver: chooseCgroupDriver(settings.cgroupDriver, facts, driver),
    existing,
  };
}

export async function runInit(
  flags: InitFlags & PhaseFlags & { restore?: RestoreIntoInit },
  configPath: string | undefined,
  options: SessionOptions,
): Promise<SessionResult> {
  const { restore } = flags;
  const reading = restore ? restoredConfig(configPath, restore) : readConfig(configPath);
  return runSession<InitContext>(
    'init',
    await withFileDryRun(options, reading, 'InitConfiguration'),
    async (base) => {
      const { facts, host, prune = false } = base;
      const { open, close } = clientCache(base);
      // A phase that is run alone takes what it is given.
      const stored =
        flags.phases || restore ? undefined : await storedOnHost(base, (path, server) => open(path, { server }));
      const file = stored ? withFixedFields(await reading, stored) : await reading;
      const given = resolveInit(flags, file, facts, selectableNames('init', initPhases));
      const known = await withKnownEndpoint(host, given);
      if (stored) assertFixed(known, stored);
      const said = { imageRepository: flags.imageRepository, ...(await reading).documents.ClusterConfiguration };
      const { config, leftovers } = stored ? keepStored(known, stored, prune, said) : { config: known, leftovers: [] };
      for (const what of leftovers) base.leftover?.(what);
      assertSettings(config.host.sysctl);
      const runtime = await settleRuntime(host, config, facts);
      const { cgroupDriver } = runtime;
      // A virtual address may be another host's, or on its way: the API server of this host does as well.
      const server = config.host.endpoint?.virtualIP && !flags.kubeconfig ? ownServer(config) : undefined;
      const asked = { server, patienceMs: apiPatience(config.timeouts) };
      const context: InitContext = {
        ...(await noted(base, flags, 'init')),
        kind: 'init',
        config,
        hostSettings: config.host,
        ...runtime,
        images: config.cluster,
        controlPlanePort: config.localAPIEndpoint.bindPort,
        podCidr: config.cluster.networking.podSubnet,
        patches: await patchesOf(config.patchesFolder),
        nodeAddress: () => config.localAPIEndpoint.advertiseAddress,
        kubeconfigDir: flags.kubeconfigDir ?? kubernetesDir,
        answers: stored !== undefined,
        ...(host.dryRun && stored ? { stored: (await reading).documents.StoredConfiguration?.objects } : {}),
        admin: () => open(flags.kubeconfig ?? kubeconfigPaths.admin, asked),
        superAdmin: async () => open(flags.kubeconfig ?? (await firstAdministrator(host)), asked),
        kubeletConfig: clusterKubeletConfig(config.cluster, cgroupDriver, config.kubelet),
      };
      const skip = skippedBy(flags, config).flatMap((name) => phasesOf('init', name, initPhases) ?? [name]);
      const list = restore ? withRestore(initPhases, restore.source, restore.state) : initPhases;
      return { phases: selectPhases(list, flags.phases), context, skip, close };
    },
    ({ joinCommand, certificateKey, config, kubeletConfig, stored }) => ({
      joinCommand,
      kubeconfig: kubeconfigPaths.admin,
      ...(certificateKey && !config.certificateKey ? { certificateKey } : {}),
      ...(stored ? { stored: storedConfiguration(config, kubeletConfig) } : {}),
    }),
  );
}

/** What those who join read of the cluster's settings. */
const storedConfiguration = (config: InitConfiguration, kubelet: OpenDocument): UnknownObject[] =>
  [...kubeadmConfigObjects(config), ...kubeletConfigObjects(kubelet, true)].filter(({ kind }) => kind === 'ConfigMap');

const allJoinPhases = [...joinPhases, ...joinControlPlanePhases];

export async function runJoin(
  flags: JoinFlags & PhaseFlags,
  configPath: string | undefined,
  options: SessionOptions,
): Promise<SessionResult> {
  const reading = readConfig(configPath);
  const session = await withFileDryRun(options, reading, 'JoinConfiguration');
  return runSession<JoinContext>('join', session, async (base) => {
    const { facts } = base;
    const file = await reading;
    const config = resolveJoin(flags, file, facts, selectableNames('join', allJoinPhases));
    const list = config.controlPlane ? joinControlPlanePhases : joinPhases;
    assertSettings(config.host.sysctl);
    const context: JoinContext = {
      ...(await noted(base, flags, 'join')),
      kind: 'join',
      config,
      hostSettings: config.host,
      ...(await settleRuntime(base.host, config, facts)),
      images: { imageRepository: defaultCluster.imageRepository },
      patches: await patchesOf(config.patchesFolder),
      ...(base.host.dryRun ? { stored: file.documents.StoredConfiguration?.objects } : {}),
      ...(config.controlPlane ? { controlPlanePort: config.controlPlane.localAPIEndpoint.bindPort } : {}),
      nodeAddress: () =>
        context.controlPlane?.localAPIEndpoint.advertiseAddress ?? context.localAddress ?? facts.address ?? '127.0.1.1',
    };
    if (flags.phases?.some(needsCluster)) {
      await findCluster(context);
      await readCluster(context);
    }
    const skip = skippedBy(flags, config).flatMap((name) => phasesOf('join', name, list) ?? [name]);
    return { phases: selectPhases(list, flags.phases), context, skip };
  });
}

export interface ResetFlags extends ResetSettings {
  keepBundle?: boolean;
}

export function runReset(flags: ResetFlags & PhaseFlags, options: SessionOptions): Promise<SessionResult> {
  return runSession<ResetContext>('reset', options, async (base) => {
    for (const { check, message } of await runChecks([isPrivilegedUser], base, flags.ignorePreflightErrors ?? []))
      base.warn(`[${check}] ${message}`);
    const etcdTimeout = flags.timeouts?.etcdAPICall;
    const context: ResetContext = {
      ...base,
      kind: 'reset',
      criSocket: flags.criSocket,
      imageRepository: defaultCluster.imageRepository,
      keepBundle: flags.keepBundle ?? false,
      cleanFolders: [...(flags.certDir ? [flags.certDir] : []), ...(flags.cleanupTmpDir ? [temporaryDir] : [])],
      unmountFlags: flags.unmountFlags ?? [],
      ...(etcdTimeout ? { etcdTimeoutMs: parseDuration(etcdTimeout) } : {}),
    };
    const skip = (flags.skipPhases ?? []).flatMap((name) => phasesOf('reset', name, resetPhases) ?? [name]);
    return { phases: selectPhases(resetPhases, flags.phases), context, skip };
  });
}
