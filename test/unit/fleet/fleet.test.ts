import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { hostArguments } from '../../../src/cli/fleet-session.ts';
import { addInitCommand } from '../../../src/cli/init.ts';
import { architectureNamed } from '../../../src/installer/bundle/architecture.ts';
import { parseConfig } from '../../../src/installer/config/read-config.ts';
import { describeError, KinitError } from '../../../src/installer/errors.ts';
import { bundleFor } from '../../../src/installer/fleet/bundles.ts';
import { parseJoinCommand } from '../../../src/installer/fleet/cluster.ts';
import { asRoot, quote } from '../../../src/installer/fleet/connection.ts';
import { ensureEndpoint, founderOf } from '../../../src/installer/fleet/control-planes.ts';
import {
  initDocuments,
  joinByFileDocuments,
  joinDocuments,
  kubeletMaySet,
} from '../../../src/installer/fleet/documents.ts';
import type { HostFacts } from '../../../src/installer/fleet/facts.ts';
import { fleetError } from '../../../src/installer/fleet/failures.ts';
import type { Fleet } from '../../../src/installer/fleet/fleet.ts';
import { eventReader } from '../../../src/installer/fleet/job.ts';
import type { Plan } from '../../../src/installer/fleet/plan.ts';
import { checkRoom, missingParts } from '../../../src/installer/fleet/ship.ts';
import { parseInventory } from '../../../src/installer/inventory/read-inventory.ts';
import type { PhaseEvent } from '../../../src/installer/phases/events.ts';
import { kinitVersion } from '../../../src/machinery/version.ts';

const facts = (more: Partial<HostFacts> = {}): HostFacts => ({
  uid: 0,
  hostname: 'h',
  architecture: 'x86_64',
  kernel: '6.1',
  system: 'Debian',
  addresses: ['10.0.0.1', '10.0.2.15'],
  unpackedParts: [],
  keptParts: new Map(),
  freeForBundle: 10 << 20,
  isNode: false,
  isUpgraded: false,
  isControlPlane: false,
  isFounder: false,
  knowsEndpoint: false,
  hasJournal: false,
  ...more,
});

describe('commands on a host', () => {
  it.each([
    ['plain/word-1.2:3@x', 'plain/word-1.2:3@x'],
    ['two words', "'two words'"],
    ["it's", "'it'\\''s'"],
    ['', "''"],
  ])('quotes %j for the shell', (word, quoted) => expect(quote(word)).toBe(quoted));

  it('never carries the password of sudo', () => {
    const wrapped = asRoot('cat > /x', 'ada', { passwordFromEnv: 'PW' }, { PW: 's3cret' });
    expect(wrapped.command).not.toContain('s3cret');
    expect(wrapped.preamble).toMatch(/^s3cret\n/);
  });
});

describe('the events of a job', () => {
  const line = (type: string) => `${JSON.stringify({ time: 't', host: 'h', type, message: 'ä' })}\n`;
  it('are read in any pieces, and again from the last whole line after a lost connection', () => {
    const text = Buffer.from(line('warning') + line('planned'));
    const seen: PhaseEvent[] = [];
    const reader = eventReader((event) => seen.push(event));
    const torn = text.length - 5;
    for (let i = 0; i < torn; i++) reader.take(text.subarray(i, i + 1));
    expect(seen.map(({ type }) => type)).toEqual(['warning']);
    const from = reader.restart();
    expect(from).toBe(Buffer.byteLength(line('warning')));
    reader.take(text.subarray(from));
    expect(seen.map(({ type }) => type)).toEqual(['warning', 'planned']);
    expect(reader.ended()).toBeUndefined();
    reader.take(Buffer.from(line('ended')));
    expect(reader.ended()?.type).toBe('ended');
  });
});

