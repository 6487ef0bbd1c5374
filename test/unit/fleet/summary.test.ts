/** What is said of each host at the end, how many are worked on at once, and which changes move pods away. */
import { describe, expect, it } from 'vitest';
import { closingLine } from '../../../src/cli/render/fleet-plain.ts';
import { summaryTable } from '../../../src/cli/render/fleet-summary.ts';
import type { FleetEvent } from '../../../src/installer/fleet/events.ts';
import { onAll } from '../../../src/installer/fleet/failures.ts';
import { planned } from '../../../src/installer/fleet/joining.ts';
import { summaryOf } from '../../../src/installer/fleet/summary.ts';
import { disturbs } from '../../../src/installer/fleet/undisturbed.ts';

const event = (fields: object) => ({ time: '', ...fields }) as FleetEvent;
const error = { code: 'Connection', exitCode: 4, message: 'no answer', advice: 'turn it on' };

describe('the summary', () => {
  const summary = summaryOf(['cp1', 'w1', 'w2', 'w3']);
  for (const told of [
    { type: 'step-ended', host: 'cp1', step: 'connect', outcome: 'unchanged' },
    { type: 'phase-ended', host: 'cp1', phase: 'kubelet-start', outcome: 'changed' },
    { type: 'phase-ended', host: 'cp1', phase: 'host/sysctl', outcome: 'unchanged' },
    { type: 'leftover', host: 'w1', what: 'label a=b' },
    { type: 'host-failed', host: 'w2', outcome: 'unreachable', error },
    { type: 'phase-ended', host: 'w3', phase: 'kubelet-start', outcome: 'changed' },
    { type: 'host-failed', host: 'w3', outcome: 'failed', error },
    { type: 'step-ended', host: 'w9', step: 'node', outcome: 'changed' },
  ])
    summary.take(event(told));

  it('of a dry run names what would do it', () => {
    const planned = summaryOf(['cp1']);
    planned.take(event({ type: 'planned', host: 'cp1', action: 'set', what: 'label a=b', step: 'labels' }));
    planned.take(event({ type: 'planned', host: 'cp1', action: 'write', what: '/etc/a' }));
    expect(planned.hosts()).toEqual([{ name: 'cp1', outcome: 'changed', changed: ['labels'], leftovers: [] }]);
  });

  it.each([
    [[], 'nothing would change (1.50 s)'],
    [['w1'], '1 of 2 hosts would change; nothing was changed (1.50 s)'],
  ])('of a dry run ends with how many hosts would change: %s', (names, line) => {
    const hosts = ['cp1', 'w1'].map((name) => ({ name, outcome: names.includes(name) ? 'changed' : 'unchanged' }));
    const ended = { type: 'fleet-ended', ok: true, dryRun: true, changed: names.length > 0, hosts, ms: 1500 };
    expect(closingLine(ended as never)).toBe(line);
  });

  it('says of each host what became of it, a failure above all', () => {
    expect(summary.hosts().map(({ name, outcome }) => `${name} ${outcome}`)).toEqual([
      'cp1 changed',
      'w1 unchanged',
      'w2 unreachable',
      'w3 failed',
      'w9 changed',
    ]);
    expect(summary.hosts()[3]).toMatchObject({ changed: ['kubelet-start'], error });
  });

  it.each([
    [false, 'cp1    changed       kubelet-start'],
    [true, 'cp1    would change   kubelet-start'],
  ])('is a line per host (dry run: %s)', (dryRun, line) => {
    const ended = event({ type: 'fleet-ended', dryRun, hosts: summary.hosts() });
    const text = summaryTable(ended as never);
    expect(text).toContain(line);
    expect(text).toMatch(/w2 +unreachable +no answer; turn it on\n/);
    expect(text).toMatch(/still there \(--prune takes it away\):\n {2}w1: label a=b\n$/);
  });
});

it('work on all hosts begins on so many at once, and goes on past one that fails', async () => {
  let now = 0;
  let most = 0;
  const hosts = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name }));
  const work = async ({ name }: { name: string }) => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setImmediate(resolve));
    now--;
    if (name === 'b') throw new Error('bad');
    return name.toUpperCase();
  };
  const failed: string[] = [];
  const { done, failures } = await onAll(hosts, work, ({ host }) => failed.push(host), 2);
  expect([[...done.values()], failed, failures.length, most]).toEqual([['A', 'C', 'D', 'E'], ['b'], 1, 2]);
});

it.each([
  ['another snapshotter', true, { snapshotter: 'native' }, ['snapshotter overlayfs becomes native']],
  ['another cgroup driver', true, { cgroupDriver: 'cgroupfs' }, ['cgroup driver systemd becomes cgroupfs']],
  ['what is so already', true, { snapshotter: 'overlayfs', cgroupDriver: 'systemd' }, []],
  ['what is left to kinit', true, { snapshotter: 'auto' }, []],
  ['a host that is no node yet', false, { snapshotter: 'native' }, []],
])('pods move away for %s: %s', (_, isNode, settings, why) => {
  const facts = { isNode, runtime: { snapshotter: 'overlayfs', cgroupDriver: 'systemd' } };
  expect(disturbs({ host: { settings }, facts } as never, { given: {} })).toEqual(why);
});

const secret = { token: 'abcdef.0123456789abcdef', apiServerEndpoint: '10.0.0.1:6443', caCertHashes: [] };

it.each([
  ['a bare host', 'join', ['worker'], {}, undefined, 'copy the bundle to the host, and run kinit join'],
  ['one with the bundle', 'join', ['worker'], { payloadSha256: 'x' }, undefined, 'run kinit join'],
  [
    'a control plane to be',
    'join',
    ['control-plane'],
    { payloadSha256: 'x' },
    undefined,
    'run kinit join --control-plane',
  ],
  ['one with the bundle and a token', 'join', ['worker'], { payloadSha256: 'x' }, secret, undefined],
  ['the first one, with the bundle', 'init', ['control-plane'], { payloadSha256: 'x' }, undefined, undefined],
  ['a node', 'join', ['worker'], { payloadSha256: 'x', isNode: true }, undefined, undefined],
] as const)(
  'a dry run says of %s only what kinit would do, unless it can try',
  (_, command, roles, facts, given, said) => {
    const told: FleetEvent[] = [];
    const fleet = { emit: (body: object) => told.push(event(body)) };
    const member = { name: 'w1', host: { roles }, facts, bundle: { payloadSha256: 'x' } };
    expect(planned(fleet as never, member as never, command, given as never)).toBe(said !== undefined);
    expect(told.map((one) => (one.type === 'planned' ? `${one.action} ${one.what}` : one.type))).toEqual(
      said ? [said] : [],
    );
  },
);
