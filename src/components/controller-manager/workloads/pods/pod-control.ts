/** Creates and deletes pods in the name of an owner and tells it in events on the owner. */
import { dns1123SubdomainErrors } from '../../../../machinery/api/names.ts';
import { controllerReference } from '../../../../machinery/api/owners.ts';
import type { KubeObject, Pod, PodTemplateSpec } from '../../../../machinery/api/types.ts';
import { isConflict, isNotFound } from '../../../../machinery/client/errors.ts';
import { pods } from '../../../../machinery/client/resources.ts';
import type { Client, ResourceType } from '../../../../machinery/client/types.ts';
import { type EventRecorder, referenceTo } from '../../../../machinery/events/recorder.ts';
import { isNamespaceTerminating, messageOf } from '../../framework/failures.ts';

export const apiVersionOf = ({ group, version }: ResourceType<unknown>): string =>
  group ? `${group}/${version}` : version;

/** A pod as its template says, controlled by the owner. */
export function podFromTemplate(
  template: PodTemplateSpec | undefined,
  owner: KubeObject,
  type: ResourceType<unknown>,
): Pod {
  const ownerName = owner.metadata?.name ?? '';
  const { labels, annotations, finalizers } = template?.metadata ?? {};
  return {
    metadata: {
      namespace: owner.metadata?.namespace ?? '',
      generateName: dns1123SubdomainErrors(`${ownerName}-a`).length ? ownerName : `${ownerName}-`,
      ...(labels ? { labels: { ...labels } } : {}),
      ...(annotations ? { annotations: { ...annotations } } : {}),
      ...(finalizers?.length ? { finalizers: [...finalizers] } : {}),
      ownerReferences: [controllerReference(owner, type)],
    },
    spec: structuredClone(template?.spec ?? { containers: [] }),
  };
}

export interface PodControl {
  create(pod: Pod, owner: KubeObject): Promise<Pod>;
  /** Answers whether the pod was there to be deleted. */
  remove(pod: Pod, owner: KubeObject): Promise<boolean>;
}

export function createPodControl(client: Client, recorder: EventRecorder, type: ResourceType<unknown>): PodControl {
  const podClient = client.resource(pods);
  const tell = (owner: KubeObject, eventType: 'Normal' | 'Warning', reason: string, message: string) =>
    recorder.event(referenceTo(owner, apiVersionOf(type), type.kind), eventType, reason, message);
  return {
    async create(pod, owner) {
      if (Object.keys(pod.metadata?.labels ?? {}).length === 0) throw new Error('unable to create pods, no labels');
      try {
        const created = await podClient.create(pod);
        tell(owner, 'Normal', 'SuccessfulCreate', `Created pod: ${created.metadata?.name}`);
        return created;
      } catch (error) {
        if (!isNamespaceTerminating(error))
          tell(owner, 'Warning', 'FailedCreate', `Error creating: ${messageOf(error)}`);
        throw error;
      }
    },
    async remove({ metadata }, owner) {
      try {
        const { namespace = '', name = '', uid = '' } = metadata ?? {};
        await podClient.delete({ namespace, name }, { preconditions: { uid } });
        tell(owner, 'Normal', 'SuccessfulDelete', `Deleted pod: ${metadata?.name}`);
        return true;
      } catch (error) {
        // Gone, or replaced by another of the same name.
        if (isNotFound(error) || isConflict(error)) return false;
        tell(owner, 'Warning', 'FailedDelete', `Error deleting: ${messageOf(error)}`);
        throw new Error(`unable to delete pods: ${messageOf(error)}`, { cause: error });
      }
    },
  };
}
