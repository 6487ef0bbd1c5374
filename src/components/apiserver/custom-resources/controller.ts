/**
 * Follows the CustomResourceDefinitions: accepts their names, establishes them, serves their versions, and empties those
 * that are to go.
 */

import { createHash } from 'node:crypto';
import type { Logger } from '../../../machinery/logging/logger.ts';
import { createWorkQueue } from '../../../machinery/workqueue/queue.ts';
import { StatusError } from '../errors.ts';
import type { Watchers } from '../handlers/watch.ts';
import { catchUp } from '../rest/catch-up.ts';
import { deleteObject } from '../rest/delete.ts';
import type { RestDeps } from '../rest/deps.ts';
import { loopbackUser } from '../rest/loopback.ts';
import type { LoopbackClient } from '../types.ts';
import { nextStatus, withCondition } from './conditions.ts';
import { asDefinition, conditionOf, type Definition, definitions, isTrue } from './definition.ts';
import { cleanupFinalizer } from './definition-strategy.ts';
import { type CustomDescriptor, customDescriptors } from './descriptors.ts';

export interface CustomResourcesDeps {
  rest: RestDeps;
  loopback: LoopbackClient;
  watchers: Watchers;
  log: Logger;
}

export interface CustomResources {
  /** Serves what etcd has of established definitions, then follows their changes until the signal fires. */
  start(signal: AbortSignal): Promise<void>;
}

const retryMs = 1_000;

/** Definitions are large: only a hash of what was served is kept. */
const factsOf = (facts: unknown): string => createHash('sha256').update(JSON.stringify(facts)).digest('base64');

