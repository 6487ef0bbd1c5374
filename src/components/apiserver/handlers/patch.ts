/** PATCH: JSON patch, merge patch, strategic merge patch and server-side apply. */
import { CORE_SCHEMA, load } from 'js-yaml';
import { applyJsonPatch, PatchError } from '../../../machinery/api/patch/json-patch.ts';
import { applyMergePatch } from '../../../machinery/api/patch/merge-patch.ts';
import { applyStrategicMergePatch } from '../../../machinery/api/patch/strategic-merge.ts';
import type { UnknownObject } from '../../../machinery/api/types.ts';
import { normalize } from '../codec/decode.ts';
import { apiVersionOf } from '../conversion/conversion.ts';
import { applyDefaults } from '../defaulting/defaulting.ts';
import { badRequest, type FieldError, invalid, StatusError, unsupportedMediaType } from '../errors.ts';
import { applyPatch } from '../managedfields/field-manager.ts';
import { createObject } from '../rest/create.ts';
import type { ObjectKey, WriteContext } from '../rest/deps.ts';
import { checkLocation } from '../rest/metadata.ts';
import { updateObject } from '../rest/update.ts';
import { readBody } from '../server/request-body.ts';
import { isTrue } from '../server/request-info.ts';
import type { RequestContext, ResourceDescriptor } from '../types.ts';
import type { ReadDeps } from './read.ts';
import { negotiated } from './respond-object.ts';
import { answerObject } from './write.ts';
import { fieldValidation, writeContext } from './write-options.ts';

export type PatchKind = 'json' | 'merge' | 'strategic' | 'apply';

const kinds: Record<string, PatchKind> = {
  'application/json-patch+json': 'json',
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
  'application/apply-patch+yaml': 'apply',
};

/** Throws 415. */
export function patchKind(contentType: string | undefined, custom: boolean): PatchKind {
  const kind = kinds[(contentType ?? '').split(';')[0]?.trim() ?? ''];
  if (kind && !(custom && kind === 'strategic')) return kind;
  const accepted = Object.keys(kinds).filter((type) => !(custom && kinds[type] === 'strategic'));
  throw unsupportedMediaType(
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
  );
}

/** As upstream answers: what cannot be read is the client's fault in detail, what cannot be applied only in general. */
function patchStatus({ problem, message }: PatchError): StatusError {
  if (problem === 'malformed') return badRequest(message);
  const failed = problem === 'failed';
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: failed ? 'the server rejected our request due to an error in our request' : message,
    ...(failed ? { reason: 'Invalid', details: {} } : {}),
    code: failed ? 422 : 500,
  });
}

/** Applies a patch that is no server-side apply to a plain object. Throws StatusErrors. */
export function patched(
  kind: Exclude<PatchKind, 'apply'>,
  patch: unknown,
  current: UnknownObject,
  descriptor: Pick<ResourceDescriptor, 'schema'>,
): UnknownObject {
  try {
    const result =
      kind === 'json'
        ? applyJsonPatch(current, patch)
        : kind === 'merge'
          ? applyMergePatch(current, patch)
          : applyStrategicMergePatch(current, patch, descriptor.schema);
    return structuredClone(result) as UnknownObject;
  } catch (error) {
    if (error instanceof PatchError) throw patchStatus(error);
    throw error;
  }
}

export function parsePatch(kind: PatchKind, body: Buffer): unknown {
  try {
    return kind === 'apply' ? load(body.toString(), { schema: CORE_SCHEMA }) : JSON.parse(body.toString());
  } catch (error) {
    throw badRequest(
      kind === 'apply'
        ? `error decoding YAML: ${(error as Error).message}`
        : `error decoding patch: ${(error as Error).message}`,
    );
  }
}

