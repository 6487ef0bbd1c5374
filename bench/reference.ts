/** What this machine can do right now, measured beside everything else: figures of noisy machines only compare as ratios to it. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

export interface Reference {
  /** SHA-256 of 1 GiB, on one core. */
  hashSeconds: number;
  /** `node -e 0`, middle of seven. */
  nodeStartSeconds: number;
  /** A Node process that does nothing. */
  nodeRssMb: number;
}

export async function measureReference(node: string): Promise<Reference> {
  const block = Buffer.alloc(1 << 24, 7);
  const hash = createHash('sha256');
  const started = performance.now();
  for (let i = 0; i < 64; i++) hash.update(block);
  hash.digest();
  const hashSeconds = (performance.now() - started) / 1000;
  const starts = Array.from({ length: 7 }, () => {
    const begun = performance.now();
    spawnSync(node, ['-e', '0']);
    return (performance.now() - begun) / 1000;
  });
  return { hashSeconds, nodeStartSeconds: middle(starts), nodeRssMb: await idleNodeRss(node) };
}

export function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

async function idleNodeRss(node: string): Promise<number> {
  const child = spawn(node, ['-e', 'process.stdout.write("up"); setInterval(() => {}, 1e6)'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await new Promise((resolve, reject) => {
      child.stdout.once('data', resolve);
      child.once('exit', () => reject(new Error('node -e ended')));
    });
    return rssMb(child.pid ?? 0);
  } finally {
    child.kill();
  }
}

export function rssMb(pid: number): number {
  const kb = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kb) / 1024;
}
