/** What is written to a host: whole or not there, also when the disk is full; and only one kinit at a time. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Host, localHost } from '../../../src/installer/host/host.ts';
import { openJournal } from '../../../src/installer/host/journal.ts';
import { lockHost } from '../../../src/installer/host/lock.ts';
import { isFull } from '../../../src/installer/host/no-room.ts';

const run = promisify(execFile);
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kinit-host-'));
});
afterEach(async () => {
  await run('umount', [join(folder, 'small')]).catch(() => undefined);
  rmSync(folder, { recursive: true, force: true });
});

describe('a full disk', () => {
  const small = async () => {
    mkdirSync(join(folder, 'small'));
    await run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'kinit-test', join(folder, 'small')]);
    return join(folder, 'small');
  };

  it('is told with the place, what is free and what is needed; the old file stays, and nothing else', async () => {
    const host = localHost();
    const path = join(await small(), 'ca.key');
    await host.writeFile(path, 'old');
    await expect(host.writeFile(path, Buffer.alloc(100_000))).rejects.toMatchObject({
      code: 'Command',
      message: `no space left for ${path}`,
      details: {
        seen: 'its file system has 60 KiB of 64 KiB free, 98 KiB needed',
        advice: expect.stringMatching(/free some space there .* run the same command again/),
      },
    });
    expect(readdirSync(join(folder, 'small'))).toEqual(['ca.key']);
    expect(readFileSync(path, 'utf8')).toBe('old');
  });

  it('leaves no half entry in the journal, and the next run goes on with it', async () => {
    const at = await small();
    const host = localHost(at);
    const journal = await openJournal(host);
    await journal.record({ kind: 'note', what: 'first' });
    writeFileSync(join(at, 'ballast'), Buffer.alloc(50_000));
    const large = {
      kind: 'path',
      path: '/etc/hosts',
      previous: { type: 'symlink', target: 'x'.repeat(20_000) },
    } as const;
    await expect(journal.record(large)).rejects.toThrow('no space left for /var/lib/kinit/journal.jsonl');
    await expect(journal.record({ kind: 'note', what: 'after' })).rejects.toThrow('no space left');
    expect((await openJournal(host)).entries).toEqual([{ kind: 'note', what: 'first' }]);
    rmSync(join(at, 'ballast'));
    const next = await openJournal(host);
    await next.record(large);
    expect((await openJournal(host)).entries).toEqual([{ kind: 'note', what: 'first' }, large]);
  });

  it.each([
    ['write /var/lib/x: no space left on device', true],
    ['cp: error writing: Disk quota exceeded', true],
    [new Error("ENOSPC: no space left on device, open '/x'"), true],
    ['no route to host', false],
  ])('is seen in %s: %s', (told, expected) => expect(isFull(told)).toBe(expected));
});

describe('the lock of a host', () => {
  const lockPath = () => join(folder, 'run/kinit.lock');

  it('is had by one of many that want it at the same time', async () => {
    const source = join(import.meta.dirname, '../../../src/installer/host');
    const script = `
      import { localHost } from '${source}/host.ts';
      import { lockHost } from '${source}/lock.ts';
      const root = localHost(process.argv[1]);
      const host = { ...root, readFile: (path) => (path.startsWith('/proc/') ? localHost() : root).readFile(path),
        stat: (path) => (path.startsWith('/proc/') ? localHost() : root).stat(path) };
      await new Promise((resolve) => setTimeout(resolve, Number(process.argv[2]) - Date.now()));
      try { await lockHost(host); process.stdout.write('mine\\n'); } catch (error) { process.stdout.write(error.code + ' ' + error.details.seen + '\\n'); }
      process.stdin.resume();
    `;
    const at = String(Date.now() + 1500);
    const all = Array.from({ length: 5 }, () => {
      const child = execFile(process.execPath, ['--input-type=module', '-e', script, folder, at]);
      const told = new Promise<string>((resolve) => child.stdout?.once('data', (text) => resolve(`${text}`.trim())));
      return { child, told };
    });
    const told = await Promise.all(all.map((one) => one.told));
    for (const { child } of all) child.kill();
    const holder = all[told.indexOf('mine')]?.child.pid;
    expect(told.filter((word) => word === 'mine')).toHaveLength(1);
    for (const word of told.filter((one) => one !== 'mine')) expect(word).toContain(`Locked pid ${holder}: `);
    expect(readdirSync(join(folder, 'run'))).toEqual(['kinit.lock']);
  });

  /** A scratch root with the processes of this machine. */
  function withProcesses(): Host {
    const scratch = localHost(folder);
    const at = (path: string) => (path.startsWith('/proc') ? localHost() : scratch);
    return {
      ...scratch,
      readFile: (path: string) => at(path).readFile(path),
      stat: (path: string) => at(path).stat(path),
      list: (path: string) => at(path).list(path),
    };
  }

  it('of one that was killed is taken over when the commands that it had started have ended, but for daemons', async () => {
    const source = join(import.meta.dirname, '../../../src/installer/host/host.ts');
    const commands = `setsid sleep 600 & echo $! > ${folder}/daemon; sleep 1; echo > ${folder}/done`;
    const script = `import { localHost } from '${source}';
      void localHost().run('sh', ['-c', ${JSON.stringify(commands)}]);`;
    const killed = execFile(process.execPath, ['--input-type=module', '-e', script]);
    await vi.waitFor(() => readFileSync(join(folder, 'daemon'), 'utf8'), { timeout: 20_000 });
    mkdirSync(join(folder, 'run'));
    writeFileSync(lockPath(), `${killed.pid}\n1\n`);
    const gone = once(killed, 'exit');
    killed.kill('SIGKILL');
    await gone;
    expect(existsSync(join(folder, 'done'))).toBe(false);
    const unlock = await lockHost(withProcesses());
    expect(existsSync(join(folder, 'done'))).toBe(true);
    const daemon = Number(readFileSync(join(folder, 'daemon'), 'utf8'));
    expect(process.kill(daemon, 0)).toBe(true);
    process.kill(daemon);
    await unlock();
  });

  it.each([
    ['of a process that is gone', '4194304\n1\n'],
    ['of a process whose number another one has by now', `${process.ppid}\n1\n`],
    ['that is empty', ''],
  ])('%s is taken over', async (_, left) => {
    const host = withProcesses();
    mkdirSync(join(folder, 'run'));
    writeFileSync(lockPath(), left);
    const unlock = await lockHost(host);
    expect(readFileSync(lockPath(), 'utf8')).toMatch(new RegExp(`^${process.pid}\n`));
    await unlock();
    expect(readdirSync(join(folder, 'run'))).toEqual([]);
  });
});
