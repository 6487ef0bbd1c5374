/** The contract of informers: a local, watched copy of a resource. `informer.ts` implements it. */
import type { KubeObject } from '../api/types.ts';
import type { ResourceType } from '../client/types.ts';

export interface InformerOptions {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  /** Drops what the component does not need (managedFields, …) before an object is kept. */
  transform?: (object: KubeObject) => KubeObject;
  /** How often every object is handed to `onUpdate` again; 0 (the default) is never. */
  resyncMs?: number;
}

export interface EventHandler<T> {
  onAdd?(object: T, isInInitialList: boolean): void;
  onUpdate?(oldObject: T, newObject: T): void;
  /** `object` is the last known state. */
  onDelete?(object: T): void;
}

/** Objects in the store are shared: never modify them, `structuredClone` first. Keys are `namespace/name` or `name`. */
export interface Store<T> {
  get(key: string): T | undefined;
  list(): T[];
  keys(): string[];
  /** Objects whose index function returned `value`; the index must have been added with `addIndex`. */
  byIndex(index: string, value: string): T[];
}

export interface Informer<T extends KubeObject> {
  readonly store: Store<T>;
  readonly hasSynced: boolean;
  /** Handlers added after the start first see every object as added. Returns a function that removes it. */
  addHandler(handler: EventHandler<T>): () => void;
  addIndex(name: string, valuesOf: (object: T) => string[]): void;
  /** Resolves once the first list has been delivered to all handlers. */
  synced(signal?: AbortSignal): Promise<void>;
  /** Lists and watches until the signal fires; reconnects with back-off, re-lists on 410. */
  run(signal: AbortSignal): Promise<void>;
}

/** One informer per resource and option set, shared by everything in a process. */
export interface InformerFactory {
  informer<T extends KubeObject>(type: ResourceType<T>, options?: InformerOptions): Informer<T>;
  /** Starts those not yet started. */
  start(signal: AbortSignal): void;
  /** Resolves when all started informers have synced. */
  synced(signal?: AbortSignal): Promise<void>;
}
