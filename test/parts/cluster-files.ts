/** A cluster's lab hosts, and where its files lie: the one of `npm run up` directly in `.lab`, others in a folder of their own. */
import { join } from 'node:path';
import { createLab, type Lab } from '../lab/lab.ts';
import { labFolder, labsFolder } from '../lab/state.ts';

/** The lab and the network (10.77.<n>.0/24) of inventory/lab.yaml. */
export const clusterLab = 'cluster';
export const clusterNetwork = 100;

/** The hosts that inventory/lab.yaml names. */
/** @param owner id of a process with which the lab ends; without one it stays until it is taken down */
export const createClusterLab = (
  name: string,
  network: number,
  owner?: number,
  log?: (line: string) => void,
): Promise<Lab> =>
  createLab({
    name,
    network,
    ...(owner ? { owner } : { keep: true }),
    hosts: [
      { name: 'cp1', flavour: 'debian' },
      { name: 'w1', flavour: 'ubuntu' },
      { name: 'w2', flavour: 'centos' },
    ],
    ...(log ? { log } : {}),
  });

const folder = (lab: string) => (lab === clusterLab ? labsFolder : join(labsFolder, lab));

export const kubeconfigPath = (lab: string) => join(folder(lab), 'kubeconfig');
export const kubectlPath = (lab: string) => join(folder(lab), 'kubectl');

/** What inventory/lab.yaml leaves open. */
export const inventoryVariables = (lab: string, network: number) => ({
  LAB_FOLDER: labFolder(lab),
  LAB_PREFIX: `10.77.${network}`,
});
