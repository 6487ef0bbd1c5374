/** The `scale` subresource: a workload's replicas as an autoscaling/v1 Scale. */
import { formatSelector, labelSelectorOf } from '../../../machinery/api/selectors.ts';
import type { LabelSelector, UnknownObject } from '../../../machinery/api/types.ts';
import { normalize } from '../codec/decode.ts';
import { conflict, internalError, notFound } from '../errors.ts';
import { typeTable } from '../registry/type-facts.ts';
import type { ObjectKey } from '../rest/deps.ts';
import { updateObject } from '../rest/update.ts';
import { readBody } from '../server/request-body.ts';
import type { RequestContext, ResourceDescriptor } from '../types.ts';
import { parsePatch, patched, patchKind } from './patch.ts';
import type { ReadDeps } from './read.ts';
import { answerObject } from './write.ts';
import { decodedBody, fieldValidation, writeContext } from './write-options.ts';

function scaleDescriptor(descriptor: ResourceDescriptor): ResourceDescriptor {
  const schema = typeTable().kind('autoscaling', 'v1', 'Scale');
  if (!schema) throw new Error('no type for autoscaling/v1 Scale');
  const { custom: _custom, ...base } = descriptor;
  return { ...base, group: 'autoscaling', version: 'v1', kind: 'Scale', schema };
}

/** How the object looks as a Scale. */
export function scaleOf(object: UnknownObject): UnknownObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata ?? {};
  const spec = (object['spec'] ?? {}) as { replicas?: number; selector?: LabelSelector | Record<string, string> };
  const status = (object['status'] ?? {}) as { replicas?: number };
  const plain = object.kind === 'ReplicationController';
  const selector = plain
    ? { matchLabels: spec.selector as Record<string, string> }
    : (spec.selector as LabelSelector | undefined);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp } as NonNullable<UnknownObject['metadata']>,
    spec: spec.replicas ? { replicas: spec.replicas } : {},
    status: {
      replicas: status.replicas ?? 0,
      ...(selector ? { selector: formatSelector(labelSelectorOf(selector) ?? []) } : {}),
    },
  };
}

type Fields = Record<string, unknown>;

/** Follows a path like `.spec.replicas`. */
function valueAt(object: UnknownObject, path: string): unknown {
  let value: unknown = object;
  for (const name of path.split('.').slice(1))
    value = typeof value === 'object' && value !== null ? (value as Fields)[name] : undefined;
  return value;
}

function setAt(object: UnknownObject, path: string, value: unknown): void {
  const names = path.split('.').slice(1);
  let parent: Fields = object;
  for (const name of names.slice(0, -1)) {
    parent[name] ??= {};
    parent = parent[name] as Fields;
  }
  parent[names.at(-1) ?? ''] = value;
}

type ScalePaths = NonNullable<NonNullable<ResourceDescriptor['custom']>['scale']>;

/** A custom object's replicas and selector lie where its definition says. Throws 500 when there are none to scale. */
function customScaleOf(object: UnknownObject, paths: ScalePaths, strict: boolean): UnknownObject {
  const replicas = valueAt(object, paths.specReplicasPath);
  if (strict && typeof replicas !== 'number')
    throw internalError(`the spec replicas field ${JSON.stringify(paths.specReplicasPath)} does not exist`);
  const selector = paths.labelSelectorPath ? valueAt(object, paths.labelSelectorPath) : undefined;
  return {
    ...scaleOf({ ...object, spec: { replicas: typeof replicas === 'number' ? replicas : 0 } }),
    status: {
      replicas: Number(valueAt(object, paths.statusReplicasPath) ?? 0),
      ...(typeof selector === 'string' && selector ? { selector } : {}),
    },
  };
}

export async function handleScale(deps: ReadDeps, ctx: RequestContext, key: ObjectKey): Promise<void> {
  const { descriptor, namespace, name } = key;
  const scaled = scaleDescriptor(descriptor);
  const paths = descriptor.custom?.scale;
  const asScale = (object: UnknownObject, strict = false) =>
    paths ? customScaleOf(object, paths, strict) : scaleOf(object);
  if (ctx.info.verb === 'get') {
    const cache = deps.caches.of(descriptor);
    const stored = await deps.store.get(cache.key(namespace, name), cache.get(namespace, name));
    if (!stored) throw notFound(descriptor.group, descriptor.resource, name);
    return answerObject(ctx, scaled, 200, asScale(stored.object, true));
  }
  const patching = ctx.info.verb === 'patch';
  const context = writeContext(ctx, patching ? 'PatchOptions' : 'UpdateOptions', 'scale');
  let change: (scale: UnknownObject) => UnknownObject;
  if (patching) {
    const kind = patchKind(ctx.req.headers['content-type'], false);
    const patch = parsePatch(kind, await readBody(ctx.req));
    ctx.audit?.requested(patch);
    change = (scale) =>
      normalize(
        scaled,
        patched(kind === 'apply' ? 'merge' : kind, patch, scale, scaled),
        fieldValidation(ctx.url.searchParams),
      ).object;
  } else {
    const body = await decodedBody(ctx, scaled);
    change = () => body;
  }
  const next = (current: UnknownObject) => {
    const wanted = change(asScale(current));
    const { resourceVersion, uid } = wanted.metadata ?? {};
    if (resourceVersion && resourceVersion !== current.metadata?.resourceVersion)
      throw conflict(descriptor.group, descriptor.resource, name);
    if (uid && uid !== current.metadata?.uid)
      throw conflict(
        descriptor.group,
        descriptor.resource,
        name,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.metadata?.uid}`,
      );
    const object = structuredClone(current);
    const { replicas = 0 } = (wanted['spec'] ?? {}) as { replicas?: number };
    if (paths) setAt(object, paths.specReplicasPath, replicas);
    else object['spec'] = { ...(object['spec'] as object), replicas };
    return object;
  };
  return answerObject(
    ctx,
    scaled,
    200,
    asScale(await updateObject(deps, { ...key, subresource: 'scale', next }, context)),
  );
}
