/** Deployments, replica sets, daemon sets, stateful sets and replication controllers. */
import { isDeepStrictEqual } from 'node:util';
import { labelSelectorOf, mapSelector, matchesSelector } from '../../../machinery/api/selectors.ts';
import type {
  DaemonSet,
  Deployment,
  LabelSelector,
  PodTemplateSpec,
  ReplicaSet,
  ReplicationController,
  StatefulSet,
  UnknownObject,
} from '../../../machinery/api/types.ts';
import { nonNegative, notMoreThan100Percent, positiveIntOrPercent } from './checks.ts';
import {
  type FieldError,
  fieldImmutable,
  forbiddenField,
  invalidValue,
  required,
  unsupported,
} from './field-errors.ts';
import { podTemplateErrors } from './pods/spec.ts';
import { isEmptySelector, labelSelectorErrors } from './selectors.ts';

const templateField = 'spec.template';
const mismatch = '`selector` does not match template `labels`';

/** Present, well-formed, not empty. */
function selectorErrors(selector: LabelSelector | undefined, kind: string): FieldError[] {
  if (!selector) return [required('spec.selector')];
  const errors = labelSelectorErrors(selector, 'spec.selector');
  if (isEmptySelector(selector))
    errors.push(invalidValue('spec.selector', selector, `empty selector is invalid for ${kind}`));
  return errors;
}

/** The template of pods that run on and on: its labels are selected, its pods always restart. */
function lastingTemplateErrors(
  template: PodTemplateSpec,
  selector: LabelSelector | undefined,
  kind: string,
): FieldError[] {
  const errors: FieldError[] = [];
  const labels = template.metadata?.labels;
  const valid = selector && !labelSelectorErrors(selector, '').length;
  if (valid && !isEmptySelector(selector) && !matchesSelector(labelSelectorOf(selector), labels))
    errors.push(invalidValue(`${templateField}.metadata.labels`, labels ?? null, mismatch));
  errors.push(...podTemplateErrors(template, templateField));
  const { restartPolicy, activeDeadlineSeconds } = template.spec ?? {};
  if (restartPolicy && restartPolicy !== 'Always')
    errors.push(unsupported(`${templateField}.spec.restartPolicy`, restartPolicy, ['Always']));
  if (activeDeadlineSeconds !== undefined && activeDeadlineSeconds !== null)
    errors.push(
      forbiddenField(
        `${templateField}.spec.activeDeadlineSeconds`,
        `activeDeadlineSeconds in ${kind} is not Supported`,
      ),
    );
  return errors;
}

const immutableSelector = (next: unknown, before: unknown): FieldError[] =>
  isDeepStrictEqual(next, before) ? [] : [invalidValue('spec.selector', next, fieldImmutable)];

export function deploymentErrors(object: UnknownObject): FieldError[] {
  const { spec } = object as unknown as Deployment;
  if (!spec) return [required('spec.selector')];
  const errors = [
    ...nonNegative(spec.replicas, 'spec.replicas'),
    ...selectorErrors(spec.selector, 'deployment'),
    ...lastingTemplateErrors(spec.template, spec.selector, 'ReplicaSet'),
    ...deploymentStrategyErrors(spec.strategy, 'spec.strategy'),
    ...nonNegative(spec.minReadySeconds, 'spec.minReadySeconds'),
    ...nonNegative(spec.revisionHistoryLimit, 'spec.revisionHistoryLimit'),
    ...nonNegative(spec.progressDeadlineSeconds, 'spec.progressDeadlineSeconds'),
  ];
  const { progressDeadlineSeconds: deadline, minReadySeconds = 0 } = spec;
  if (deadline !== undefined && deadline !== null && deadline <= minReadySeconds)
    errors.push(invalidValue('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds'));
  return errors;
}

export const deploymentUpdateErrors = (object: UnknownObject, old: UnknownObject): FieldError[] => [
  ...deploymentErrors(object),
  ...immutableSelector((object as unknown as Deployment).spec?.selector, (old as unknown as Deployment).spec?.selector),
];

type DeploymentStrategy = NonNullable<NonNullable<Deployment['spec']>['strategy']>;
const isZero = (value: unknown): boolean => value === 0 || value === '0%' || value === undefined;

