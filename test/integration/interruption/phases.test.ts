/** kinit killed in each phase of each command, one after the other: the next run goes on, and nobody sees it in the end. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { initPhaseNames } from '../../../src/installer/phases/init.ts';
import { joinPhaseNames } from '../../../src/installer/phases/join.ts';
import { joinControlPlanePhases } from '../../../src/installer/phases/join-control-plane.ts';
import { resetPhaseNames } from '../../../src/installer/phases/reset.ts';
import { kinitVersion } from '../../../src/machinery/version.ts';
import { createLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { difference, hostState } from '../../parts/host-state.ts';
import { finish, killAt, kinit, type Moment, ownFiles, randomNumbers, seed, unplugAt } from './broken-run.ts';

const bundle = join(import.meta.dirname, `../../../dist/kinit-${kinitVersion}-linux-amd64.run`);
const copy = '/root/kinit.run';
const journal = '/var/lib/kinit/journal.jsonl';

const random = randomNumbers(seed);
const upTo = (limit: number) => Math.floor(random() * limit);

/** At the end of a phase or in the middle of it; kinit alone, or with all that it has started. */
const momentsIn = (phases: readonly string[]): Moment[] =>
  phases.map((phase) => ({
    phase,
    ...(random() < 0.5 ? { at: 'end', afterMs: 0 } : { at: 'start', afterMs: upTo(60) }),
    victim: random() < 0.5 ? 'process' : 'group',
  }));

