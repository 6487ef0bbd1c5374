/** Connecting to real hosts: who may, who may not, and what is said then; transfers and jobs that break off. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { appendFile, readFile, stat, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ownArchitecture } from '../../../src/installer/bundle/architecture.ts';
import { writeRunFile } from '../../../src/installer/bundle/run-file.ts';
import { describeError, KinitError } from '../../../src/installer/errors.ts';
import { compareHosts } from '../../../src/installer/fleet/compare.ts';
import type { FleetEvent } from '../../../src/installer/fleet/events.ts';
import type { HostFacts } from '../../../src/installer/fleet/facts.ts';
import { Fleet, type FleetOptions } from '../../../src/installer/fleet/fleet.ts';
import { parseInventory } from '../../../src/installer/inventory/read-inventory.ts';
import type { InventoryHost } from '../../../src/installer/inventory/types.ts';
import { createLab, type Lab } from '../../lab/lab.ts';

const folder = mkdtempSync(join(tmpdir(), 'kinit-fleet-'));
const bundlePath = join(folder, 'kinit.run');
const password = 'correct horse';
let lab: Lab;

beforeAll(async () => {
  lab = await createLab({
    name: 'fleet-test',
    hosts: [
      {
        name: 'a',
        flavour: 'debian',
        users: [
          { name: 'ops', sudo: 'nopasswd' },
          { name: 'ada', sudo: 'password', password },
          { name: 'eve', password },
        ],
      },
      { name: 'b', flavour: 'centos' },
    ],
  });
  await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'stranger')]);
  await writeFile(join(folder, 'decoder'), 'no decoder');
  await writeFile(join(folder, 'payload'), randomBytes(24 << 20));
  await writeRunFile(bundlePath, ownArchitecture(), join(folder, 'decoder'), {
    name: 'kinit',
    path: join(folder, 'payload'),
  });
});

afterAll(async () => {
  await lab?.down();
  rmSync(folder, { recursive: true, force: true });
});

/** Hosts of the lab as an inventory says; `extra` are further fields of the first. */
function hosts(extra: object = {}, names = ['a']): InventoryHost[] {
  const list = names.map((name, index) => ({
    name,
    address: lab.host(name).ip,
    roles: index ? ['worker'] : ['control-plane'],
    user: 'root',
    identityFile: lab.sshKeyPath,
    knownHosts: lab.knownHosts,
    ...(index ? {} : extra),
  }));
  const document = { apiVersion: 'kinit.local/v1alpha1', kind: 'Inventory', hosts: list };
  return parseInventory(JSON.stringify(document), join(folder, 'inventory.yaml')).hosts;
}

function options(env: NodeJS.ProcessEnv = {}) {
  const seen: FleetEvent[] = [];
  const given: FleetOptions = {
    bundlePath,
    signal: new AbortController().signal,
    events: (event) => seen.push(event),
    env,
  };
  return { ...given, seen };
}

