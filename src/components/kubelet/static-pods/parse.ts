/** A manifest file → the pod it describes, named and identified as the kubelet of this node does. */

import { createHash } from 'node:crypto';
import { load } from 'js-yaml';
import { stableJson } from '../../../machinery/api/hash.ts';
import { isObject } from '../../../machinery/api/json.ts';
import type { Pod, PodSpec } from '../../../machinery/api/types.ts';
import { podAnnotations } from '../cri/labels.ts';
import { withPodDefaults } from './defaults.ts';

export class ManifestError extends Error {}

const dnsSubdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const dnsLabel = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/**
 * @param text YAML or JSON
 * @param path of the file; part of the pod's identity
 * @param now for the annotation config.seen
 */
export function parseManifest(text: string, path: string, nodeName: string, now: Date = new Date()): Pod {
  const fail = (what: string): never => {
    throw new ManifestError(`${path}: couldn't parse as pod: ${what}`);
  };
  let document: unknown;
  try {
    document = load(text);
  } catch (error) {
    return fail((error as Error).message);
  }
  if (!isObject(document)) return fail('it is no object');
  if (document['kind'] !== 'Pod') return fail(`kind ${JSON.stringify(document['kind'])} is not Pod`);
  if (document['apiVersion'] !== 'v1') return fail(`apiVersion ${JSON.stringify(document['apiVersion'])} is not v1`);
  if (!isObject(document['metadata'])) return fail('metadata is missing');
  if (!isObject(document['spec'])) return fail('spec is missing');
  const pod = document as Pod & { metadata: NonNullable<Pod['metadata']>; spec: PodSpec };
  const problems = problemsOf(pod);
  if (problems.length) throw new ManifestError(`${path}: invalid pod: ${problems.join(', ')}`);
  const { status: _status, ...given } = pod;
  const namespace = pod.metadata.namespace || 'default';
  const uid = pod.metadata.uid ?? identity(given, nodeName, path);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...pod.metadata,
      name: `${pod.metadata.name}-${nodeName}`,
      namespace,
      uid,
      annotations: {
        ...pod.metadata.annotations,
        [podAnnotations.configHash]: uid,
        [podAnnotations.configSeen]: now.toISOString().replace(/\.\d+Z$/, '.000000000Z'),
        [podAnnotations.configSource]: 'file',
      },
    },
    spec: {
      ...withPodDefaults(pod.spec),
      nodeName,
      // Pods from files stay on their node whatever its taints.
      tolerations: [...(pod.spec.tolerations ?? []), { effect: 'NoExecute', operator: 'Exists' }],
    },
    status: { phase: 'Pending' },
  };
}

/** 32 hexadecimal digits that change with the content, the node and the path. */
function identity(pod: Pod, nodeName: string, path: string): string {
  return createHash('md5').update(stableJson(pod)).update(`host:${nodeName}file:${path}`).digest('hex');
}

/** What would keep the pod from running; a pod from a file is checked by nobody else. */
function problemsOf(pod: Pod): string[] {
  const problems: string[] = [];
  const { metadata, spec } = pod;
  if (typeof metadata?.name !== 'string' || !dnsSubdomain.test(metadata.name))
    problems.push(`metadata.name: Invalid value: ${JSON.stringify(metadata?.name ?? '')}`);
  if (!Array.isArray(spec?.containers) || spec.containers.length === 0)
    return [...problems, 'spec.containers: Required value'];
  const names = new Set<string>();
  for (const [field, containers] of [
    ['initContainers', spec.initContainers ?? []],
    ['containers', spec.containers],
  ] as const) {
    for (const [index, container] of containers.entries()) {
      const at = `spec.${field}[${index}]`;
      if (typeof container?.name !== 'string' || !dnsLabel.test(container.name))
        problems.push(`${at}.name: Invalid value: ${JSON.stringify(container?.name ?? '')}`);
      else if (names.has(container.name)) problems.push(`${at}.name: Duplicate value: "${container.name}"`);
      else names.add(container.name);
      if (typeof container?.image !== 'string' || container.image.trim() === '')
        problems.push(`${at}.image: Required value`);
    }
  }
  const volumes = new Set((spec.volumes ?? []).map(({ name }) => name));
  for (const container of [...(spec.initContainers ?? []), ...spec.containers])
    for (const mount of container?.volumeMounts ?? [])
      if (!volumes.has(mount.name)) problems.push(`volumeMounts: Not found: "${mount.name}"`);
  for (const volume of spec.volumes ?? []) {
    const refused = ['secret', 'configMap', 'persistentVolumeClaim'].find((source) => source in volume);
    if (refused) problems.push(`spec.volumes: a static pod may not reference ${refused}`);
  }
  if (spec.serviceAccountName) problems.push('spec.serviceAccountName: a static pod may not reference serviceaccounts');
  return problems;
}
