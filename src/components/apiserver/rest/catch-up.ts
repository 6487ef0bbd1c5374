/** Between a write and a decision by what the cache has: nothing that is in etcd by then is missed. */
import type { RestDeps } from './deps.ts';

const waitMs = 2_000;

/** The cache takes in all that is in etcd by now; after two seconds it goes on with what it has. */
export async function catchUp({ watchCache, store }: Pick<RestDeps, 'watchCache' | 'store'>): Promise<void> {
  await watchCache.waitFor(await store.etcd.currentRevision(), waitMs);
}