async function failure(list: InventoryHost[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  try {
    (await Fleet.open(list, options(env))).close();
  } catch (error) {
    if (error instanceof KinitError) return `${error.code}\n${describeError(error)}`;
    throw error;
  }
  throw new Error('the connection was made');
}

/** Output of a command as root over a new connection. */
async function asRoot(list: InventoryHost[], command: string, env: NodeJS.ProcessEnv = {}, stdin?: string) {
  const fleet = await Fleet.open(list, options(env));
  const result = await fleet.member('a').connection.root(command, stdin === undefined ? {} : { stdin });
  fleet.close();
  return result;
}

describe('connecting', () => {
  it('learns all it needs of several hosts at once', async () => {
    const fleet = await Fleet.open(hosts({}, ['a', 'b']), options());
    const [a, b] = fleet.members.map(({ facts }) => facts);
    expect(a).toMatchObject({ uid: 0, hostname: 'a', architecture: 'x86_64', isNode: false, hasJournal: false });
    expect(b?.system).toMatch(/CentOS/);
    expect(b?.addresses).toContain(lab.host('b').ip);
    expect(a?.freeForBundle).toBeGreaterThan(0);
    fleet.close();
  });

  it('learns what tells hosts apart, and finds clones and clocks that are wrong', async () => {
    const b = lab.host('b');
    const facts = async () => {
      const fleet = await Fleet.open(hosts({}, ['a', 'b']), options());
      fleet.close();
      return fleet.members.map((member) => ({ name: member.name, newcomer: true, facts: member.facts }));
    };
    const found = await facts();
    const [first, second] = found.map((one) => one.facts);
    expect(second?.link).toMatchObject({ address: b.ip, mtu: expect.any(Number) });
    expect(second?.link?.mac).not.toBe(first?.link?.mac);
    // Both have the clock of this machine.
    for (const { clock } of [first, second] as HostFacts[]) {
      expect(clock?.least).toBeLessThanOrEqual(0);
      expect(clock?.most).toBeGreaterThanOrEqual(0);
    }
    expect(compareHosts(found)).toEqual([]);
    const { least = 0, most = 0 } = second?.clock ?? {};
    const late = { ...found[1]!, facts: { ...second, clock: { least: least - 90_000, most: most - 90_000 } } };
    expect(compareHosts([found[0]!, late]).map(({ check, level }) => `${level} ${check}`)).toEqual(['error ClockSkew']);

    const own = await b.must('cat /etc/machine-id');
    await b.must('cat > /etc/machine-id', { input: await lab.host('a').must('cat /etc/machine-id') });
    await b.must('ip link set dev eth0 mtu 1400');
    try {
      expect(compareHosts(await facts()).map(({ check, level }) => `${level} ${check}`)).toEqual([
        'error DuplicateMachineID',
        'warning MTUDifference',
      ]);
    } finally {
      await b.must('cat > /etc/machine-id; ip link set dev eth0 mtu 1500', { input: own });
    }
  });

  it.each([
    ['as root', { user: 'root' }, {}],
    ['by sudo without a password', { user: 'ops', sudo: 'passwordless' }, {}],
    ['by sudo with a password', { user: 'ada', sudo: { passwordFromEnv: 'PW' } }, { PW: password }],
    [
      'by sudo that wants no password though one is given',
      { user: 'ops', sudo: { passwordFromEnv: 'PW' } },
      { PW: 'x' },
    ],
    [
      'with a password instead of a key',
      { user: 'ada', sudo: { passwordFromEnv: 'PW' }, identityFile: undefined, passwordFromEnv: 'PW' },
      { PW: password },
    ],
  ])('becomes root %s, and commands get their own input', async (_how, extra, env) => {
    const command = "id -u; cat; ps -eo args | grep -c '[c]orrect horse'";
    const { stdout } = await asRoot(hosts(extra), command, env, 'first line\nlast line\n');
    expect(stdout).toBe('0\nfirst line\nlast line\n0\n');
  });

  it.each([
    [
      'a user without sudo',
      { user: 'eve' },
      {},
      /^Authentication\nerror \(host a\): eve cannot become root\n {2}seen: .*sudo/,
    ],
    [
      'a wrong password for sudo',
      { user: 'ada', sudo: { passwordFromEnv: 'PW' } },
      { PW: 'wrong' },
      /^Authentication\nerror \(host a\): ada cannot become root/,
    ],
    [
      'sudo that is not allowed',
      { user: 'eve', sudo: { passwordFromEnv: 'PW' } },
      { PW: password },
      /not in the sudoers/,
    ],
    [
      'a user who is not root and does not use sudo',
      { user: 'ops', sudo: 'none' },
      {},
      /ops cannot become root\n {2}seen: logged in as ops \(uid 1000\)/,
    ],
    [
      'a password that is not set',
      { user: 'ada', passwordFromEnv: 'NOT_SET' },
      {},
      /environment variable NOT_SET, which is not set/,
    ],
  ])('refuses %s', async (_what, extra, env, expected) => {
    expect(await failure(hosts(extra), env)).toMatch(expected);
  });

  it('names the host whose key is refused, and says that the others were not changed', async () => {
    const text = await failure(hosts({ identityFile: join(folder, 'stranger') }, ['a', 'b']));
    expect(text).toMatch(/^Authentication\nerror \(host a\): \S+:22 refuses the login as root\n {2}seen: tried key/);
    expect(text).toMatch(/nothing was changed on b/);
  });

  it('refuses a host that nobody knows, unless told to accept it, and knows it from then on', async () => {
    const knownHosts = join(folder, 'known');
    expect(await failure(hosts({ knownHosts }))).toMatch(
      /error \(host a\): the host key of \S+ is not known\n {2}seen: \S+ shows ssh-ed25519 SHA256:/,
    );
    expect((await asRoot(hosts({ knownHosts, acceptHostKeys: true }), 'uname -n')).stdout).toBe('a\n');
    expect((await asRoot(hosts({ knownHosts }), 'uname -n')).stdout).toBe('a\n');
    expect((await stat(knownHosts)).mode & 0o777).toBe(0o600);
  });

  it('refuses a host that shows another key than before, even when told to accept unknown ones', async () => {
    const knownHosts = join(folder, 'changed');
    const stranger = await readFile(join(folder, 'stranger.pub'), 'utf8');
    await appendFile(knownHosts, `${lab.host('a').ip} ${stranger}`);
    expect(await failure(hosts({ knownHosts, acceptHostKeys: true }))).toMatch(
      /is not the one that is known: another machine answers/,
    );
  });

  it('knows hosts by hashed names and by fingerprint', async () => {
    const knownHosts = join(folder, 'hashed');
    await writeFile(knownHosts, await readFile(lab.knownHosts));
    await execa('ssh-keygen', ['-H', '-f', knownHosts]);
    expect(await readFile(knownHosts, 'utf8')).toMatch(/^\|1\|/);
    expect((await asRoot(hosts({ knownHosts }), 'true')).code).toBe(0);
    const { stdout } = await execa('ssh-keygen', ['-l', '-f', lab.knownHosts, '-F', lab.host('a').ip]);
    const hostKeys = /SHA256:\S+/.exec(stdout)?.[0];
    expect((await asRoot(hosts({ knownHosts: '/dev/null', hostKeys }), 'true')).code).toBe(0);
  });

  it('goes through a bastion', async () => {
    const bastion = {
      address: lab.host('b').ip,
      user: 'root',
      identityFile: lab.sshKeyPath,
      knownHosts: lab.knownHosts,
    };
    const { stdout } = await asRoot(hosts({ bastion }), 'echo $SSH_CONNECTION; uname -n');
    expect(stdout).toMatch(new RegExp(`^${lab.host('b').ip.replaceAll('.', '\\.')} .*\na\n$`));
  });

  it('needs no SSH for this machine', async () => {
    const local = hosts({ address: undefined, connection: 'local' });
    const command = 'id -u; cat; uname -n';
    expect((await asRoot(local, command, {}, 'input\n')).stdout).toBe(`0\ninput\n${hostname()}\n`);
    const fleet = await Fleet.open(local, options());
    const { connection } = fleet.member('a');
    await expect(connection.must('looking', 'echo nothing there >&2; exit 3')).rejects.toMatchObject({
      message: 'looking failed (exit code 3)',
      details: { host: 'a', seen: 'nothing there' },
    });
    const pieces: Buffer[] = [];
    await connection.exec('seq 1 3', { onStdout: (piece) => pieces.push(piece) });
    expect(Buffer.concat(pieces).toString()).toBe('1\n2\n3\n');
    fleet.close();
  });

  it('says why a host cannot be reached', async () => {
    expect(await failure(hosts({ port: 2 }))).toMatch(
      /^Connection\nerror \(host a\): cannot reach \S+:2: nothing listens there/,
    );
    await lab.host('b').cut();
    const text = await failure(hosts({}, ['a', 'b'])).finally(() => lab.host('b').heal());
    expect(text).toMatch(/error \(host b\): cannot reach \S+:22: (no answer|no route)/);
    expect(text).toMatch(/others: nothing was changed on a/);
  });
});

describe('the bundle', () => {
  it('that cannot be unpacked is an error of that host', async () => {
    const fleet = await Fleet.open(hosts(), options());
    await expect(fleet.supply(fleet.member('a'))).rejects.toMatchObject({
      code: 'Bundle',
      details: { host: 'a', seen: expect.stringContaining('cannot unpack to /opt/kinit/') },
    });
    fleet.close();
  });

  it('does not begin where there is no room', async () => {
    await lab.host('b').must('mount -t tmpfs -o size=1m none /opt');
    const text = await failure(hosts({}, ['b'])).finally(() => lab.host('b').must('umount /opt'));
    expect(text).toMatch(/^Preflight\nerror \(host b\): not enough room in \/opt: \d+ MiB are free, \d+ MiB needed/);
  });
});