describe(`kinit killed with -9 (seed ${seed})`, () => {
  let lab: Lab;
  let one: LabHost;
  let two: LabHost;
  const before = new Map<LabHost, string[]>();
  const unpack = (host: LabHost) => host.must(`sh ${copy} --quiet`, { timeoutMs: 120_000 });

  /** Kills the command in all phases, and the whole host in one of them. */
  async function breakOff(
    host: LabHost,
    command: string,
    phases: readonly string[],
    unplugged?: string,
  ): Promise<void> {
    const reached = new Set<string>();
    for (const moment of momentsIn(phases)) {
      if (moment.phase === unplugged) await unplugAt(host, command, unplugged);
      const events = await killAt(host, command, moment);
      for (const { phase } of events) if (phase) reached.add(phase);
    }
    expect(phases.filter((phase) => !reached.has(phase))).toEqual([]);
  }
  const expectAsBefore = async (host: LabHost) =>
    expect(difference(before.get(host) ?? [], await hostState(host, ownFiles))).toEqual([]);
  /** Leaves no cache on the host. */
  const kubectl = (args: string) =>
    one.must(
      `kubectl --kubeconfig /etc/kubernetes/admin.conf --cache-dir /run/kubectl-cache ${args}; code=$?; rm -rf /run/kubectl-cache; exit $code`,
    );
  const nodes = () => kubectl('get nodes --no-headers');
  /** With an endpoint that further control planes can use. */
  const init = () => `init --control-plane-endpoint ${one.ip}:6443`;

  const joinCommand = async (more = '') =>
    `${(await one.must(`${kinit} token create --print-join-command`)).trim().replace(/^kinit /, '')} ${more}`;

  /** What does not differ from run to run: names, types, modes and owners; settings and units. */
  async function installed(host: LabHost): Promise<string[]> {
    const steady = [
      /^file \/(etc|usr|opt|root|home)\//,
      /^file \/var\/lib\/(kinit|kubelet|etcd)(\/(?!pods|jobs|member|cpu_|memory_|pki\/kubelet-client-\d)[^/ ]*)* /,
      /^content \/(usr|opt|etc\/(systemd|containerd|cni|sysctl.d|modules-load.d))/,
      /^(sysctl|unit-file) /,
      /^unit (?!var-lib-kubelet-pods|kubepods)/,
      /^listens \S+ \S+:(?![3-6]\d{4}$)\d+/,
    ];
    const ofPods = /^sysctl \S+[.]veth/;
    const lines = await hostState(host, ownFiles);
    return lines
      .filter((line) => steady.some((pattern) => pattern.test(line)) && !ofPods.test(line))
      .map((line) => line.replace(/kubelet-client-\d\S*/g, 'kubelet-client'));
  }
  /** What the journal is about; every line of it is whole. */
  async function journalKeys(host: LabHost): Promise<string[]> {
    const lines = (await host.must(`stat -c %a ${journal}; cat ${journal}`)).trim().split('\n');
    expect(lines.shift()).toBe('600');
    const entries = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    return entries.map(({ kind, path, key, name, unit, what }) =>
      [kind, path ?? key ?? name ?? unit ?? what].join(' '),
    );
  }

  beforeAll(async () => {
    expect(existsSync(bundle), `${bundle}: npm run bundle`).toBe(true);
    lab = await createLab({
      name: 'interruption',
      hosts: [
        { name: 'one', flavour: 'debian' },
        { name: 'two', flavour: 'debian' },
      ],
    });
    [one, two] = [lab.host('one'), lab.host('two')];
    for (const host of lab.hosts) {
      await host.copy(bundle, copy);
      before.set(host, await hostState(host, ownFiles));
      await unpack(host);
    }
  });
  afterAll(() => lab?.down());

  it('while the bundle unpacks itself, again and again, still ends with the whole bundle', async () => {
    const before = await two.must('find /opt/kinit | sort');
    await two.must('rm -rf /opt/kinit');
    const times = Array.from({ length: 4 }, () => (random() * 0.8).toFixed(3)).join(' ');
    await two.must(
      `for t in ${times}; do sh ${copy} --quiet > /dev/null 2>&1 & sleep $t; kill -9 $! 2>/dev/null; done; true`,
    );
    await unpack(two);
    expect(await two.must('find /opt/kinit | sort')).toBe(before);
    await two.must('cd /opt/kinit/current && for part in .parts/*; do sha256sum -c --status $part || exit 1; done');
  });

  it.each(['runtime/install', 'kubelet-start', 'wait-control-plane'])(
    'in %s leaves the bare host after a reset',
    async (phase) => {
      await killAt(one, 'init', { phase, at: 'start', afterMs: upTo(300), victim: 'process' });
      await finish(one, 'reset --force');
      await expectAsBefore(one);
      await unpack(one);
    },
  );

  it('in every phase of init ends with the same host as one run does', async () => {
    await finish(one, init());
    const wanted = { state: await installed(one), journal: await journalKeys(one) };
    await finish(one, 'reset --force --keep-bundle');
    await breakOff(one, init(), initPhaseNames, 'control-plane/apiserver');
    await finish(one, init());
    expect(await nodes()).toMatch(/^one +Ready /);
    expect(await finish(one, init())).toMatchObject({ ok: true, changed: false });
    expect(difference(wanted.state, await installed(one))).toEqual([]);
    const keys = await journalKeys(one);
    expect([...keys].sort()).toEqual([...wanted.journal].sort());
  }, 900_000);

  it('in every phase of join ends with a node that is Ready', async () => {
    const command = await joinCommand();
    await breakOff(two, command, joinPhaseNames, 'kubelet-wait-bootstrap');
    await finish(two, command);
    expect(await nodes()).toMatch(/^two +Ready /m);
    expect(await finish(two, command)).toMatchObject({ ok: true, changed: false });
  }, 600_000);

  const wanted = process.env['KINIT_TEST_HA'] === '1';
  const reason = wanted ? '' : ' (another minute: runs with KINIT_TEST_HA=1)';
  it.runIf(wanted)(
    `in every phase of the join of a control plane ends with two members of etcd${reason}`,
    async () => {
      await finish(two, 'reset --force --keep-bundle');
      await kubectl('delete node two');
      const key = 'c'.repeat(64);
      await one.must(`${kinit} init phase upload-certs --upload-certs --certificate-key ${key}`);
      const command = await joinCommand(`--control-plane --certificate-key ${key}`);
      await breakOff(
        two,
        command,
        joinControlPlanePhases.map(({ name }) => name),
        'etcd-join',
      );
      await finish(two, command);
      expect(await nodes()).toMatch(/^two +Ready +control-plane/m);
      expect(await finish(two, command)).toMatchObject({ ok: true, changed: false });
    },
    400_000,
  );

  it('in every phase of reset leaves the bare host after another one', async () => {
    for (const host of [two, one]) {
      await breakOff(host, 'reset --force --keep-bundle', resetPhaseNames);
      await finish(host, 'reset --force');
      await expectAsBefore(host);
    }
  }, 600_000);
});
