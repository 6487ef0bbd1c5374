/** The container runtime. */
import { exists } from '../host/host.ts';
import { foreignContainerd } from '../runtime/containerd.ts';
import { type Check, error } from './check.ts';

/** The container runtime: kinit's own must not meet another containerd; a given one must be there. */
export const containerRuntime: Check = async ({ host, ownRuntime, criSocket }) => {
  if (!ownRuntime) {
    const path = criSocket.replace(/^unix:\/\//, '');
    return (await exists(host, path))
      ? []
      : [error('CRI', `there is no container runtime at ${criSocket}`, 'start it, or leave --cri-socket away')];
  }
  const foreign = await foreignContainerd(host);
  return foreign
    ? [
        error(
          'CRI',
          `another containerd is on this host: ${foreign}`,
          'use it with --cri-socket unix:///run/containerd/containerd.sock, or stop and disable it',
        ),
      ]
    : [];
};
