/** What plugins remember between the extension points of one scheduling cycle of one pod. */

/** State that preemption changes while it tries out other sets of pods. */
export interface CloneableState {
  clone(): this;
}

export class CycleState {
  readonly #values = new Map<string, CloneableState>();
  /** Plugins whose Filter, or Score, is left out for this pod. */
  readonly skippedFilters = new Set<string>();
  readonly skippedScores = new Set<string>();

  set(plugin: string, value: CloneableState): void {
    this.#values.set(plugin, value);
  }

  /** The caller knows the type, since it alone writes under its name. */
  get<T extends CloneableState>(plugin: string): T | undefined {
    return this.#values.get(plugin) as T | undefined;
  }

  clone(): CycleState {
    const copy = new CycleState();
    for (const [plugin, value] of this.#values) copy.#values.set(plugin, value.clone());
    for (const name of this.skippedFilters) copy.skippedFilters.add(name);
    for (const name of this.skippedScores) copy.skippedScores.add(name);
    return copy;
  }
}

/** State that is only read after it was written. */
export class FixedState<T> implements CloneableState {
  readonly value: T;
  constructor(value: T) {
    this.value = value;
  }
  clone(): this {
    return this;
  }
}
