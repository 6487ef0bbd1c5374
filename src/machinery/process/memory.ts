/**
 * Gives memory outside V8's heap back in time. TLS connections and buffers are freed by the garbage collector, which V8 runs by
 * the growth of its own heap; in a component that makes many connections and little garbage that is far too late.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const checkMs = 30_000;
const growthBytes = 16 * 1024 * 1024;

/** Collects when the process has grown by some megabytes since the last time; never keeps the process alive. */
export function releaseMemoryRegularly(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  let before = process.memoryUsage.rss();
  setInterval(() => {
    if (process.memoryUsage.rss() < before + growthBytes) return;
    collect();
    before = process.memoryUsage.rss();
  }, checkMs).unref();
}