describe('what a host is told', () => {
  const inventory = parseInventory(
    `apiVersion: kinit.local/v1alpha1
kind: Inventory
cluster: { networking: { podSubnet: 10.10.0.0/16 } }
hosts:
- { name: cp1, address: 10.0.0.1, roles: [control-plane], settings: { swap: keep } }
- { name: w1, address: 203.0.113.7, roles: [worker], labels: { disk: ssd, node-role.kubernetes.io/web: "" } }
- { name: both, address: 10.0.0.3, roles: [control-plane, worker] }
`,
    'i.yaml',
  );
  const [cp1, w1, both] = inventory.hosts as [never, never, never];

  it('is a configuration file that kinit init reads', () => {
    const { documents } = parseConfig(initDocuments(inventory, cp1, facts(), {}), 'config.yaml');
    expect(documents.InitConfiguration).toMatchObject({
      nodeRegistration: { name: 'cp1', kubeletExtraArgs: [{ name: 'node-ip', value: '10.0.0.1' }] },
      localAPIEndpoint: { advertiseAddress: '10.0.0.1' },
    });
    expect(documents.InitConfiguration?.nodeRegistration?.taints).toHaveLength(1);
    expect(documents.ClusterConfiguration).toMatchObject({
      networking: { podSubnet: '10.10.0.0/16' },
      apiServer: { certSANs: ['10.0.0.1'] },
    });
    expect(documents.HostConfiguration).toMatchObject({ swap: 'keep' });
    const mixed = parseConfig(initDocuments(inventory, both, facts(), {}), 'config.yaml').documents;
    expect(mixed.InitConfiguration?.nodeRegistration?.taints).toEqual([]);
  });

  it('is a configuration file that kinit join reads; labels only an administrator may set are left out', () => {
    const secret = { token: 'abcdef.0123456789abcdef', apiServerEndpoint: '10.0.0.1:6443', caCertHashes: ['sha256:x'] };
    const { documents } = parseConfig(joinDocuments(w1, facts(), secret, {}), 'config.yaml');
    expect(documents.JoinConfiguration).toMatchObject({
      discovery: { bootstrapToken: secret },
      nodeRegistration: { name: 'w1', kubeletExtraArgs: [{ name: 'node-labels', value: 'disk=ssd' }] },
    });
  });

  it('makes a host with that role a control plane when it joins; the key stands only in its file', () => {
    const secret = { token: 'abcdef.0123456789abcdef', apiServerEndpoint: '10.0.0.1:6443', caCertHashes: ['sha256:x'] };
    const text = joinDocuments(cp1, facts(), { ...secret, certificateKey: 'ab12' }, {});
    expect(parseConfig(text, 'config.yaml').documents.JoinConfiguration).toMatchObject({
      controlPlane: { certificateKey: 'ab12', localAPIEndpoint: { advertiseAddress: '10.0.0.1' } },
      nodeRegistration: { taints: [{ key: 'node-role.kubernetes.io/control-plane' }] },
    });
    const worker = joinDocuments(w1, facts(), { ...secret, certificateKey: 'ab12' }, {});
    expect(worker).not.toContain('ab12');
    const stored = [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'kubeadm-config' }, data: { a: 'b' } }];
    const dry = joinByFileDocuments(cp1, facts(), '/etc/kubernetes/kubelet.conf', {}, stored);
    expect(parseConfig(dry, 'config.yaml').documents.StoredConfiguration?.objects).toEqual(stored);
    const again = joinByFileDocuments(cp1, facts(), '/etc/kubernetes/kubelet.conf', {});
    expect(parseConfig(again, 'config.yaml').documents.JoinConfiguration?.controlPlane).toEqual({
      localAPIEndpoint: { advertiseAddress: '10.0.0.1' },
    });
  });

  it.each([
    ['disk', true],
    ['example.com/disk', true],
    ['topology.kubernetes.io/zone', true],
    ['node.kubernetes.io/anything', true],
    ['node-role.kubernetes.io/worker', false],
    ['kubernetes.io/other', false],
  ])('a kubelet may set %s: %s', (label, may) => expect(kubeletMaySet(label)).toBe(may));

  it('finds token, endpoint and hash in the join command', () => {
    const text =
      'kinit join 10.0.0.1:6443 --token abcdef.0123456789abcdef \\\n\t--discovery-token-ca-cert-hash sha256:12ab\n';
    expect(parseJoinCommand(text)).toEqual({
      apiServerEndpoint: '10.0.0.1:6443',
      token: 'abcdef.0123456789abcdef',
      caCertHashes: ['sha256:12ab'],
    });
  });
});

