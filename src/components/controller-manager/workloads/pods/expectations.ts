/**
 * What a controller has asked for and not yet seen in its cache. Until it has, the cache is stale for that object and
 * must not be counted again: otherwise every create or delete would be done twice.
 */
const timeoutMs = 5 * 60_000;

interface Expected {
  creations: number;
  deletions: Set<string>;
  since: number;
}

export class Expectations {
  readonly #byOwner = new Map<string, Expected>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  expectCreations(owner: string, count: number): void {
    this.#byOwner.set(owner, { creations: count, deletions: new Set(), since: this.#now() });
  }

  expectDeletions(owner: string, podKeys: string[]): void {
    this.#byOwner.set(owner, { creations: 0, deletions: new Set(podKeys), since: this.#now() });
  }

  /** For controllers that create and delete in one go. */
  expect(owner: string, creations: number, deletions: string[]): void {
    this.#byOwner.set(owner, { creations, deletions: new Set(deletions), since: this.#now() });
  }

  /** A creation was seen, or will never be because it failed. */
  creationObserved(owner: string, count = 1): void {
    const expected = this.#byOwner.get(owner);
    if (expected) expected.creations -= count;
  }

  deletionObserved(owner: string, podKey: string): void {
    this.#byOwner.get(owner)?.deletions.delete(podKey);
  }

  /** All seen, nothing expected, or waited for so long that something was missed. */
  satisfied(owner: string): boolean {
    const expected = this.#byOwner.get(owner);
    if (!expected) return true;
    if (expected.creations <= 0 && expected.deletions.size === 0) return true;
    return this.#now() - expected.since > timeoutMs;
  }

  forget(owner: string): void {
    this.#byOwner.delete(owner);
  }
}
