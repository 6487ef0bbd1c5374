/** autoscaling/v1 ↔ v2 HorizontalPodAutoscaler: v1 knows one CPU target; the rest of v2 travels in annotations. */
import type { UnknownObject } from '../../../machinery/api/types.ts';

interface Metric {
  type: string;
  resource?: {
    name: string;
    target?: { type: string; averageUtilization?: number };
    current?: { averageUtilization?: number };
  };
}
const metricsAnnotation = 'autoscaling.alpha.kubernetes.io/metrics';
const behaviorAnnotation = 'autoscaling.alpha.kubernetes.io/behavior';
const conditionsAnnotation = 'autoscaling.alpha.kubernetes.io/conditions';

const isCpuUtilization = (metric: Metric) =>
  metric.type === 'Resource' && metric.resource?.name === 'cpu' && metric.resource.target?.type === 'Utilization';

export function autoscalerFromV2(stored: UnknownObject): UnknownObject {
  const { metrics, behavior, ...spec } = (stored['spec'] ?? {}) as { metrics?: Metric[]; behavior?: unknown };
  const { currentMetrics, conditions, ...status } = (stored['status'] ?? {}) as {
    currentMetrics?: Metric[];
    conditions?: unknown;
  };
  const cpu = metrics?.find(isCpuUtilization);
  const others = metrics?.filter((metric) => metric !== cpu) ?? [];
  const current = currentMetrics?.find(({ resource }) => resource?.name === 'cpu')?.resource?.current;
  const annotations = {
    ...stored.metadata?.annotations,
    ...(others.length ? { [metricsAnnotation]: JSON.stringify(others) } : {}),
    ...(behavior ? { [behaviorAnnotation]: JSON.stringify(behavior) } : {}),
    ...(conditions ? { [conditionsAnnotation]: JSON.stringify(conditions) } : {}),
  };
  return {
    ...stored,
    metadata: { ...stored.metadata, ...(Object.keys(annotations).length ? { annotations } : {}) },
    spec: { ...spec, ...(cpu ? { targetCPUUtilizationPercentage: cpu.resource?.target?.averageUtilization } : {}) },
    status: {
      ...status,
      ...(current?.averageUtilization === undefined
        ? {}
        : { currentCPUUtilizationPercentage: current.averageUtilization }),
    },
  };
}

export function autoscalerToV2(served: UnknownObject): UnknownObject {
  const { targetCPUUtilizationPercentage, ...spec } = (served['spec'] ?? {}) as {
    targetCPUUtilizationPercentage?: number;
  };
  const { currentCPUUtilizationPercentage, ...status } = (served['status'] ?? {}) as {
    currentCPUUtilizationPercentage?: number;
  };
  const {
    [metricsAnnotation]: others,
    [behaviorAnnotation]: behavior,
    [conditionsAnnotation]: conditions,
    ...annotations
  } = served.metadata?.annotations ?? {};
  const metrics: Metric[] = others ? (JSON.parse(others) as Metric[]) : [];
  if (targetCPUUtilizationPercentage !== undefined)
    metrics.unshift({
      type: 'Resource',
      resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: targetCPUUtilizationPercentage } },
    });
  const { annotations: _, ...metadata } = served.metadata ?? {};
  return {
    ...served,
    metadata: { ...metadata, ...(Object.keys(annotations).length ? { annotations } : {}) },
    spec: {
      ...spec,
      ...(metrics.length ? { metrics } : {}),
      ...(behavior ? { behavior: JSON.parse(behavior) as unknown } : {}),
    },
    status: {
      ...status,
      currentMetrics:
        currentCPUUtilizationPercentage === undefined
          ? null
          : [
              {
                type: 'Resource',
                resource: { name: 'cpu', current: { averageUtilization: currentCPUUtilizationPercentage } },
              },
            ],
      ...(conditions ? { conditions: JSON.parse(conditions) as unknown } : {}),
    },
  };
}
