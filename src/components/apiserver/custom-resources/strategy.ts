/** Custom objects when they are written: their generation, and the split from their status. */
import { isDeepStrictEqual } from 'node:util';
import type { UnknownObject } from '../../../machinery/api/types.ts';
import { keepStatus, specChanged } from '../rest/status.ts';
import type { Strategies } from '../strategies/strategies.ts';
import type { Strategy } from '../strategies/strategy.ts';
import type { ApiRegistry, ResourceDescriptor } from '../types.ts';

/** With a status subresource the status has its own door and does not count as a change of the object. */
const withStatus: Strategy = {
  generation: true,
  prepareSubresource: {
    status(next, old) {
      const managedFields = next.metadata?.managedFields;
      for (const field of Object.keys({ ...next, ...old })) {
        if (field === 'status') continue;
        if (old[field] === undefined) delete next[field];
        else next[field] = old[field];
      }
      next.metadata = { ...old.metadata, ...(managedFields ? { managedFields } : {}) };
      if (!managedFields) delete next.metadata.managedFields;
    },
    scale: keepStatus,
  },
};

const withoutStatus: Strategy = {
  prepareForCreate(object) {
    if (object.metadata) object.metadata.generation = 1;
  },
  prepareForUpdate: grow,
  prepareSubresource: { scale: grow },
};

function grow(next: UnknownObject, old: UnknownObject): void {
  if (!next.metadata) return;
  const changed = specChanged(next, old, isDeepStrictEqual) || !isDeepStrictEqual(next['status'], old['status']);
  next.metadata.generation = (old.metadata?.generation ?? 0) + (changed ? 1 : 0);
}

/** The strategies of all kinds, custom ones by what the registry knows of them. */
export function withCustomStrategies(builtIn: Strategies, registry: ApiRegistry): Strategies {
  let custom = new Map<string, Strategy>();
  const read = () => {
    custom = new Map(
      registry
        .all()
        .filter((descriptor) => descriptor.custom)
        .map((descriptor) => [`${descriptor.group}/${descriptor.resource}`, strategyOf(descriptor)]),
    );
  };
  read();
  registry.onChange(read);
  return (group, resource) => custom.get(`${group}/${resource}`) ?? builtIn(group, resource);
}

const strategyOf = ({ subresources }: ResourceDescriptor): Strategy =>
  subresources.some(({ name }) => name === 'status') ? withStatus : withoutStatus;
