/** The plan of an upgrade and its differences, as kubeadm words them. */
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import type { FleetUpgradePlan } from '../../installer/fleet/upgrade-plan.ts';
import type { ManifestDifference } from '../../installer/phases/run-upgrade.ts';
import { describeBundle } from '../../installer/upgrade/bundle-folders.ts';
import { type PlannedComponent, seriesOf, type UpgradePlan } from '../../installer/upgrade/plan.ts';
import { formatTable } from '../table.ts';

const header = ['COMPONENT', 'NODE', 'CURRENT', 'TARGET'];

const rowsOf = (components: readonly PlannedComponent[]) =>
  components.map(({ name, node = '', current, target }) => [name, node, current, target]);

function configTable({ configs }: UpgradePlan): string {
  if (!configs.length) return '';
  const rows = configs.map(({ name, group, version, userSupplied }) => [
    name,
    group,
    version,
    version,
    userSupplied ? 'kept: it was changed in the cluster' : 'made anew',
  ]);
  return `\nThe table below shows the current state of component configs as understood by this version of kinit.
Configs that were changed in the cluster are kept as they are.

${formatTable(['CONFIG', 'API GROUP', 'CURRENT VERSION', 'PREFERRED VERSION', 'IN AN UPGRADE'], rows)}`;
}

export function formatPlan(plan: UpgradePlan): string {
  const { clusterVersion, components, from, kubelets, manifests, missingImages, to, changes } = plan;
  const parts = [
    `[upgrade/versions] Cluster version: ${clusterVersion}\n`,
    `[upgrade/versions] kinit version: ${to.kinit} (this host runs from ${describeBundle(from)})\n`,
    `[upgrade/versions] Target version: ${to.kubernetes}\n`,
  ];
  if (changes) {
    const behind = kubelets.filter(({ current, target }) => current !== target);
    if (behind.length) {
      parts.push(
        `\nComponents that must be upgraded on each host after you have upgraded the control plane with 'kinit upgrade apply':\n`,
        formatTable(header, rowsOf(behind)),
      );
    }
    parts.push(
      `\nUpgrade to the latest ${seriesOf(clusterVersion, to.kubernetes)}:\n\n`,
      formatTable(header, rowsOf(components)),
      `\nYou can now apply the upgrade by executing the following command:\n\n\tkinit upgrade apply ${to.kubernetes}\n`,
    );
  }
  if (manifests.length)
    parts.push(
      `\nManifests that change on this host (kinit upgrade diff shows how):\n${manifests.map((path) => `\t${path}\n`).join('')}`,
    );
  const lacking = Object.keys(missingImages);
  if (changes && lacking.length)
    parts.push(`\nNodes that do not have all images of the new version yet: ${lacking.join(', ')}\n`);
  parts.push(configTable(plan));
  return parts.join('');
}

/** All hosts of an inventory in one table. */
export function formatFleetPlan(plan: FleetUpgradePlan, inventory: string): string {
  const { clusterVersion, components, hosts, missingImages, to, changes } = plan;
  const lacking = Object.keys(missingImages);
  const rows = hosts.map(({ host, role, kinit, kubelet, state }) => [host, role, kinit, kubelet, state]);
  return [
    `[upgrade/versions] Cluster version: ${clusterVersion}\n`,
    `[upgrade/versions] kinit version: ${to.kinit}\n`,
    `[upgrade/versions] Target version: ${to.kubernetes}\n`,
    `\n${formatTable(['HOST', 'ROLE', 'KINIT', 'KUBELET', 'STATE'], rows)}`,
    ...(changes
      ? [
          `\nUpgrade to the latest ${seriesOf(clusterVersion, to.kubernetes)}:\n\n`,
          formatTable(header, rowsOf(components)),
          `\nYou can now apply the upgrade by executing the following command:\n\n\tkinit upgrade apply ${to.kubernetes} --inventory ${inventory}\n`,
        ]
      : []),
    ...(changes && lacking.length
      ? [`\nNodes that get the images of the new version before: ${lacking.join(', ')}\n`]
      : []),
    configTable(plan),
  ].join('');
}

/** As kubeadm sets off the configuration that it prints. */
export const formatConfiguration = (yaml: string): string =>
  `[upgrade/config] Configuration used:\n${yaml.replace(/^(?=.)/gm, '\t')}`;

/** As `diff -u`: the file on the host against what it would be. */
export function formatDifferences(differences: readonly ManifestDifference[], context: number): string {
  return differences
    .map(({ path, before, after }) =>
      createTwoFilesPatch(before ? path : '/dev/null', 'new manifest', before, after, undefined, undefined, {
        context,
        headerOptions: FILE_HEADERS_ONLY,
      }),
    )
    .join('');
}
