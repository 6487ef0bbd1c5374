import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createChanges } from '../../../src/installer/host/changes.ts';
import type { Host } from '../../../src/installer/host/host.ts';
import { journalPath, openJournal, parseJournal, stateFolder } from '../../../src/installer/host/journal.ts';
import { turnSwapOff, withoutSwap } from '../../../src/installer/host/swap.ts';
import { applySettings } from '../../../src/installer/host/sysctl.ts';
import { undoAll } from '../../../src/installer/host/undo.ts';
import { scratchHost, scratchRoot, snapshot } from './scratch.ts';

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

const original = {
  '/etc/fstab': 'UUID=1 / ext4 defaults 0 1\n/swapfile none swap sw 0 0\n# /old none swap sw 0 0\n',
  '/etc/hosts': '127.0.0.1 localhost\n',
  '/etc/cni/net.d/10-mine.conf': '{}',
  '/proc/swaps': 'Filename\tType\tSize\tUsed\tPriority\n/swapfile file 1024 0 -2\n',
  '/proc/sys/net/ipv4/ip_forward': '0\n',
  '/proc/sys/net/bridge/bridge-nf-call-iptables': '0\n',
  '/proc/sys/net/bridge/bridge-nf-call-ip6tables': '1\n',
};

/** swapon and swapoff act on the root's /proc/swaps, as the kernel does. */
function hostWithSwap(root: string): Host {
  const header = 'Filename\tType\tSize\tUsed\tPriority\n';
  return scratchHost(root, (command) => {
    if (command === 'swapoff') writeFileSync(join(root, '/proc/swaps'), header);
    if (command === 'swapon') writeFileSync(join(root, '/proc/swaps'), original['/proc/swaps']);
    return {};
  });
}

class Killed extends Error {}

/** Dies at the nth step: no call after it does anything. `torn` leaves half of what an append would have written. */
function killedAt(host: Host, step: number, torn: boolean): Host {
  let steps = 0;
  const count = () => {
    if (steps++ >= step) throw new Killed(`killed at step ${step}`);
  };
  return {
    ...host,
    async appendFile(path, content, mode) {
      if (steps === step && torn) await host.appendFile(path, content.slice(0, content.length / 2), mode);
      count();
      return host.appendFile(path, content, mode);
    },
    async writeFile(...args) {
      count();
      return host.writeFile(...args);
    },
    async writeKernel(...args) {
      count();
      return host.writeKernel(...args);
    },
    async symlink(...args) {
      count();
      return host.symlink(...args);
    },
    async makeDirectory(...args) {
      count();
      return host.makeDirectory(...args);
    },
    async run(...args) {
      count();
      return host.run(...args);
    },
  };
}

async function changeEverything(host: Host): Promise<void> {
  const changes = createChanges(host, await openJournal(host));
  await turnSwapOff(changes);
  await applySettings(changes);
  await changes.file('/etc/hosts', '127.0.0.1 localhost\n10.0.0.1 cp1\n');
  await changes.file('/etc/containerd/config.toml', 'version = 2\n', { mode: 0o600 });
  await changes.folder('/var/lib/kubelet', 0o700);
  await changes.file('/var/lib/kubelet/pki/deep/key', 'secret', { mode: 0o600 });
  await changes.folder('/etc/cni/net.d');
  await host.writeFile('/etc/cni/net.d/10-kinit.conflist', '{}');
  await changes.link('/usr/local/bin/kubectl', '/opt/kinit/current/bin/kubectl');
}

async function undoEverything(host: Host): Promise<string[]> {
  const journal = await openJournal(host);
  const { problems } = await undoAll(host, journal.entries);
  await host.remove(stateFolder);
  await host.removeEmptyDirectory('/var/lib');
  await host.removeEmptyDirectory('/var');
  return problems;
}