describe('several control planes', () => {
  const planOf = (cluster: string, hosts: string[]): Plan => {
    const lines = hosts.map((name, i) => `- { name: ${name}, address: 10.0.0.${i + 1}, roles: [control-plane] }`);
    const text = `apiVersion: kinit.local/v1alpha1\nkind: Inventory\ncluster: ${cluster}\nhosts:\n${lines.join('\n')}\n`;
    const inventory = parseInventory(text, 'i.yaml');
    return { inventory, hosts: inventory.hosts, given: {} };
  };
  const fleetOf = (plan: Plan, known: Record<string, Partial<HostFacts>> = {}) => {
    const warnings: unknown[] = [];
    const members = plan.hosts.map((host, i) => ({
      name: host.name,
      host,
      facts: facts({ addresses: [`10.0.0.${i + 1}`], ...known[host.name] }),
    }));
    const fleet = {
      members,
      absent: [],
      member: (name: string) => members.find((member) => member.name === name),
      emit: (event: unknown) => warnings.push(event),
    } as unknown as Fleet;
    return { fleet, warnings };
  };

  const local = { mode: 'local' };
  const [made, withLocal] = [{ isControlPlane: true }, { isControlPlane: true, knowsEndpoint: true }];
  it.each([
    ['one has no endpoint', '{}', ['a'], {}, undefined, undefined, 0],
    ['of a new cluster make nodes find them by themselves', '{}', ['a', 'b'], {}, local, undefined, 0],
    ['that find themselves already go on so', '{}', ['a', 'b'], { a: withLocal }, undefined, undefined, 0],
    [
      'made with the first one as endpoint keep it, warned',
      '{}',
      ['a', 'b'],
      { a: made },
      undefined,
      '10.0.0.1:6443',
      1,
    ],
    [
      'use it when that is asked for',
      '{}\nendpoint: { mode: shared }',
      ['a', 'b'],
      {},
      { mode: 'shared' },
      '10.0.0.1:6443',
      1,
    ],
    [
      'may have both',
      '{ controlPlaneEndpoint: a.test }\nendpoint: { mode: local }',
      ['a', 'b'],
      {},
      local,
      'a.test',
      0,
    ],
    [
      'keep a virtual address',
      '{}\nendpoint: { virtualIP: 10.0.0.9 }',
      ['a', 'b'],
      {},
      { virtualIP: '10.0.0.9' },
      undefined,
      0,
    ],
    ['keep a named endpoint', '{ controlPlaneEndpoint: a.test }', ['a', 'b'], {}, undefined, 'a.test', 0],
  ])('%s', (_, cluster, names, known, endpoint, controlPlaneEndpoint, warned) => {
    const plan = planOf(cluster, names);
    const { fleet, warnings } = fleetOf(plan, known);
    ensureEndpoint(fleet, plan);
    expect(plan.inventory.endpoint).toEqual(endpoint);
    expect(plan.inventory.cluster.controlPlaneEndpoint).toBe(controlPlaneEndpoint);
    expect(warnings).toHaveLength(warned);
  });

  it('are made with what the inventory says of the endpoint', () => {
    const plan = planOf('{}\nendpoint: { mode: local, port: 8443 }', ['a']);
    const text = initDocuments(plan.inventory, plan.hosts[0]!, facts(), {
      HostConfiguration: { swap: 'keep' } as never,
    });
    const documents = parseConfig(text, 'c').documents;
    expect(documents.HostConfiguration).toMatchObject({ endpoint: { mode: 'local', port: 8443 }, swap: 'keep' });
  });

  it.each([
    ['a new cluster begins on the first', {}, 'a'],
    ['others join where init ran', { b: { isControlPlane: true, isFounder: true } }, 'b'],
    ['others join one that has joined, when the first is gone', { c: { isControlPlane: true } }, 'c'],
    ['a half-made one is nobody to join', { a: { isNode: true }, b: { isControlPlane: true } }, 'b'],
  ])('%s', (_, known, founder) => {
    const plan = planOf('{}', ['a', 'b', 'c']);
    expect(founderOf(fleetOf(plan, known).fleet, plan).name).toBe(founder);
  });

  it.each([
    ['one that has joined stands in for the first, which cannot be reached', { b: { isControlPlane: true } }, 'b'],
    ['none is begun while one that may have the cluster cannot be reached', {}, undefined],
  ])('%s', (_, known, founder) => {
    const plan = planOf('{}', ['a', 'b', 'c']);
    const { fleet } = fleetOf(plan, known);
    fleet.members.shift();
    fleet.absent = [{ host: 'a', error: new KinitError('Connection', 'cannot reach 10.0.0.1:22: no answer') }];
    if (founder) expect(founderOf(fleet, plan).name).toBe(founder);
    else expect(() => founderOf(fleet, plan)).toThrow('cannot reach 10.0.0.1:22');
  });
});

describe('flags with an inventory', () => {
  const argumentsOf = (...words: string[]) => {
    const program = new Command().exitOverride();
    addInitCommand(program);
    let found: string[] = [];
    program.commands[0]?.action((_flags: unknown, command: Command) => {
      found = hostArguments(command);
    });
    program.parse(['node', 'kinit', 'init', ...words]);
    return found;
  };
  it('go to the hosts, but for those about the workstation', () => {
    expect(argumentsOf('-i', 'x.yaml', '--limit', 'a', '--swap', 'keep', '--ignore-preflight-errors', 'A,B')).toEqual([
      '--ignore-preflight-errors',
      'A,B',
      '--swap',
      'keep',
    ]);
  });
  it.each([
    ['--token', 'abcdef.0123456789abcdef'],
    ['--node-name', 'x'],
  ])('refuse %s', (...words) => {
    expect(() => argumentsOf('-i', 'x.yaml', ...words)).toThrow(`${words[0]} is not for use with --inventory`);
  });
});

