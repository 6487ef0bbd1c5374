/** A few objects that admission plugins look up, and attributes to hand them. */
import type { AdmissionDeps } from '../../../src/components/apiserver/admission/plugin.ts';
import { createRegistry } from '../../../src/components/apiserver/registry/registry.ts';
import type {
  AdmissionAttributes,
  AdmissionPlugin,
  ResourceDescriptor,
} from '../../../src/components/apiserver/types.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';

const registry = createRegistry();

export interface Cluster {
  deps: AdmissionDeps;
  stored: Map<string, UnknownObject>;
}

/** Objects by `resource/namespace/name`; updates go back into the map. */
export function cluster(objects: Record<string, UnknownObject>): Cluster {
  const stored = new Map(Object.entries(objects));
  const key = (resource: string, namespace: string, name: string) => `${resource}/${namespace}/${name}`;
  const deps = {
    cache: {
      get: ({ resource }, namespace, name) => stored.get(key(resource, namespace, name)),
      list: ({ resource }, namespace) =>
        [...stored]
          .filter(([at]) => at.startsWith(namespace === undefined ? `${resource}/` : `${resource}/${namespace}/`))
          .map(([, object]) => object),
      onChange: () => () => undefined,
      ready: async () => undefined,
    },
    loopback: {
      get: async ({ resource }, namespace, name) => stored.get(key(resource, namespace, name)),
      create: async (_resource, object) => object,
      update: async ({ resource }, namespace, name, change) => {
        const before = stored.get(key(resource, namespace, name)) as UnknownObject;
        const next = change(structuredClone(before)) ?? before;
        stored.set(key(resource, namespace, name), next);
        return next;
      },
      delete: async () => undefined,
    },
    authorizer: { authorize: () => ({ decision: 'allow' }) },
  } satisfies AdmissionDeps;
  return { deps, stored };
}

export function attributesOf(
  kind: { group?: string; version?: string; resource: string },
  object: UnknownObject,
  more: Partial<AdmissionAttributes> = {},
): AdmissionAttributes & { warnings: string[] } {
  const descriptor = registry.find(kind.group ?? '', kind.version ?? 'v1', kind.resource) as ResourceDescriptor;
  const warnings: string[] = [];
  return {
    operation: 'CREATE',
    descriptor,
    subresource: '',
    namespace: 'shop',
    name: object.metadata?.name ?? '',
    object,
    options: {},
    dryRun: false,
    user: { name: 'me', groups: [] },
    warn: (text) => warnings.push(text),
    warnings,
    ...more,
  };
}

/** Runs a plugin as the chain does; answers the message of its refusal, empty when it lets the object in. */
export async function run(plugin: AdmissionPlugin, attributes: AdmissionAttributes): Promise<string> {
  if (!plugin.handles(attributes.operation)) return '';
  try {
    await plugin.admit?.(attributes);
    await plugin.validate?.(attributes);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}
