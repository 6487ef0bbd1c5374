/** The command line of `kinit upgrade`, its phases and its configuration file, and the order over an inventory. */
import { Command } from 'commander';
import { describe, expect, it, vi } from 'vitest';
import { goArguments } from '../../../src/cli/go-arguments.ts';
import { type ApplyFlags, addUpgradeCommand } from '../../../src/cli/upgrade.ts';
import { hostWords } from '../../../src/cli/upgrade-inventory.ts';
import { parseConfig } from '../../../src/installer/config/read-config.ts';
import { resolveUpgrade } from '../../../src/installer/config/upgrade.ts';
import type { Member } from '../../../src/installer/fleet/fleet.ts';
import { checkBundles } from '../../../src/installer/fleet/joining.ts';
import {
  batchesOf,
  cordonAnnotation,
  cordonOf,
  inTurns,
  isDone,
  maxUnavailableOf,
} from '../../../src/installer/fleet/upgrade-order.ts';
import { upgradeSettings } from '../../../src/installer/phases/run-upgrade.ts';
import {
  checkPhaseNames,
  phasesNamed,
  type UpgradeKind,
  upgradePhaseNames,
} from '../../../src/installer/phases/upgrade.ts';
import type { Node } from '../../../src/machinery/api/types.ts';
import { kinitVersion } from '../../../src/machinery/version.ts';

/** Phases of kubeadm v1.36. */
const phases: Record<UpgradeKind, string[]> = {
  apply: [
    'preflight',
    'control-plane',
    'upload-config/all',
    'upload-config/kubeadm',
    'upload-config/kubelet',
    'kubelet-config',
    'bootstrap-token',
    'addon/all',
    'addon/coredns',
    'addon/kube-proxy',
    'post-upgrade',
  ],
  node: [
    'preflight',
    'control-plane',
    'kubelet-config',
    'addon/all',
    'addon/coredns',
    'addon/kube-proxy',
    'post-upgrade',
  ],
};

function program(): Command {
  const root = new Command('kinit').exitOverride();
  addUpgradeCommand(root);
  return root;
}

describe('kinit upgrade', () => {
  it.each(Object.entries(phases) as [UpgradeKind, string[]][])("%s has kubeadm's phases", (kind, names) => {
    expect(upgradePhaseNames(kind)).toEqual(expect.arrayContaining(names));
    for (const name of names) expect(phasesNamed(kind, name).length).toBeGreaterThan(0);
  });

  it('takes switches with and without a value', () => {
    const flagsOf = (...words: string[]) => {
      const root = program();
      const apply = root.commands[0]!.commands.find((one) => one.name() === 'apply')!;
      let seen: ApplyFlags | undefined;
      apply.action((_version, flags: ApplyFlags) => {
        seen = flags;
      });
      root.parse(goArguments(root, ['upgrade', 'apply', ...words]), { from: 'user' });
      return upgradeSettings(seen!);
    };
    expect(flagsOf()).toMatchObject({ etcdUpgrade: true, certificateRenewal: true, force: false });
    expect(flagsOf('--etcd-upgrade=false', '--certificate-renewal=false', '-f')).toMatchObject({
      etcdUpgrade: false,
      certificateRenewal: false,
      force: true,
    });
    expect(flagsOf('--etcd-upgrade=true', '--certificate-renewal')).toMatchObject({
      etcdUpgrade: true,
      certificateRenewal: true,
    });
  });

  it('knows its phases and groups, and names the one that was meant', () => {
    expect(phasesNamed('apply', 'addon')).toEqual([
      'addon/network',
      'addon/kube-proxy',
      'addon/coredns',
      'addon/optional',
    ]);
    expect(phasesNamed('apply', 'control-plane/etcd')).toEqual(['control-plane/etcd']);
    expect(() => checkPhaseNames('node', ['upload-config'])).toThrow('kinit upgrade node has no phase "upload-config"');
    expect(() => checkPhaseNames('apply', ['adon'])).toThrow('has no phase "adon"');
  });
});

describe('an UpgradeConfiguration', () => {
  const file = (text: string) =>
    parseConfig(`apiVersion: kubeadm.k8s.io/v1beta4\nkind: UpgradeConfiguration\n${text}`, 'u.yaml');

  it('says what flags would say, and the flags win', () => {
    const read = file(
      'apply: {forceUpgrade: true, etcdUpgrade: false, kubernetesVersion: v1.36.2, ignorePreflightErrors: [A], patches: {directory: /p}}\ntimeouts: {upgradeManifests: 7m0s}\n',
    );
    expect(resolveUpgrade('apply', { etcdUpgrade: true, ignorePreflightErrors: ['B'] }, read)).toEqual({
      version: 'v1.36.2',
      force: true,
      etcdUpgrade: true,
      patches: '/p',
      ignorePreflightErrors: ['A', 'B'],
      timeouts: { upgradeManifests: '7m0s' },
    });
    expect(resolveUpgrade('node', {}, read)).toEqual({ timeouts: { upgradeManifests: '7m0s' } });
  });

  it('of a diff says how much is shown around', () => {
    expect(resolveUpgrade('diff', {}, file('diff: {contextLines: 5}\n'))).toEqual({ contextLines: 5 });
  });

  it.each([
    ['a field that there is not', 'apply: {forceUpgrad: true}\n', 'forceUpgrad'],
    ['a timeout that is none', 'timeouts: {upgradeManifests: long}\n', 'u.yaml:3:'],
    ['a phase that there is not', 'apply: {skipPhases: [adon]}\n', 'no phase "adon"'],
  ])('with %s is refused', (_name, text, message) => {
    expect(() => resolveUpgrade('apply', {}, file(text))).toThrow(message);
  });
});

