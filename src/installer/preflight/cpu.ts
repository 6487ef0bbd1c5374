/** kubeadm asks for two CPUs on a control plane. */
import { type Check, error, isControlPlane } from './check.ts';

const minimum = 2;

export const numCpu: Check = async ({ facts, bindPort }) =>
  isControlPlane({ bindPort }) && facts.cpus < minimum
    ? [error('NumCPU', `the number of available CPUs ${facts.cpus} is less than the required ${minimum}`)]
    : [];