function deploymentStrategyErrors(strategy: DeploymentStrategy | undefined, field: string): FieldError[] {
  const { type, rollingUpdate } = strategy ?? {};
  if (type === 'Recreate')
    return rollingUpdate
      ? [forbiddenField(`${field}.rollingUpdate`, "may not be specified when strategy `type` is 'Recreate'")]
      : [];
  if (type !== 'RollingUpdate') return [unsupported(`${field}.type`, type ?? '', ['Recreate', 'RollingUpdate'])];
  if (!rollingUpdate) return [required(`${field}.rollingUpdate`, 'this should be defaulted and never be nil')];
  const here = `${field}.rollingUpdate`;
  const { maxUnavailable, maxSurge } = rollingUpdate;
  const errors = [
    ...positiveIntOrPercent(maxUnavailable, `${here}.maxUnavailable`),
    ...positiveIntOrPercent(maxSurge, `${here}.maxSurge`),
  ];
  if (isZero(maxUnavailable) && isZero(maxSurge))
    errors.push(invalidValue(`${here}.maxUnavailable`, maxUnavailable, 'may not be 0 when `maxSurge` is 0'));
  return [...errors, ...notMoreThan100Percent(maxUnavailable, `${here}.maxUnavailable`)];
}

export function replicaSetErrors(object: UnknownObject): FieldError[] {
  const { spec } = object as unknown as ReplicaSet;
  if (!spec) return [required('spec.selector')];
  return [
    ...nonNegative(spec.replicas, 'spec.replicas'),
    ...nonNegative(spec.minReadySeconds, 'spec.minReadySeconds'),
    ...selectorErrors(spec.selector, 'replicaset'),
    ...(spec.template ? lastingTemplateErrors(spec.template, spec.selector, 'ReplicaSet') : [required(templateField)]),
  ];
}

export const replicaSetUpdateErrors = (object: UnknownObject, old: UnknownObject): FieldError[] => [
  ...replicaSetErrors(object),
  ...immutableSelector((object as unknown as ReplicaSet).spec?.selector, (old as unknown as ReplicaSet).spec?.selector),
];

export function replicationControllerErrors(object: UnknownObject): FieldError[] {
  const { spec } = object as unknown as ReplicationController;
  if (!spec) return [required('spec.selector')];
  const errors = [
    ...nonNegative(spec.minReadySeconds, 'spec.minReadySeconds'),
    ...(Object.keys(spec.selector ?? {}).length ? [] : [required('spec.selector')]),
    ...nonNegative(spec.replicas, 'spec.replicas'),
  ];
  if (!spec.template) return [...errors, required(templateField)];
  const labels = spec.template.metadata?.labels;
  if (!matchesSelector(mapSelector(spec.selector ?? {}), labels))
    errors.push(invalidValue(`${templateField}.metadata.labels`, labels ?? null, mismatch));
  return [...errors, ...lastingTemplateErrors(spec.template, undefined, 'ReplicationController')];
}

export function daemonSetErrors(object: UnknownObject): FieldError[] {
  const { spec } = object as unknown as DaemonSet;
  if (!spec) return [required('spec.selector')];
  return [
    ...selectorErrors(spec.selector, 'daemonset'),
    ...lastingTemplateErrors(spec.template, spec.selector, 'DaemonSet'),
    ...nonNegative(spec.minReadySeconds, 'spec.minReadySeconds'),
    ...daemonSetStrategyErrors(spec.updateStrategy, 'spec.updateStrategy'),
    ...nonNegative(spec.revisionHistoryLimit, 'spec.revisionHistoryLimit'),
  ];
}

export const daemonSetUpdateErrors = (object: UnknownObject, old: UnknownObject): FieldError[] => [
  ...daemonSetErrors(object),
  ...immutableSelector((object as unknown as DaemonSet).spec?.selector, (old as unknown as DaemonSet).spec?.selector),
];

type DaemonSetStrategy = NonNullable<NonNullable<DaemonSet['spec']>['updateStrategy']>;

