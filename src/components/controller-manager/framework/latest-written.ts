/** What a controller wrote last, until the cache has it: a decision must not be made on an older state than the last one. */
import { objectKey } from '../../../machinery/api/owners.ts';
import type { KubeObject } from '../../../machinery/api/types.ts';

export class LatestWritten<T extends KubeObject> {
  readonly #objects = new Map<string, T>();

  wrote(object: T): void {
    this.#objects.set(objectKey(object), object);
  }

  /** The cached object, or what was written of the same object when that is newer. */
  of(cached: T): T {
    const key = objectKey(cached);
    const written = this.#objects.get(key);
    if (!written) return cached;
    const isNewer =
      written.metadata?.uid === cached.metadata?.uid &&
      isOlder(cached.metadata?.resourceVersion ?? '', written.metadata?.resourceVersion ?? '');
    if (isNewer) return written;
    this.#objects.delete(key);
    return cached;
  }

  forget(key: string): void {
    this.#objects.delete(key);
  }
}

/** Compares versions, which are growing decimal numbers. */
export const isOlder = (version: string, than: string): boolean =>
  version.length === than.length ? version < than : version.length < than.length;
