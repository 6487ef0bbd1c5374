/** The registry of all served resources: the built-in ones from the API facts, custom ones added at run time. */
import type { ApiRegistry, RemoteVersion, ResourceDescriptor } from '../types.ts';
import { builtInDescriptors } from './built-in.ts';

/** A registry with everything that a v1.36 server serves by default. */
export function createRegistry(builtIn: ResourceDescriptor[] = builtInDescriptors()): ApiRegistry {
  const byResource = new Map<string, ResourceDescriptor>();
  const byKind = new Map<string, ResourceDescriptor>();
  let remote: readonly RemoteVersion[] = [];
  const listeners = new Set<() => void>();
  const key = (...parts: string[]) => parts.join('/');
  const put = (descriptor: ResourceDescriptor) => {
    byResource.set(key(descriptor.group, descriptor.version, descriptor.resource), descriptor);
    byKind.set(key(descriptor.group, descriptor.version, descriptor.kind), descriptor);
  };
  for (const descriptor of builtIn) put(descriptor);
  const changed = () => {
    for (const listener of listeners) listener();
  };
  return {
    find: (group, version, resource) => byResource.get(key(group, version, resource)),
    findKind: (group, version, kind) => byKind.get(key(group, version, kind)),
    all: () => [...byResource.values()],
    add(descriptor) {
      put(descriptor);
      changed();
    },
    remove(group, version, resource) {
      const descriptor = byResource.get(key(group, version, resource));
      if (!descriptor) return;
      byResource.delete(key(group, version, resource));
      byKind.delete(key(group, version, descriptor.kind));
      changed();
    },
    remote: () => remote,
    setRemote(versions) {
      remote = versions;
      changed();
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
