/** HorizontalPodAutoscalers, in both served versions, and scales. */
import type * as k8s from '@kubernetes/client-node';
import type { Plain } from '../../../../machinery/api/types.ts';
import { shortened } from '../format.ts';
import { ageColumn, ageOf, column, nameColumn, nameOf, printer } from '../printer.ts';

type Autoscaler = Plain<k8s.V2HorizontalPodAutoscaler>;
type Metric = Plain<k8s.V2MetricSpec>;
type MetricState = Plain<k8s.V2MetricStatus>;

interface Target {
  averageValue?: string;
  value?: string;
  averageUtilization?: number;
}

const unknown = '<unknown>';

function averageOrValue(target: Target, current: Target | undefined): string {
  if (target.averageValue !== undefined) return `${current?.averageValue ?? unknown}/${target.averageValue} (avg)`;
  return `${current ? (current.value ?? '0') : unknown}/${target.value ?? '0'}`;
}

function resourceUse(name: string, target: Target, current: Target | undefined): string {
  if (target.averageValue !== undefined) {
    return `${name}: ${current ? (current.averageValue ?? '0') : unknown}/${target.averageValue}`;
  }
  const used = current?.averageUtilization === undefined ? unknown : `${current.averageUtilization}%`;
  const wanted = target.averageUtilization === undefined ? '<auto>' : `${target.averageUtilization}%`;
  return `${name}: ${used}/${wanted}`;
}

function metric(spec: Metric, status: MetricState | undefined): string {
  switch (spec.type) {
    case 'External':
      return averageOrValue(spec.external?.target ?? {}, status?.external?.current);
    case 'Object':
      return averageOrValue(spec.object?.target ?? {}, status?.object?.current);
    case 'Pods': {
      const current = status?.pods ? (status.pods.current?.averageValue ?? '0') : unknown;
      return `${current}/${spec.pods?.target?.averageValue ?? '0'}`;
    }
    case 'Resource':
      return resourceUse(spec.resource?.name ?? '', spec.resource?.target ?? {}, status?.resource?.current);
    case 'ContainerResource':
      return resourceUse(
        spec.containerResource?.name ?? '',
        spec.containerResource?.target ?? {},
        status?.containerResource?.current,
      );
    default:
      return '<unknown type>';
  }
}

/** autoscaling/v1 has one target, the use of processors. */
function metricsOfV1(object: Plain<k8s.V1HorizontalPodAutoscaler>): string[] {
  const target = object.spec?.targetCPUUtilizationPercentage;
  if (target === undefined) return [];
  const current = object.status?.currentCPUUtilizationPercentage;
  return [
    resourceUse(
      'cpu',
      { averageUtilization: target },
      current === undefined ? undefined : { averageUtilization: current },
    ),
  ];
}

function targets(object: Autoscaler): string {
  const { metrics } = object.spec ?? {};
  const list = metrics
    ? metrics.map((spec, index) => metric(spec, object.status?.currentMetrics?.[index] ?? undefined))
    : metricsOfV1(object as Plain<k8s.V1HorizontalPodAutoscaler>);
  return shortened(list, 2, '<none>', ', ');
}

export const horizontalPodAutoscalerPrinter = printer<Autoscaler>({
  columns: [
    nameColumn,
    column('Reference', 'string', 'What is scaled.'),
    column('Targets', 'string', 'Measured and wanted values.'),
    column('MinPods', 'string', 'Least number of pods.'),
    column('MaxPods', 'string', 'Greatest number of pods.'),
    column('Replicas', 'string', 'Number of pods now.'),
    ageColumn,
  ],
  cells: (object, now) => [
    nameOf(object),
    `${object.spec?.scaleTargetRef?.kind ?? ''}/${object.spec?.scaleTargetRef?.name ?? ''}`,
    targets(object),
    object.spec?.minReplicas === undefined ? '<unset>' : String(object.spec.minReplicas),
    object.spec?.maxReplicas ?? 0,
    object.status?.currentReplicas ?? 0,
    ageOf(object, now),
  ],
});

export const scalePrinter = printer<Plain<k8s.V1Scale>>({
  columns: [
    { ...nameColumn, format: '' },
    column('Desired', 'integer', 'Number of pods wanted.'),
    column('Available', 'integer', 'Number of pods there are.'),
    ageColumn,
  ],
  cells: (object, now) => [
    nameOf(object),
    object.spec?.replicas ?? 0,
    object.status?.replicas ?? 0,
    ageOf(object, now),
  ],
});
