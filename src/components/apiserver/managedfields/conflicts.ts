/** The 409 answer of an apply that would change fields of others, worded as upstream words it. */
import type { StatusCause } from '../../../machinery/api/types.ts';
import { applyConflict, type StatusError } from '../errors.ts';
import { type Owner, ownerText } from './entries.ts';
import { eachMember, type FieldSet, pathText } from './field-set.ts';

export interface Conflict {
  owner: Owner;
  fields: FieldSet;
}

/** `"kubectl" with subresource "status" using v1` */
function ownerName({ manager, operation, apiVersion, subresource }: Owner): string {
  const name = JSON.stringify(manager) + (subresource ? ` with subresource ${JSON.stringify(subresource)}` : '');
  return operation === 'Update' ? `${name} using ${apiVersion}` : name;
}

export function conflictError(conflicts: Conflict[]): StatusError {
  const sorted = conflicts
    .map((conflict) => ({ ...conflict, key: ownerText(conflict.owner) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  const causes: StatusCause[] = [];
  const lines: string[] = [];
  for (const { owner, fields } of sorted) {
    lines.push(`conflicts with ${ownerName(owner)}:`);
    eachMember(fields, (path) => {
      const field = pathText(path);
      causes.push({ reason: 'FieldManagerConflict', message: `conflict with ${ownerName(owner)}`, field });
      lines.push(`- ${field}`);
    });
  }
  const [first] = causes;
  const message =
    causes.length === 1 && first
      ? `Apply failed with 1 conflict: ${first.message}: ${first.field}`
      : `Apply failed with ${causes.length} conflicts: ${lines.join('\n')}`;
  return applyConflict(message, causes);
}
