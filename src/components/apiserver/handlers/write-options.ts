/** What every write request says about itself: dry run, field manager, field validation; bodies decoded accordingly. */
import type { UnknownObject } from '../../../machinery/api/types.ts';
import { type DecodeTarget, decodeBody, type FieldValidation } from '../codec/decode.ts';
import { badRequest, type FieldError, invalid } from '../errors.ts';
import { managerName } from '../managedfields/field-manager.ts';
import type { WriteContext } from '../rest/deps.ts';
import { readBody } from '../server/request-body.ts';
import type { RequestContext } from '../types.ts';
import { dryRunParameter } from './query.ts';

/** Throws 400 for another value. */
export function fieldValidation(query: URLSearchParams): FieldValidation {
  const given = query.get('fieldValidation') || 'Warn';
  if (given !== 'Strict' && given !== 'Warn' && given !== 'Ignore')
    throw badRequest(
      `fieldValidation: Unsupported value: ${JSON.stringify(given)}: supported values: "Ignore", "Strict", "Warn"`,
    );
  return given;
}

/** `kind` names the options in errors, for example `PatchOptions`. */
export function writeContext(ctx: RequestContext, kind: string, subresource = '', defaultManager = ''): WriteContext {
  const query = ctx.url.searchParams;
  const dryRun = dryRunParameter(query.getAll('dryRun'));
  const given = query.get('fieldManager') ?? defaultManager;
  checkManager(given, kind);
  const manager = managerName(given, ctx.req.headers['user-agent']);
  return {
    user: ctx.user,
    dryRun,
    options: {
      kind,
      apiVersion: 'meta.k8s.io/v1',
      ...(dryRun ? { dryRun: ['All'] } : {}),
      ...(given ? { fieldManager: given } : {}),
      ...(query.get('fieldValidation') ? { fieldValidation: query.get('fieldValidation') } : {}),
    },
    warn: (text) => ctx.warn(text),
    manager: { manager, ...(subresource ? { subresource } : {}), now: new Date() },
    admit: true,
  };
}

function checkManager(name: string, kind: string): void {
  const errors: FieldError[] = [];
  if (name.length > 128)
    errors.push({
      type: 'FieldValueTooLong',
      field: 'fieldManager',
      message: 'Too long: may not be more than 128 bytes',
    });
  const bad = [...name].find((char) => !/[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(char));
  if (bad)
    errors.push({
      type: 'FieldValueInvalid',
      field: 'fieldManager',
      message: `Invalid value: ${JSON.stringify(name)}: invalid character U+${bad.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')} (at position ${name.indexOf(bad)})`,
    });
  if (errors.length) throw invalid('meta.k8s.io', kind, '', errors);
}

/** Reads and decodes the body as `target`, and hands its warnings on. */
export async function decodedBody(ctx: RequestContext, target: DecodeTarget): Promise<UnknownObject> {
  const body = await readBody(ctx.req);
  const { object, warnings } = decodeBody(
    body,
    ctx.req.headers['content-type'],
    target,
    fieldValidation(ctx.url.searchParams),
  );
  for (const warning of warnings) ctx.warn(warning);
  ctx.audit?.requested(object);
  return object;
}
