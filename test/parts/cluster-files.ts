/** Where the files of a lab cluster lie: the one of `npm run up` directly in `.lab`, others in a folder of their own. */
import { join } from 'node:path';
import { labsFolder } from '../lab/state.ts';

/** The lab and the network (10.77.<n>.0/24) of inventory/lab.yaml. */
export const clusterLab = 'cluster';
export const clusterNetwork = 100;

const folder = (lab: string) => (lab === clusterLab ? labsFolder : join(labsFolder, lab));

export const kubeconfigPath = (lab: string) => join(folder(lab), 'kubeconfig');
export const kubectlPath = (lab: string) => join(folder(lab), 'kubectl');
export const inventoryPath = (lab: string) => join(folder(lab), 'inventory.yaml');
