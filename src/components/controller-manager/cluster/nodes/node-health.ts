/** What the node lifecycle controller concludes from a node's heartbeats: pure decisions. */
import { findCondition } from '../../../../machinery/api/conditions.ts';
import { formatTime, timeOf } from '../../../../machinery/api/time.ts';
import type { Lease, Node, NodeCondition } from '../../../../machinery/api/types.ts';

export interface NodeHealth {
  /** When this process last saw a sign of life, in milliseconds since 1970 of its own clock. */
  probedAt: number;
  heartbeat: string | undefined;
  renewTime: string | undefined;
}

export interface GracePeriods {
  nodeMonitorGracePeriod: number;
  nodeStartupGracePeriod: number;
}

export type Readiness = 'True' | 'False' | 'Unknown';

export const readyOf = (node: Node): NodeCondition | undefined => findCondition(node.status?.conditions, 'Ready');
export const readinessOf = (node: Node): Readiness => (readyOf(node)?.status as Readiness | undefined) ?? 'Unknown';

/** Takes in what node and lease say now. Times are compared to themselves only: nodes' clocks may be wrong. */
export function observeHealth(
  known: NodeHealth | undefined,
  node: Node,
  lease: Lease | undefined,
  now: number,
): NodeHealth {
  const ready = readyOf(node);
  const heartbeat = ready?.lastHeartbeatTime;
  const renewTime = lease?.spec?.renewTime;
  if (!known) {
    const probedAt = ready ? now : timeOf(node.metadata?.creationTimestamp, now);
    return { probedAt: renewTime ? now : probedAt, heartbeat, renewTime };
  }
  const beaten = heartbeat !== undefined && heartbeat !== known.heartbeat;
  const renewed = renewTime !== undefined && (known.renewTime === undefined || renewTime > known.renewTime);
  return {
    probedAt: beaten || renewed ? now : known.probedAt,
    heartbeat,
    renewTime: renewed ? renewTime : known.renewTime,
  };
}

export function isSilent(health: NodeHealth, node: Node, now: number, periods: GracePeriods): boolean {
  const grace = readyOf(node) ? periods.nodeMonitorGracePeriod : periods.nodeStartupGracePeriod;
  return now > health.probedAt + grace;
}

const reported = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'];

/** The node with all conditions that its kubelet reports Unknown, or undefined when they are. */
export function silentNode(node: Node, now: number): Node | undefined {
  const time = formatTime(new Date(now));
  let conditions = node.status?.conditions ?? [];
  let changed = false;
  for (const type of reported) {
    const condition = findCondition(conditions, type);
    if (condition?.status === 'Unknown') continue;
    changed = true;
    if (condition) {
      const unknown = {
        ...condition,
        status: 'Unknown',
        reason: 'NodeStatusUnknown',
        message: 'Kubelet stopped posting node status.',
        lastTransitionTime: time,
      };
      conditions = conditions.map((other) => (other === condition ? unknown : other));
    } else
      conditions = [
        ...conditions,
        {
          type,
          status: 'Unknown',
          reason: 'NodeStatusNeverUpdated',
          message: 'Kubelet never posted node status.',
          lastHeartbeatTime: node.metadata?.creationTimestamp ?? time,
          lastTransitionTime: time,
        },
      ];
  }
  return changed ? { ...node, status: { ...node.status, conditions } } : undefined;
}

export type ZoneState = 'Initial' | 'Normal' | 'PartialDisruption' | 'FullDisruption';

export function zoneStateOf(readiness: Readiness[], unhealthyThreshold: number): ZoneState {
  const notReady = readiness.filter((status) => status !== 'True').length;
  const ready = readiness.length - notReady;
  if (ready === 0 && notReady > 0) return 'FullDisruption';
  if (notReady > 2 && notReady / (notReady + ready) >= unhealthyThreshold) return 'PartialDisruption';
  return 'Normal';
}

export function zoneKey({ metadata }: Node): string {
  const labels = metadata?.labels ?? {};
  const region = labels['topology.kubernetes.io/region'] ?? labels['failure-domain.beta.kubernetes.io/region'] ?? '';
  const zone = labels['topology.kubernetes.io/zone'] ?? labels['failure-domain.beta.kubernetes.io/zone'] ?? '';
  return `${region}:${zone}`;
}
