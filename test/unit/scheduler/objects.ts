/** Pods and nodes for scheduler tests, and a profile of plugins over a cache of them. */

import { SchedulerCache } from '../../../src/components/scheduler/cache/cache.ts';
import { type Choice, createChooser } from '../../../src/components/scheduler/cycle/choose-node.ts';
import { createNominations } from '../../../src/components/scheduler/framework/nominations.ts';
import type { PluginContext } from '../../../src/components/scheduler/framework/plugin.ts';
import { podInfoOf } from '../../../src/components/scheduler/framework/pod-info.ts';
import { createProfile, type Profile } from '../../../src/components/scheduler/framework/profile.ts';
import { registry } from '../../../src/components/scheduler/plugins/registry.ts';
import type { Node, Pod, PodSpec } from '../../../src/machinery/api/types.ts';
import type { Client } from '../../../src/machinery/client/types.ts';
import type { Store } from '../../../src/machinery/informer/types.ts';

export interface PodShape {
  namespace?: string;
  labels?: Record<string, string>;
  requests?: Record<string, string>;
  node?: string;
  priority?: number;
  startTime?: string;
  spec?: Partial<PodSpec>;
}

export function pod(name: string, shape: PodShape = {}): Pod {
  return {
    metadata: { name, namespace: shape.namespace ?? 'default', uid: name, labels: shape.labels ?? {} },
    spec: {
      containers: [{ name: 'c', image: 'app', ...(shape.requests ? { resources: { requests: shape.requests } } : {}) }],
      ...(shape.node ? { nodeName: shape.node } : {}),
      ...(shape.priority === undefined ? {} : { priority: shape.priority }),
      ...shape.spec,
    },
    ...(shape.startTime ? { status: { startTime: shape.startTime } } : {}),
  };
}

export function node(name: string, extra: Partial<Node['spec']> & { labels?: Record<string, string> } = {}): Node {
  const { labels, ...spec } = extra;
  return {
    metadata: { name, labels: { 'kubernetes.io/hostname': name, ...labels } },
    spec,
    status: { allocatable: { cpu: '4', memory: '8Gi', pods: '110' } },
  };
}

export interface World {
  nodes: Node[];
  pods?: Pod[];
  stores?: Record<string, { metadata?: { name?: string; namespace?: string } }[]>;
  args?: Record<string, Record<string, unknown>>;
}

export interface Trial {
  cache: SchedulerCache;
  profile: Profile;
  choose(pod: Pod): Choice;
}

/** All plugins over these nodes and pods; the first of equally good nodes is chosen. */
export function trial({ nodes, pods = [], stores = {}, args = {} }: World): Trial {
  const cache = new SchedulerCache();
  for (const each of nodes) cache.setNode(each);
  for (const each of pods) cache.setPod(each);
  const nominations = createNominations();
  let profile: Profile | undefined;
  const context: PluginContext = {
    profileName: 'default-scheduler',
    client: {} as Client,
    signal: new AbortController().signal,
    snapshot: () => cache,
    current: (given) => given,
    namespaceLabels: () => ({}),
    store: (type) => fixedStore(stores[type.resource] ?? []) as Store<never>,
    runner: () => profile as Profile,
    nominations,
    podEvent: () => undefined,
    logError: (_message, error) => {
      throw error;
    },
  };
  const plugins = registry.map(({ name, factory, weight }) => ({ plugin: factory(context, args[name] ?? {}), weight }));
  profile = createProfile('default-scheduler', plugins, nominations);
  const choose = createChooser({ random: () => 0 });
  const made = profile;
  return { cache, profile: made, choose: (each) => choose(made, podInfoOf(each), cache) };
}

function fixedStore<T extends { metadata?: { name?: string; namespace?: string } }>(objects: T[]): Store<T> {
  const keyOf = ({ metadata }: T) => [metadata?.namespace, metadata?.name].filter(Boolean).join('/');
  return {
    get: (key) => objects.find((object) => keyOf(object) === key),
    list: () => objects,
    keys: () => objects.map(keyOf),
    byIndex: () => [],
  };
}
