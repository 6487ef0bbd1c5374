/** The kubelet is started again with new settings, also by the run after one that was killed before it could do that. */
import { rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createChanges } from '../../../src/installer/host/changes.ts';
import type { HostFacts } from '../../../src/installer/host/facts.ts';
import { openJournal } from '../../../src/installer/host/journal.ts';
import { startKubelet } from '../../../src/installer/runtime/kubelet.ts';
import { scratchHost, scratchRoot } from './scratch.ts';

const facts = { os: { family: 'debian' } } as HostFacts;
let root: string;
let restarts: number;
/** systemd that does not answer: the run ends there. */
let killed: boolean;

async function start(maxPods: number): Promise<boolean> {
  const host = scratchHost(root, (_command, args) => {
    if (args[0] === 'show') return { stdout: 'UnitFileState=enabled\nActiveState=active\n' };
    if (args[0] === 'restart' && killed) throw new Error('killed');
    if (args[0] === 'restart') restarts++;
    return {};
  });
  const files = {
    cluster: { maxPods, resolvConf: '/etc/resolv.conf' },
    instance: {},
    flags: 'KUBELET_KUBEADM_ARGS=""\n',
    facts,
  };
  return startKubelet(createChanges(host, await openJournal(host)), files);
}

beforeEach(() => {
  root = scratchRoot({ '/proc/sys/kernel/panic': '0' });
  restarts = 0;
  killed = false;
});
afterEach(() => rmSync(root, { recursive: true }));

describe('the kubelet', () => {
  it('is started again when its settings change, and only then', async () => {
    expect([await start(110), restarts]).toEqual([true, 1]);
    expect([await start(110), restarts]).toEqual([false, 1]);
    expect([await start(60), restarts]).toEqual([true, 2]);
  });

  it('is started again by the next run when one was killed before it', async () => {
    await start(110);
    killed = true;
    await expect(start(60)).rejects.toThrow('killed');
    killed = false;
    expect([await start(60), restarts]).toEqual([true, 2]);
    expect([await start(60), restarts]).toEqual([false, 2]);
  });
});
