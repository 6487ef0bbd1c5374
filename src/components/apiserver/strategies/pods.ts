/** Pods: status on creation, what each subresource may change, and graceful deletion. */
import { qosClassOf } from '../../../machinery/api/pod-resources.ts';
import { formatTime } from '../../../machinery/api/time.ts';
import type { Container, Pod, UnknownObject } from '../../../machinery/api/types.ts';
import { type Strategy, section } from './strategy.ts';

const asPod = (object: UnknownObject) => object as Pod & UnknownObject;

/** Everything but the named top-level fields and metadata comes from `old`. */
function keepOld(next: UnknownObject, old: UnknownObject, ...except: string[]): void {
  for (const field of Object.keys({ ...next, ...old }))
    if (field !== 'metadata' && !except.includes(field)) next[field] = old[field];
}

export const pods: Strategy = {
  generation: true,
  returnDeleted: true,
  prepareForCreate(object, { now }) {
    const pod = asPod(object);
    const gated = (pod.spec?.schedulingGates ?? []).length > 0;
    object['status'] = {
      phase: 'Pending',
      ...(gated
        ? {
            conditions: [
              {
                type: 'PodScheduled',
                status: 'False',
                lastProbeTime: null,
                lastTransitionTime: formatTime(now),
                reason: 'SchedulingGated',
                message: 'Scheduling is blocked due to non-empty scheduling gates',
              },
            ],
          }
        : {}),
      qosClass: qosClassOf(pod),
    };
  },
  prepareSubresource: {
    status(next, old) {
      keepOld(next, old, 'status');
      if (next.metadata) {
        const owners = old.metadata?.ownerReferences;
        if (owners) next.metadata.ownerReferences = owners;
        else delete next.metadata.ownerReferences;
      }
      const status = section(next, 'status');
      status['qosClass'] ??= asPod(old).status?.qosClass ?? qosClassOf(asPod(old));
    },
    binding() {
      // The handler changes nothing else.
    },
    ephemeralcontainers(next, old) {
      const added = asPod(next).spec?.ephemeralContainers;
      keepOld(next, old);
      next['spec'] = { ...(old['spec'] as object), ...(added ? { ephemeralContainers: added } : {}) };
    },
    resize(next, old) {
      const wanted = asPod(next).spec;
      keepOld(next, old);
      const resized = (list: Container[] = [], from: Container[] = []) =>
        list.map((container) => {
          const change = from.find(({ name }) => name === container.name);
          return change ? { ...container, resources: change.resources, resizePolicy: change.resizePolicy } : container;
        });
      const { spec } = asPod(old);
      next['spec'] = {
        ...spec,
        containers: resized(spec?.containers, wanted?.containers),
        ...(spec?.initContainers ? { initContainers: resized(spec.initContainers, wanted?.initContainers) } : {}),
      };
    },
  },
  graceSeconds(object, { gracePeriodSeconds }) {
    const pod = asPod(object);
    let period = gracePeriodSeconds ?? pod.spec?.terminationGracePeriodSeconds ?? 30;
    if (!pod.spec?.nodeName) period = 0;
    if (pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded') period = 0;
    return period < 0 ? 1 : period;
  },
};
