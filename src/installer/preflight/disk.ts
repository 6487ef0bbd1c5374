/** Free space, on each file system that is filled. */
import { dirname } from 'node:path';
import { exists, type Host } from '../host/host.ts';
import { type Check, isControlPlane, warning } from './check.ts';

interface Place {
  path: string;
  minimumMb: number;
}

/** Images, logs and etcd lie below /var/lib; each of the others counts where it is a file system of its own. */
const placesOf = (etcdDataDir: string): Place[] => [
  { path: '/var/lib', minimumMb: 2048 },
  { path: '/var/lib/containerd', minimumMb: 1024 },
  { path: '/var/lib/kubelet', minimumMb: 256 },
  { path: '/etc/kubernetes', minimumMb: 8 },
  // Twice its log, which is made 64 MB large at once, and some data.
  ...(etcdDataDir ? [{ path: etcdDataDir, minimumMb: 512 }] : []),
];

async function freeMb(host: Host, path: string): Promise<{ mount: string; mb: number } | undefined> {
  let at = path;
  while (at !== '/' && !(await exists(host, at))) at = dirname(at);
  const { stdout, exitCode } = await host.run('df', ['-Pk', at], { observe: true });
  const words = stdout.trim().split('\n').at(-1)?.split(/\s+/) ?? [];
  const kib = Number(words[3]);
  if (exitCode !== 0 || !Number.isFinite(kib)) return undefined;
  return { mount: words.slice(5).join(' '), mb: Math.floor(kib / 1024) };
}

export const diskSpace: Check = async (context) => {
  const places = placesOf(isControlPlane(context) ? context.etcdDataDir : '');
  const all = await Promise.all(
    places.map(async (place) => ({ ...place, free: await freeMb(context.host, place.path) })),
  );
  const seen = new Set<string>();
  return all.flatMap(({ path, minimumMb, free }) => {
    if (!free || seen.has(free.mount)) return [];
    seen.add(free.mount);
    if (free.mb >= minimumMb) return [];
    return [warning('DiskSpace', `only ${free.mb} MB are free in ${path}; ${minimumMb} MB are recommended`)];
  });
};
