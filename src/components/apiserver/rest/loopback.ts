/** The API server's own client: the same operations as for requests, without the way over the network. */
import type { UnknownObject } from '../../../machinery/api/types.ts';
import { applyDefaults } from '../defaulting/defaulting.ts';
import type { ApiRegistry, GroupResource, LoopbackClient, ResourceDescriptor, UserInfo } from '../types.ts';
import { createObject } from './create.ts';
import { type DeleteOptions, deleteObject } from './delete.ts';
import type { RestDeps, WriteContext } from './deps.ts';
import { updateObject } from './update.ts';

export const loopbackUser: UserInfo = { name: 'system:apiserver', groups: ['system:masters', 'system:authenticated'] };

const context = (): WriteContext => ({
  user: loopbackUser,
  dryRun: false,
  options: {},
  warn: () => undefined,
  admit: true,
});

/** Any served version of a resource, the stored one first. */
export function descriptorOf(registry: ApiRegistry, { group, resource }: GroupResource): ResourceDescriptor {
  const versions = registry.all().filter((found) => found.group === group && found.resource === resource);
  const found = versions.find(({ version, storage }) => version === storage.version) ?? versions[0];
  if (!found) throw new Error(`no resource "${resource}" in group "${group}"`);
  return found;
}

/** `deps` is asked for at each call: admission itself needs the client. */
export function createLoopback(deps: () => RestDeps): LoopbackClient {
  const describe = (resource: GroupResource) => descriptorOf(deps().registry, resource);
  return {
    async get(resource, namespace, name) {
      const cache = deps().caches.of(describe(resource));
      return (await deps().store.get(cache.key(namespace, name), cache.get(namespace, name)))?.object;
    },
    async create(resource, object) {
      const descriptor = describe(resource);
      const draft = structuredClone(object);
      applyDefaults(descriptor, draft);
      const { namespace = '', name = '' } = draft.metadata ?? {};
      return createObject(deps(), { descriptor, namespace, name }, draft, context());
    },
    update(resource, namespace, name, change, subresource) {
      const descriptor = describe(resource);
      const next = (current: UnknownObject) => {
        const changed = change(structuredClone(current)) ?? structuredClone(current);
        applyDefaults(descriptor, changed);
        return changed;
      };
      return updateObject(deps(), { descriptor, namespace, name, subresource: subresource ?? '', next }, context());
    },
    async delete(resource, namespace, name, options: DeleteOptions = {}) {
      await deleteObject(deps(), { descriptor: describe(resource), namespace, name }, options, context());
    },
  };
}
