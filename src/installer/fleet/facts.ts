/** What is known of a host after one round trip. */
import { bundlePrefix, partsFolder } from '../bundle/run-file.ts';
import {
  balancerPaths,
  bundlePaths,
  containerdPaths,
  kubeconfigPaths,
  manifestsDir,
  virtualIpUnitPath,
} from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { stateFolder } from '../host/journal.ts';
import type { InventoryHost } from '../inventory/types.ts';
import { upgradeStatePath } from '../upgrade/state.ts';
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
  /** Parts of bundles that are unpacked there, by sha256. */
  unpackedParts: string[];
  /** Parts that are kept or were left by a transfer that broke off: bytes by sha256. */
  keptParts: ReadonlyMap<string, number>;
  /** KiB free where the bundle goes. */
  freeForBundle: number;
  /** Where the bundle lies that it runs from. */
  currentBundle?: string;
  /** An upgrade to the bundle that it runs from has ended well. */
  isUpgraded: boolean;
  isNode: boolean;
  isControlPlane: boolean;
  /** `kinit init` ran there. */
  isFounder: boolean;
  /** A unit of its own says how the API servers are reached. */
  knowsEndpoint: boolean;
  /** kinit has changed this host. */
  hasJournal: boolean;
  /** How containerd is configured. */
  runtime?: { snapshotter?: string; cgroupDriver?: 'systemd' | 'cgroupfs' };
  /** By how many milliseconds its clock is ahead of the workstation's: the truth lies between the two. */
  clock?: { least: number; most: number };
  machineId?: string;
  /** Of real and virtual machines; containers see that of the machine around them. */
  productUuid?: string;
  /** Of the interface with the default route. */
  link?: { address?: string; mac: string; mtu: number };
}

function script(): string {
  return `echo clock=$(date +%s.%N)
echo uid=$(id -u)
echo hostname=$(uname -n)
echo architecture=$(uname -m)
echo kernel=$(uname -r)
echo "system=$(. /etc/os-release 2>/dev/null && echo "$PRETTY_NAME")"
echo addresses=$(ip -o addr show scope global 2>/dev/null | sed 's/.* inet6\\{0,1\\} \\([^/ ]*\\).*/\\1/')
[ ! -L ${bundlePaths.current} ] || echo payloadSha256=$(cat ${bundlePrefix}/.payload-sha256 2>/dev/null)
echo currentBundle=$(readlink ${bundlePaths.current} 2>/dev/null)
grep -q '"ended": "done"' ${upgradeStatePath} 2>/dev/null && echo isUpgraded=1
echo unpackedParts=$(ls ${bundlePrefix}/.parts 2>/dev/null)
echo keptParts=$(for f in ${partsFolder}/*; do [ -e "$f" ] && echo "\${f##*/}:$(wc -c < "$f")"; done)
free() { df -Pk "$1" 2>/dev/null | tail -n 1 | while read -r _ _ _ left _; do echo "$left"; done; }
d=/opt; [ -d $d ] || d=/
echo freeForBundle=$(free $d)
echo machineId=$(cat /etc/machine-id 2>/dev/null)
[ -e /run/systemd/container ] || echo productUuid=$(cat /sys/class/dmi/id/product_uuid 2>/dev/null)
d=$( { ip -o route show default; ip -o -6 route show default; } 2>/dev/null | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p' | head -n 1)
[ -n "$d" ] || d=$(ip -o addr show scope global 2>/dev/null | head -n 1 | while read -r _ name _; do echo "$name"; done)
echo "link=$(ip -o link show dev "$d" 2>/dev/null)"
echo "linkAddress=$(ip -o addr show dev "$d" scope global 2>/dev/null | head -n 1)"
c=${containerdPaths.config}
echo snapshotter=$(sed -n 's/^ *snapshotter = "\\([a-z]*\\)".*/\\1/p' $c 2>/dev/null | head -n 1)
echo systemdCgroup=$(sed -n 's/^ *SystemdCgroup = \\([a-z]*\\).*/\\1/p' $c 2>/dev/null | head -n 1)
[ -e ${kubeconfigPaths.kubelet} ] && echo isNode=1
[ -e ${manifestsDir}/kube-apiserver.yaml ] && echo isControlPlane=1
[ -e ${kubeconfigPaths.superAdmin} ] && echo isFounder=1
[ -e ${balancerPaths.unit} ] || [ -e ${virtualIpUnitPath} ] && echo knowsEndpoint=1
[ -e ${stateFolder} ] && echo hasJournal=1
echo end=1
`;
}

