/** From a resource request to the function that serves it. */
import { applyKindDefaults } from '../defaulting/defaulting.ts';
import { methodNotSupported, unknownPath } from '../errors.ts';
import type { ObjectKey } from '../rest/deps.ts';
import type { VirtualResource } from '../subresources/virtual-resources.ts';
import type { RequestContext, ResourceDescriptor, SubresourceHandler } from '../types.ts';
import { postBinding } from './binding.ts';
import { patchObject } from './patch.ts';
import { getObject, listObjects, type ReadDeps } from './read.ts';
import { handleScale } from './scale.ts';
import { type Watchers, watchObjects } from './watch.ts';
import { answerObject, deleteMany, deleteOne, postObject, putObject } from './write.ts';
import { decodedBody, writeContext } from './write-options.ts';

export interface DispatchDeps extends ReadDeps {
  watchers: Watchers;
  virtual: VirtualResource[];
  handlers: SubresourceHandler[];
  /** Virtual kinds that are read, not written (componentstatuses). */
  lists: Record<string, (ctx: RequestContext) => Promise<void>>;
}

export function createDispatcher(deps: DispatchDeps): (ctx: RequestContext) => Promise<void> {
  const handlers = new Map(
    deps.handlers.map((handler) => [
      key(handler.resource.group, handler.resource.resource, handler.subresource),
      handler,
    ]),
  );
  const virtual = new Map(
    deps.virtual.map((found) => [key(found.group, found.resource, found.subresource ?? ''), found]),
  );
  return async (ctx) => {
    const { info } = ctx;
    const descriptor = deps.registry.find(info.apiGroup, info.apiVersion, info.resource);
    if (descriptor?.custom?.deprecation) ctx.warn(descriptor.custom.deprecation);
    if (!descriptor || (descriptor.namespaced && needsNamespace(ctx))) throw unknownPath();
    const found = key(info.apiGroup, info.resource, info.subresource);
    const custom = handlers.get(found);
    if (custom) return custom.handle(ctx);
    const review = virtual.get(found);
    if (review) return createVirtual(ctx, descriptor, review);
    const list = deps.lists[found];
    if (list) return list(ctx);
    const object: ObjectKey = {
      descriptor,
      namespace: descriptor.namespaced ? info.namespace : '',
      name: info.name,
    };
    if (info.subresource) return subresource(deps, ctx, object);
    if (found === '/bindings/') return postBinding(deps, ctx, { ...object, descriptor: podsOf(deps) });
    if (!(descriptor.custom?.verbs ?? descriptor.verbs).includes(info.verb))
      throw methodNotSupported(info.apiGroup, info.resource, info.verb);
    return verb(deps, ctx, object);
  };
}

const key = (group: string, resource: string, subresource: string) => `${group}/${resource}/${subresource}`;

/** Objects of namespaced kinds are only found below their namespace. */
const needsNamespace = ({ info }: RequestContext) =>
  !info.namespace &&
  (info.name !== '' || info.verb === 'create' || info.verb === 'deletecollection') &&
  info.verb !== 'watch';

function podsOf({ registry }: ReadDeps): ResourceDescriptor {
  const found = registry.find('', 'v1', 'pods');
  if (!found) throw new Error('pods are not registered');
  return found;
}

function verb(deps: DispatchDeps, ctx: RequestContext, object: ObjectKey): Promise<void> {
  switch (ctx.info.verb) {
    case 'get':
      return getObject(deps, ctx, object);
    case 'list':
      return listObjects(deps, ctx, object.descriptor, object.namespace);
    case 'watch':
      return watchObjects(deps, deps.watchers, ctx, object);
    case 'create':
      return postObject(deps, ctx, object);
    case 'update':
      return putObject(deps, ctx, object, '');
    case 'patch':
      return patchObject(deps, ctx, object, '');
    case 'delete':
      return deleteOne(deps, ctx, object);
    case 'deletecollection':
      return deleteMany(deps, ctx, object.descriptor, object.namespace);
    default:
      throw methodNotSupported(ctx.info.apiGroup, ctx.info.resource, ctx.info.verb);
  }
}

async function subresource(deps: DispatchDeps, ctx: RequestContext, object: ObjectKey): Promise<void> {
  const { info } = ctx;
  const found = object.descriptor.subresources.find(({ name }) => name === info.subresource);
  if (!found) throw unknownPath();
  if (!found.verbs.includes(info.verb)) throw methodNotSupported(info.apiGroup, info.resource, info.verb);
  if (info.subresource === 'scale') return handleScale(deps, ctx, object);
  if (info.subresource === 'binding') return postBinding(deps, ctx, object);
  switch (info.verb) {
    case 'get':
      return getObject(deps, ctx, object);
    case 'update':
      return putObject(deps, ctx, object, info.subresource);
    case 'patch':
      return patchObject(deps, ctx, object, info.subresource);
    default:
      throw methodNotSupported(info.apiGroup, info.resource, info.verb);
  }
}

/** Kinds that are posted and answered, never stored. */
async function createVirtual(
  ctx: RequestContext,
  descriptor: ResourceDescriptor,
  review: VirtualResource,
): Promise<void> {
  if (ctx.info.verb !== 'create') throw methodNotSupported(ctx.info.apiGroup, ctx.info.resource, ctx.info.verb);
  const sub = descriptor.subresources.find(({ name }) => name === review.subresource);
  const target = sub ? { group: sub.group, version: sub.version, kind: sub.kind } : descriptor;
  const context = writeContext(ctx, 'CreateOptions', review.subresource ?? '');
  const object = await decodedBody(ctx, target);
  applyKindDefaults(target.group, target.version, target.kind, object);
  const { namespace, name } = ctx.info;
  const answer = await review.create({
    namespace,
    name,
    object,
    user: ctx.user,
    dryRun: context.dryRun,
    warn: context.warn,
  });
  await answerObject(ctx, descriptor, 201, answer);
}
