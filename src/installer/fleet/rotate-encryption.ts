/**
 * `kinit encryption rotate --inventory`: a new key for what lies in etcd, on all control planes. One of them makes each step in its
 * file, the others take it, and the next step begins when every API server uses it. How far it has come is read from the files.
 */
import { defaultCertificatesDir, encryptionFile } from '../config/paths.ts';
import { type EncryptionKey, numberOf } from '../encryption/configuration.ts';
import type { EncryptionOrder } from '../encryption/node.ts';
import { keysAfter, nextStep } from '../encryption/rotate.ts';
import { KinitError } from '../errors.ts';
import { makeCertificateKey } from '../pki/transfer.ts';
import { type FleetResult, inFleet } from './commands.ts';
import { quote } from './connection.ts';
import { fleetError } from './failures.ts';
import type { Fleet, Member } from './fleet.ts';
import { type FleetCommandOptions, isControlPlane, type Plan, planOf } from './plan.ts';

interface Known {
  member: Member;
  /** Without their secrets. */
  keys: EncryptionKey[];
  sha256: string;
}

/** How far a file is: the newest key, whether it writes, and that older ones are gone. */
export function compareProgress(a: readonly EncryptionKey[], b: readonly EncryptionKey[]): number {
  const newest = (keys: readonly EncryptionKey[]) => Math.max(0, ...keys.map(numberOf));
  const writes = (keys: readonly EncryptionKey[]) =>
    Number(keys[0] !== undefined && numberOf(keys[0]) === newest(keys));
  return newest(a) - newest(b) || writes(a) - writes(b) || b.length - a.length;
}

export async function rotateEncryption(options: FleetCommandOptions): Promise<FleetResult> {
  const plan = await planOf(options);
  const hosts = plan.inventory.hosts.filter(isControlPlane);
  if (!hosts.length)
    throw new KinitError('Usage', `there is no control plane among the hosts of ${plan.inventory.path}`);
  return inFleet(
    hosts,
    plan,
    options,
    async (fleet) => {
      const known = await Promise.all(fleet.members.map((member) => readKeys(member, plan, options.signal)));
      const leader = known.reduce((best, one) => (compareProgress(one.keys, best.keys) > 0 ? one : best));
      let { keys } = leader;
      if (options.dryRun) {
        tell(fleet, leader.member, keys);
        return [];
      }
      if (known.some(({ sha256 }) => sha256 !== leader.sha256)) {
        await share(fleet, leader.member);
        // The last step alone was left: to begin another rotation is not what was asked for.
        if (keys.length === 1) return [];
      }
      for (;;) {
        const step = nextStep(keys);
        await run(fleet, [leader.member], { part: 'advance' });
        keys = keysAfter(step, keys);
        await share(fleet, leader.member);
        if (step === 'rewrite') return [];
      }
    },
    { needsRoom: false },
  );
}

function tell(fleet: Fleet, leader: Member, keys: readonly EncryptionKey[]): void {
  const what = {
    add: 'a new key that all API servers know',
    use: 'all API servers write with the new key',
    rewrite: 'all secrets are written again, and the old key goes',
  };
  let now = [...keys];
  for (;;) {
    const step = nextStep(now);
    fleet.emit({ type: 'planned', host: leader.name, action: step, what: what[step] });
    if (step === 'rewrite') return;
    now = keysAfter(step, now);
  }
}

/** Names and order of the keys are no secret, and all that is needed here. */
async function readKeys(member: Member, { inventory, given }: Plan, signal: AbortSignal): Promise<Known> {
  const folder =
    inventory.cluster.certificatesDir ?? given.ClusterConfiguration?.certificatesDir ?? defaultCertificatesDir;
  const path = quote(encryptionFile(folder));
  const { code, stdout } = await member.connection.root(
    `grep -o 'name: key-[0-9]*' ${path} 2>/dev/null && sha256sum < ${path}`,
    { signal },
  );
  const keys = [...stdout.matchAll(/^name: (key-\d+)$/gm)].map(([, name = '']) => ({ name, secret: '' }));
  const sha256 = /^[0-9a-f]{64}/m.exec(stdout)?.[0] ?? '';
  if (code === 0 && keys.length) return { member, keys, sha256 };
  throw new KinitError('Validation', `${encryptionFile(folder)} is missing, or not as kinit writes it`, {
    host: member.name,
    advice: 'see: Turning it on for a cluster that has none, in docs/hardening.md; nothing was changed',
  });
}

/** The leader's file to all others, and until their API servers use it. */
async function share(fleet: Fleet, leader: Member): Promise<void> {
  const others = fleet.members.filter((member) => member !== leader);
  if (others.length) {
    const certificateKey = makeCertificateKey();
    await run(fleet, [leader], { part: 'share', certificateKey });
    await run(fleet, others, { part: 'take', certificateKey });
  }
  await run(fleet, [leader], { part: 'settle' });
}

async function run(fleet: Fleet, members: readonly Member[], order: EncryptionOrder): Promise<void> {
  const { failures } = await fleet.all(members, (member) =>
    fleet.run(member, { command: 'encryption rotate-node', arguments: [], config: JSON.stringify(order) }),
  );
  if (failures.length)
    throw fleetError(failures, 'every API server can read everything; the same command goes on from there');
}