/** @throws KinitError Authentication when the user cannot become root */
export async function gatherFacts(
  connection: Connection,
  host: InventoryHost,
  signal: AbortSignal,
): Promise<HostFacts> {
  let stdout = '';
  const sent = Date.now();
  let received = 0;
  const onStdout = (piece: Buffer) => {
    received ||= Date.now();
    stdout += piece.toString('utf8');
  };
  const { code, stderr } = await connection.root(script(), { onStdout, signal, timeoutMs: 30_000 });
  const values = new Map(
    stdout.split('\n').map((line) => {
      const at = line.indexOf('=');
      return [line.slice(0, at), line.slice(at + 1).trim()] as const;
    }),
  );
  if (values.get('end') !== '1') throw noRoot(host, code, stderr || stdout);
  const number = (name: string) => Number(values.get(name) || 0);
  const words = (name: string) => (values.get(name) ?? '').split(/\s+/).filter(Boolean);
  const uid = number('uid');
  if (uid !== 0) throw noRoot(host, code, `logged in as ${host.user} (uid ${uid})`);
  const payloadSha256 = values.get('payloadSha256');
  return {
    uid,
    hostname: values.get('hostname') ?? '',
    architecture: values.get('architecture') ?? '',
    kernel: values.get('kernel') ?? '',
    system: values.get('system') ?? '',
    addresses: words('addresses'),
    ...(payloadSha256 ? { payloadSha256 } : {}),
    unpackedParts: words('unpackedParts'),
    keptParts: new Map(
      words('keptParts').map((text) => {
        const [sha256 = '', bytes] = text.split(':');
        return [sha256, Number(bytes)] as const;
      }),
    ),
    freeForBundle: number('freeForBundle'),
    ...(values.get('currentBundle') ? { currentBundle: values.get('currentBundle') as string } : {}),
    isUpgraded: values.has('isUpgraded'),
    isNode: values.has('isNode'),
    isControlPlane: values.has('isControlPlane'),
    isFounder: values.has('isFounder'),
    knowsEndpoint: values.has('knowsEndpoint'),
    hasJournal: values.has('hasJournal'),
    ...runtimeOf((name) => values.get(name) ?? ''),
    ...identityOf((name) => values.get(name) ?? '', { sent, received }),
  };
}

function runtimeOf(value: (name: string) => string): Pick<HostFacts, 'runtime'> {
  const [snapshotter, systemd] = [value('snapshotter'), value('systemdCgroup')];
  if (!snapshotter && !systemd) return {};
  const cgroupDriver = systemd === 'true' ? 'systemd' : systemd === 'false' ? 'cgroupfs' : undefined;
  return { runtime: { ...(snapshotter ? { snapshotter } : {}), ...(cgroupDriver ? { cgroupDriver } : {}) } };
}

/** What tells this host from others. The clock is read first on the host, between sending the question and its first answer. */
function identityOf(
  value: (name: string) => string,
  { sent, received }: { sent: number; received: number },
): Pick<HostFacts, 'clock' | 'machineId' | 'productUuid' | 'link'> {
  const now = Number(/^\d+\.\d+$/.exec(value('clock'))?.[0] ?? Number.NaN) * 1000;
  const machineId = /^[0-9a-f]{32}$/.exec(value('machineId'))?.[0];
  const productUuid = value('productUuid').toLowerCase();
  const [, mtu] = / mtu (\d+) /.exec(value('link')) ?? [];
  const [, mac] = / link\/ether ([0-9a-f:]{17}) /.exec(value('link')) ?? [];
  const [, address] = / inet6? ([^/ ]+)/.exec(value('linkAddress')) ?? [];
  return {
    ...(Number.isNaN(now) ? {} : { clock: { least: Math.floor(now) - received, most: Math.ceil(now) - sent } }),
    ...(machineId ? { machineId } : {}),
    ...(productUuid ? { productUuid } : {}),
    ...(mtu && mac ? { link: { mac, mtu: Number(mtu), ...(address ? { address } : {}) } } : {}),
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
