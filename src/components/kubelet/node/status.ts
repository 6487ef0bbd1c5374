/** The node's status: addresses, resources, conditions, images; and the patch that brings it to the API server. */
import { stableJson } from '../../../machinery/api/hash.ts';
import { formatResourceList, type ResourceQuantities } from '../../../machinery/api/quantity.ts';
import { formatTime } from '../../../machinery/api/time.ts';
import type { NodeCondition, NodeStatus } from '../../../machinery/api/types.ts';
import type { RuntimeImage, RuntimeStatus } from '../cri/types.ts';

export interface Pressure {
  memory: boolean;
  disk: boolean;
  pid: boolean;
}

export interface NodeStatusInput {
  nodeName: string;
  ips: string[];
  port: number;
  capacity: ResourceQuantities;
  allocatable: ResourceQuantities;
  info: NodeStatus['nodeInfo'];
  images: RuntimeImage[];
  maxImages: number;
  runtimeStatus: RuntimeStatus | undefined;
  pressure: Pressure;
  /** Why the node is not ready. */
  problems: string[];
  previous: NodeStatus | undefined;
  now?: Date;
}

export function nodeStatus(input: NodeStatusInput): NodeStatus {
  const { nodeName, ips, info, runtimeStatus, previous } = input;
  const handlers = runtimeStatus?.runtimeHandlers ?? [];
  return {
    addresses: [...ips.map((address) => ({ type: 'InternalIP', address })), { type: 'Hostname', address: nodeName }],
    allocatable: formatResourceList(input.allocatable),
    capacity: formatResourceList(input.capacity),
    conditions: nodeConditions(input, previous?.conditions ?? []),
    daemonEndpoints: { kubeletEndpoint: { Port: input.port } },
    ...(info ? { nodeInfo: info } : {}),
    images: nodeImages(input.images, input.maxImages),
    ...(handlers.length
      ? {
          runtimeHandlers: handlers.map(({ name, features }) => ({
            name,
            ...(features
              ? {
                  features: {
                    recursiveReadOnlyMounts: features.recursiveReadOnlyMounts,
                    userNamespaces: features.userNamespaces,
                  },
                }
              : {}),
          })),
        }
      : {}),
    ...(runtimeStatus?.features
      ? { features: { supplementalGroupsPolicy: runtimeStatus.features.supplementalGroupsPolicy } }
      : {}),
  };
}

/** Biggest first, each with its names, digests before tags. */
export function nodeImages(images: RuntimeImage[], max: number): NonNullable<NodeStatus['images']> {
  const sorted = [...images].sort((a, b) => b.size - a.size);
  return (max < 0 ? sorted : sorted.slice(0, max)).map(({ repoDigests, repoTags, size }) => ({
    names: [...repoDigests, ...repoTags].slice(0, 5),
    sizeBytes: size,
  }));
}

function nodeConditions({ pressure, problems, now }: NodeStatusInput, previous: NodeCondition[]): NodeCondition[] {
  const time = formatTime(now);
  const condition = (type: string, status: boolean, reason: string, message: string): NodeCondition => {
    const text = status ? 'True' : 'False';
    const old = previous.find((candidate) => candidate.type === type);
    return {
      type,
      status: text,
      lastHeartbeatTime: time,
      lastTransitionTime: old && old.status === text ? (old.lastTransitionTime ?? time) : time,
      reason,
      message,
    };
  };
  const choose = (bad: boolean, type: string, yes: [string, string], no: [string, string]) =>
    condition(type, bad, ...(bad ? yes : no));
  return [
    choose(
      pressure.memory,
      'MemoryPressure',
      ['KubeletHasInsufficientMemory', 'kubelet has insufficient memory available'],
      ['KubeletHasSufficientMemory', 'kubelet has sufficient memory available'],
    ),
    choose(
      pressure.disk,
      'DiskPressure',
      ['KubeletHasDiskPressure', 'kubelet has disk pressure'],
      ['KubeletHasNoDiskPressure', 'kubelet has no disk pressure'],
    ),
    choose(
      pressure.pid,
      'PIDPressure',
      ['KubeletHasInsufficientPID', 'kubelet has insufficient PID available'],
      ['KubeletHasSufficientPID', 'kubelet has sufficient PID available'],
    ),
    problems.length
      ? condition(
          'Ready',
          false,
          'KubeletNotReady',
          problems.length > 1 ? `[${problems.join(', ')}]` : `${problems[0]}`,
        )
      : condition('Ready', true, 'KubeletReady', 'kubelet is posting ready status'),
  ];
}

/** Reasons of the events that tell about changes of conditions. */
const conditionEvents: Record<string, [whenTrue: string, whenFalse: string]> = {
  MemoryPressure: ['NodeHasInsufficientMemory', 'NodeHasSufficientMemory'],
  DiskPressure: ['NodeHasDiskPressure', 'NodeHasNoDiskPressure'],
  PIDPressure: ['NodeHasInsufficientPID', 'NodeHasSufficientPID'],
  Ready: ['NodeReady', 'NodeNotReady'],
};

/** Reasons for events, of conditions whose status is another than before. */
export function conditionChanges(before: NodeCondition[], after: NodeCondition[]): string[] {
  return after
    .filter(({ type, status }) => before.find((old) => old.type === type)?.status !== status)
    .map(({ type, status }) => conditionEvents[type]?.[status === 'True' ? 0 : 1])
    .filter((reason): reason is string => reason !== undefined);
}

const withoutHeartbeat = (conditions: NodeCondition[]) =>
  conditions.map(({ lastHeartbeatTime: _beat, ...condition }) => condition);

/** Whether more differs than the time of the heartbeat. */
export function nodeStatusChanged(before: NodeStatus, after: NodeStatus): boolean {
  const own = (before.conditions ?? []).filter(({ type }) => after.conditions?.some((mine) => mine.type === type));
  const fields = (Object.keys(after) as (keyof NodeStatus)[]).filter((field) => field !== 'conditions');
  return (
    fields.some((field) => stableJson(before[field]) !== stableJson(after[field])) ||
    stableJson(sorted(withoutHeartbeat(own))) !== stableJson(sorted(withoutHeartbeat(after.conditions ?? [])))
  );
}

const sorted = <T extends { type: string }>(list: T[]): T[] => [...list].sort((a, b) => (a.type < b.type ? -1 : 1));

/** A strategic merge patch; conditions of others (the network's) stay. */
export function nodeStatusPatch(before: NodeStatus, after: NodeStatus): Record<string, unknown> {
  const patch: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(after)) {
    if (field === 'conditions') patch[field] = value;
    else if (stableJson(before[field as keyof NodeStatus]) === stableJson(value)) continue;
    // Addresses are a merge list in name only: two of one type would be mixed up.
    else if (field === 'addresses') patch[field] = [...(value as object[]), { $patch: 'replace' }];
    else patch[field] = value;
  }
  return patch;
}
