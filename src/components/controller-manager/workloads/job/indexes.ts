/** Sets of completion indexes and their text in a Job's status: `1,3-5,7`. */
export class IndexSet {
  readonly #indexes: Set<number>;

  constructor(indexes: Iterable<number> = []) {
    this.#indexes = new Set(indexes);
  }

  /** Indexes at or above `limit` are left out; text that is none is an empty set. */
  static parse(text: string | undefined, limit = Number.POSITIVE_INFINITY): IndexSet {
    const found: number[] = [];
    for (const part of (text ?? '').split(',')) {
      const match = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
      if (!match) continue;
      const last = Math.min(Number(match[2] ?? match[1]), limit - 1);
      for (let index = Number(match[1]); index <= last; index += 1) found.push(index);
    }
    return new IndexSet(found);
  }

  get size(): number {
    return this.#indexes.size;
  }

  has = (index: number): boolean => this.#indexes.has(index);
  with = (more: Iterable<number>): IndexSet => new IndexSet([...this.#indexes, ...more]);

  toString(): string {
    const sorted = [...this.#indexes].sort((a, b) => a - b);
    const parts: string[] = [];
    for (let start = 0; start < sorted.length; ) {
      let end = start;
      while (sorted[end + 1] === (sorted[end] as number) + 1) end += 1;
      const [first, last] = [sorted[start], sorted[end]];
      // Two neighbours are written as two numbers, as upstream does.
      parts.push(end === start ? `${first}` : end === start + 1 ? `${first},${last}` : `${first}-${last}`);
      start = end + 1;
    }
    return parts.join(',');
  }
}
