/** What another cluster left on this host and kubeadm does not look for: containers, mounts, interfaces, packet filter rules, CNI. */
import { cniPaths, kubeconfigPaths, kubeletDir, kubeletPaths } from '../config/paths.ts';
import { exists, type Host, readText } from '../host/host.ts';
import { mountsBelow } from '../host/mounts.ts';
import { interfaceNames } from '../host/network-cleanup.ts';
import { type Check, error, type Finding, isOwnNode, warning } from './check.ts';

const advice = 'run kinit reset, or kubeadm reset after a cluster of kubeadm';
const listed = (names: readonly string[]) =>
  names.length > 4 ? `${names.slice(0, 4).join(', ')} and ${names.length - 4} more` : names.join(', ');

export const leftovers: Check = async (context) => {
  if (isOwnNode(context)) return [];
  const { host } = context;
  const found = await Promise.all([
    files(context),
    containers(host),
    mounts(host),
    interfaces(host),
    rules(host),
    cni(host),
  ]);
  return found.flat();
};

async function files({ host, command }: Parameters<Check>[0]): Promise<Finding[]> {
  const paths = [
    kubeletPaths.flags,
    kubeletPaths.clientCertificate,
    kubeconfigPaths.superAdmin,
    // On a host that joins they are kubeadm's FileAvailable.
    ...(command === 'init' ? [kubeconfigPaths.kubelet, kubeconfigPaths.bootstrapKubelet] : []),
  ];
  const there = [];
  for (const path of paths) if (await exists(host, path)) there.push(path);
  return there.length ? [warning('LeftoverFiles', `files of another cluster exist: ${listed(there)}`, advice)] : [];
}

/** Programs that run only as a part of Kubernetes. */
const components = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kube-proxy'];

/** What a command line says about a cluster that runs on this host: a component's name, or a pod's shim. */
export function clusterProcess(cmdline: string): string | undefined {
  const [program = '', ...words] = cmdline.split('\0');
  const name = program.slice(program.lastIndexOf('/') + 1);
  if (components.includes(name)) return name;
  const isShim = /^containerd-shim/.test(name) && words.includes('k8s.io');
  return isShim || (name === 'conmon' && words.some((word) => word.includes('/crio'))) ? 'pod' : undefined;
}

async function containers(host: Host): Promise<Finding[]> {
  const count = new Map<string, number>();
  for (const pid of await host.list('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    // A process may end at any moment.
    const name = clusterProcess((await readText(host, `/proc/${pid}/cmdline`).catch(() => '')) ?? '');
    if (name) count.set(name, (count.get(name) ?? 0) + 1);
  }
  if (!count.size) return [];
  const names = [...count].map(([name, times]) => (times > 1 ? `${times} × ${name}` : name));
  return [error('LeftoverContainers', `another cluster runs on this host: ${listed(names)}`, advice)];
}

async function mounts(host: Host): Promise<Finding[]> {
  const below = mountsBelow((await readText(host, '/proc/self/mountinfo')) ?? '', [`${kubeletDir}/pods`]);
  if (!below.length) return [];
  const message = `volumes of another cluster's pods are mounted: ${listed(below)}`;
  return [warning('LeftoverMounts', message, `${advice}; or umount them`)];
}

/** Those that take the name, the port or the address that kinit's pod network needs. */
const blocking = /^(cni0|kinit\.1|flannel\.1|cilium_vxlan|kube-ipvs0)$/;
const foreign = /^(flannel|cali[0-9a-f]{11}|vxlan\.calico|cilium_|weave|kube-bridge|antrea-gw|ovn-k8s|nodelocaldns)/;

/** Interfaces of pod networks: those in the way, and those that only lie about. */
export function networkInterfaces(names: readonly string[]): { inTheWay: string[]; others: string[] } {
  return {
    inTheWay: names.filter((name) => blocking.test(name)),
    others: names.filter((name) => !blocking.test(name) && foreign.test(name)),
  };
}

async function interfaces(host: Host): Promise<Finding[]> {
  const links = await host.run('ip', ['-o', 'link', 'show'], { observe: true });
  const { inTheWay, others } = networkInterfaces(interfaceNames(links.stdout));
  const remove = (names: string[]) => `${advice}; or ip link delete ${names[0]}`;
  return [
    ...(inTheWay.length
      ? [
          error(
            'LeftoverInterfaces',
            `interfaces of another pod network are in the way: ${listed(inTheWay)}`,
            remove(inTheWay),
          ),
        ]
      : []),
    ...(others.length
      ? [warning('LeftoverInterfaces', `interfaces of another pod network exist: ${listed(others)}`, remove(others))]
      : []),
  ];
}

const chain = /^:((?:KUBE|KINIT|CNI|FLANNEL|CILIUM|WEAVE|KUBE-ROUTER|cali)[-_]\S*)/gm;

/** Chains of another cluster in the output of iptables-save; hints that any kubelet leaves do not count. */
export function clusterChains(saved: string): string[] {
  const names = [...saved.matchAll(chain)].map(([, name]) => name as string);
  return [...new Set(names)].filter((name) => !['KUBE-IPTABLES-HINT', 'KUBE-KUBELET-CANARY'].includes(name)).sort();
}

async function rules(host: Host): Promise<Finding[]> {
  const [v4, v6] = await Promise.all(
    ['iptables-save', 'ip6tables-save'].map((tool) => host.run(tool, [], { observe: true, timeoutMs: 10_000 })),
  );
  const chains = clusterChains(`${v4?.stdout}\n${v6?.stdout}`);
  if (!chains.length) return [];
  const message = `${chains.length} iptables chains of another cluster exist: ${listed(chains)}`;
  return [warning('LeftoverRules', message, `${advice}; or restart the host`)];
}

const ownCni = '10-kinit.conflist';

/** containerd takes the first configuration by name. */
async function cni(host: Host): Promise<Finding[]> {
  const others = (await host.list(cniPaths.config))
    .filter((name) => /\.(conf|conflist|json)$/.test(name) && name !== ownCni)
    .sort();
  const [first] = others;
  if (first === undefined) return [];
  const paths = listed(others.map((name) => `${cniPaths.config}/${name}`));
  return first < ownCni
    ? [error('LeftoverCNI', `${paths} would be used for pods instead of ${ownCni}`, `remove it, or ${advice}`)]
    : [warning('LeftoverCNI', `another pod network is configured in ${paths}`, `remove it, or ${advice}`)];
}
