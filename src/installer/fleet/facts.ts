/** What is known of a host after one round trip. */
import { bundlePrefix, type RunFileInfo, transferFolder } from '../bundle/run-file.ts';
import { kubeconfigPaths, manifestsDir } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { stateFolder } from '../host/journal.ts';
import type { InventoryHost } from '../inventory/types.ts';
import type { Connection } from './connection.ts';

export interface HostFacts {
  uid: number;
  hostname: string;
  /** As `uname -m` says. */
  architecture: string;
  kernel: string;
  /** For people: `Debian GNU/Linux 13 (trixie)`. */
  system: string;
  addresses: string[];
  /** sha256 of the payload of the unpacked bundle. */
  payloadSha256?: string;
  /** Bytes of the bundle that a transfer left there. */
  transferred: number;
  /** KiB free where the bundle is put, and where it is unpacked. */
  freeForTransfer: number;
  freeForBundle: number;
  isNode: boolean;
  isControlPlane: boolean;
  /** `kinit init` ran there. */
  isFounder: boolean;
  /** kinit has changed this host. */
  hasJournal: boolean;
}

export const transferPath = ({ version, payloadSha256 }: RunFileInfo): string =>
  `${transferFolder}/kinit-${version}-${payloadSha256.slice(0, 12)}.run`;

function script(bundles: readonly RunFileInfo[]): string {
  const files = bundles.map((bundle) => `${bundle.architecture.machine}) f=${transferPath(bundle)} ;;`).join(' ');
  return `echo uid=$(id -u)
echo hostname=$(uname -n)
echo architecture=$(uname -m)
echo kernel=$(uname -r)
echo "system=$(. /etc/os-release 2>/dev/null && echo "$PRETTY_NAME")"
echo addresses=$(ip -o addr show scope global 2>/dev/null | sed 's/.* inet6\\{0,1\\} \\([^/ ]*\\).*/\\1/')
echo payloadSha256=$(cat ${bundlePrefix}/.payload-sha256 2>/dev/null)
f=/nonexistent; case $(uname -m) in ${files} esac
echo transferred=$(wc -c 2>/dev/null < $f || echo 0)
free() { df -Pk "$1" 2>/dev/null | tail -n 1 | while read -r _ _ _ left _; do echo "$left"; done; }
echo freeForTransfer=$(free /var/tmp)
d=/opt; [ -d $d ] || d=/
echo freeForBundle=$(free $d)
[ -e ${kubeconfigPaths.kubelet} ] && echo isNode=1
[ -e ${manifestsDir}/kube-apiserver.yaml ] && echo isControlPlane=1
[ -e ${kubeconfigPaths.superAdmin} ] && echo isFounder=1
[ -e ${stateFolder} ] && echo hasJournal=1
echo end=1
`;
}

/** @throws KinitError Authentication when the user cannot become root */
export async function gatherFacts(
  connection: Connection,
  host: InventoryHost,
  bundles: readonly RunFileInfo[],
  signal: AbortSignal,
): Promise<HostFacts> {
  const { code, stdout, stderr } = await connection.root(script(bundles), { signal, timeoutMs: 30_000 });
  const values = new Map(
    stdout.split('\n').map((line) => {
      const at = line.indexOf('=');
      return [line.slice(0, at), line.slice(at + 1).trim()] as const;
    }),
  );
  if (values.get('end') !== '1') throw noRoot(host, code, stderr || stdout);
  const number = (name: string) => Number(values.get(name) || 0);
  const uid = number('uid');
  if (uid !== 0) throw noRoot(host, code, `logged in as ${host.user} (uid ${uid})`);
  const payloadSha256 = values.get('payloadSha256');
  return {
    uid,
    hostname: values.get('hostname') ?? '',
    architecture: values.get('architecture') ?? '',
    kernel: values.get('kernel') ?? '',
    system: values.get('system') ?? '',
    addresses: (values.get('addresses') ?? '').split(/\s+/).filter(Boolean),
    ...(payloadSha256 ? { payloadSha256 } : {}),
    transferred: number('transferred'),
    freeForTransfer: number('freeForTransfer'),
    freeForBundle: number('freeForBundle'),
    isNode: values.has('isNode'),
    isControlPlane: values.has('isControlPlane'),
    isFounder: values.has('isFounder'),
    hasJournal: values.has('hasJournal'),
  };
}

function noRoot({ name, user, sudo }: InventoryHost, code: number, seen: string): KinitError {
  const advice =
    sudo === 'none'
      ? 'log in as root, or give sudo: passwordless or sudo: {passwordFromEnv: NAME} in the inventory'
      : sudo === 'passwordless'
        ? `allow ${user} sudo without a password on the host, or give sudo: {passwordFromEnv: NAME} in the inventory`
        : `check the password in ${sudo.passwordFromEnv}, and that ${user} may use sudo on the host`;
  return new KinitError('Authentication', `${user} cannot become root`, {
    host: name,
    seen: seen.trim() || `exit code ${code}`,
    advice,
  });
}
