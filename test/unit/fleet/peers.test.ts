/** Hosts that do not fit together, and hosts that do not reach each other: what is said of them. */
import { createServer } from 'node:net';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { type Compared, compareHosts, skewOf } from '../../../src/installer/fleet/compare.ts';
import { judgeWays, neededPorts, type Peer, portsToListen, targetsOf } from '../../../src/installer/fleet/ways.ts';
import { localHost } from '../../../src/installer/host/host.ts';
import { withoutIgnored } from '../../../src/installer/preflight/check.ts';
import { listen } from '../../../src/installer/probe/listeners.ts';
import { probe } from '../../../src/installer/probe/probes.ts';
import { probeSession } from '../../../src/installer/probe/session.ts';
import { type Listening, portName } from '../../../src/installer/probe/types.ts';

const host = (name: string, facts: Compared['facts'] = {}, newcomer = true): Compared => ({ name, newcomer, facts });
const clock = (ms: number, marginMs = 20) => ({ clock: { least: ms - marginMs, most: ms + marginMs } });
const said = (hosts: Compared[], reference = 'cp1') =>
  compareHosts(hosts, reference).map(({ level, check, hosts: names }) => `${level} ${check} ${names.join(' ')}`);

describe('hosts of one cluster', () => {
  it.each([
    ['clocks that agree', clock(0), clock(40), []],
    ['clocks that differ a little', clock(0), clock(-3000), ['warning ClockSkew w1 cp1']],
    ['clocks that differ', clock(-20_000), clock(25_000), ['error ClockSkew w1 cp1']],
    ['a slow connection that may explain it', clock(0, 600), clock(2000, 600), []],
    ['a slow connection that does not', clock(0, 600), clock(62_000, 600), ['error ClockSkew w1 cp1']],
    ['a clock that could not be read', {}, clock(99_000), []],
    ['the same machine-id', { machineId: 'a' }, { machineId: 'a' }, ['error DuplicateMachineID cp1 w1']],
    ['the same UUID', { productUuid: 'u' }, { productUuid: 'u' }, ['warning DuplicateProductUUID cp1 w1']],
    [
      'a UUID that the board maker forgot',
      { productUuid: '03000200-0400-0500-0006-000700080009' },
      { productUuid: '03000200-0400-0500-0006-000700080009' },
      [],
    ],
    [
      'the same MAC address',
      { link: { mac: '02:00', mtu: 1500 } },
      { link: { mac: '02:00', mtu: 1500 } },
      ['error DuplicateMAC cp1 w1'],
    ],
    [
      'different MTUs',
      { link: { mac: '02:00', mtu: 9000 } },
      { link: { mac: '02:01', mtu: 1500 } },
      ['warning MTUDifference w1 cp1'],
    ],
    ['the same host name', { hostname: 'debian' }, { hostname: 'debian' }, ['warning DuplicateHostname cp1 w1']],
    ['nothing known', {}, {}, []],
  ] as [string, Compared['facts'], Compared['facts'], string[]][])('with %s: %s, %s', (_, first, second, expected) => {
    expect(said([host('cp1', first), host('w1', second)])).toEqual(expected);
  });

  it('are not looked at when all of them run', () => {
    const facts = { machineId: 'a', hostname: 'h', ...clock(90_000), link: { mac: 'm', mtu: 9000 } };
    const other = { machineId: 'a', hostname: 'h', ...clock(0), link: { mac: 'm', mtu: 1500 } };
    expect(said([host('cp1', facts, false), host('w1', other, false)])).toEqual([]);
    expect(said([host('cp1', facts, false), host('w1', other, false), host('w2', { machineId: 'a' })])).toEqual([
      'error DuplicateMachineID cp1 w1 w2',
    ]);
  });

  it('have a skew that is told with its margin', () => {
    expect(skewOf({ least: 980, most: 1020 }, { least: -10, most: 10 })).toEqual({
      atLeastMs: 970,
      likelyMs: 1000,
      marginMs: 30,
    });
    const [found] = compareHosts([host('cp1', clock(0)), host('w1', clock(-42_000))], 'cp1');
    expect(found?.message).toBe('the clock of w1 is 42.0 s behind that of cp1 (± 0.0 s)');
  });

  it('go on in spite of it when told to', () => {
    const findings = compareHosts([host('a', { machineId: 'x' }), host('b', { machineId: 'x' })]);
    expect(withoutIgnored(findings, ['duplicatemachineid'])).toHaveLength(1);
    expect(() => withoutIgnored(findings, [], 'no')).toThrow('no');
  });
});

const peer = (name: string, more: Partial<Peer> = {}): Peer => ({
  name,
  address: `192.0.2.${name.charCodeAt(name.length - 1) - 48}${name.startsWith('cp') ? '' : '0'}`,
  controlPlane: name.startsWith('cp'),
  newcomer: true,
  opensFirewall: true,
  ...more,
});
const settings = { bindPort: 6443, ownEtcd: true, vxlan: true };
const names = (ports: { port: number; protocol: 'tcp' | 'udp' }[]) => ports.map(portName);

