/** The container runtime: kinit's own must not meet another containerd; one that is there must be such that a kubelet can use it. */
import { cniPaths, containerdPaths } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { chooseCgroupDriver } from '../host/cgroups.ts';
import { exists } from '../host/host.ts';
import { packageManager } from '../host/packages.ts';
import { foreignContainerd } from '../runtime/containerd.ts';
import { type ExistingRuntime, isProblem } from '../runtime/existing.ts';
import { recordedRuntime } from '../runtime/node-runtime.ts';
import { installedContainerd } from '../runtime/package-runtime.ts';
import { readRegistries } from '../runtime/registries.ts';
import { type Check, type CheckContext, error, type Finding, warning } from './check.ts';

export const containerRuntime: Check = async (context) => {
  const { journal, runtime, criSocket } = context;
  const before = recordedRuntime(journal);
  if (before && (before.runtime !== runtime || (runtime === 'existing' && !isSameSocket(before.socket, criSocket)))) {
    const given = before.runtime === 'existing' ? `--cri-socket ${before.socket}` : `--runtime ${before.runtime}`;
    const message = `this node was made with ${given}`;
    return [error('CRI', message, `give ${given} again, or first make the host what it was, with kinit reset`)];
  }
  if (runtime === 'existing') return existingRuntime(context);
  const findings = runtime === 'packages' ? await packagedRuntime(context) : await bundledRuntime(context);
  return [...findings, ...(await registryFiles(context))];
};

/** `/var/run` is another name of `/run`. */
const isSameSocket = (one: string, other: string) =>
  one.replace('unix:///var/run/', 'unix:///run/') === other.replace('unix:///var/run/', 'unix:///run/');

async function bundledRuntime({ host }: CheckContext): Promise<Finding[]> {
  const foreign = await foreignContainerd(host);
  if (!foreign) return [];
  return [
    error(
      'CRI',
      `another containerd is on this host: ${foreign}`,
      `use it with --cri-socket unix://${containerdPaths.socket}, or stop and disable it`,
    ),
  ];
}

/** A containerd that is on the host by other ways would hide the package's, or be hidden by it. */
async function packagedRuntime({ host, facts }: CheckContext): Promise<Finding[]> {
  try {
    const manager = await packageManager(host, facts);
    if (await installedContainerd(host, manager)) return [];
    const foreign = await foreignContainerd(host);
    if (!foreign) return [];
    const advice = `use it with --cri-socket unix://${containerdPaths.socket}, or stop and disable it`;
    return [error('CRI', `a containerd that is not of a package is on this host: ${foreign}`, advice)];
  } catch (problem) {
    if (problem instanceof KinitError) return [error('CRI', problem.message, problem.details.advice)];
    throw problem;
  }
}

async function registryFiles({ host, registries }: CheckContext): Promise<Finding[]> {
  try {
    await readRegistries(host, registries);
    return [];
  } catch (problem) {
    if (!(problem instanceof KinitError)) throw problem;
    const { seen, advice } = problem.details;
    return [error('CRI', `${problem.message}${seen ? `: ${seen}` : ''}`, advice)];
  }
}

async function existingRuntime({ host, facts, existing, cgroupDriver }: CheckContext): Promise<Finding[]> {
  if (existing === undefined) return [];
  if (isProblem(existing)) return [error('CRI', existing.problem, existing.advice)];
  const findings = [...driverFindings(existing, chooseCgroupDriver(cgroupDriver, facts, existing.cgroupDriver))];
  if (!existing.knowsRuntimeConfig) {
    findings.push(
      warning(
        'ContainerRuntimeVersion',
        `${existing.name} does not know the RuntimeConfig call; its cgroup driver is taken from its configuration`,
        'update it some day: containerd 2.0, CRI-O 1.28 or newer',
      ),
    );
  }
  if (existing.program === 'other') {
    findings.push(warning('CRI', `${existing.name} is not a runtime that kinit knows: it cannot load images into it`));
  }
  if (existing.cniConfig !== cniPaths.config) {
    findings.push(
      error(
        'CRI',
        `${existing.name} reads the configuration of networks in ${existing.cniConfig}; the pod network writes it to ${cniPaths.config}`,
        `set conf_dir = "${cniPaths.config}" in the configuration of the runtime, and restart it`,
      ),
    );
  }
  if (existing.program === 'cri-o' && !(await canLoadIntoCrio(host))) {
    findings.push(
      error(
        'CRI',
        `images cannot be loaded into ${existing.name}: neither podman nor skopeo is on this host`,
        'install one of them; or, with the images in a registry, give --image-repository and --skip-phases images',
      ),
    );
  }
  return findings;
}

async function canLoadIntoCrio(host: CheckContext['host']): Promise<boolean> {
  for (const path of ['/usr/bin/podman', '/usr/bin/skopeo', '/usr/local/bin/podman', '/usr/local/bin/skopeo'])
    if (await exists(host, path)) return true;
  return false;
}

function driverFindings({ name, cgroupDriver }: ExistingRuntime, ofKubelet: 'systemd' | 'cgroupfs'): Finding[] {
  if (cgroupDriver === undefined)
    return [warning('CRI', `${name} does not say its cgroup driver; the kubelet will use ${ofKubelet}`)];
  if (cgroupDriver === ofKubelet) return [];
  return [
    error(
      'CRI',
      `the cgroup driver of ${name} is ${cgroupDriver}, and that of the kubelet would be ${ofKubelet}`,
      `leave --cgroup-driver away, or change the configuration of the runtime (containerd: SystemdCgroup = ${ofKubelet === 'systemd'})`,
    ),
  ];
}