describe('over an inventory', () => {
  it.each([
    ['1', 5, 1],
    ['3', 5, 3],
    ['40%', 5, 2],
    ['10%', 5, 1],
    ['100%', 4, 4],
  ])('--max-unavailable %s of %i workers is %i', (text, workers, size) => {
    expect(maxUnavailableOf(text, workers)).toBe(size);
  });

  it.each(['0', '0%', '-1', '101%', 'all', '1.5', ''])('--max-unavailable "%s" is refused', (text) => {
    expect(() => maxUnavailableOf(text, 5)).toThrow('--max-unavailable');
  });

  it('workers come in batches, in their order', () => {
    expect(batchesOf(['a', 'b', 'c', 'd', 'e'], 2)).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
    expect(batchesOf([], 2)).toEqual([]);
  });

  it('those that take turns come one after the other, beside the rest, and one that fails ends only its own turn', async () => {
    const seen: string[] = [];
    const gates = new Map(['m1', 'm2', 'w1'].map((name) => [name, Promise.withResolvers<void>()]));
    const run = inTurns(
      (name: string) => name.startsWith('m'),
      (name) => {
        seen.push(name);
        return gates.get(name)!.promise;
      },
    );
    const [first, second, worker] = ['m1', 'm2', 'w1'].map(run);
    await vi.waitFor(() => expect(seen.toSorted()).toEqual(['m1', 'w1']));
    gates.get('w1')!.resolve();
    await worker;
    expect(seen).toHaveLength(2);
    gates.get('m1')!.reject(new Error('no space'));
    await expect(first).rejects.toThrow('no space');
    gates.get('m2')!.resolve();
    await second;
    expect(seen.at(-1)).toBe('m2');
  });

  const node = (version: string, unschedulable = false, marked = false): Node => ({
    metadata: { name: 'w1', annotations: marked ? { [cordonAnnotation]: 'true' } : {} },
    spec: { unschedulable },
    status: { nodeInfo: { kubeletVersion: version } } as Node['status'],
  });

  it.each([
    ['open', node('v1.36.2'), 'open'],
    ['cordoned by its owner', node('v1.36.2', true), 'theirs'],
    ['cordoned by a run that was broken off', node('v1.36.2', true, true), 'ours'],
    ['marked, and not cordoned yet', node('v1.36.2', false, true), 'ours'],
  ])('a node is %s', (_name, seen, whose) => {
    expect(cordonOf(seen)).toBe(whose);
  });

  it.each([
    ['that has ended its upgrade', { currentBundle: '/opt/kinit/v2', isUpgraded: true }, node('v1.36.3'), true],
    ['that was made with this bundle', { currentBundle: '/opt/kinit/v2', isUpgraded: false }, node('v1.36.3'), true],
    [
      'that was broken off on its way',
      { currentBundle: '/opt/kinit/v2', isUpgraded: false },
      node('v1.36.3', true, true),
      false,
    ],
    ['whose old kubelet still runs', { currentBundle: '/opt/kinit/v2', isUpgraded: false }, node('v1.36.2'), false],
    ['that runs from another bundle', { currentBundle: '/opt/kinit/v1', isUpgraded: true }, node('v1.36.3'), false],
    ['without a node', { currentBundle: '/opt/kinit/v2', isUpgraded: true }, undefined, false],
  ])('a host %s is done: %s', (_name, facts, seen, done) => {
    expect(isDone(facts, '/opt/kinit/v2', seen, 'v1.36.3')).toBe(done);
  });

  it('other commands are refused while nodes run from another bundle', () => {
    const member = (name: string, isNode: boolean, currentBundle?: string) =>
      ({ name, facts: { isNode, ...(currentBundle ? { currentBundle } : {}) } }) as unknown as Member;
    const own = `/opt/kinit/${kinitVersion}`;
    const fit = [member('new', false), member('left', false, '/opt/kinit/v0.0.1'), member('w1', true, own)];
    expect(() => checkBundles({ members: fit })).not.toThrow();
    expect(() => checkBundles({ members: [...fit, member('w2', true, '/opt/kinit/v0.0.1')] })).toThrow(
      'nodes run from another bundle than that of this kinit',
    );
  });

  it('each host gets the flags that it knows', () => {
    const flags = {
      output: 'text',
      maxUnavailable: '1',
      drainTimeout: '5m',
      force: true,
      etcdUpgrade: false,
      skipPhases: ['addon', 'upload-config'],
    } as ApplyFlags;
    expect(hostWords('apply', flags)).toEqual([
      '--yes',
      '--force',
      '--etcd-upgrade=false',
      '--skip-phases',
      'addon,upload-config',
    ]);
    expect(hostWords('node', flags)).toEqual(['--etcd-upgrade=false', '--skip-phases', 'addon']);
  });
});