export async function patchObject(
  deps: ReadDeps,
  ctx: RequestContext,
  key: ObjectKey,
  subresource: string,
): Promise<void> {
  const { descriptor } = key;
  negotiated(ctx, descriptor);
  const kind = patchKind(ctx.req.headers['content-type'], !descriptor.schema.name.startsWith('io.k8s.'));
  const context = writeContext(ctx, 'PatchOptions', subresource);
  const force = ctx.url.searchParams.get('force');
  checkOptions(kind, ctx.url.searchParams);
  const patch = parsePatch(kind, await readBody(ctx.req));
  ctx.audit?.requested(patch);
  if (kind === 'apply') {
    const { object, created } = await apply(deps, ctx, key, subresource, patch, isTrue(force), context);
    return answerObject(ctx, descriptor, created ? 201 : 200, object);
  }
  const warned = new Set<string>();
  const next = (current: UnknownObject) => {
    const raw = patched(kind, patch, current, descriptor);
    const { object, warnings } = normalize(descriptor, raw, fieldValidation(ctx.url.searchParams));
    for (const warning of warnings) if (!warned.has(warning)) ctx.warn(warning);
    for (const warning of warnings) warned.add(warning);
    checkLocation(descriptor, object, key.namespace, key.name);
    applyDefaults(descriptor, object);
    return object;
  };
  return answerObject(ctx, descriptor, 200, await updateObject(deps, { ...key, subresource, next }, context));
}

function checkOptions(kind: PatchKind, query: URLSearchParams): void {
  const errors: FieldError[] = [];
  if (kind === 'apply' && !query.get('fieldManager'))
    errors.push({
      type: 'FieldValueRequired',
      field: 'fieldManager',
      message: 'Required value: is required for apply patch',
    });
  if (kind !== 'apply' && query.get('force') !== null)
    errors.push({
      type: 'FieldValueForbidden',
      field: 'force',
      message: 'Forbidden: may not be specified for non-apply patch',
    });
  if (errors.length) throw invalid('meta.k8s.io', 'PatchOptions', '', errors);
}

async function apply(
  deps: ReadDeps,
  ctx: RequestContext,
  key: ObjectKey,
  subresource: string,
  patch: unknown,
  force: boolean,
  context: WriteContext,
): Promise<{ object: UnknownObject; created: boolean }> {
  const { descriptor } = key;
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch))
    throw badRequest('error decoding YAML: the patch must be an object');
  const applied = patch as UnknownObject;
  const expected = apiVersionOf(descriptor);
  if (applied.apiVersion !== expected || applied.kind !== descriptor.kind)
    throw badRequest(
      `invalid object type: ${String(applied.apiVersion)}, Kind=${String(applied.kind)} (expected ${expected}, Kind=${descriptor.kind})`,
    );
  checkLocation(descriptor, applied, key.namespace, key.name);
  // Unknown fields and wrong types are told about; ownership is taken from what was written.
  const { warnings } = normalize(descriptor, structuredClone(applied), fieldValidation(ctx.url.searchParams));
  for (const warning of warnings) ctx.warn(warning);
  const write = { ...(context.manager ?? { manager: '', now: new Date() }), force };
  const complete = (raw: UnknownObject) => {
    const { object } = normalize(descriptor, raw, 'Ignore');
    applyDefaults(descriptor, object);
    return object;
  };
  const next = (current: UnknownObject) => {
    const merged = applyPatch(descriptor, current, structuredClone(applied), write);
    return complete(merged === current ? structuredClone(merged) : merged);
  };
  try {
    const object = await updateObject(deps, { ...key, subresource, next, applied: true }, context);
    return { object, created: false };
  } catch (error) {
    const missing = error instanceof StatusError && error.code === 404 && error.status.details?.name === key.name;
    if (!missing || subresource) throw error;
  }
  const made = complete(applyPatch(descriptor, undefined, structuredClone(applied), write));
  const { manager: _, ...unmanaged } = context;
  return { object: await createObject(deps, key, made, unmanaged), created: true };
}
