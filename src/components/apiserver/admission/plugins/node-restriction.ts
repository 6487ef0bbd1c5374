/** NodeRestriction: what the Node authorizer lets a kubelet write, limited to its own node, its pods and harmless labels. */
import { isDeepStrictEqual } from 'node:util';
import type { Node, Pod } from '../../../../machinery/api/types.ts';
import { nodeIdentity } from '../../authorization/node/node-authorizer.ts';
import { podReferences } from '../../authorization/node/pod-references.ts';
import { notFound } from '../../errors.ts';
import type { AdmissionAttributes } from '../../types.ts';
import {
  type AdmissionDeps,
  findObject,
  isMirrorPod,
  mirrorPodAnnotation,
  nameOf,
  onOperations,
  type PluginFactory,
  refuse,
} from '../plugin.ts';

type Check = (deps: AdmissionDeps, attributes: AdmissionAttributes, node: string) => void | Promise<void>;

const checks: Record<string, Check> = {
  pods: checkPods,
  nodes: checkNode,
  persistentvolumeclaims: (_deps, attributes) => {
    if (attributes.subresource !== 'status') throw refuse(attributes, 'may only update PVC status');
  },
  serviceaccounts: checkTokenRequest,
  'leases.coordination.k8s.io': (_deps, attributes, node) => {
    if (attributes.namespace !== 'kube-node-lease')
      throw refuse(attributes, 'can only access leases in the "kube-node-lease" system namespace');
    if (nameOf(attributes) !== node)
      throw refuse(attributes, 'can only access node lease with the same name as the requesting node');
  },
  'csinodes.storage.k8s.io': (_deps, attributes, node) => {
    if (nameOf(attributes) !== node)
      throw refuse(attributes, 'can only access CSINode with the same name as the requesting node');
  },
  'resourceslices.resource.k8s.io': (_deps, attributes, node) => {
    const slice = (attributes.operation === 'DELETE' ? attributes.oldObject : attributes.object) as
      | { spec?: { nodeName?: string } }
      | undefined;
    if (slice?.spec?.nodeName !== node)
      throw refuse(
        attributes,
        'can only create, update, and delete ResourceSlices with the same NodeName as the requesting node',
      );
  },
};

export const nodeRestriction: PluginFactory = (deps) => ({
  name: 'NodeRestriction',
  handles: onOperations('CREATE', 'UPDATE', 'DELETE'),
  async admit(attributes) {
    const node = nodeIdentity(attributes.user);
    if (node === undefined) return;
    if (node === '') throw refuse(attributes, `could not determine node from user ${quote(attributes.user.name)}`);
    const { group, resource } = attributes.descriptor;
    await checks[group ? `${resource}.${group}` : resource]?.(deps, attributes, node);
  },
});

const quote = (text: string) => JSON.stringify(text);

async function checkPods(deps: AdmissionDeps, attributes: AdmissionAttributes, node: string): Promise<void> {
  const { subresource, operation } = attributes;
  if (subresource === 'status') return checkPodStatus(attributes, node);
  if (subresource === 'eviction') {
    const pod = await existingPod(deps, attributes);
    if (pod.spec?.nodeName !== node)
      throw refuse(attributes, `node ${node} can only evict pods with spec.nodeName set to itself`);
    return;
  }
  if (subresource)
    throw refuse(
      attributes,
      `unexpected pod subresource ${quote(subresource)}, only 'status' and 'eviction' are allowed`,
    );
  if (operation === 'CREATE') return checkMirrorPod(deps, attributes, node);
  if (operation === 'DELETE') {
    const pod = await existingPod(deps, attributes);
    if (pod.spec?.nodeName !== node)
      throw refuse(attributes, `node ${quote(node)} can only delete pods with spec.nodeName set to itself`);
    return;
  }
  throw refuse(
    attributes,
    `unexpected operation ${quote(operation)}, node ${quote(node)} can only create and delete mirror pods`,
  );
}

async function existingPod(deps: AdmissionDeps, attributes: AdmissionAttributes): Promise<Pod> {
  const pods = { group: '', resource: 'pods' };
  const pod = attributes.oldObject ?? (await findObject(deps, pods, attributes.namespace, attributes.name));
  if (!pod) throw notFound('', 'pods', attributes.name);
  return pod as Pod;
}

