/** What static pods wrote last, and an etcd that tells of a full disk. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { failWhenFull, lastWords } from '../../../src/installer/control-plane/last-words.ts';
import { localHost } from '../../../src/installer/host/host.ts';

let root: string;
const since = new Date('2026-01-01T00:00:00Z');
const log = (pod: string, number: number, ...rows: string[]) => {
  const folder = join(root, `var/log/pods/kube-system_${pod}/etcd`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${number}.log`), rows.map((row) => `${row}\n`).join(''));
};

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kinit-words-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

it('are the last lines of the newest log, those from before left out', async () => {
  log('etcd-m_1', 2, '2026-01-02T00:00:00Z stderr F two');
  log('etcd-m_1', 10, '2025-12-31T00:00:00Z stderr F before', '2026-01-03T00:00:00Z stderr F ten more words');
  log('etcd-m_2', 0, '2026-01-01T00:00:01Z stderr F of another pod');
  expect(await lastWords(localHost(root), 'etcd', since)).toEqual(['of another pod', 'ten more words']);
  expect(await lastWords(localHost(root), 'kube-apiserver', since)).toEqual([]);
});

it('of an etcd whose disk is full end the wait, with the place', async () => {
  const told = '{"level":"panic","msg":"failed to create WAL","error":"no space left on device"}';
  log('etcd-m_1', 0, `2026-01-01T00:00:01Z stderr F ${told}`);
  await expect(failWhenFull(localHost(root), '/var/lib/etcd', since)).rejects.toMatchObject({
    message: 'no space left for /var/lib/etcd',
    details: { seen: expect.stringContaining(`\netcd: ${told}`) },
  });
});

it('of an etcd that has another trouble, or had this one earlier, do not', async () => {
  log('etcd-m_1', 0, '2025-12-31T00:00:00Z stderr F no space left on device', '2026-01-01T00:00:01Z stderr F bad');
  await failWhenFull(localHost(root), '/var/lib/etcd', since);
});
