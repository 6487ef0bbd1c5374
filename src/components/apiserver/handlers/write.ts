/** POST, PUT and DELETE of objects and collections. */
import type { Status, UnknownObject } from '../../../machinery/api/types.ts';
import { decodeBody } from '../codec/decode.ts';
import { encodeObject } from '../codec/encode.ts';
import { toServed } from '../conversion/conversion.ts';
import { applyDefaults } from '../defaulting/defaulting.ts';
import { badRequest, invalid, StatusError } from '../errors.ts';
import { createObject } from '../rest/create.ts';
import { type DeleteOptions, deletedStatus, deleteObject } from '../rest/delete.ts';
import type { ObjectKey, WriteContext } from '../rest/deps.ts';
import { checkLocation } from '../rest/metadata.ts';
import { updateObject } from '../rest/update.ts';
import { readBody } from '../server/request-body.ts';
import { writeBody } from '../server/respond.ts';
import type { RequestContext, ResourceDescriptor } from '../types.ts';
import { dryRunParameter, integerParameter } from './query.ts';
import { type ReadDeps, readPage } from './read.ts';
import { encodeOne, negotiated } from './respond-object.ts';
import { decodedBody, writeContext } from './write-options.ts';

const collectionWorkers = 8;

export async function answerObject(
  ctx: RequestContext,
  descriptor: ResourceDescriptor,
  status: number,
  object: UnknownObject,
): Promise<void> {
  if (!ctx.res) throw badRequest('this request cannot be upgraded');
  ctx.audit?.responded(object);
  const form = negotiated(ctx, descriptor);
  await writeBody(ctx.req, ctx.res, status, encodeOne(descriptor, object, form, ctx.url), {
    'content-type': form.contentType,
  });
}

/** A Status as a plain answer. */
export async function answerStatus(ctx: RequestContext, code: number, status: Status): Promise<void> {
  if (!ctx.res) throw badRequest('this request cannot be upgraded');
  ctx.audit?.responded(status);
  const { as: _as, ...form } = negotiated(ctx);
  await writeBody(ctx.req, ctx.res, code, encodeObject(status as unknown as UnknownObject, form), {
    'content-type': form.contentType,
  });
}

export async function postObject(deps: ReadDeps, ctx: RequestContext, key: ObjectKey): Promise<void> {
  negotiated(ctx, key.descriptor);
  const context = writeContext(ctx, 'CreateOptions');
  const object = await decodedBody(ctx, key.descriptor);
  applyDefaults(key.descriptor, object);
  if (!object.metadata?.name && !object.metadata?.generateName && !key.name)
    throw invalid(key.descriptor.group, key.descriptor.kind, '', [
      {
        type: 'FieldValueRequired',
        field: 'metadata.name',
        message: 'Required value: name or generateName is required',
      },
    ]);
  const created = await createObject(deps, key, object, context);
  await answerObject(ctx, key.descriptor, 201, created);
}

export async function putObject(
  deps: ReadDeps,
  ctx: RequestContext,
  key: ObjectKey,
  subresource: string,
): Promise<void> {
  const { descriptor, namespace, name } = key;
  negotiated(ctx, descriptor);
  const context = writeContext(ctx, 'UpdateOptions', subresource);
  const object = await decodedBody(ctx, descriptor);
  applyDefaults(descriptor, object);
  checkLocation(descriptor, object, namespace, object.metadata?.name ? name : '');
  if (!object.metadata?.name) throw badRequest(`name must be provided`);
  try {
    const next = () => structuredClone(object);
    const updated = await updateObject(deps, { ...key, subresource, next }, context);
    await answerObject(ctx, descriptor, 200, updated);
  } catch (error) {
    const missing = error instanceof StatusError && error.code === 404 && error.status.details?.name === name;
    if (!missing || subresource || !deps.strategies(descriptor.group, descriptor.resource).createOnUpdate) throw error;
    if (object.metadata?.resourceVersion || object.metadata?.uid) throw error;
    await answerObject(ctx, descriptor, 201, await createObject(deps, key, object, context));
  }
}

interface DeleteRequest {
  options: DeleteOptions;
  context: WriteContext;
}

