import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cgroupUsage, podCgroups, processOf } from '../../../src/components/kubelet/stats/cgroups.ts';
import { createRates } from '../../../src/components/kubelet/stats/observation.ts';
import { diskUsage } from '../../../src/components/kubelet/stats/volume-usage.ts';

function tree(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'kinit-cgroup-'));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

const uid = '5e7ffeb8-9e5a-42ec-a3fd-31166d0791ca';

describe('usage of a control group', () => {
  it('is read from version 1, one tree per controller', async () => {
    const at = `kubepods/burstable/pod${uid}`;
    const root = tree({
      [`cpuacct/${at}/cpuacct.usage`]: '1500\n',
      [`memory/${at}/memory.usage_in_bytes`]: '1000\n',
      [`memory/${at}/memory.limit_in_bytes`]: '9223372036854771712\n',
      [`memory/${at}/memory.stat`]:
        'cache 1\ntotal_cache 600\ntotal_rss 300\ntotal_inactive_file 400\ntotal_pgfault 7\n',
      [`memory/${at}/cgroup.procs`]: '',
      [`memory/${at}/abc/cgroup.procs`]: '42\n43\n',
      [`pids/${at}/pids.current`]: '3\n',
    });
    const groups = await podCgroups('/kubepods', root);
    expect([...groups]).toEqual([[uid, `/${at}`]]);
    expect(await cgroupUsage(`/${at}`, root)).toEqual({
      cpuNanoseconds: 1500,
      memoryBytes: 1000,
      workingSetBytes: 600,
      rssBytes: 300,
      cacheBytes: 600,
      pageFaults: 7,
      processes: 3,
    });
    expect(await processOf(`/${at}`, root)).toBe(42);
  });

  it('is read from version 2, with the names that systemd gives', async () => {
    const at = `kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${uid.replaceAll('-', '_')}.slice`;
    const root = tree({
      'cgroup.controllers': 'cpu memory\n',
      [`${at}/cpu.stat`]: 'usage_usec 15\nuser_usec 10\n',
      [`${at}/memory.current`]: '1000\n',
      [`${at}/memory.max`]: '4096\n',
      [`${at}/memory.stat`]: 'anon 300\nfile 600\ninactive_file 400\npgfault 7\npgmajfault 1\n',
      [`${at}/memory.swap.current`]: '5\n',
    });
    expect([...(await podCgroups('/kubepods.slice', root))]).toEqual([[uid, `/${at}`]]);
    expect(await cgroupUsage(`/${at}`, root)).toMatchObject({
      cpuNanoseconds: 15_000,
      workingSetBytes: 600,
      memoryLimitBytes: 4096,
      swapBytes: 5,
      majorPageFaults: 1,
    });
  });

  it('is empty for a group that is gone', async () => {
    expect(await cgroupUsage('/none', tree({ 'memory/x': '' }))).toEqual({});
    expect((await podCgroups('/kubepods', tree({ 'memory/x': '' }))).size).toBe(0);
  });
});

it('rates need two samples a second apart', () => {
  let now = 0;
  const rates = createRates(() => now);
  expect(rates.nanoCores('container/a', 1_000_000_000)).toBeUndefined();
  now = 2_000;
  expect(rates.nanoCores('container/a', 2_000_000_000)).toBe(500_000_000);
  now = 2_500;
  expect(rates.nanoCores('container/a', 9_000_000_000)).toBe(500_000_000);
  rates.keep(new Set());
  now = 9_000;
  expect(rates.nanoCores('container/a', 9_000_000_000)).toBeUndefined();
});

it('disk usage counts blocks and files of a folder', async () => {
  const root = tree({ 'a/b': 'x'.repeat(10_000), 'a/c': '' });
  const usage = await diskUsage(root);
  expect(usage.inodesUsed).toBe(4);
  expect(usage.usedBytes).toBeGreaterThanOrEqual(10_000);
});
