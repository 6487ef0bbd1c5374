/** What decides where and when pods run: priority and runtime classes, disruption budgets, leases, flow control. */
import type * as k8s from '@kubernetes/client-node';
import type {
  Lease,
  Plain,
  PodDisruptionBudget,
  PriorityClass,
  RuntimeClass,
} from '../../../../machinery/api/types.ts';
import { ageColumn, ageOf, column, nameColumn, nameOf, printer } from '../printer.ts';

export const priorityClassPrinter = printer<PriorityClass>({
  columns: [
    nameColumn,
    column('Value', 'integer', 'The priority.'),
    column('Global-Default', 'boolean', 'Whether pods without a class get it.'),
    ageColumn,
    column('PreemptionPolicy', 'string', 'Whether its pods push others away.'),
  ],
  cells: (object, now) => [
    nameOf(object),
    object.value ?? 0,
    object.globalDefault ?? false,
    ageOf(object, now),
    object.preemptionPolicy ?? '',
  ],
});

export const runtimeClassPrinter = printer<RuntimeClass>({
  columns: [nameColumn, column('Handler', 'string', 'Name in the configuration of the container runtime.'), ageColumn],
  cells: (object, now) => [nameOf(object), object.handler ?? '', ageOf(object, now)],
});

const amount = (value: string | number | undefined): string => (value === undefined ? 'N/A' : String(value));

export const podDisruptionBudgetPrinter = printer<PodDisruptionBudget>({
  columns: [
    nameColumn,
    column('Min Available', 'string', 'Pods that must be left.'),
    column('Max Unavailable', 'string', 'Pods that may be missing.'),
    column('Allowed Disruptions', 'integer', 'Pods that may be evicted now.'),
    ageColumn,
  ],
  cells: (object, now) => [
    nameOf(object),
    amount(object.spec?.minAvailable as string | number | undefined),
    amount(object.spec?.maxUnavailable as string | number | undefined),
    object.status?.disruptionsAllowed ?? 0,
    ageOf(object, now),
  ],
});

export const leasePrinter = printer<Lease>({
  columns: [nameColumn, column('Holder', 'string', 'Who holds the lease.'), ageColumn],
  cells: (object, now) => [nameOf(object), object.spec?.holderIdentity ?? '', ageOf(object, now)],
});

export const flowSchemaPrinter = printer<Plain<k8s.V1FlowSchema>>({
  columns: [
    nameColumn,
    column('PriorityLevel', 'string', 'Priority level of the requests.'),
    column('MatchingPrecedence', 'string', 'The lowest that matches wins.'),
    column('DistinguisherMethod', 'string', 'What tells flows apart.'),
    ageColumn,
    column('MissingPL', 'string', 'Whether the priority level does not exist.'),
  ],
  cells: (object, now) => [
    nameOf(object),
    object.spec?.priorityLevelConfiguration?.name ?? '',
    object.spec?.matchingPrecedence ?? 0,
    object.spec?.distinguisherMethod?.type ?? '<none>',
    ageOf(object, now),
    object.status?.conditions?.find(({ type }) => type === 'Dangling')?.status ?? '?',
  ],
  compare: (a, b) =>
    (a.spec?.matchingPrecedence ?? 0) - (b.spec?.matchingPrecedence ?? 0) || (nameOf(a) < nameOf(b) ? -1 : 1),
});

export const priorityLevelPrinter = printer<Plain<k8s.V1PriorityLevelConfiguration>>({
  columns: [
    nameColumn,
    column('Type', 'string', 'Limited or Exempt.'),
    column('NominalConcurrencyShares', 'string', 'Share of the seats.'),
    column('Queues', 'string', 'Number of queues.'),
    column('HandSize', 'string', 'Number of queues that a flow may use.'),
    column('QueueLengthLimit', 'string', 'Requests that a queue holds.'),
    ageColumn,
  ],
  cells(object, now) {
    const limited = object.spec?.limited;
    const queuing = limited?.limitResponse?.queuing;
    return [
      nameOf(object),
      object.spec?.type ?? '',
      limited ? (limited.nominalConcurrencyShares ?? 0) : '<none>',
      queuing ? (queuing.queues ?? 0) : '<none>',
      queuing ? (queuing.handSize ?? 0) : '<none>',
      queuing ? (queuing.queueLengthLimit ?? 0) : '<none>',
      ageOf(object, now),
    ];
  },
});
