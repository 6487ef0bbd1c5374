/** What the operations on stored objects need: registry, caches, etcd, admission and the kinds' strategies. */
import type { AdmissionChain } from '../admission/chain.ts';
import type { FieldWrite } from '../managedfields/field-manager.ts';
import type { Caches } from '../storage/caches.ts';
import type { Store } from '../storage/store.ts';
import type { WatchCache } from '../storage/watch-cache.ts';
import type { Strategies } from '../strategies/strategies.ts';
import type { ApiRegistry, CacheReader, ResourceDescriptor, UserInfo } from '../types.ts';

export interface RestDeps {
  registry: ApiRegistry;
  caches: Caches;
  watchCache: WatchCache;
  store: Store;
  reader: CacheReader;
  admission: AdmissionChain;
  strategies: Strategies;
}

/** Who writes, and how. */
export interface WriteContext {
  user: UserInfo;
  dryRun: boolean;
  /** Create, update, patch or delete options, for admission. */
  options: Record<string, unknown>;
  warn(text: string): void;
  /** Absent: ownership of fields is not recorded (the server's own writes). */
  manager?: FieldWrite;
  /** False only for the server's own writes that admission must not see. */
  admit: boolean;
}

export interface ObjectKey {
  descriptor: ResourceDescriptor;
  namespace: string;
  name: string;
}
