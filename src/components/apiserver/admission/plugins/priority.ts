/** Priority: the number and the preemption policy behind a pod's priorityClassName; at most one default class. */
import type { Pod, PriorityClass } from '../../../../machinery/api/types.ts';
import type { AdmissionAttributes, CacheReader } from '../../types.ts';
import { type AdmissionDeps, findObject, isFor, onOperations, type PluginFactory, podOf, refuse } from '../plugin.ts';

const priorityClasses = { group: 'scheduling.k8s.io', resource: 'priorityclasses' };

export const priority: PluginFactory = (deps) => ({
  name: 'Priority',
  handles: onOperations('CREATE', 'UPDATE', 'DELETE'),
  async admit(attributes) {
    const pod = podOf(attributes);
    if (!pod?.spec) return;
    if (attributes.operation === 'CREATE') await setPriority(deps, attributes, pod);
    else if (attributes.operation === 'UPDATE') keepPriority(pod, attributes.oldObject as Pod | undefined);
  },
  validate(attributes) {
    if (!isFor(attributes, priorityClasses.group, priorityClasses.resource) || attributes.operation === 'DELETE')
      return;
    const wanted = attributes.object as PriorityClass;
    if (!wanted.globalDefault) return;
    const other = defaultClass(deps.cache);
    if (other && other.metadata?.name !== wanted.metadata?.name)
      throw refuse(
        attributes,
        `PriorityClass ${other.metadata?.name} is already marked as default. Only one default can exist`,
      );
  },
});

async function setPriority(deps: AdmissionDeps, attributes: AdmissionAttributes, pod: Pod): Promise<void> {
  const { spec } = pod;
  if (!spec) return;
  const chosen = spec.priorityClassName
    ? await namedClass(deps, attributes, spec.priorityClassName)
    : defaultClass(deps.cache);
  if (chosen && !spec.priorityClassName) spec.priorityClassName = chosen.metadata?.name ?? '';
  const value = chosen?.value ?? 0;
  const preemptionPolicy = chosen?.preemptionPolicy ?? 'PreemptLowerPriority';
  if (spec.priority !== undefined && spec.priority !== null && spec.priority !== value)
    throw refuse(
      attributes,
      `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
    );
  spec.priority = value;
  if (spec.preemptionPolicy && spec.preemptionPolicy !== preemptionPolicy)
    throw refuse(
      attributes,
      `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${preemptionPolicy} from the given PriorityClass name`,
    );
  spec.preemptionPolicy = preemptionPolicy;
}

async function namedClass(deps: AdmissionDeps, attributes: AdmissionAttributes, name: string): Promise<PriorityClass> {
  const found = await findObject(deps, priorityClasses, '', name);
  if (!found) throw refuse(attributes, `no PriorityClass with name ${name} was found`);
  return found as unknown as PriorityClass;
}

/** Of several marked ones the lowest, as upstream chooses. */
function defaultClass(cache: CacheReader): PriorityClass | undefined {
  const marked = (cache.list(priorityClasses) as unknown as PriorityClass[]).filter(
    ({ globalDefault }) => globalDefault,
  );
  return marked.reduce<PriorityClass | undefined>(
    (low, next) => (!low || (next.value ?? 0) < (low.value ?? 0) ? next : low),
    undefined,
  );
}

/** Clients that do not know these fields send pods without them. */
function keepPriority(pod: Pod, old: Pod | undefined): void {
  if (!pod.spec || !old?.spec) return;
  if (pod.spec.priority === undefined && old.spec.priority !== undefined) pod.spec.priority = old.spec.priority;
  if (!pod.spec.preemptionPolicy && old.spec.preemptionPolicy) pod.spec.preemptionPolicy = old.spec.preemptionPolicy;
}