function checkPodStatus(attributes: AdmissionAttributes, node: string): void {
  if (attributes.operation !== 'UPDATE')
    throw refuse(attributes, `unexpected operation ${quote(attributes.operation)}`);
  const old = attributes.oldObject as Pod;
  const pod = attributes.object as Pod;
  if (old.spec?.nodeName !== node)
    throw refuse(
      attributes,
      `node ${quote(node)} can only update pod status for pods with spec.nodeName set to itself`,
    );
  if (!isDeepStrictEqual(old.metadata?.labels ?? {}, pod.metadata?.labels ?? {}))
    throw refuse(attributes, `node ${quote(node)} cannot update labels through pod status`);
  if (!isDeepStrictEqual(old.status?.resourceClaimStatuses ?? [], pod.status?.resourceClaimStatuses ?? []))
    throw refuse(attributes, `node ${quote(node)} cannot update resource claim statuses`);
}

async function checkMirrorPod(deps: AdmissionDeps, attributes: AdmissionAttributes, node: string): Promise<void> {
  const pod = attributes.object as Pod;
  const whose = `node ${quote(node)}`;
  if (!isMirrorPod(pod))
    throw refuse(
      attributes,
      `pod does not have ${quote(mirrorPodAnnotation)} annotation, ${whose} can only create mirror pods`,
    );
  if (pod.spec?.nodeName !== node)
    throw refuse(attributes, `${whose} can only create pods with spec.nodeName set to itself`);
  await checkMirrorOwner(deps, attributes, pod, node);
  if (pod.spec.serviceAccountName)
    throw refuse(attributes, `${whose} can not create pods that reference a service account`);
  const kinds: [string, string][] = [
    ['secret:', 'secrets'],
    ['configmap:', 'configmaps'],
    ['pvc:', 'persistentvolumeclaims'],
    ['resourceclaim:', 'resourceclaims'],
  ];
  const references = [...podReferences(pod)];
  for (const [prefix, plural] of kinds)
    if (references.some((key) => key.startsWith(prefix)))
      throw refuse(attributes, `${whose} can not create pods that reference ${plural}`);
  const sources = (pod.spec.volumes ?? []).flatMap(({ projected }) => projected?.sources ?? []);
  if (sources.some(({ serviceAccountToken }) => serviceAccountToken))
    throw refuse(attributes, `${whose} can not create pods that reference a service account`);
}

async function checkMirrorOwner(
  deps: AdmissionDeps,
  attributes: AdmissionAttributes,
  pod: Pod,
  node: string,
): Promise<void> {
  const whose = `node ${quote(node)}`;
  const owners = pod.metadata?.ownerReferences ?? [];
  if (owners.length > 1)
    throw refuse(attributes, `${whose} can only create pods with a single owner reference set to itself`);
  const [owner] = owners;
  if (owner?.apiVersion !== 'v1' || owner.kind !== 'Node' || owner.name !== node)
    throw refuse(attributes, `${whose} can only create pods with an owner reference set to itself`);
  if (!owner.controller)
    throw refuse(attributes, `${whose} can only create pods with a controller owner reference set to itself`);
  if (owner.blockOwnerDeletion)
    throw refuse(attributes, `${whose} must not set blockOwnerDeletion on an owner reference`);
  const found = await findObject(deps, { group: '', resource: 'nodes' }, '', node);
  if (!found) throw notFound('', 'nodes', node);
  if (found.metadata?.uid !== owner.uid)
    throw refuse(attributes, `node ${node} UID mismatch: expected ${found.metadata?.uid} got ${owner.uid}`);
}

function checkNode(_deps: AdmissionDeps, attributes: AdmissionAttributes, node: string): void {
  const next = attributes.object as Node | undefined;
  const old = attributes.oldObject as Node | undefined;
  if (next && attributes.operation === 'CREATE') {
    const labels = forbiddenLabels(next.metadata?.labels ?? {}, {});
    if (labels.length)
      throw refuse(attributes, `node ${quote(node)} is not allowed to set the following labels: ${labels.join(', ')}`);
  }
  const name = nameOf(attributes);
  if (name !== node) throw refuse(attributes, `node ${quote(node)} is not allowed to modify node ${quote(name)}`);
  if (!next || !old || attributes.operation !== 'UPDATE') return;
  if (!isDeepStrictEqual(next.spec?.taints ?? [], old.spec?.taints ?? []))
    throw refuse(attributes, `node ${quote(node)} is not allowed to modify taints`);
  const labels = forbiddenLabels(next.metadata?.labels ?? {}, old.metadata?.labels ?? {});
  if (labels.length) throw refuse(attributes, `is not allowed to modify labels: ${labels.join(', ')}`);
  if (!isDeepStrictEqual(next.metadata?.ownerReferences ?? [], old.metadata?.ownerReferences ?? []))
    throw refuse(attributes, `node ${quote(node)} is not allowed to modify ownerReferences`);
}