export function createCustomResources({ rest, loopback, watchers, log }: CustomResourcesDeps): CustomResources {
  const { registry, reader, caches } = rest;
  /** What is served of each definition, and the facts that it was made from. */
  const served = new Map<string, { descriptors: CustomDescriptor[]; facts: string }>();
  const queue = createWorkQueue<string>();
  const find = (name: string): Definition | undefined => {
    const found = reader.get(definitions, '', name);
    return found && asDefinition(found);
  };
  const ofGroup = (group: string): Definition[] =>
    reader
      .list(definitions)
      .map(asDefinition)
      .filter(({ spec }) => spec.group === group);

  async function serve(name: string, definition: Definition): Promise<void> {
    const { spec } = definition;
    const names = { ...spec.names, ...definition.status?.acceptedNames };
    const facts = factsOf([spec, names, isTrue(definition, 'Terminating')]);
    const before = served.get(name);
    if (before?.facts === facts) return;
    const descriptors = customDescriptors({ ...definition, spec: { ...spec, names } });
    const [first] = descriptors;
    if (first) await caches.prepare(first);
    const kept = new Set(descriptors.map(({ version, kind }) => `${version}/${kind}`));
    for (const { group, version, resource, kind } of before?.descriptors ?? [])
      if (!kept.has(`${version}/${kind}`)) registry.remove(group, version, resource);
    served.set(name, { descriptors, facts });
    for (const descriptor of descriptors) registry.add(descriptor);
  }

  function withdraw(name: string): void {
    const before = served.get(name);
    if (!before) return;
    served.delete(name);
    for (const { group, version, resource } of before.descriptors) registry.remove(group, version, resource);
    const [first] = before.descriptors;
    if (!first) return;
    caches.forget(first);
    watchers.endOf(first.storage.prefix);
  }

  async function reconcile(name: string): Promise<void> {
    const definition = find(name);
    if (!definition) {
      withdraw(name);
      return;
    }
    const others = ofGroup(definition.spec.group).filter(({ metadata }) => metadata.name !== name);
    if (!definition.metadata.deletionTimestamp && nextStatus(definition, others, new Date())) {
      await loopback.update(
        definitions,
        '',
        name,
        (current) => {
          const status = nextStatus(asDefinition(current), others, new Date());
          return status && { ...current, status };
        },
        'status',
      );
      return;
    }
    if (isTrue(definition, 'Established')) await serve(name, definition);
    if (definition.metadata.deletionTimestamp) await empty(name, definition);
  }

  /** Deletes all objects; the definition may go when the last one has gone. */
  async function empty(name: string, definition: Definition): Promise<void> {
    if (!definition.metadata.finalizers?.includes(cleanupFinalizer)) return;
    const descriptor = served.get(name)?.descriptors[0] ?? storedDescriptor(definition);
    if (descriptor) {
      await caches.prepare(descriptor);
      await catchUp(rest);
      const cache = caches.of(descriptor);
      if (cache.size > 0) {
        await terminating(name, 'InstanceDeletionInProgress', 'CustomResource deletion is in progress');
        for (const { object } of [...cache.values()]) await remove(descriptor, object.metadata);
        await catchUp(rest);
        if (cache.size > 0) {
          // The rest has finalizers: look again when the next one goes, or after a while.
          const stop = cache.subscribe(({ type }) => {
            if (type !== 'DELETED' || cache.size > 0) return;
            stop();
            queue.add(name);
          });
          queue.addAfter(name, 5 * retryMs);
          return;
        }
      }
    }
    await terminating(name, 'InstanceDeletionCompleted', 'removed all instances', 'False');
    await loopback.update(definitions, '', name, (current) => {
      const finalizers = current.metadata?.finalizers?.filter((finalizer) => finalizer !== cleanupFinalizer);
      return { ...current, metadata: { ...current.metadata, finalizers: finalizers ?? [] } };
    });
  }

  async function remove(
    descriptor: CustomDescriptor,
    {
      name = '',
      namespace = '',
      deletionTimestamp,
    }: { name?: string; namespace?: string; deletionTimestamp?: unknown } = {},
  ): Promise<void> {
    if (deletionTimestamp) return;
    try {
      await deleteObject(
        rest,
        { descriptor, namespace, name },
        {},
        {
          user: loopbackUser,
          dryRun: false,
          options: {},
          warn: () => undefined,
          admit: false,
        },
      );
    } catch (error) {
      if (!(error instanceof StatusError) || error.code !== 404) throw error;
    }
  }

  async function terminating(name: string, reason: string, message: string, status: 'True' | 'False' = 'True') {
    await loopback.update(
      definitions,
      '',
      name,
      (current) => {
        const conditions = asDefinition(current).status?.conditions ?? [];
        const next = withCondition(conditions, { type: 'Terminating', status, reason, message }, new Date());
        return next === conditions
          ? undefined
          : { ...current, status: { ...(current['status'] as object | undefined), conditions: next } };
      },
      'status',
    );
  }

  async function work(): Promise<void> {
    for (let name = await queue.get(); name !== undefined; name = await queue.get()) {
      try {
        await reconcile(name);
        queue.forget(name);
      } catch (error) {
        if (!(error instanceof StatusError && (error.code === 404 || error.code === 409)))
          log.error({ customResourceDefinition: name, problem: (error as Error).message }, 'cannot serve');
        queue.addRateLimited(name);
      } finally {
        queue.done(name);
      }
    }
  }

  return {
    async start(signal) {
      // Those that were served before are served when the first request comes.
      const established = reader
        .list(definitions)
        .map(asDefinition)
        .filter((found) => isTrue(found, 'Established'));
      await Promise.all(established.map((found) => serve(found.metadata.name ?? '', found)));
      reader.onChange(definitions, (type, object) => {
        queue.add(object.metadata?.name ?? '');
        if (type !== 'DELETED') return;
        // Its names are free for others.
        for (const { metadata, status } of ofGroup(asDefinition(object).spec.group))
          if (conditionOf({ status } as Definition, 'NamesAccepted')?.status !== 'True') queue.add(metadata.name ?? '');
      });
      signal.addEventListener('abort', () => queue.shutDown(), { once: true });
      work().catch((error: Error) => log.error(error.message));
    },
  };
}

/** A definition that was established once may have objects though no version is served. */
function storedDescriptor(definition: Definition): CustomDescriptor | undefined {
  if (!isTrue(definition, 'Established')) return undefined;
  const versions = definition.spec.versions.map((version) => ({ ...version, served: true }));
  return customDescriptors({ ...definition, spec: { ...definition.spec, versions } })[0];
}
