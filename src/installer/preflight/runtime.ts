/** The container runtime. */
import { bundlePaths } from '../config/paths.ts';
import { exists, type Host } from '../host/host.ts';
import { foreignContainerd } from '../runtime/containerd.ts';
import { type Check, error, warning } from './check.ts';

/** The container runtime: kinit's own must not meet another containerd; a given one must answer. */
export const containerRuntime: Check = async ({ host, ownRuntime, criSocket }) => {
  if (!ownRuntime) return givenRuntime(host, criSocket);
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

async function givenRuntime(host: Host, criSocket: string) {
  if (!(await exists(host, criSocket.replace(/^unix:\/\//, '')))) {
    return [error('CRI', `there is no container runtime at ${criSocket}`, 'start it, or leave --cri-socket away')];
  }
  const crictl = `${bundlePaths.bin}/crictl`;
  if (!(await exists(host, crictl))) return [];
  const ask = (words: string[]) =>
    host.run(crictl, ['--runtime-endpoint', criSocket, '--timeout', '4s', ...words], {
      observe: true,
      timeoutMs: 6000,
    });
  const [version, settings] = await Promise.all([ask(['version']), ask(['runtime-config'])]);
  const last = (text: string) => text.trim().split('\n').at(-1) ?? '';
  if (version.exitCode !== 0) {
    const advice =
      'look at its log; containerd needs its plugin io.containerd.grpc.v1.cri, which some packages disable';
    return [error('CRI', `the container runtime at ${criSocket} does not answer: ${last(version.stderr)}`, advice)];
  }
  if (settings.exitCode === 0 || !/Unimplemented|unknown method/.test(settings.stderr)) return [];
  const message = `the container runtime at ${criSocket} does not know the RuntimeConfig call; its cgroup driver cannot be asked for`;
  return [
    warning(
      'ContainerRuntimeVersion',
      message,
      'update it (containerd 2.0, CRI-O 1.28 or newer), or give --cgroup-driver',
    ),
  ];
}