const kubeletLabels = new Set([
  'kubernetes.io/hostname',
  'kubernetes.io/os',
  'kubernetes.io/arch',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/arch',
  'beta.kubernetes.io/instance-type',
  'node.kubernetes.io/instance-type',
  'node.kubernetes.io/windows-build',
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
]);
const within = (domain: string, parent: string) => domain === parent || domain.endsWith(`.${parent}`);

/** Labels a kubelet may not give its own node, of those that differ: it could draw privileged workloads to itself. */
export function forbiddenLabels(next: Record<string, string>, old: Record<string, string>): string[] {
  return [...new Set([...Object.keys(next), ...Object.keys(old)])]
    .filter((key) => next[key] !== old[key])
    .filter((key) => {
      const domain = key.includes('/') ? (key.split('/')[0] ?? '') : '';
      if (within(domain, 'node-restriction.kubernetes.io')) return true;
      if (!within(domain, 'kubernetes.io') && !within(domain, 'k8s.io')) return false;
      return (
        !kubeletLabels.has(key) && !within(domain, 'kubelet.kubernetes.io') && !within(domain, 'node.kubernetes.io')
      );
    })
    .sort();
}

async function checkTokenRequest(deps: AdmissionDeps, attributes: AdmissionAttributes, node: string): Promise<void> {
  if (attributes.operation !== 'CREATE' || attributes.subresource !== 'token') return;
  const spec = (attributes.object?.['spec'] ?? {}) as {
    audiences?: string[];
    boundObjectRef?: { apiVersion?: string; kind?: string; name?: string; uid?: string };
  };
  const ref = spec.boundObjectRef;
  if (ref?.apiVersion !== 'v1' || ref.kind !== 'Pod' || !ref.name)
    throw refuse(attributes, 'node requested token not bound to a pod');
  if (!ref.uid) throw refuse(attributes, 'node requested token with a pod binding without a uid');
  const pod = (await findObject(deps, { group: '', resource: 'pods' }, attributes.namespace, ref.name)) as
    | Pod
    | undefined;
  if (!pod) throw notFound('', 'pods', ref.name);
  if (pod.metadata?.uid !== ref.uid)
    throw refuse(
      attributes,
      `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  if (pod.spec?.nodeName !== node)
    throw refuse(attributes, 'node requested token bound to a pod scheduled on a different node');
  await checkAudience(deps, attributes, pod, spec.audiences ?? []);
}

/** Only audiences that the pod asks for in a volume, or that RBAC lets the node ask for. */
async function checkAudience(
  { authorizer }: AdmissionDeps,
  attributes: AdmissionAttributes,
  pod: Pod,
  audiences: string[],
): Promise<void> {
  if (audiences.length > 1) throw refuse(attributes, 'node may only request 0 or 1 audiences');
  const audience = audiences[0] ?? '';
  const asked = (pod.spec?.volumes ?? []).flatMap(({ projected }) =>
    (projected?.sources ?? []).flatMap(({ serviceAccountToken }) =>
      serviceAccountToken ? [serviceAccountToken.audience ?? ''] : [],
    ),
  );
  if (asked.includes(audience)) return;
  const answer = await authorizer.authorize({
    user: attributes.user,
    verb: 'request-serviceaccounts-token-audience',
    resourceRequest: true,
    path: '',
    apiGroup: '',
    apiVersion: '*',
    resource: audience,
    subresource: '',
    namespace: attributes.namespace,
    name: attributes.name,
  });
  if (answer.decision === 'allow') return;
  throw refuse(
    attributes,
    `audience ${quote(audience)} not found in pod spec volume, ${attributes.user.name} is not authorized to request tokens for this audience`,
  );
}
