/** What is checked before an upgrade: versions that fit, a cluster that is well. Check names are kubeadm's where it has the check. */

import { asKinitError } from '../errors.ts';
import { etcdAccess } from '../etcd/access.ts';
import { etcdStatus } from '../etcd/status.ts';
import { exists } from '../host/host.ts';
import { pause } from '../host/wait.ts';
import { error, type Finding, withoutIgnored } from '../preflight/check.ts';
import { isPrivilegedUser } from '../preflight/privileged-user.ts';
import { manifestPath } from '../upgrade/backup.ts';
import type { UpgradeContext } from '../upgrade/context.ts';
import { type ClusterState, observeForUpgrade } from '../upgrade/observe.ts';
import { versionFindings } from '../upgrade/versions.ts';
import type { Phase } from './engine.ts';
import { staticPodsOf } from './upgrade-control-plane.ts';

/** Health of the cluster, as far as an upgrade needs it. */
export function healthFindings({ nodes, components }: Pick<ClusterState, 'nodes' | 'components'>): Finding[] {
  const planes = nodes.filter(({ roles }) => roles.includes('control-plane'));
  const away = planes.filter(({ ready }) => !ready).map(({ name }) => name);
  const others = nodes.filter(({ ready, roles }) => !ready && !roles.includes('control-plane')).map(({ name }) => name);
  const unwell = components.filter(({ ready }) => !ready).map(({ name, node }) => `${name} on ${node}`);
  return [
    ...(away.length
      ? [
          error(
            'ControlPlaneNodesReady',
            `there are NotReady control-planes in the cluster: ${away.join(', ')}`,
            'kinit doctor on these hosts says what is wrong',
          ),
        ]
      : []),
    ...(unwell.length
      ? [
          error(
            'ControlPlanePodsReady',
            `these components are not ready: ${unwell.join(', ')}`,
            'kinit doctor says what is wrong',
          ),
        ]
      : []),
    ...(others.length
      ? [{ check: 'NodesReady', level: 'warning' as const, message: `these nodes are not Ready: ${others.join(', ')}` }]
      : []),
  ];
}

async function manifestFindings(context: UpgradeContext): Promise<Finding[]> {
  const missing: string[] = [];
  for (const name of staticPodsOf(context, true)) {
    if (!(await exists(context.host, manifestPath(name)))) missing.push(manifestPath(name));
  }
  if (!missing.length) return [];
  return [
    error('StaticPodManifest', `there is no ${missing.join(', ')}`, 'write it with kinit init phase control-plane all'),
  ];
}

async function etcdFindings({ host, plane }: UpgradeContext): Promise<Finding[]> {
  if (!plane || plane.config.cluster.etcd.external) return [];
  try {
    const { members, quorum } = await etcdStatus(host, await etcdAccess(host));
    const unwell = members
      .filter(({ healthy }) => !healthy)
      .map(({ name, error: why }) => `${name}: ${why ?? 'not healthy'}`);
    return unwell.length
      ? [
          error(
            'EtcdHealth',
            `etcd is not whole (${quorum.verdict}): ${unwell.join('; ')}`,
            'look at: kinit etcd status',
          ),
        ]
      : [];
  } catch (thrown) {
    return [error('EtcdHealth', asKinitError(thrown).message, 'look at: kinit etcd status')];
  }
}

/** Everything that says how well the cluster is, as this host sees it. */
export async function wellness(context: UpgradeContext, observed: ClusterState | undefined): Promise<Finding[]> {
  const health = observed ? healthFindings(observed) : [];
  return [...health, ...(await manifestFindings(context)), ...(await etcdFindings(context))];
}

/** An upgrade that was broken off may itself be why the cluster is not well. */
const softened = (context: UpgradeContext, findings: readonly Finding[]): Finding[] =>
  context.beginning === 'again' && context.state.ended === undefined
    ? findings.map((finding) => ({ ...finding, level: 'warning' as const }))
    : [...findings];

/** Containers that have just started anew, as behind an upgrade of another control plane, are found ready some seconds later. */
const settlingMs = 120_000;

async function observeSettled(context: UpgradeContext): Promise<ClusterState> {
  const { client, signal, warn, settings } = context;
  const deadline = Date.now() + settlingMs;
  const ignored = settings.ignorePreflightErrors.map((name) => name.toLowerCase());
  const counts = ({ check, level }: Finding) =>
    level === 'error' && !ignored.includes('all') && !ignored.includes(check.toLowerCase());
  for (let told = false; ; told = true) {
    const observed = await observeForUpgrade(await client(), signal);
    const unwell = softened(context, healthFindings(observed)).filter(counts);
    if (!unwell.length || Date.now() > deadline) return observed;
    const what = unwell.map(({ message }) => message).join('; ');
    if (!told) warn(`${what}; waiting for up to ${settlingMs / 1000} s`);
    await pause(1_000, signal);
  }
}

function judge(context: UpgradeContext, versions: readonly Finding[], health: readonly Finding[]): void {
  const { settings } = context;
  const ignored = [...settings.ignorePreflightErrors, ...(settings.force ? ['VersionSkew'] : [])];
  for (const { check, message } of withoutIgnored([...versions, ...softened(context, health)], ignored))
    context.warn(`[${check}] ${message}`);
}

export const preflightApply: Phase<UpgradeContext> = {
  name: 'preflight',
  title: 'Check versions and health of the cluster',
  async run(context) {
    const { clusterVersion, settings, state } = context;
    const observed = await observeSettled(context);
    const versions = versionFindings({
      cluster: clusterVersion,
      target: state.to.kubernetes,
      apiServers: observed.apiServers,
      kubelets: observed.nodes.map(({ version }) => version),
      allowExperimental: settings.allowExperimental,
      allowReleaseCandidate: settings.allowReleaseCandidate,
    });
    judge(context, [...(await isPrivilegedUser(context)), ...versions], await wellness(context, observed));
    return false;
  },
};

/** The order of an upgrade: the cluster's configuration, and with it a first control plane, has the new version already. */
export function orderFindings(clusterVersion: string, target: string): Finding[] {
  if (clusterVersion === target) return [];
  return [
    error(
      'VersionSkew',
      `the cluster is ${clusterVersion}, this bundle is ${target}`,
      'run kinit upgrade apply on the first control plane before; a kubelet may not be newer than the API server',
    ),
  ];
}

export const preflightNode: Phase<UpgradeContext> = {
  name: 'preflight',
  title: 'Check versions and health',
  async run(context) {
    const { clusterVersion, plane, state } = context;
    const versions = [...(await isPrivilegedUser(context)), ...orderFindings(clusterVersion, state.to.kubernetes)];
    const observed = plane ? await observeSettled(context) : undefined;
    judge(context, versions, await wellness(context, observed));
    return false;
  },
};
