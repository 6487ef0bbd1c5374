/** LimitRanger: containers get the defaults of their namespace's LimitRanges, pods and claims keep within their bounds. */

import { podLimits, podRequests } from '../../../../machinery/api/pod-resources.ts';
import {
  compareQuantities,
  formatQuantity,
  parseQuantity,
  parseResourceList,
  type Quantity,
  quantityMilliValue,
  type ResourceQuantities,
} from '../../../../machinery/api/quantity.ts';
import type { Container, LimitRange, PersistentVolumeClaim, Pod } from '../../../../machinery/api/types.ts';
import type { AdmissionAttributes } from '../../types.ts';
import { isFor, onOperations, type PluginFactory, refuse } from '../plugin.ts';

const limitRanges = { group: '', resource: 'limitranges' };
const annotation = 'kubernetes.io/limit-ranger';

type Limits = Record<string, string>;
interface LimitItem {
  type: string;
  max?: Limits;
  min?: Limits;
  default?: Limits;
  defaultRequest?: Limits;
  maxLimitRequestRatio?: Limits;
}

const itemsOf = (range: LimitRange): LimitItem[] => (range.spec?.limits ?? []) as LimitItem[];

/** Pods only when they are made: their resources do not change afterwards, but by resizing. */
const concerns = (attributes: AdmissionAttributes): boolean =>
  attributes.operation === 'CREATE'
    ? isFor(attributes, '', 'pods') || isFor(attributes, '', 'persistentvolumeclaims')
    : isFor(attributes, '', 'persistentvolumeclaims') || isFor(attributes, '', 'pods', 'resize');

export const limitRanger: PluginFactory = ({ cache }) => {
  const rangesOf = (namespace: string) => cache.list(limitRanges, namespace) as unknown as LimitRange[];
  return {
    name: 'LimitRanger',
    handles: onOperations('CREATE', 'UPDATE'),
    admit(attributes) {
      if (!concerns(attributes) || attributes.descriptor.resource !== 'pods') return;
      for (const range of rangesOf(attributes.namespace)) applyDefaults(attributes.object as Pod, range);
    },
    validate(attributes) {
      if (!concerns(attributes) || attributes.object?.metadata?.deletionTimestamp) return;
      const check = attributes.descriptor.resource === 'pods' ? podProblems : claimProblems;
      for (const range of rangesOf(attributes.namespace)) {
        const problems = [...new Set(check(attributes.object as never, range))];
        if (problems.length)
          throw refuse(attributes, problems.length === 1 ? (problems[0] as string) : `[${problems.join(', ')}]`);
      }
    },
  };
};

function applyDefaults(pod: Pod, range: LimitRange): void {
  const requests: Limits = {};
  const limits: Limits = {};
  for (const item of itemsOf(range)) {
    if (item.type !== 'Container') continue;
    Object.assign(requests, item.defaultRequest);
    Object.assign(limits, item.default);
  }
  const notes = [
    ...(pod.spec?.containers ?? []).flatMap((container) => fillIn(container, 'container', requests, limits)),
    ...(pod.spec?.initContainers ?? []).flatMap((container) => fillIn(container, 'init container', requests, limits)),
  ];
  if (!notes.length) return;
  pod.metadata ??= {};
  pod.metadata.annotations = {
    ...pod.metadata.annotations,
    [annotation]: `LimitRanger plugin set: ${notes.join('; ')}`,
  };
}

function fillIn(container: Container, what: string, requests: Limits, limits: Limits): string[] {
  const notes: string[] = [];
  for (const [field, defaults, word] of [
    ['requests', requests, 'request'],
    ['limits', limits, 'limit'],
  ] as const) {
    const own = container.resources?.[field] ?? {};
    const missing = Object.keys(defaults).filter((name) => !(name in own));
    if (!missing.length) continue;
    container.resources = {
      ...container.resources,
      [field]: { ...own, ...Object.fromEntries(missing.map((name) => [name, defaults[name] ?? ''])) },
    };
    notes.push(`${missing.sort().join(', ')} ${word} for ${what} ${container.name}`);
  }
  return notes;
}

