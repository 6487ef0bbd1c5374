/** A binary heap with removal by key. */

export class Heap<T> {
  readonly #items: T[] = [];
  readonly #positions = new Map<string, number>();
  readonly #key: (item: T) => string;
  readonly #less: (a: T, b: T) => boolean;

  constructor(key: (item: T) => string, less: (a: T, b: T) => boolean) {
    this.#key = key;
    this.#less = less;
  }

  get size(): number {
    return this.#items.length;
  }

  peek(): T | undefined {
    return this.#items[0];
  }

  get(key: string): T | undefined {
    const at = this.#positions.get(key);
    return at === undefined ? undefined : this.#items[at];
  }

  values(): readonly T[] {
    return this.#items;
  }

  /** Adds the item or replaces the one with its key. */
  set(item: T): void {
    const key = this.#key(item);
    const at = this.#positions.get(key) ?? this.#items.length;
    this.#place(item, at);
    this.#settle(at);
  }

  pop(): T | undefined {
    const top = this.#items[0];
    if (top !== undefined) this.delete(this.#key(top));
    return top;
  }

  delete(key: string): T | undefined {
    const at = this.#positions.get(key);
    if (at === undefined) return undefined;
    const item = this.#items[at] as T;
    this.#positions.delete(key);
    const last = this.#items.pop() as T;
    if (at < this.#items.length) {
      this.#place(last, at);
      this.#settle(at);
    }
    return item;
  }

  #place(item: T, at: number): void {
    this.#items[at] = item;
    this.#positions.set(this.#key(item), at);
  }

  #settle(from: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#lessAt(at, parent)) break;
      this.#swap(at, parent);
      at = parent;
    }
    for (;;) {
      const left = 2 * at + 1;
      if (left >= this.#items.length) return;
      const right = left + 1;
      const child = right < this.#items.length && this.#lessAt(right, left) ? right : left;
      if (!this.#lessAt(child, at)) return;
      this.#swap(at, child);
      at = child;
    }
  }

  #lessAt(a: number, b: number): boolean {
    return this.#less(this.#items[a] as T, this.#items[b] as T);
  }

  #swap(a: number, b: number): void {
    const [first, second] = [this.#items[a] as T, this.#items[b] as T];
    this.#place(second, a);
    this.#place(first, b);
  }
}
