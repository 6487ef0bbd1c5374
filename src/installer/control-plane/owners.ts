/**
 * Whose the files of a control plane are. The manifest of each static pod says as whom it runs and which files it is told to
 * read; from that follows the owner of every one of them. kubeadm has the same owners.
 */
import { dirname } from 'node:path';
import { load, YAMLException } from 'js-yaml';
import type { Pod } from '../../machinery/api/types.ts';
import { manifestsDir } from '../config/paths.ts';
import type { Changes, PathOwner } from '../host/changes.ts';
import { type Host, readText, runOrFail } from '../host/host.ts';
import { staticPodNames } from '../upgrade/backup.ts';

/** `own`: nobody else reads it. `shared`: root's, and read by a group. `tree`: a folder that is written to; `parent`: the file's folder. */
type Access = 'own' | 'shared' | 'tree' | 'parent';

/** Arguments that name what only its reader may read or write. Certificates are public. */
export const privateArguments: Record<string, Access> = {
  'audit-log-path': 'parent',
  'audit-policy-file': 'own',
  'audit-webhook-config-file': 'own',
  'authentication-kubeconfig': 'own',
  'authorization-kubeconfig': 'own',
  'cluster-signing-key-file': 'own',
  'data-dir': 'tree',
  'encryption-provider-config': 'own',
  'etcd-keyfile': 'own',
  'key-file': 'own',
  kubeconfig: 'own',
  'kubelet-client-key': 'own',
  'peer-key-file': 'own',
  'proxy-client-key-file': 'own',
  'service-account-key-file': 'own',
  'service-account-private-key-file': 'shared',
  'service-account-signing-key-file': 'shared',
  'tls-private-key-file': 'own',
  'wal-dir': 'tree',
};

/** Folders of the host that a component may be pointed to, and that never become its own. */
const everybodys = ['/', '/etc', '/etc/kubernetes', '/tmp', '/var', '/var/lib', '/var/log', '/var/log/kubernetes'];

export interface OwnedPath extends PathOwner {
  path: string;
  mode: number;
  component: string;
  /** With all that is in it. */
  tree: boolean;
  /** The folder of the host that is mounted so that the component finds it; a file may be mounted alone. */
  mounted: string;
}

const parsed = (manifest: string): Pod | undefined => {
  try {
    return load(manifest) as Pod | undefined;
  } catch (error) {
    // A manifest may be broken in any way by the time a doctor looks at it.
    if (error instanceof YAMLException) return undefined;
    throw error;
  }
};

/** As whom the component of a manifest runs. */
export function userOf(manifest: string): number {
  const spec = parsed(manifest)?.spec;
  return spec?.containers?.[0]?.securityContext?.runAsUser ?? spec?.securityContext?.runAsUser ?? 0;
}

/** What the component of a manifest needs for itself on the host; nothing when it runs as root. */
export function ownedPaths(manifest: string): OwnedPath[] {
  const spec = parsed(manifest)?.spec;
  const container = spec?.containers?.[0];
  const uid = userOf(manifest);
  if (!spec || !container || uid === 0) return [];
  const gid = container.securityContext?.runAsGroup ?? spec.securityContext?.runAsGroup ?? 0;
  const shared = spec.securityContext?.supplementalGroups?.[0];
  const onHost = (path: string): { path: string; mounted: string } | undefined => {
    const mount = (container.volumeMounts ?? [])
      .filter(({ mountPath }) => path === mountPath || path.startsWith(`${mountPath.replace(/\/$/, '')}/`))
      .sort((a, b) => b.mountPath.length - a.mountPath.length)[0];
    const source = spec.volumes?.find(({ name }) => name === mount?.name)?.hostPath?.path;
    if (!mount || !source) return undefined;
    const mounted = source.replace(/\/$/, '');
    return { mounted, path: mounted + path.slice(mount.mountPath.replace(/\/$/, '').length) };
  };
  const found = new Map<string, OwnedPath>();
  const own = { uid, gid, mode: 0o600 };
  const add = (path: string, owner: Required<PathOwner>, tree = false) => {
    const place = onHost(path);
    if (place && !(tree && everybodys.includes(place.path)))
      found.set(place.path, { ...place, ...owner, tree, component: container.name });
  };
  for (const word of [...(container.command ?? []), ...(container.args ?? [])]) {
    const [, flag = '', value = ''] = /^--([a-z-]+)=(\/.*)$/.exec(word) ?? [];
    switch (privateArguments[flag]) {
      case 'own':
        add(value, own);
        break;
      case 'shared':
        add(value, shared === undefined ? own : { uid: 0, gid: shared, mode: 0o640 });
        break;
      case 'tree':
        add(value, { uid, gid, mode: 0o700 }, true);
        break;
      case 'parent':
        add(dirname(value), { uid, gid, mode: 0o700 }, true);
        break;
    }
  }
  return [...found.values()];
}

