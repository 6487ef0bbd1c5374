/** Memory of a control plane. */
import { type Check, isControlPlane, warning } from './check.ts';

const minimumMb = 1700;

/** kubeadm refuses; kinit warns, since its control plane is smaller. */
export const memory: Check = async ({ facts, bindPort }) => {
  const mb = Math.floor(facts.memoryBytes / 1024 / 1024);
  return isControlPlane({ bindPort }) && mb < minimumMb
    ? [warning('Mem', `the system RAM (${mb} MB) is less than the recommended ${minimumMb} MB`)]
    : [];
};
