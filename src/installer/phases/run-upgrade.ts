/** `kinit upgrade …` on a host: from flags to a finished session, a plan, or differences. */
import { resolve } from 'node:path';
import type { Client } from '../../machinery/client/types.ts';
import { defaultTimeouts } from '../config/defaults.ts';
import { parseDuration } from '../config/duration.ts';
import { kubeconfigPaths, manifestsDir } from '../config/paths.ts';
import { apiPatience } from '../config/timeouts.ts';
import type { Timeouts } from '../config/types.ts';
import { clusterConfigurationYaml } from '../control-plane/cluster-objects.ts';
import { KinitError } from '../errors.ts';
import { createChanges } from '../host/changes.ts';
import { dryRunHost } from '../host/dry-run.ts';
import { observeHost } from '../host/facts.ts';
import { exists, type Host, localHost, readText } from '../host/host.ts';
import { openJournal } from '../host/journal.ts';
import { readPatches } from '../patches/patches.ts';
import { manifestPath, type StaticPodName } from '../upgrade/backup.ts';
import { currentBundle, ownBundle } from '../upgrade/bundle-folders.ts';
import { controlPlaneConfiguration, nodeIdentity, readStoredCluster, yamlFields } from '../upgrade/configuration.ts';
import type { UpgradeContext, UpgradeSettings } from '../upgrade/context.ts';
import { observeForUpgrade } from '../upgrade/observe.ts';
import { planUpgrade, type UpgradePlan } from '../upgrade/plan.ts';
import { beginningOf, readUpgradeState } from '../upgrade/state.ts';
import type { PhaseContext } from './engine.ts';
import { readKubeadmConfig } from './join-configuration.ts';
import { clientFromFile } from './run.ts';
import { selectPhases } from './select.ts';
import { runSession, type SessionOptions, type SessionResult } from './session.ts';
import { checkPhaseNames, type UpgradeKind, upgradePhases } from './upgrade.ts';
import { newManifest, staticPodsOf } from './upgrade-control-plane.ts';
import { wellness } from './upgrade-preflight.ts';
import { type RollbackContext, rollbackPhases } from './upgrade-rollback.ts';

export interface UpgradeFlags {
  allowExperimentalUpgrades?: boolean;
  allowReleaseCandidateUpgrades?: boolean;
  certificateRenewal?: boolean;
  etcdUpgrade?: boolean;
  force?: boolean;
  ignorePreflightErrors?: string[];
  kubeconfig?: string;
  /** Folder of patch files. */
  patches?: string;
  skipPhases?: string[];
  /** Only these. */
  phases?: readonly string[];
  timeouts?: Partial<Timeouts>;
}

export const upgradeSettings = (flags: UpgradeFlags): UpgradeSettings => ({
  certificateRenewal: flags.certificateRenewal ?? true,
  etcdUpgrade: flags.etcdUpgrade ?? true,
  force: flags.force ?? false,
  allowExperimental: flags.allowExperimentalUpgrades ?? false,
  allowReleaseCandidate: flags.allowReleaseCandidateUpgrades ?? false,
  ignorePreflightErrors: flags.ignorePreflightErrors ?? [],
  timeouts: { ...defaultTimeouts, ...flags.timeouts },
});

const isControlPlane = (host: Host) => exists(host, `${manifestsDir}/kube-apiserver.yaml`);

/** @throws KinitError Preflight when the host is not what the command is for */
async function checkRole(host: Host, kind: UpgradeKind): Promise<boolean> {
  const plane = await isControlPlane(host);
  if (kind === 'apply' && !plane) {
    throw new KinitError('Preflight', 'this host is no control plane', {
      seen: `there is no ${manifestsDir}/kube-apiserver.yaml`,
      advice: 'run kinit upgrade apply on a control plane, and kinit upgrade node here afterwards',
    });
  }
  if (!plane && !(await exists(host, kubeconfigPaths.kubelet))) {
    throw new KinitError('Preflight', 'this host is no node of a cluster', {
      seen: `there is no ${kubeconfigPaths.kubelet}`,
      advice: 'join it with kinit join',
    });
  }
  return plane;
}

