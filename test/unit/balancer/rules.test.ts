import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { delayFor, type Health, judge, type Outcome, type State } from '../../../src/components/balancer/health.ts';
import {
  inOrder,
  learn,
  type Member,
  rememberMs,
  serversOf,
  splitServer,
} from '../../../src/components/balancer/members.ts';
import { recall, remember } from '../../../src/components/balancer/remembered.ts';

const now = 10 * rememberMs;

describe('the list of API servers', () => {
  it.each<[string, Member[], string[], Member[]]>([
    ['takes what the cluster lists', [], ['b:1', 'a:1'], [{ server: 'a:1' }, { server: 'b:1' }]],
    ['names each once', [], ['a:1', 'a:1'], [{ server: 'a:1' }]],
    ['remembers who is gone', [{ server: 'a:1' }], ['b:1'], [{ server: 'b:1' }, { server: 'a:1', goneSince: now }]],
    [
      'remembers since when',
      [{ server: 'a:1', goneSince: now - 5 }],
      ['b:1'],
      [{ server: 'b:1' }, { server: 'a:1', goneSince: now - 5 }],
    ],
    ['forgets after a day', [{ server: 'a:1', goneSince: now - rememberMs }], ['b:1'], [{ server: 'b:1' }]],
    ['takes back who has returned', [{ server: 'a:1', goneSince: 5 }], ['a:1'], [{ server: 'a:1' }]],
    ['stays as it is when the cluster lists nobody', [{ server: 'a:1' }], [], [{ server: 'a:1' }]],
  ])('%s', (_, known, listed, wanted) => expect(learn(known, listed, now)).toEqual(wanted));

  it('comes from the slices of the Service kubernetes', () => {
    const slice = (addresses: string[][], ready?: boolean) => ({
      addressType: 'IPv4',
      ports: [{ name: 'https', port: 6443 }],
      endpoints: addresses.map((list) => ({ addresses: list, conditions: ready === undefined ? {} : { ready } })),
    });
    expect(serversOf([slice([['10.0.0.1'], ['10.0.0.2']], true), slice([['fd00::1']])])).toEqual([
      '10.0.0.1:6443',
      '10.0.0.2:6443',
      '[fd00::1]:6443',
    ]);
    expect(serversOf([slice([['10.0.0.1']], false)])).toEqual([]);
  });

  it('outlives the process, and a file that is broken is told', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kinit-balancer-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const path = join(folder, 'members.json');
    expect(await recall(path)).toEqual([]);
    const members = [{ server: '10.0.0.1:6443' }, { server: '[fd00::1]:6443', goneSince: 7 }];
    expect(await remember(path, members)).toBe(true);
    expect(await remember(path, members)).toBe(false);
    expect(await recall(path)).toEqual(members);
    for (const text of ['{', '{}', '[{}]', '[{"server":"nowhere"}]']) {
      await writeFile(path, text);
      await expect(recall(path), text).rejects.toThrow(path);
    }
  });

  it.each([
    ['10.0.0.1:6443', { host: '10.0.0.1', port: 6443 }],
    ['[fd00::1]:6443', { host: 'fd00::1', port: 6443 }],
    ['api.example.test:443', { host: 'api.example.test', port: 443 }],
  ])('%s is a server', (server, parts) => expect(splitServer(server)).toEqual(parts));

  it.each(['10.0.0.1', 'a:0', 'a:70000', 'fd00::1:6443', ':1', 'a:x'])('%j is no server', (server) =>
    expect(() => splitServer(server)).toThrow('<address>:<port>'),
  );
});

describe('the order in which API servers are tried', () => {
  const members = ['a:1', 'b:1', 'c:1', 'd:1'].map((server) => ({ server }));
  const healthy = (): State => 'healthy';
  const nobody = () => false;

  it('is by health', () => {
    const states: Record<string, State> = { 'a:1': 'down', 'b:1': 'suspect', 'c:1': 'unknown', 'd:1': 'healthy' };
    const order = inOrder(members, (server) => states[server] as State, 'n', nobody);
    expect(order).toEqual(['d:1', 'c:1', 'b:1', 'a:1']);
  });

  it('begins with the own one of a control plane, as long as it is healthy', () => {
    expect(inOrder(members, healthy, 'n', (host) => host === 'c')[0]).toBe('c:1');
    const sick = (server: string): State => (server === 'c:1' ? 'down' : 'healthy');
    expect(inOrder(members, sick, 'n', (host) => host === 'c')[3]).toBe('c:1');
  });

  it('ends with those that the cluster does not list any more', () => {
    const gone = members.map(({ server }) => (server === 'a:1' ? { server, goneSince: 5 } : { server }));
    for (const node of ['n1', 'n2', 'n3']) expect(inOrder(gone, healthy, node, nobody)[3]).toBe('a:1');
  });

  it('is the same each time on a node, and spreads nodes over the servers', () => {
    const first = Array.from({ length: 400 }, (_, i) => inOrder(members, healthy, `node${i}`, nobody)[0]);
    for (const { server } of members) {
      const share = first.filter((chosen) => chosen === server).length;
      expect(share).toBeGreaterThan(60);
      expect(share).toBeLessThan(140);
    }
    expect(inOrder(members.toReversed(), healthy, 'n', nobody)).toEqual(inOrder(members, healthy, 'n', nobody));
  });

  it('of the others stays when one is lost', () => {
    const before = inOrder(members, healthy, 'n', nobody);
    const left = members.filter(({ server }) => server !== before[0]);
    expect(inOrder(left, healthy, 'n', nobody)).toEqual(before.slice(1));
  });
});

describe('the health of an API server', () => {
  it.each<[Outcome[], State]>([
    [['ready'], 'healthy'],
    [['unready'], 'suspect'],
    [['unready', 'unready'], 'suspect'],
    [['unready', 'unready', 'unready'], 'down'],
    [['unready', 'unready', 'ready', 'unready'], 'suspect'],
    [['silent'], 'suspect'],
    [['silent', 'silent'], 'down'],
    [['silent', 'ready', 'silent'], 'suspect'],
    [['ready', 'refused'], 'down'],
    [['refused', 'ready'], 'healthy'],
    [['refused', 'silent'], 'down'],
    [['refused', 'ready', 'unready'], 'suspect'],
  ])('after %j is %s', (outcomes, state) => {
    const health = outcomes.reduce<Health>((known, outcome) => judge(known, outcome), {
      state: 'unknown',
      failures: 0,
    });
    expect(health.state).toBe(state);
  });

  it('is not bad as long as its connections bring something, however late its answers are', () => {
    let health: Health = { state: 'healthy', failures: 0 };
    for (let i = 0; i < 9; i++) health = judge(health, 'silent', i > 0);
    expect(health.state).toBe('suspect');
    expect(judge(health, 'silent').state).toBe('down');
    expect(judge(judge(health, 'unready', true), 'unready', true).state).toBe('down');
  });

  it.each<[State, boolean, number]>([
    ['healthy', true, 1_000],
    ['healthy', false, 5_000],
    ['suspect', true, 200],
    ['suspect', false, 200],
    ['down', false, 1_000],
  ])('%s, used %s: is asked again after %d ms', (state, used, ms) => expect(delayFor(state, used)).toBe(ms));
});