export interface WrongOwner extends OwnedPath {
  /** `root:root 0600` */
  seen: string;
}

const octal = (mode: number) => mode.toString(8).padStart(4, '0');

/** One path of a tree that is somebody else's; none in an unreadable or missing tree. */
async function strangerIn(host: Host, { path, uid, gid }: OwnedPath): Promise<string | undefined> {
  const args = [path, '-mindepth', '1', '-name', 'lost+found', '-prune', '-o'];
  const others = ['(', '!', '-uid', String(uid), '-o', '!', '-gid', String(gid), ')', '-print', '-quit'];
  const { stdout } = await host.run('find', [...args, ...others], { observe: true });
  return stdout.trim() || undefined;
}

/** What a component could not read or write as things are. A file that everybody may read is fine. */
export async function wrongOwners(host: Host, manifest: string): Promise<WrongOwner[]> {
  const wrong: WrongOwner[] = [];
  for (const owned of ownedPaths(manifest)) {
    const facts = await host.stat(owned.path);
    if (!facts || facts.type === 'symlink') continue;
    const isIts = facts.uid === owned.uid && facts.gid === owned.gid;
    const seen = `${facts.uid}:${facts.gid} ${octal(facts.mode)}`;
    if (owned.tree) {
      const stranger = isIts ? await strangerIn(host, owned) : undefined;
      if (!isIts || stranger) wrong.push({ ...owned, seen: stranger ? `${stranger} is another's` : seen });
    } else if (!(facts.mode & 0o004) && !(isIts && facts.mode === owned.mode)) wrong.push({ ...owned, seen });
  }
  return wrong;
}

/** Components that do not run as root have to get to their files through the folders that are mounted for them. */
async function openFolders(changes: Changes, manifest: string): Promise<boolean> {
  let changed = false;
  const folders = new Set<string>();
  for (const { path, mounted, tree } of ownedPaths(manifest))
    for (let at = path; !tree && at !== mounted; at = dirname(at)) folders.add(dirname(at));
  for (const folder of folders) {
    const facts = await changes.host.stat(folder);
    if (facts?.type !== 'directory' || facts.uid !== 0 || (facts.mode & 0o001) !== 0) continue;
    const { uid, gid, mode } = facts;
    if (await changes.owner(folder, { uid, gid, mode: mode | 0o011 })) changed = true;
  }
  return changed;
}

/** Gives a component what it needs to run as its manifest says. @returns whether anything was another's */
export async function settleOwners(changes: Changes, manifest: string): Promise<boolean> {
  const { host } = changes;
  for (const { path, tree, mode } of ownedPaths(manifest)) if (tree) await changes.folder(path, mode);
  let changed = false;
  for (const owned of await wrongOwners(host, manifest)) {
    const { path, tree, uid, gid } = owned;
    await changes.owner(path, owned);
    if (tree)
      for (const name of await host.list(path)) {
        // It belongs to the file system.
        if (name !== 'lost+found') await runChown(changes, `${path}/${name}`, uid, gid);
      }
    changed = true;
  }
  return (await openFolders(changes, manifest)) || changed;
}

async function runChown({ host }: Changes, path: string, uid: number, gid: number): Promise<void> {
  if (!host.dryRun) await runOrFail(host, 'chown', ['-R', '-h', `${uid}:${gid}`, path]);
}

/** The manifests of the static pods that are on this host. */
export async function presentManifests(host: Host): Promise<string[]> {
  const texts = await Promise.all(staticPodNames.map((name) => readText(host, `${manifestsDir}/${name}.yaml`)));
  return texts.flatMap((text) => (text === undefined ? [] : [text]));
}

/** After files have been written anew: the static pods that run get theirs back. @returns what the writing has */
export async function settled(changes: Changes, writing: Promise<boolean>): Promise<boolean> {
  const changed = await writing;
  if (changed) for (const manifest of await presentManifests(changes.host)) await settleOwners(changes, manifest);
  return changed;
}