/** Options come in the body, or, without one, in the query. */
export async function deleteRequest(ctx: RequestContext): Promise<DeleteRequest> {
  const query = ctx.url.searchParams;
  const body = await readBody(ctx.req);
  const target = { group: '', version: 'v1', kind: 'DeleteOptions' };
  const options: DeleteOptions & { dryRun?: string[] } = body.length
    ? (decodeBody(body, ctx.req.headers['content-type'], target, 'Ignore').object as DeleteOptions)
    : fromQuery(query);
  if (body.length) ctx.audit?.requested(options);
  const policy = options.propagationPolicy;
  const errors: { type: 'FieldValueInvalid' | 'FieldValueNotSupported'; field: string; message: string }[] = [];
  if (policy && options.orphanDependents !== undefined)
    errors.push({
      type: 'FieldValueInvalid',
      field: 'propagationPolicy',
      message: `Invalid value: ${JSON.stringify(policy)}: orphanDependents and deletionPropagation cannot be both set`,
    });
  if (policy && !['Orphan', 'Background', 'Foreground'].includes(policy))
    errors.push({
      type: 'FieldValueNotSupported',
      field: 'propagationPolicy',
      message: `Unsupported value: ${JSON.stringify(policy)}: supported values: "Foreground", "Background", "Orphan", "nil"`,
    });
  if (errors.length) throw invalid('meta.k8s.io', 'DeleteOptions', '', errors);
  const dryRun = dryRunParameter([...query.getAll('dryRun'), ...(options.dryRun ?? [])]);
  const context: WriteContext = {
    user: ctx.user,
    dryRun,
    options: { ...options, kind: 'DeleteOptions', apiVersion: 'meta.k8s.io/v1' },
    warn: (text) => ctx.warn(text),
    admit: true,
  };
  return { options, context };
}

function fromQuery(query: URLSearchParams): DeleteOptions {
  const gracePeriodSeconds = integerParameter(query, 'gracePeriodSeconds');
  const propagationPolicy = query.get('propagationPolicy') as DeleteOptions['propagationPolicy'] | null;
  const orphanDependents = query.get('orphanDependents');
  return {
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    ...(propagationPolicy ? { propagationPolicy } : {}),
    ...(orphanDependents ? { orphanDependents: orphanDependents === 'true' } : {}),
  };
}

export async function deleteOne(deps: ReadDeps, ctx: RequestContext, key: ObjectKey): Promise<void> {
  const { descriptor } = key;
  negotiated(ctx, descriptor);
  const { options, context } = await deleteRequest(ctx);
  const strategy = deps.strategies(descriptor.group, descriptor.resource);
  if (
    strategy.defaultPropagation === 'Orphan' &&
    !options.propagationPolicy &&
    options.orphanDependents === undefined &&
    descriptor.group === 'batch'
  )
    ctx.warn(
      'child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning',
    );
  const { gone, object } = await deleteObject(deps, key, options, context);
  if (!gone || strategy.returnDeleted) await answerObject(ctx, descriptor, 200, object);
  else await answerStatus(ctx, 200, deletedStatus(descriptor, object));
}

/** Deletes everything that a list with the same selectors shows, a few at a time. */
export async function deleteMany(
  deps: ReadDeps,
  ctx: RequestContext,
  descriptor: ResourceDescriptor,
  namespace: string,
): Promise<void> {
  const { options, context } = await deleteRequest(ctx);
  const page = await readPage(deps, descriptor, namespace, ctx.url.searchParams);
  const waiting = [...page.items];
  const work = async () => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const { name = '', namespace: within = '' } = next.object.metadata ?? {};
      try {
        await deleteObject(deps, { descriptor, namespace: within, name }, options, context);
      } catch (error) {
        // Somebody else was faster.
        if (!(error instanceof StatusError) || error.code !== 404) throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: collectionWorkers }, work));
  const list = {
    kind: descriptor.listKind,
    apiVersion: descriptor.group ? `${descriptor.group}/${descriptor.version}` : descriptor.version,
    metadata: page.metadata,
    items: page.items.map((stored) => toServed(descriptor, stored.object)),
  };
  if (!ctx.res) throw badRequest('this request cannot be upgraded');
  ctx.audit?.responded(list);
  const { as: _as, ...form } = negotiated(ctx, descriptor);
  await writeBody(ctx.req, ctx.res, 200, encodeObject(list, form), { 'content-type': form.contentType });
}