describe('the journal', () => {
  it('puts a changed host back exactly as it was', async () => {
    const root = scratchRoot(original);
    roots.push(root);
    const host = hostWithSwap(root);
    const before = snapshot(root);
    await changeEverything(host);
    expect(snapshot(root)['/etc/fstab']).toContain('# kinit: swap is off for the kubelet: /swapfile');
    expect(snapshot(root)['/proc/sys/net/ipv4/ip_forward']).toContain('1');
    expect(await undoEverything(host)).toEqual([]);
    expect(snapshot(root)).toEqual(before);
  });

  it('removes nothing from a folder in which something is mounted, also behind a link', async () => {
    const root = scratchRoot({ '/data/kubelet/config.yaml': 'x', '/proc/self/mountinfo': '' });
    roots.push(root);
    mkdirSync(join(root, 'var/lib'), { recursive: true });
    symlinkSync('../../data/kubelet', join(root, 'var/lib/kubelet'));
    const host = scratchHost(root, (command) => (command === 'readlink' ? { stdout: '/data/kubelet\n' } : {}));
    const folder = { kind: 'folder' as const, path: '/var/lib/kubelet', existed: true, kept: [] };
    const at = '/data/kubelet/pods/u/volumes/kubernetes.io~local-volume/v';
    writeFileSync(join(root, '/proc/self/mountinfo'), `1 2 8:1 /srv ${at} rw - ext4 /dev/sda rw\n`);
    expect(await undoAll(host, [folder])).toEqual({
      problems: [`/var/lib/kubelet: nothing is removed, as there is something mounted: ${at}`],
    });
    expect(await host.list('/data/kubelet')).toEqual(['config.yaml']);
    writeFileSync(join(root, '/proc/self/mountinfo'), '');
    expect((await undoAll(host, [folder])).problems).toEqual([]);
    expect(await host.list('/data/kubelet')).toEqual([]);
  });

  it.each([false, true])('undoes a run that was killed at any step (torn line: %s)', async (torn) => {
    for (let step = 0; ; step++) {
      const root = scratchRoot(original);
      roots.push(root);
      const host = hostWithSwap(root);
      const before = snapshot(root);
      let finished = true;
      try {
        await changeEverything(killedAt(host, step, torn));
      } catch (error) {
        expect(error).toBeInstanceOf(Killed);
        finished = false;
      }
      expect(await undoEverything(host)).toEqual([]);
      expect(snapshot(root), `killed at step ${step}`).toEqual(before);
      if (finished) {
        expect(step).toBeGreaterThan(20);
        break;
      }
    }
  });

  it('converges when a killed run is repeated, and undoes both', async () => {
    for (const step of [3, 9, 17, 25]) {
      const root = scratchRoot(original);
      roots.push(root);
      const host = hostWithSwap(root);
      const before = snapshot(root);
      await expect(changeEverything(killedAt(host, step, true))).rejects.toThrow(Killed);
      await changeEverything(host);
      expect(snapshot(root)['/etc/containerd/config.toml']).toBe('600 version = 2\n');
      await undoEverything(host);
      expect(snapshot(root)).toEqual(before);
    }
  });

  it('changes nothing in a second run', async () => {
    const root = scratchRoot(original);
    roots.push(root);
    const host = hostWithSwap(root);
    await changeEverything(host);
    const lines = (await openJournal(host)).entries.length;
    const changes = createChanges(host, await openJournal(host));
    expect(await turnSwapOff(changes)).toBe(false);
    expect(await applySettings(changes)).toBe(false);
    expect(await changes.file('/etc/containerd/config.toml', 'version = 2\n', { mode: 0o600 })).toBe(false);
    expect(changes.journal.entries.length).toBe(lines);
  });

  it('keeps the oldest state of a path', async () => {
    const root = scratchRoot({ '/etc/a': 'first' });
    roots.push(root);
    const host = scratchHost(root);
    const changes = createChanges(host, await openJournal(host));
    await changes.file('/etc/a', 'second');
    await changes.file('/etc/a', 'third');
    await undoEverything(host);
    expect(snapshot(root)['/etc/a']).toBe('644 first');
  });

  it('reads complete lines only', () => {
    expect(parseJournal('{"kind":"note","what":"a"}\n{"kind":"no')).toEqual([{ kind: 'note', what: 'a' }]);
    expect(parseJournal('')).toEqual([]);
    expect(journalPath).toBe('/var/lib/kinit/journal.jsonl');
  });
});

describe('fstab', () => {
  it('comments out swap and nothing else', () => {
    expect(withoutSwap('/dev/sdb none swap sw 0 0\n# /x none swap\n/dev/sdc /swap ext4 rw 0 0\n')).toBe(
      '# kinit: swap is off for the kubelet: /dev/sdb none swap sw 0 0\n# /x none swap\n/dev/sdc /swap ext4 rw 0 0\n',
    );
  });
});
