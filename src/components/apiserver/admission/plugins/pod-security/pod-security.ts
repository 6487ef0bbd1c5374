/** PodSecurity: namespaces say by their labels which Pod Security Standard their pods keep; pods are refused, their owners warned. */
import { isDeepStrictEqual } from 'node:util';
import type { Container, Namespace, Pod, PodTemplateSpec, UnknownObject } from '../../../../../machinery/api/types.ts';
import { invalid } from '../../../errors.ts';
import type { AdmissionAttributes } from '../../../types.ts';
import { type AdmissionDeps, findObject, onOperations, type PluginFactory, refuse } from '../../plugin.ts';
import {
  type LevelVersion,
  listed,
  type Policy,
  policyOf,
  printPolicy,
  reasons,
  samePolicy,
  violations,
} from './policy.ts';
import { plural } from './wording.ts';

const namespaces = { group: '', resource: 'namespaces' };
const pods = { group: '', resource: 'pods' };

/** Where the pod template lies in kinds that make pods. */
const templates: Record<string, (object: UnknownObject) => PodTemplateSpec | undefined> = {
  '/replicationcontrollers': (object) => specOf(object).template,
  '/podtemplates': (object) => object['template'] as PodTemplateSpec | undefined,
  'apps/deployments': (object) => specOf(object).template,
  'apps/replicasets': (object) => specOf(object).template,
  'apps/daemonsets': (object) => specOf(object).template,
  'apps/statefulsets': (object) => specOf(object).template,
  'batch/jobs': (object) => specOf(object).template,
  'batch/cronjobs': (object) => specOf(object).jobTemplate?.spec?.template,
};

interface TemplateSpec {
  template?: PodTemplateSpec;
  jobTemplate?: { spec?: { template?: PodTemplateSpec } };
}
const specOf = (object: UnknownObject): TemplateSpec => (object['spec'] ?? {}) as TemplateSpec;

export const podSecurity: PluginFactory = (deps) => ({
  name: 'PodSecurity',
  handles: onOperations('CREATE', 'UPDATE'),
  async validate(attributes) {
    const { descriptor, subresource } = attributes;
    const kind = `${descriptor.group}/${descriptor.resource}`;
    if (kind === '/namespaces') {
      if (!subresource) checkNamespace(deps, attributes);
    } else if (kind === '/pods') {
      if (subresource === '' || subresource === 'ephemeralcontainers') await checkPod(deps, attributes);
    } else if (!subresource && templates[kind]) await checkTemplate(deps, attributes, templates[kind]);
  },
});

async function policyOfNamespace(deps: AdmissionDeps, namespace: string): Promise<Policy> {
  const found = (await findObject(deps, namespaces, '', namespace)) as Namespace | undefined;
  return policyOf(found?.metadata?.labels).policy;
}

async function checkPod(deps: AdmissionDeps, attributes: AdmissionAttributes): Promise<void> {
  const pod = attributes.object as Pod;
  if (attributes.operation === 'UPDATE' && !isSignificant(pod, attributes.oldObject as Pod)) return;
  const policy = await policyOfNamespace(deps, attributes.namespace);
  const found = violations(policy.enforce, pod);
  if (found.length)
    throw refuse(attributes, `violates PodSecurity ${JSON.stringify(printPolicy(policy.enforce))}: ${listed(found)}`);
  warn(policy, pod, attributes);
}

async function checkTemplate(
  deps: AdmissionDeps,
  attributes: AdmissionAttributes,
  templateOf: (object: UnknownObject) => PodTemplateSpec | undefined,
): Promise<void> {
  const template = attributes.object && templateOf(attributes.object);
  if (!template) return;
  warn(await policyOfNamespace(deps, attributes.namespace), template as Pod, attributes);
}

function warn({ warn: policy }: Policy, pod: Pod, attributes: AdmissionAttributes): void {
  const found = violations(policy, pod);
  if (found.length)
    attributes.warn(`would violate PodSecurity ${JSON.stringify(printPolicy(policy))}: ${listed(found)}`);
}

/** Of what may change in a pod, images and ephemeral containers matter; annotations may name AppArmor profiles. */
function isSignificant(next: Pod, before: Pod): boolean {
  const images = (list: Container[] | undefined) => (list ?? []).map(({ image }) => image);
  const profiles = (pod: Pod) =>
    Object.entries(pod.metadata?.annotations ?? {}).filter(([key]) => key.startsWith('container.apparmor.'));
  return (
    !isDeepStrictEqual(images(next.spec?.containers), images(before.spec?.containers)) ||
    !isDeepStrictEqual(images(next.spec?.initContainers), images(before.spec?.initContainers)) ||
    !isDeepStrictEqual(next.spec?.ephemeralContainers ?? [], before.spec?.ephemeralContainers ?? []) ||
    !isDeepStrictEqual(profiles(next), profiles(before))
  );
}

/** Labels must make sense; a stricter level names the pods that would not be let in any more. */
function checkNamespace(deps: AdmissionDeps, attributes: AdmissionAttributes): void {
  const { object, oldObject, operation } = attributes;
  const { policy, errors } = policyOf(object?.metadata?.labels);
  const name = object?.metadata?.name ?? '';
  const before = policyOf(oldObject?.metadata?.labels);
  if (
    errors.length &&
    (operation === 'CREATE' || errors.length > before.errors.length || !isDeepStrictEqual(errors, before.errors))
  )
    throw invalid('', 'Namespace', name, errors);
  if (
    operation === 'CREATE' ||
    samePolicy(policy.enforce, before.policy.enforce) ||
    policy.enforce.level === 'privileged'
  )
    return;
  for (const line of existingPodWarnings(policy.enforce, deps.cache.list(pods, name) as Pod[], name))
    attributes.warn(line);
}

export function existingPodWarnings(policy: LevelVersion, existing: Pod[], namespace: string): string[] {
  const byReason = new Map<string, string[]>();
  const owners = new Set<string>();
  for (const pod of existing) {
    // Of pods with the same owner one is enough.
    const owner = pod.metadata?.ownerReferences?.find(({ controller }) => controller)?.uid;
    if (owner && owners.has(owner)) continue;
    if (owner) owners.add(owner);
    const found = violations(policy, pod);
    if (found.length) byReason.set(reasons(found), [...(byReason.get(reasons(found)) ?? []), pod.metadata?.name ?? '']);
  }
  if (!byReason.size) return [];
  const lines = [...byReason].map(([reason, names]) => {
    const [first = '', ...others] = names.sort();
    if (!others.length) return `${first}: ${reason}`;
    return `${first} (and ${others.length} other ${plural('pod', 'pods', others.length)}): ${reason}`;
  });
  return [
    `existing pods in namespace ${JSON.stringify(namespace)} violate the new PodSecurity enforce level ${JSON.stringify(printPolicy(policy))}`,
    ...lines.sort(),
  ];
}
