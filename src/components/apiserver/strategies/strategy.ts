/** What is special about a kind when it is written: the equivalent of upstream's registry strategies. */
import type { UnknownObject } from '../../../machinery/api/types.ts';
import type { Accompanying } from '../storage/store.ts';
import type { CacheReader, UserInfo } from '../types.ts';

export interface StrategyContext {
  user: UserInfo;
  now: Date;
  cache: CacheReader;
  dryRun: boolean;
  /** A Warning header of the answer. */
  warn(text: string): void;
}

export interface DeleteRequestOptions {
  gracePeriodSeconds?: number | undefined;
  propagationPolicy?: 'Orphan' | 'Background' | 'Foreground' | undefined;
}

export interface Strategy {
  /** The kind keeps `metadata.generation`: it grows with every change outside metadata and status. */
  generation?: boolean;
  /** Changes the object in place, after defaulting and mutating admission, before validation. `metadata` is filled in already. */
  prepareForCreate?(object: UnknownObject, context: StrategyContext): void;
  /** The same for updates of the resource itself. `next` already has `old`'s status. */
  prepareForUpdate?(next: UnknownObject, old: UnknownObject, context: StrategyContext): void;
  /** The same for updates of a subresource; without it `status` takes over everything but status and metadata from `old`. */
  prepareSubresource?: Record<string, (next: UnknownObject, old: UnknownObject, context: StrategyContext) => void>;
  /** Changes the object after validation and names keys to be written with it (addresses, ports). May be asked again after a clash. */
  reserve?(next: UnknownObject, old: UnknownObject | undefined, context: StrategyContext): Accompanying | undefined;
  /** Keys to be written with the delete. */
  release?(object: UnknownObject): Accompanying | undefined;
  /** PUT creates what does not exist. */
  createOnUpdate?: boolean;
  /** PUT must name a resourceVersion. */
  conditionalUpdate?: boolean;
  /** DELETE answers with the object instead of a Status. */
  returnDeleted?: boolean;
  /** When the client names no propagation policy. Background unless told. */
  defaultPropagation?: 'Orphan';
  /** How long the object lives on after a DELETE; undefined: it goes at once. */
  graceSeconds?(object: UnknownObject, options: DeleteRequestOptions): number | undefined;
  /** The object vanishes by itself after `--event-ttl`. */
  ttl?: boolean;
  /** Whether the object may go when it is marked for deletion and has no finalizers. */
  mayGo?(object: UnknownObject): boolean;
  /** Called when a delete marks the object, before it is written. */
  markDeleted?(object: UnknownObject): void;
}

type Fields = Record<string, unknown>;

/** A nested object of `object`, made when it is missing. */
export function section(object: UnknownObject, name: string): Fields {
  const found = object[name];
  if (typeof found === 'object' && found !== null) return found as Fields;
  const made: Fields = {};
  object[name] = made;
  return made;
}
