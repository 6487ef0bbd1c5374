/** Nodes of a zone that wait for their NoExecute taint: so many per second, and more slowly when the zone is unhealthy. */
export class RateLimitedZone {
  readonly #waiting = new Set<string>();
  readonly #handle: (node: string) => Promise<void>;
  readonly #onError: (node: string, error: Error) => void;
  #perSecond: number;
  #nextAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #handling = false;

  /** A node whose handling fails goes back to the end of the line. */
  constructor(
    perSecond: number,
    handle: (node: string) => Promise<void>,
    onError: (node: string, error: Error) => void,
  ) {
    this.#perSecond = perSecond;
    this.#handle = handle;
    this.#onError = onError;
  }

  add(node: string): void {
    this.#waiting.add(node);
    this.#schedule();
  }

  remove(node: string): void {
    this.#waiting.delete(node);
  }

  /** 0 stops it. */
  setRate(perSecond: number): void {
    if (this.#perSecond === perSecond) return;
    this.#perSecond = perSecond;
    this.#nextAt = Math.min(this.#nextAt, perSecond > 0 ? Date.now() + 1000 / perSecond : 0);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#schedule();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#waiting.clear();
  }

  #schedule(): void {
    if (this.#timer || this.#handling || this.#waiting.size === 0 || this.#perSecond <= 0) return;
    this.#timer = setTimeout(() => this.#next(), Math.max(0, this.#nextAt - Date.now()));
  }

  async #next(): Promise<void> {
    this.#timer = undefined;
    const [node] = this.#waiting;
    if (node === undefined) return;
    this.#handling = true;
    this.#waiting.delete(node);
    this.#nextAt = Date.now() + 1000 / this.#perSecond;
    try {
      await this.#handle(node);
    } catch (error) {
      this.#onError(node, error as Error);
      this.#waiting.add(node);
    }
    this.#handling = false;
    this.#schedule();
  }
}
