/** The CRI mounts of one container: its volumeMounts, /etc/hosts, the termination log. */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Container, Pod, VolumeMount } from '../../../machinery/api/types.ts';
import { writeFileIfChanged } from '../../../machinery/atomic-file.ts';
import type { Mount } from '../cri/types.ts';
import { expand } from '../environment/expand.ts';
import { knownSources, type PersistentSources } from './claims.ts';
import { etcHosts } from './etc-hosts.ts';
import { containerDirectory, persistentPath, subPathTarget, volumePath, volumesOf } from './paths.ts';
import { prepareSubPath } from './subpath.ts';

export interface MountContext {
  podDir: string;
  clusterDomain: string;
  podIps: string[];
  /** Variables that subPathExpr may name. */
  variables: { name: string; value: string }[];
}

const hostsPath = '/etc/hosts';
const propagations = {
  None: 'PROPAGATION_PRIVATE',
  HostToContainer: 'PROPAGATION_HOST_TO_CONTAINER',
  Bidirectional: 'PROPAGATION_BIDIRECTIONAL',
} as const;

export async function containerMounts(pod: Pod, container: Container, context: MountContext): Promise<Mount[]> {
  const mounts: Mount[] = [];
  const asked = container.volumeMounts ?? [];
  const persistent = await knownSources(context.podDir);
  for (const [index, mount] of asked.entries())
    mounts.push(await volumeMount(pod, container, mount, index, context, persistent));
  const { podDir, podIps } = context;
  if (podIps.length > 0 && !asked.some(({ mountPath }) => mountPath === hostsPath)) {
    const file = join(podDir, 'etc-hosts');
    await writeFileIfChanged(file, await etcHosts(pod, podIps, context.clusterDomain), 0o644);
    mounts.push({ containerPath: hostsPath, hostPath: file, selinuxRelabel: !pod.spec?.hostNetwork });
  }
  const logPath = container.terminationMessagePath;
  if (logPath) {
    const directory = containerDirectory(podDir, container.name);
    await mkdir(directory, { recursive: true, mode: 0o750 });
    // One per start of the container, so that no message is taken for a later one's.
    const file = join(directory, randomBytes(4).toString('hex'));
    await writeFile(file, '', { flag: 'wx' });
    await chmod(file, 0o666);
    mounts.push({ containerPath: logPath, hostPath: file, selinuxRelabel: true });
  }
  return mounts;
}

async function volumeMount(
  pod: Pod,
  container: Container,
  mount: VolumeMount,
  index: number,
  { podDir, variables }: MountContext,
  persistent: PersistentSources,
): Promise<Mount> {
  const volume = volumesOf(pod).find(({ name }) => name === mount.name);
  const source = persistent[mount.name];
  let hostPath = source ? persistentPath(podDir, source) : volume && volumePath(podDir, volume);
  if (!volume || !hostPath)
    throw new Error(`cannot find volume "${mount.name}" to mount into container "${container.name}"`);
  const subPath = mount.subPathExpr ? expandStrictly(mount.subPathExpr, variables) : mount.subPath;
  if (subPath) {
    const target = subPathTarget(podDir, mount.name, container.name, index);
    try {
      hostPath = await prepareSubPath({ volumePath: hostPath, subPath, target });
    } catch (error) {
      throw new Error(
        `failed to prepare subPath for volumeMount "${mount.name}" of container "${container.name}": ${(error as Error).message}`,
      );
    }
  }
  // Contents that the kubelet renews are never written by containers.
  const managed = Boolean(volume.configMap || volume.secret || volume.downwardAPI || volume.projected);
  const readonly = Boolean(mount.readOnly) || managed || Boolean(source?.readOnly);
  return {
    containerPath: mount.mountPath.startsWith('/') ? mount.mountPath : `/${mount.mountPath}`,
    hostPath,
    readonly,
    selinuxRelabel: !volume.hostPath && source?.kind !== 'hostPath',
    propagation: propagations[(mount.mountPropagation ?? 'None') as keyof typeof propagations],
    ...(readonly && mount.recursiveReadOnly === 'Enabled' ? { recursiveReadOnly: true } : {}),
  };
}

function expandStrictly(text: string, variables: { name: string; value: string }[]): string {
  const values = new Map(variables.map(({ name, value }) => [name, value]));
  return expand(text, (name) => {
    const value = values.get(name);
    if (value === undefined) throw new Error(`missing value for "${name}"`);
    return value;
  });
}