describe('errors of several hosts', () => {
  const lost = new KinitError('Connection', 'cannot reach 10.0.0.2:22: no answer', { advice: 'check it' });
  it('name the host, and say what happened to the others', () => {
    expect(describeError(fleetError([{ host: 'w1', error: lost }], 'nothing was changed on cp1'))).toBe(
      'error (host w1): cannot reach 10.0.0.2:22: no answer\n  what to do: check it\n  others: nothing was changed on cp1',
    );
  });
  it('are all shown, with the exit code of the first', () => {
    const denied = new KinitError('Authentication', 'refuses the login');
    const error = fleetError(
      [
        { host: 'w1', error: lost },
        { host: 'w2', error: denied },
      ],
      undefined,
    );
    expect(error.exitCode).toBe(4);
    expect(describeError(error)).toMatch(
      /2 hosts failed: w1, w2[\s\S]*\(w1\): cannot reach[\s\S]*\(w2\): refuses the login/,
    );
  });
});

it('a run that somebody stops ends with the exit code for that, whatever its hosts were in the middle of', () => {
  const failures = [
    { host: 'm', error: new KinitError('Internal', 'the operation was aborted') },
    { host: 'w', error: new KinitError('Interrupted', 'interrupted by SIGINT') },
  ];
  expect(fleetError(failures, undefined).exitCode).toBe(130);
});

describe('the bundle of a host', () => {
  const bundleOf = (debian: string) => ({
    version: 'v1',
    architecture: architectureNamed(debian),
    payloadSha256: 'a'.repeat(64),
    size: 1,
    path: `/b/kinit-${debian}.run`,
    header: '',
    decoder: { name: 'decoder', size: 1, sha256: 'a', path: '', start: 0 },
    parts: [],
  });
  const both = [bundleOf('amd64'), bundleOf('arm64')];
  it.each([
    ['x86_64', '/b/kinit-amd64.run'],
    ['aarch64', '/b/kinit-arm64.run'],
  ])('is the one for %s', (machine, path) => expect(bundleFor('h', machine, both).path).toBe(path));
  it('that is not there is named with the way to build it', () => {
    expect(() => bundleFor('w1', 'aarch64', both.slice(0, 1))).toThrow(
      expect.objectContaining({
        message: 'the host is aarch64, and there is no bundle for linux/arm64',
        details: {
          host: 'w1',
          seen: `/b/kinit-amd64.run is for linux/amd64; there is no usable /b/kinit-${kinitVersion}-linux-arm64.run`,
          advice: 'build it with npm run bundle -- --arch arm64, and put it beside the other',
        },
      }),
    );
  });
  it('is refused for processors that kinit does not know', () => {
    expect(() => bundleFor('h', 'riscv64', both)).toThrow('the host is riscv64');
  });
});

describe('room for the bundle', () => {
  const part = (name: string, mib: number) => ({ name, size: mib << 20, sha256: name, path: 'kinit.run', start: 0 });
  const bundle = {
    version: 'v1',
    architecture: architectureNamed('amd64'),
    payloadSha256: 'a'.repeat(64),
    size: 100 << 20,
    path: 'kinit.run',
    header: '',
    decoder: part('decoder', 1),
    parts: [part('node', 59), part('kinit', 40)],
  };
  const kept = new Map([
    ['node', 59 << 20],
    ['kinit', 1 << 20],
  ]);
  it.each<[string, Partial<HostFacts>, string]>([
    ['a full disk', { freeForBundle: 649 << 10 }, 'not enough room in /opt: 649 MiB are free, 650 MiB needed'],
    [
      'a full disk, in part by a transfer that broke off',
      { freeForBundle: 589 << 10, keptParts: kept },
      '589 MiB are free, 590 MiB needed',
    ],
  ])('refuses %s', (_what, more, message) => {
    expect(() => checkRoom('h', facts(more), bundle, false)).toThrow(message);
  });
  it('is asked for what is new only', () => {
    const older = facts({ freeForBundle: 261 << 10, unpackedParts: ['decoder', 'node', 'other'] });
    expect(missingParts(older, bundle).map(({ name }) => name)).toEqual(['kinit']);
    expect(() => checkRoom('h', older, bundle, false)).not.toThrow();
  });
  it('is not asked for when the bundle is there', () => {
    const there = facts({ freeForBundle: 0, payloadSha256: bundle.payloadSha256 });
    expect(() => checkRoom('h', there, bundle, false)).not.toThrow();
  });
});
