/** `kinit up` whose connections are cut at random moments: the run goes on, or tells what to do, and the next one ends it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FleetEvent } from '../../../src/installer/fleet/events.ts';
import { createLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { difference, hostState } from '../../parts/host-state.ts';
import { randomNumbers, seed } from './broken-run.ts';

const root = join(import.meta.dirname, '../../..');
const random = randomNumbers(seed);
const upTo = (limit: number) => Math.floor(random() * limit);

/** So many events does a run from nothing have; a later one has as many, of what is there already. */
const events = 120;

interface Ended {
  code: number;
  events: FleetEvent[];
  told: string;
}

describe(`connections cut at random moments (seed ${seed})`, () => {
  let lab: Lab;
  let folder: string;
  const before = new Map<LabHost, string[]>();

  beforeAll(async () => {
    lab = await createLab({
      name: 'cut-connections',
      hosts: [
        { name: 'm', flavour: 'debian' },
        { name: 'w', flavour: 'debian' },
      ],
    });
    for (const host of lab.hosts) before.set(host, await hostState(host));
    folder = await mkdtemp(join(tmpdir(), 'kinit-cut-'));
    const hosts = lab.hosts.map(({ name, ip }, index) => ({
      name,
      address: ip,
      roles: [index ? 'worker' : 'control-plane'],
    }));
    const defaults = { user: 'root', identityFile: lab.sshKeyPath, knownHosts: lab.knownHosts };
    const inventory = { apiVersion: 'kinit.local/v1alpha1', kind: 'Inventory', defaults, hosts };
    await writeFile(join(folder, 'inventory.yaml'), JSON.stringify(inventory));
  });
  afterAll(async () => {
    await lab?.down();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  /** @param disturb called at that event with the workstation's own kinit */
  async function kinit(command: string, at = 0, disturb?: (pid: number) => Promise<void>): Promise<Ended> {
    const words = [command, '-i', 'inventory.yaml', '--output', 'json'];
    if (command === 'reset') words.push('--force');
    if (command === 'up') words.push('--kubeconfig-out', join(folder, 'kubeconfig'));
    const child = execa(join(root, 'node_modules/.bin/node'), [join(root, 'dist/kinit/main.mjs'), ...words], {
      cwd: folder,
      reject: false,
      stdin: 'ignore',
      timeout: 400_000,
    });
    let disturbed: Promise<void> | undefined;
    let seen = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      for (const byte of chunk) if (byte === 10) seen++;
      if (disturb && seen >= at) disturbed ??= disturb(child.pid as number);
    });
    const { exitCode, signal, stdout, stderr } = await child;
    await disturbed;
    const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
    // Of a workstation that was killed, the last line may be torn.
    const whole = signal ? lines.slice(0, -1) : lines;
    const parsed = whole.map((line) => JSON.parse(line) as FleetEvent);
    return { code: exitCode ?? (signal ? 137 : 255), events: parsed, told: `${lines.slice(-3).join('\n')}\n${stderr}` };
  }

  /** The sessions' own processes, not the daemon that waits for new ones. */
  const signalSessions = (host: LabHost, signal: string) =>
    host.exec(`pkill -${signal} -f '^sshd(-session)?: root' || true`, { timeoutMs: 5000 });

  const disturbances: Record<string, (host: LabHost, kinitPid: number) => Promise<unknown>> = {
    'the sessions are killed': (host) => signalSessions(host, 'KILL'),
    'the network is cut off and comes back': async (host) => {
      await host.cut();
      await delay(300 + upTo(3000));
      await host.heal();
    },
    'the workstation is killed': (_, pid) => execa('kill', ['-KILL', String(pid)], { reject: false }),
    'somebody presses Ctrl-C': (_, pid) => execa('kill', ['-INT', String(pid)], { reject: false }),
    'the host restarts': (host) => host.reboot(),
  };

  it.each(Object.keys(disturbances))(
    '%s',
    async (what) => {
      const host = lab.hosts[upTo(2)]!;
      const at = 1 + upTo(events);
      const moment = `${what}, ${host.name}, event ${at}`;
      const {
        code,
        events: told,
        told: last,
      } = await kinit('up', at, (pid) => disturbances[what]!(host, pid).then(() => undefined));
      const where = `${moment}:\n${last}`;
      if (what === 'the workstation is killed') expect([137, 0], where).toContain(code);
      else if (what === 'somebody presses Ctrl-C') expect([130, 0], where).toContain(code);
      else if (code !== 0) {
        const failed = told.flatMap((event) => (event.type === 'host-failed' ? [event.error] : []));
        expect(failed.length, where).toBeGreaterThan(0);
        // A worker whose control plane restarts is told of that one, which says the rest: with its steps, or at the end.
        const all = failed.map(({ message, advice }) => `${message}\n${advice}`);
        expect([...all, last].join('\n'), where).toMatch(/again/);
        for (const { advice } of failed) expect(advice, where).toBeTruthy();
      }
    },
    400_000,
  );

  it('and the next run ends what they began', async () => {
    const { code, told } = await kinit('up');
    expect(code, told).toBe(0);
    const again = await kinit('up');
    expect(again.code, again.told).toBe(0);
    expect(again.events.at(-1)).toMatchObject({ type: 'fleet-ended', ok: true, changed: false });
    for (const host of lab.hosts) {
      expect(await host.must("find / -xdev -name '*.kinit-draft' -o -xdev -name '*.unpacking.*'")).toBe('');
      expect(await host.must("find /var/lib/kinit/jobs -name config.yaml; find /var/tmp -name 'kinit-*'")).toBe('');
      expect(await host.must("pgrep -af '[d]ist/kinit/main.mjs (init|join)' || true")).toBe('');
    }
  }, 400_000);

  it('and a reset that is cut, too, leaves the bare hosts after another one', async () => {
    await kinit('reset', 1 + upTo(20), async () => {
      await Promise.all(lab.hosts.map((host) => signalSessions(host, 'KILL')));
    });
    const { code, told } = await kinit('reset');
    expect(code, told).toBe(0);
    for (const host of lab.hosts) expect(difference(before.get(host) ?? [], await hostState(host))).toEqual([]);
  }, 400_000);
});
