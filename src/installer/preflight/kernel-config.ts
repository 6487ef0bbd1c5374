/** What the kernel was built with, as kubeadm's SystemVerification looks at it. */
import { gunzipSync } from 'node:zlib';
import { type Host, readText } from '../host/host.ts';
import { error, type Finding, warning } from './check.ts';

/** Without these nothing runs: kubeadm's list, and what pods' networking is made of. */
const required = [
  ...['NAMESPACES', 'NET_NS', 'PID_NS', 'IPC_NS', 'UTS_NS', 'CGROUPS', 'CGROUP_DEVICE', 'CGROUP_PIDS', 'CGROUP_SCHED'],
  ...['CPUSETS', 'FAIR_GROUP_SCHED', 'INET', 'PROC_FS', 'MEMCG', 'NETFILTER_XT_MATCH_COMMENT', 'VETH', 'BRIDGE'],
];
const optional: Record<string, string> = {
  CGROUP_BPF: 'devices of pods are not restricted with cgroups v2',
  CFS_BANDWIDTH: 'CPU limits of pods have no effect',
  OVERLAY_FS: 'images take more room and time',
  SECCOMP: 'seccomp profiles of pods have no effect',
  VXLAN: 'pods of different hosts reach each other only with --network-backend=host-gw',
};

export function judgeKernelConfig(text: string): Finding[] {
  const has = (name: string) => new RegExp(`^CONFIG_${name}=[ym]$`, 'm').test(text);
  const missing = required.filter((name) => !has(name));
  const without = Object.entries(optional).filter(([name]) => !has(name));
  const names = missing.map((name) => `CONFIG_${name}`).join(', ');
  return [
    ...(missing.length
      ? [error('SystemVerification', `the kernel was built without ${names}`, "boot the distribution's own kernel")]
      : []),
    ...without.map(([name, what]) =>
      warning('SystemVerification', `the kernel was built without CONFIG_${name}: ${what}`),
    ),
  ];
}

/** Nothing when the kernel does not tell. */
export async function kernelConfig(host: Host, release: string): Promise<Finding[]> {
  const packed = await host.readFile('/proc/config.gz');
  if (packed) return judgeKernelConfig(gunzipSync(packed).toString());
  for (const path of [
    `/boot/config-${release}`,
    `/lib/modules/${release}/config`,
    `/usr/lib/modules/${release}/config`,
  ]) {
    const text = await readText(host, path);
    if (text !== undefined) return judgeKernelConfig(text);
  }
  return [];
}