/** Opened when it is asked for, and closed with the session. */
function lazyClient(host: Host, path: string, timeouts: Timeouts) {
  // API servers are what starts anew.
  const patienceMs = apiPatience(timeouts);
  let opened: Promise<Client> | undefined;
  return {
    client: () => {
      opened ??= clientFromFile(host, path, { patienceMs });
      return opened;
    },
    close: () => void opened?.then((client) => client.close()).catch(() => undefined),
  };
}

const kubeconfigOf = (plane: boolean, flags: UpgradeFlags) =>
  plane ? (flags.kubeconfig ?? kubeconfigPaths.admin) : kubeconfigPaths.kubelet;

async function contextOf(
  base: PhaseContext,
  kind: UpgradeKind,
  flags: UpgradeFlags,
): Promise<{ context: UpgradeContext; close(): void }> {
  const { facts, host, signal } = base;
  const isPlane = await checkRole(host, kind);
  const [from, to] = [await currentBundle(host), await ownBundle(host)];
  const { kind: beginning, state } = beginningOf(await readUpgradeState(host), from, to, new Date());
  const identity = await nodeIdentity(host, facts.hostname);
  const settings = upgradeSettings(flags);
  const { client, close } = lazyClient(host, kubeconfigOf(isPlane, flags), settings.timeouts);
  try {
    const patches = flags.patches === undefined ? [] : await readPatches(localHost(), resolve(flags.patches));
    const stored = isPlane ? await answered(readStoredCluster(await client(), signal), signal) : undefined;
    const plane = stored && { config: await controlPlaneConfiguration(host, facts, stored, identity), stored };
    const clusterVersion = stored?.version ?? (await answered(storedVersion(await client(), signal), signal));
    const context: UpgradeContext = {
      ...base,
      kind,
      settings,
      patches,
      beginning,
      state,
      nodeName: identity.nodeName,
      clusterVersion,
      ...(plane ? { plane } : {}),
      client,
    };
    return { context, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** @throws KinitError Api with the way out, when there is no answer */
async function answered<T>(question: Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await question;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof KinitError) throw error;
    throw new KinitError('Api', 'the API server does not say how the cluster was made', {
      seen: error instanceof Error ? error.message : String(error),
      advice:
        'check that the control plane runs: kinit doctor; when an upgrade was broken off and it does not come back: kinit upgrade rollback',
      cause: error,
    });
  }
}

async function storedVersion(client: Client, signal: AbortSignal): Promise<string> {
  return String(yamlFields((await readKubeadmConfig(client, signal)).text)['kubernetesVersion'] ?? '');
}

/** The version on the command line has to be the bundle's: a kinit brings one version of Kubernetes. */
export function checkRequested(requested: string | undefined, kubernetes: string): void {
  if (requested === undefined) return;
  const wanted = requested.startsWith('v') ? requested : `v${requested}`;
  if (wanted === kubernetes || ['stable', 'latest'].includes(requested)) return;
  throw new KinitError('Usage', `this kinit upgrades to ${kubernetes}, not to ${wanted}`, {
    advice: `unpack the bundle of the kinit that brings ${wanted}, and run that one`,
  });
}

export async function runUpgrade(
  kind: UpgradeKind,
  flags: UpgradeFlags & { version?: string },
  options: SessionOptions,
): Promise<SessionResult> {
  const skip = flags.skipPhases ?? [];
  checkPhaseNames(kind, skip);
  return runSession<UpgradeContext>(`upgrade ${kind}`, options, async (base) => {
    const { context, close } = await contextOf(base, kind, flags);
    checkRequested(flags.version, context.state.to.kubernetes);
    return { phases: selectPhases(upgradePhases[kind], flags.phases), context, skip, close };
  });
}

/** The host goes back to the bundle that it came from. */
export async function runRollback(
  flags: Pick<UpgradeFlags, 'kubeconfig' | 'timeouts'>,
  options: SessionOptions,
): Promise<SessionResult> {
  return runSession<RollbackContext>('upgrade rollback', options, async (base) => {
    const { host, facts } = base;
    const state = await readUpgradeState(host);
    if (!state?.saved.length || state.from.folder === state.to.folder) {
      throw new KinitError(
        'Validation',
        'there is nothing to go back to: this host keeps no earlier bundle with its files',
        {
          advice: 'kinit upgrade keeps them when it has begun',
        },
      );
    }
    const isPlane = await isControlPlane(host);
    const { nodeName } = await nodeIdentity(host, facts.hostname);
    const timeouts = { ...defaultTimeouts, ...flags.timeouts };
    const { client, close } = lazyClient(host, kubeconfigOf(isPlane, flags), timeouts);
    const timeoutMs = parseDuration(timeouts.upgradeManifests) ?? 300_000;
    return {
      phases: rollbackPhases,
      context: { ...base, state, isPlane, nodeName, client, timeoutMs },
      skip: [],
      close,
    };
  });
}

/** A look at this host as `apply` would see it; nothing is written. */
async function looking<T>(
  real: Host,
  flags: UpgradeFlags,
  signal: AbortSignal,
  look: (context: UpgradeContext) => Promise<T>,
): Promise<T> {
  const host = dryRunHost(real);
  const facts = await observeHost(host);
  const changes = createChanges(host, await openJournal(host));
  const { context, close } = await contextOf({ host, changes, facts, signal, warn: () => undefined }, 'apply', flags);
  try {
    return await look(context);
  } finally {
    close();
  }
}

export interface ManifestDifference {
  name: StaticPodName;
  path: string;
  before: string;
  after: string;
}

async function differencesOf(context: UpgradeContext): Promise<ManifestDifference[]> {
  const found: ManifestDifference[] = [];
  for (const name of staticPodsOf(context, context.settings.etcdUpgrade)) {
    const path = manifestPath(name);
    const before = (await readText(context.host, path)) ?? '';
    const after = await newManifest(context, name);
    if (before !== after) found.push({ name, path, before, after });
  }
  return found;
}

/** What `apply` would do to the manifests of this host. */
export const upgradeDifferences = (
  flags: UpgradeFlags & { version?: string },
  signal: AbortSignal,
  host: Host = localHost(),
): Promise<ManifestDifference[]> =>
  looking(host, flags, signal, (context) => {
    checkRequested(flags.version, context.state.to.kubernetes);
    return differencesOf(context);
  });

/** The ClusterConfiguration with which the cluster would be upgraded (`--print-config`). */
export const upgradeConfiguration = (
  flags: UpgradeFlags,
  signal: AbortSignal,
  host: Host = localHost(),
): Promise<string> =>
  looking(host, flags, signal, async ({ plane }) => clusterConfigurationYaml(plane!.config.cluster));

export const upgradePlan = (
  flags: UpgradeFlags & { version?: string },
  signal: AbortSignal,
  host: Host = localHost(),
): Promise<UpgradePlan> =>
  looking(host, flags, signal, async (context) => {
    const { settings, state } = context;
    checkRequested(flags.version, state.to.kubernetes);
    const observed = await observeForUpgrade(await context.client(), signal);
    const health = await wellness(context, observed);
    const plan = planUpgrade({
      state: observed,
      from: await currentBundle(context.host),
      to: state.to,
      images: context.plane!.config.cluster,
      manifests: (await differencesOf(context)).map(({ path }) => path),
      etcdUpgrade: settings.etcdUpgrade,
      allowExperimental: settings.allowExperimental,
      allowReleaseCandidate: settings.allowReleaseCandidate,
    });
    return { ...plan, findings: [...health, ...plan.findings] };
  });
