/** Where the files of a lab cluster lie: the one of `npm run up` directly in `.lab`, others in a folder of their own. */
import { join } from 'node:path';
import { labFolder, labsFolder } from '../lab/state.ts';

/** The lab and the network (10.77.<n>.0/24) of inventory/lab.yaml. */
export const clusterLab = 'cluster';
export const clusterNetwork = 100;

const folder = (lab: string) => (lab === clusterLab ? labsFolder : join(labsFolder, lab));

export const kubeconfigPath = (lab: string) => join(folder(lab), 'kubeconfig');
export const kubectlPath = (lab: string) => join(folder(lab), 'kubectl');

/** What inventory/lab.yaml leaves open. */
export const inventoryVariables = (lab: string, network: number) => ({
  LAB_FOLDER: labFolder(lab),
  LAB_PREFIX: `10.77.${network}`,
});
