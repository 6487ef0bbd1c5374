/** Writes planned EndpointSlices, and knows when the cache has not caught up with what was written. */
import type { EndpointSlice } from '../../../machinery/api/types.ts';
import { isNotFound } from '../../../machinery/client/errors.ts';
import { endpointSlices } from '../../../machinery/client/resources.ts';
import type { Client } from '../../../machinery/client/types.ts';
import { isOlder } from '../framework/latest-written.ts';

const gone = 'gone';
/** A slice written and not seen for so long was deleted by somebody before it could be seen. */
const patienceMs = 30_000;

export class SliceWriter {
  readonly #client: Client;
  /** By service, by the slice's uid: the version written last. */
  readonly #written = new Map<string, Map<string, string>>();
  readonly #lastWrite = new Map<string, number>();

  constructor(client: Client) {
    this.#client = client;
  }

  async write(key: string, create: EndpointSlice[], update: EndpointSlice[], remove: EndpointSlice[]): Promise<void> {
    const resource = this.#client.resource(endpointSlices);
    const written = this.#written.get(key) ?? new Map<string, string>();
    this.#written.set(key, written);
    this.#lastWrite.set(key, Date.now());
    const remember = ({ metadata }: EndpointSlice) => written.set(metadata?.uid ?? '', metadata?.resourceVersion ?? '');
    // Additions first: a reader must not see an endpoint missing from both slices when it moves.
    for (const slice of create) remember(await resource.create(slice));
    for (const slice of update) remember(await resource.update(slice));
    for (const { metadata } of remove) {
      try {
        await resource.delete({ namespace: metadata?.namespace ?? '', name: metadata?.name ?? '' });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
      written.set(metadata?.uid ?? '', gone);
    }
  }

  /** Whether the cached slices of a service are older than what was written. */
  isStale(key: string, cached: EndpointSlice[]): boolean {
    const written = this.#written.get(key);
    if (!written) return false;
    if (Date.now() - (this.#lastWrite.get(key) ?? 0) > patienceMs) {
      this.forget(key);
      return false;
    }
    const seen = new Map(cached.map(({ metadata }) => [metadata?.uid ?? '', metadata?.resourceVersion ?? '']));
    for (const [uid, version] of written) {
      const cachedVersion = seen.get(uid);
      if (version === gone) {
        if (cachedVersion !== undefined) return true;
        written.delete(uid);
      } else if (cachedVersion === undefined || isOlder(cachedVersion, version)) return true;
    }
    return false;
  }

  /** Whether a slice seen in the cache is as this writer left it. */
  isOwnWrite(key: string, { metadata }: EndpointSlice): boolean {
    const version = this.#written.get(key)?.get(metadata?.uid ?? '');
    return version !== undefined && version !== gone && !isOlder(version, metadata?.resourceVersion ?? '');
  }

  /** Seen deleted: answers whether this writer did it. */
  deleted(key: string, { metadata }: EndpointSlice): boolean {
    const written = this.#written.get(key);
    const own = written?.get(metadata?.uid ?? '') === gone;
    written?.delete(metadata?.uid ?? '');
    return own;
  }

  forget(key: string): void {
    this.#written.delete(key);
    this.#lastWrite.delete(key);
  }
}
