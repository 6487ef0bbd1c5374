/** `pods/binding` and `bindings`: the scheduler's word on which node a pod runs. */
import { formatTime } from '../../../machinery/api/time.ts';
import type { Pod, UnknownObject } from '../../../machinery/api/types.ts';
import { badRequest, conflict, invalid } from '../errors.ts';
import type { ObjectKey } from '../rest/deps.ts';
import { updateObject } from '../rest/update.ts';
import type { RequestContext } from '../types.ts';
import type { ReadDeps } from './read.ts';
import { answerStatus } from './write.ts';
import { decodedBody, writeContext } from './write-options.ts';

interface Binding {
  metadata?: { name?: string; uid?: string; annotations?: Record<string, string>; labels?: Record<string, string> };
  target?: { kind?: string; name?: string };
}

export async function postBinding(deps: ReadDeps, ctx: RequestContext, pods: ObjectKey): Promise<void> {
  const context = writeContext(ctx, 'CreateOptions', 'binding');
  const body = (await decodedBody(ctx, { group: '', version: 'v1', kind: 'Binding' })) as UnknownObject & Binding;
  const name = pods.name || (body.metadata?.name ?? '');
  if (body.metadata?.name && body.metadata.name !== name)
    throw badRequest('name in URL does not match name in Binding object');
  const { target } = body;
  if (!target?.name)
    throw invalid('', 'Binding', name, [
      { type: 'FieldValueRequired', field: 'target.name', message: 'Required value' },
    ]);
  if (target.kind && target.kind !== 'Node')
    throw invalid('', 'Binding', name, [
      {
        type: 'FieldValueNotSupported',
        field: 'target.kind',
        message: `Unsupported value: ${JSON.stringify(target.kind)}: supported values: "Node", "<empty>"`,
      },
    ]);
  const node = target.name;
  const next = (current: UnknownObject) => {
    const pod = structuredClone(current) as Pod & UnknownObject;
    const { uid, deletionTimestamp } = pod.metadata ?? {};
    const refuse = (why: string) => conflict('', 'pods/binding', name, why);
    if (body.metadata?.uid && body.metadata.uid !== uid)
      throw refuse(`Precondition failed: UID in precondition: ${body.metadata.uid}, UID in object meta: ${uid ?? ''}`);
    if (deletionTimestamp) throw refuse(`pod ${name} is being deleted, cannot be assigned to a host`);
    if (pod.spec?.nodeName) throw refuse(`pod ${name} is already assigned to node "${pod.spec.nodeName}"`);
    if (pod.spec?.schedulingGates?.length) throw refuse(`pod ${name} has non-empty .spec.schedulingGates`);
    if (pod.spec) pod.spec.nodeName = node;
    if (body.metadata?.annotations && pod.metadata)
      pod.metadata.annotations = { ...pod.metadata.annotations, ...body.metadata.annotations };
    if (body.metadata?.labels && pod.metadata)
      pod.metadata.labels = { ...pod.metadata.labels, ...body.metadata.labels };
    const scheduled = {
      type: 'PodScheduled',
      status: 'True',
      lastProbeTime: null,
      lastTransitionTime: formatTime(context.manager?.now),
    };
    const conditions = (pod.status?.conditions ?? []).filter(({ type }) => type !== 'PodScheduled');
    // The strategy of this subresource lets the status through.
    pod.status = { ...pod.status, conditions: [...conditions, scheduled as never] };
    return pod;
  };
  await updateObject(deps, { ...pods, name, subresource: 'binding', next }, context);
  await answerStatus(ctx, 201, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 });
}
