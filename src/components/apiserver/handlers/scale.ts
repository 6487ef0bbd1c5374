/** The `scale` subresource: a workload's replicas as an autoscaling/v1 Scale. */
import { formatSelector, labelSelectorOf } from '../../../machinery/api/selectors.ts';
import type { LabelSelector, UnknownObject } from '../../../machinery/api/types.ts';
import { normalize } from '../codec/decode.ts';
import { conflict, notFound } from '../errors.ts';
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
  return { ...descriptor, group: 'autoscaling', version: 'v1', kind: 'Scale', schema };
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

export async function handleScale(deps: ReadDeps, ctx: RequestContext, key: ObjectKey): Promise<void> {
  const { descriptor, namespace, name } = key;
  const scaled = scaleDescriptor(descriptor);
  if (ctx.info.verb === 'get') {
    const cache = deps.caches.of(descriptor);
    const stored = await deps.store.get(cache.key(namespace, name), cache.get(namespace, name));
    if (!stored) throw notFound(descriptor.group, descriptor.resource, name);
    return answerObject(ctx, scaled, 200, scaleOf(stored.object));
  }
  const patching = ctx.info.verb === 'patch';
  const context = writeContext(ctx, patching ? 'PatchOptions' : 'UpdateOptions', 'scale');
  let change: (scale: UnknownObject) => UnknownObject;
  if (patching) {
    const kind = patchKind(ctx.req.headers['content-type'], false);
    const patch = parsePatch(kind, await readBody(ctx.req));
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
    const wanted = change(scaleOf(current));
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
    object['spec'] = { ...(object['spec'] as object), replicas };
    return object;
  };
  return answerObject(
    ctx,
    scaled,
    200,
    scaleOf(await updateObject(deps, { ...key, subresource: 'scale', next }, context)),
  );
}
