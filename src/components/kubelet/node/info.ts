/** The facts of `status.nodeInfo`. */
import { readFile } from 'node:fs/promises';
import { arch, release } from 'node:os';
import type { NodeStatus } from '../../../machinery/api/types.ts';
import { kubernetesVersion } from '../../../machinery/version.ts';

const architectures: Record<string, string> = {
  x64: 'amd64',
  arm64: 'arm64',
  arm: 'arm',
  s390x: 's390x',
  ppc64: 'ppc64le',
};

export const architecture = (): string => architectures[arch()] ?? arch();

async function firstOf(...paths: string[]): Promise<string> {
  for (const path of paths) {
    const text = await readFile(path, 'utf8').catch(() => '');
    if (text.trim()) return text.trim();
  }
  return '';
}

/** PRETTY_NAME of os-release. */
export function prettyName(osRelease: string): string {
  const value = /^PRETTY_NAME=(.*)$/m.exec(osRelease)?.[1] ?? '';
  return value.replace(/^(["'])(.*)\1$/, '$2') || 'Linux';
}

export async function nodeInfo(
  runtimeName: string,
  runtimeVersion: string,
  swapBytes: number,
): Promise<NonNullable<NodeStatus['nodeInfo']>> {
  const machineID = await firstOf('/etc/machine-id', '/var/lib/dbus/machine-id');
  return {
    machineID,
    systemUUID: (await firstOf('/sys/class/dmi/id/product_uuid', '/sys/hypervisor/uuid')) || machineID,
    bootID: await firstOf('/proc/sys/kernel/random/boot_id'),
    kernelVersion: release(),
    osImage: prettyName(await firstOf('/etc/os-release', '/usr/lib/os-release')),
    containerRuntimeVersion: `${runtimeName}://${runtimeVersion.replace(/^v/, '')}`,
    kubeletVersion: kubernetesVersion,
    // Not known to the kubelet; kept empty for older readers.
    kubeProxyVersion: '',
    operatingSystem: 'linux',
    architecture: architecture(),
    ...(swapBytes > 0 ? { swap: { capacity: swapBytes } } : {}),
  };
}