function daemonSetStrategyErrors(strategy: DaemonSetStrategy | undefined, field: string): FieldError[] {
  const { type, rollingUpdate } = strategy ?? {};
  if (type === 'OnDelete') return [];
  if (type !== 'RollingUpdate') return [unsupported(`${field}.type`, type ?? '', ['RollingUpdate', 'OnDelete'])];
  if (!rollingUpdate) return [required(`${field}.rollingUpdate`)];
  const here = `${field}.rollingUpdate`;
  const { maxUnavailable, maxSurge } = rollingUpdate;
  const errors = [
    ...positiveIntOrPercent(maxUnavailable, `${here}.maxUnavailable`),
    ...positiveIntOrPercent(maxSurge ?? 0, `${here}.maxSurge`),
    ...notMoreThan100Percent(maxUnavailable, `${here}.maxUnavailable`),
    ...notMoreThan100Percent(maxSurge, `${here}.maxSurge`),
  ];
  if (!isZero(maxUnavailable) && !isZero(maxSurge))
    errors.push(invalidValue(`${here}.maxSurge`, maxSurge, 'may not be set when maxUnavailable is non-zero'));
  if (isZero(maxUnavailable) && isZero(maxSurge))
    errors.push(required(`${here}.maxUnavailable`, 'cannot be 0 when maxSurge is 0'));
  return errors;
}

export function statefulSetErrors(object: UnknownObject): FieldError[] {
  const { spec } = object as unknown as StatefulSet;
  if (!spec) return [required('spec.selector')];
  const errors: FieldError[] = [];
  const { podManagementPolicy, updateStrategy } = spec;
  if (!podManagementPolicy) errors.push(required('spec.podManagementPolicy'));
  else if (!['OrderedReady', 'Parallel'].includes(podManagementPolicy))
    errors.push(invalidValue('spec.podManagementPolicy', podManagementPolicy, "must be 'OrderedReady' or 'Parallel'"));
  const strategy = updateStrategy?.type;
  if (!strategy) errors.push(required('spec.updateStrategy'));
  else if (strategy === 'OnDelete') {
    if (updateStrategy.rollingUpdate)
      errors.push(
        invalidValue(
          'spec.updateStrategy.rollingUpdate',
          updateStrategy.rollingUpdate,
          "only allowed for updateStrategy 'RollingUpdate'",
        ),
      );
  } else if (strategy === 'RollingUpdate')
    errors.push(...nonNegative(updateStrategy.rollingUpdate?.partition, 'spec.updateStrategy.rollingUpdate.partition'));
  else errors.push(invalidValue('spec.updateStrategy', updateStrategy, "must be 'RollingUpdate' or 'OnDelete'"));
  errors.push(
    ...nonNegative(spec.replicas, 'spec.replicas'),
    ...nonNegative(spec.minReadySeconds, 'spec.minReadySeconds'),
    ...nonNegative(spec.ordinals?.start, 'spec.ordinals.start'),
    ...selectorErrors(spec.selector, 'statefulset'),
    ...lastingTemplateErrors(withClaims(spec), spec.selector, 'StatefulSet'),
  );
  return errors;
}

/** The template with the volumes that its pods get of their claims; such a volume takes the place of one with its name. */
function withClaims({ template, volumeClaimTemplates = [] }: NonNullable<StatefulSet['spec']>): PodTemplateSpec {
  const names = (volumeClaimTemplates ?? []).flatMap(({ metadata }) => metadata?.name ?? []);
  if (!names.length || !template?.spec) return template;
  const { volumes } = template.spec;
  const own = (volumes ?? []).filter(({ name }) => !names.includes(name));
  const ofClaims = names.map((name) => ({ name, persistentVolumeClaim: { claimName: name } }));
  return { ...template, spec: { ...template.spec, volumes: [...own, ...ofClaims] } };
}

const statefulSetFields = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
] as const;

export function statefulSetUpdateErrors(object: UnknownObject, old: UnknownObject): FieldError[] {
  const fixed = (set: UnknownObject) => {
    const rest = { ...(set as unknown as StatefulSet).spec } as Record<string, unknown>;
    for (const name of statefulSetFields) delete rest[name];
    return rest;
  };
  const errors = statefulSetErrors(object);
  if (!isDeepStrictEqual(fixed(object), fixed(old)))
    errors.push(
      forbiddenField(
        'spec',
        "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
      ),
    );
  return errors;
}