describe('the ways between hosts', () => {
  const [cp1, cp2, w1, w2] = [peer('cp1'), peer('cp2'), peer('w1'), peer('w2')];

  it.each([
    [cp1, cp2, ['6443/tcp', '10250/tcp', '2379/tcp', '2380/tcp', '8472/udp']],
    [cp1, w1, ['10250/tcp', '8472/udp']],
    [w1, cp1, ['6443/tcp', '8472/udp']],
    [w1, w2, ['8472/udp']],
  ])('of %j to %j need %j', (from, to, expected) => expect(names(neededPorts(from, to, settings))).toEqual(expected));

  it('need no VXLAN with routes, and no etcd port when etcd is elsewhere', () => {
    expect(neededPorts(w1, w2, { ...settings, vxlan: false })).toEqual([]);
    expect(names(neededPorts(cp1, cp2, { ...settings, ownEtcd: false }))).not.toContain('2379/tcp');
  });

  it('are listened for once each, and only where somebody new will try', () => {
    expect(names(portsToListen(cp1, [cp1, w1, w2], settings))).toEqual(['6443/tcp', '8472/udp']);
    const running = peer('cp1', { newcomer: false });
    expect(portsToListen(w1, [running, w1], settings)).toEqual([]);
  });

  it('are tried in groups, with what runs by a mere connection', () => {
    const running = peer('cp1', { newcomer: false });
    const listening = new Map<string, Listening>([
      ['w1', { listening: [], occupied: [] }],
      ['w2', { listening: [{ port: 8472, protocol: 'udp' }], occupied: [] }],
    ]);
    expect(targetsOf(w1, [running, w1, w2], listening, settings)).toEqual([
      { port: 6443, protocol: 'tcp', answers: false, addresses: ['192.0.2.1'] },
      { port: 8472, protocol: 'udp', answers: true, addresses: ['192.0.2.20'] },
    ]);
  });

  it('that are blocked are told with both hosts, the port and what to open', () => {
    const failure = { address: cp1.address, port: 6443, protocol: 'tcp' as const, why: 'no answer' };
    const failures = new Map([
      ['w1', [failure]],
      ['w2', [failure]],
    ]);
    const [found, ...more] = judgeWays([cp1, w1, w2], failures, new Map());
    expect(more).toEqual([]);
    expect(found).toEqual({
      check: 'Reachable-6443',
      level: 'error',
      hosts: ['cp1', 'w1', 'w2'],
      message: 'w1, w2 cannot reach cp1 (192.0.2.1) on port 6443/tcp (API server): no answer',
      advice: 'open 6443/tcp on cp1 for w1, w2, and on the way between them',
    });
  });

  it('that are blocked are told in the order of hosts and ports', () => {
    const failure = (to: Peer, port: number) => ({
      address: to.address,
      port,
      protocol: 'tcp' as const,
      why: 'no answer',
    });
    const failures = new Map([
      ['cp2', [failure(w1, 10250), failure(cp1, 6443), failure(cp1, 2380)]],
      ['w1', [failure(cp2, 6443)]],
    ]);
    expect(
      judgeWays([cp1, cp2, w1], failures, new Map()).map(({ check, hosts }) => `${check} ${hosts.join(' ')}`),
    ).toEqual(['Reachable-2380 cp1 cp2', 'Reachable-6443 cp1 cp2', 'Reachable-6443 cp2 w1', 'Reachable-10250 w1 cp2']);
  });

  it('through a firewall that kinit will open are not judged yet', () => {
    const failures = new Map([
      ['w1', [{ address: cp1.address, port: 6443, protocol: 'tcp' as const, why: 'no answer' }]],
    ]);
    const listening = new Map<string, Listening>([['cp1', { listening: [], occupied: [], firewall: 'ufw' }]]);
    expect(judgeWays([cp1, w1], failures, listening)).toEqual([]);
    expect(judgeWays([{ ...cp1, opensFirewall: false }, w1], failures, listening)).toHaveLength(1);
  });
});

describe('kinit probe', () => {
  const [tcp, udp, closed] = [
    { port: 21200, protocol: 'tcp' },
    { port: 21201, protocol: 'udp' },
    { port: 21202, protocol: 'tcp' },
  ] as const;
  const at = (addresses: string[], port: typeof tcp | typeof udp | typeof closed, answers = true) => ({
    ...port,
    addresses,
    answers,
  });

  it('reaches what listens, over both families, and says why it does not reach the rest', async () => {
    const { listening, close } = await listen([tcp, udp], 'nonce');
    expect(listening).toHaveLength(2);
    const both = ['127.0.0.1', '::1'];
    const targets = [at(both, tcp), at(both, udp), at(['127.0.0.1'], closed)];
    expect(await probe(targets, 'nonce').finally(close)).toEqual([
      { address: '127.0.0.1', ...closed, why: 'connection refused' },
    ]);
  });

  it('notices another program in the place of a host, and a port that is taken', async () => {
    const server = createServer((socket) => socket.on('error', () => socket.destroy()).end('220 mail.example.com'));
    await new Promise<void>((resolve) => server.listen(tcp.port, resolve));
    try {
      const { occupied, listening } = await listen([tcp], 'nonce');
      expect({ occupied, listening }).toEqual({ occupied: [tcp], listening: [] });
      expect(await probe([at(['127.0.0.1'], tcp)], 'nonce')).toMatchObject([{ why: 'another program answers' }]);
      expect(await probe([at(['127.0.0.1'], tcp, false)], 'nonce')).toEqual([]);
    } finally {
      server.close();
    }
  });

  it('listens, tries, and goes on listening until its input ends', async () => {
    const input = new PassThrough();
    const lines: string[] = [];
    const answered = Promise.withResolvers<void>();
    const ended = probeSession(localHost(), input, (line) => {
      lines.push(line);
      if (lines.length === 1) input.write(`${JSON.stringify({ targets: [at(['127.0.0.1'], udp)] })}\n`);
      else answered.resolve();
    });
    input.write(`${JSON.stringify({ nonce: 'n', listen: [udp] })}\n`);
    await answered.promise;
    expect(await probe([at(['127.0.0.1'], udp)], 'n')).toEqual([]);
    input.end();
    await ended;
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ listening: [udp], occupied: [] });
    expect(lines[1]).toBe('{"failures":[]}');
    const { listening, close } = await listen([udp], 'n');
    close();
    expect(listening).toEqual([udp]);
  });
});
