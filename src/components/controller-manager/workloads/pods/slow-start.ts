/** Many similar calls, first one, then two, four, …: a call that always fails is not tried a thousand times. */

export interface BatchResult {
  succeeded: number;
  /** The first failure; later batches were then not tried. */
  error?: Error;
}

export async function slowStart(count: number, call: (index: number) => Promise<void>): Promise<BatchResult> {
  let succeeded = 0;
  for (let size = Math.min(1, count), start = 0; size > 0; ) {
    const results = await Promise.allSettled(Array.from({ length: size }, (_, offset) => call(start + offset)));
    succeeded += results.filter(({ status }) => status === 'fulfilled').length;
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) return { succeeded, error: failed.reason as Error };
    start += size;
    size = Math.min(size * 2, count - start);
  }
  return { succeeded };
}