export function podProblems(pod: Pod, range: LimitRange): string[] {
  const problems: string[] = [];
  for (const item of itemsOf(range)) {
    if (item.type === 'Container')
      for (const { resources } of [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])])
        problems.push(
          ...boundProblems(item, parseResourceList(resources?.requests), parseResourceList(resources?.limits)),
        );
    if (item.type === 'Pod') problems.push(...boundProblems(item, podRequests(pod), podLimits(pod)));
  }
  return problems;
}

function claimProblems({ spec }: PersistentVolumeClaim, range: LimitRange): string[] {
  const requests = parseResourceList(spec?.resources?.requests);
  return itemsOf(range).flatMap((item) =>
    item.type === 'PersistentVolumeClaim'
      ? [
          ...entries(item.min).flatMap(([name, bound]) => belowMin(item.type, name, bound, requests, {})),
          ...entries(item.max).flatMap(([name, bound]) => {
            const head = `maximum ${name} usage per ${item.type} is ${bound}`;
            const request = requests[name];
            if (!request) return [`${head}.  No request is specified`];
            return above(request, bound) ? [`${head}, but request is ${formatQuantity(request)}`] : [];
          }),
        ]
      : [],
  );
}

const entries = (list: Limits | undefined): [string, string][] => Object.entries(list ?? {});
const above = (quantity: Quantity, bound: string): boolean => compareQuantities(quantity, parseQuantity(bound)) > 0;
const below = (quantity: Quantity, bound: string): boolean => compareQuantities(quantity, parseQuantity(bound)) < 0;

function boundProblems(item: LimitItem, requests: ResourceQuantities, limits: ResourceQuantities): string[] {
  return [
    ...entries(item.min).flatMap(([name, bound]) => belowMin(item.type, name, bound, requests, limits)),
    ...entries(item.max).flatMap(([name, bound]) => aboveMax(item.type, name, bound, requests, limits)),
    ...entries(item.maxLimitRequestRatio).flatMap(([name, bound]) =>
      ratioProblem(item.type, name, bound, requests[name], limits[name]),
    ),
  ];
}

function belowMin(
  type: string,
  name: string,
  bound: string,
  requests: ResourceQuantities,
  limits: ResourceQuantities,
): string[] {
  const head = `minimum ${name} usage per ${type} is ${bound}`;
  const [request, limit] = [requests[name], limits[name]];
  if (!request) return [`${head}.  No request is specified`];
  if (below(request, bound)) return [`${head}, but request is ${formatQuantity(request)}`];
  return limit && below(limit, bound) ? [`${head}, but limit is ${formatQuantity(limit)}`] : [];
}

function aboveMax(
  type: string,
  name: string,
  bound: string,
  requests: ResourceQuantities,
  limits: ResourceQuantities,
): string[] {
  const head = `maximum ${name} usage per ${type} is ${bound}`;
  const [request, limit] = [requests[name], limits[name]];
  if (!limit) return [`${head}.  No limit is specified`];
  if (above(limit, bound)) return [`${head}, but limit is ${formatQuantity(limit)}`];
  return request && above(request, bound) ? [`${head}, but request is ${formatQuantity(request)}`] : [];
}

function ratioProblem(
  type: string,
  name: string,
  bound: string,
  request: Quantity | undefined,
  limit: Quantity | undefined,
): string[] {
  const head = `${name} max limit to request ratio per ${type} is ${bound}`;
  if (!request || request.nano === 0n) return [`${head}, but no request is specified or request is 0`];
  if (!limit || limit.nano === 0n) return [`${head}, but no limit is specified or limit is 0`];
  const ratio = quantityMilliValue(limit) / quantityMilliValue(request);
  return ratio * 1000 > quantityMilliValue(parseQuantity(bound))
    ? [`${head}, but provided ratio is ${ratio.toFixed(6)}`]
    : [];
}
