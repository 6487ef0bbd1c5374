/** Removes what the pod network and kube-proxy left in the kernel: interfaces, routes that hang on them, and rules. */
import { imageReference } from '../bundle/image-names.ts';
import { ctr } from '../runtime/containerd.ts';
import { readNodeRuntime, socketPath } from '../runtime/node-runtime.ts';
import { exists, type Host } from './host.ts';

/** Marks the pod network's routes: those of the host-gw backend hang on the host's own interface. */
const routeProtocol = '145';
const interfaces = ['cni0', 'kinit.1', 'kube-ipvs0', 'nodelocaldns'];
/** Chains of kube-proxy, kubelet, pod network and CNI plugins. */
const ownChain = /^(KUBE-|KINIT-|CNI-)/;

/** Names of `ip -o link show`; /sys/class/net may show another network namespace's. */
export function interfaceNames(links: string): string[] {
  return links.split('\n').flatMap((line) => /^\d+: ([^:@]+)[:@]/.exec(line)?.[1] ?? []);
}

export async function removeInterfaces(host: Host): Promise<void> {
  for (const family of ['-4', '-6']) await host.run('ip', [family, 'route', 'flush', 'proto', routeProtocol]);
  const names = interfaceNames((await host.run('ip', ['-o', 'link', 'show'], { observe: true })).stdout);
  for (const name of interfaces) if (names.includes(name)) await host.run('ip', ['link', 'delete', name]);
  // Ends of pods' links go with the pods' namespaces; what hung on the bridge of a dead pod is left.
  for (const name of names.filter((name) => /^veth[0-9a-f]{8}$/.test(name)))
    await host.run('ip', ['link', 'delete', name]);
}

/**
 * A ruleset of `iptables-save` without our chains and the rules that mention them.
 * @returns undefined when there is nothing of ours in it
 */
export function withoutOwnRules(saved: string): string | undefined {
  const isOurs = (line: string) => {
    if (line.startsWith(':')) return ownChain.test(line.slice(1));
    if (!line.startsWith('-A ')) return false;
    const words = line.split(' ');
    const jump = words.indexOf('-j');
    return ownChain.test(words[1] ?? '') || (jump > 0 && ownChain.test(words[jump + 1] ?? ''));
  };
  const lines = saved.split('\n');
  const kept = lines.filter((line) => !isOurs(line));
  return kept.length === lines.length ? undefined : kept.join('\n');
}

const mountPoint = '/run/kinit-reset';

async function unmountImage(host: Host, socket: string): Promise<void> {
  await host.run('umount', [mountPoint]);
  await ctr(host, ['snapshots', 'rm', mountPoint], {}, socket);
  await host.removeEmptyDirectory(mountPoint);
}

/** The tools of the host and, since it may have none, those of kube-proxy's image. */
export async function removeRules(host: Host, imageRepository: string): Promise<string[]> {
  const image = imageReference('kube-proxy', imageRepository);
  const socket = socketPath(await readNodeRuntime(host));
  // Left over from a reset that was broken off.
  if (await exists(host, mountPoint)) await unmountImage(host, socket);
  await host.makeDirectory(mountPoint);
  const mounted = (await ctr(host, ['images', 'mount', '--rw', image, mountPoint], {}, socket)).exitCode === 0;
  try {
    const problems: string[] = [];
    for (const family of ['iptables', 'ip6tables']) {
      for (const variant of ['nft', 'legacy']) {
        const tool = `${family}-${variant}`;
        const call = (verb: string, input?: string) => {
          const options = { input, timeoutMs: 30_000 };
          return mounted
            ? host.run('chroot', [mountPoint, `/usr/sbin/${tool}-${verb}`], options)
            : host.run(`${tool}-${verb}`, [], options);
        };
        const saved = await call('save');
        const rules = saved.exitCode === 0 ? withoutOwnRules(saved.stdout) : undefined;
        if (rules === undefined) continue;
        const restored = await call('restore', `${rules}\n`);
        if (restored.exitCode !== 0) problems.push(`rules of ${tool}: ${restored.stderr.trim()}`);
      }
    }
    return problems;
  } finally {
    await unmountImage(host, socket);
  }
}
