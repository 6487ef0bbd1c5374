/** A document of the user laid over kinit's: objects merge field by field, null stands for the default. */
import { applyMergePatch } from '../../machinery/api/patch/merge-patch.ts';
import type { OpenDocument } from './types.ts';

export function overlay(base: OpenDocument, given: OpenDocument): OpenDocument {
  return applyMergePatch(base, given) as OpenDocument;
}
