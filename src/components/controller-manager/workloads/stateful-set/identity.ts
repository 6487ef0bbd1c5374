/** What each pod of a StatefulSet is: its ordinal, name, host name and volume claims. */
import { controllerReference } from '../../../../machinery/api/owners.ts';
import type {
  ControllerRevision,
  PersistentVolumeClaim,
  Pod,
  PodTemplateSpec,
  StatefulSet,
} from '../../../../machinery/api/types.ts';
import { statefulSets } from '../../../../machinery/client/resources.ts';
import { revisionHashLabel } from '../revisions/history.ts';

export const podNameLabel = 'statefulset.kubernetes.io/pod-name';
export const podIndexLabel = 'apps.kubernetes.io/pod-index';

export const firstOrdinal = ({ spec }: StatefulSet): number => spec?.ordinals?.start ?? 0;
export const podName = (set: StatefulSet, ordinal: number): string => `${set.metadata?.name}-${ordinal}`;

/** -1 when the name is not one of the set's. */
export function ordinalOf(set: StatefulSet, { metadata }: Pod): number {
  const prefix = `${set.metadata?.name}-`;
  const name = metadata?.name ?? '';
  const rest = name.slice(prefix.length);
  return name.startsWith(prefix) && /^\d+$/.test(rest) ? Number(rest) : -1;
}

/** By the claim template's name. */
export function claimsOf(set: StatefulSet, ordinal: number): Map<string, PersistentVolumeClaim> {
  const claims = new Map<string, PersistentVolumeClaim>();
  for (const template of set.spec?.volumeClaimTemplates ?? []) {
    const name = template.metadata?.name ?? '';
    claims.set(name, {
      ...template,
      metadata: {
        ...template.metadata,
        name: `${name}-${podName(set, ordinal)}`,
        namespace: set.metadata?.namespace ?? '',
        labels: { ...template.metadata?.labels, ...set.spec?.selector.matchLabels },
      },
    });
  }
  return claims;
}

/** With the set's names and claims, whatever it had. */
export function withIdentity(set: StatefulSet, pod: Pod, ordinal: number): Pod {
  const name = podName(set, ordinal);
  const claims = claimsOf(set, ordinal);
  const volumes = (pod.spec?.volumes ?? []).filter((volume) => !claims.has(volume.name));
  const claimed = [...claims].map(([volume, { metadata }]) => ({
    name: volume,
    persistentVolumeClaim: { claimName: metadata?.name ?? '' },
  }));
  const all = [...claimed, ...volumes];
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      name,
      namespace: set.metadata?.namespace ?? '',
      labels: { ...pod.metadata?.labels, [podNameLabel]: name, [podIndexLabel]: String(ordinal) },
    },
    spec: { containers: [], ...pod.spec, ...(all.length ? { volumes: all } : {}) },
  };
}

/** Whether a pod has its names and claims. */
export function hasIdentity(set: StatefulSet, pod: Pod): boolean {
  const ordinal = ordinalOf(set, pod);
  const { labels } = pod.metadata ?? {};
  if (ordinal < 0 || labels?.[podNameLabel] !== pod.metadata?.name || labels?.[podIndexLabel] !== String(ordinal))
    return false;
  return [...claimsOf(set, ordinal)].every(([volume, claim]) =>
    pod.spec?.volumes?.some(
      ({ name, persistentVolumeClaim }) => name === volume && persistentVolumeClaim?.claimName === claim.metadata?.name,
    ),
  );
}

/** A new pod of an ordinal, from the template of a revision. */
export function statefulPod(set: StatefulSet, revision: ControllerRevision, ordinal: number): Pod {
  const template = templateOf(revision) ?? set.spec?.template ?? {};
  const name = podName(set, ordinal);
  const { labels, annotations, finalizers } = template.metadata ?? {};
  const pod = withIdentity(
    set,
    {
      metadata: {
        labels: { ...labels },
        ...(annotations ? { annotations: { ...annotations } } : {}),
        ...(finalizers?.length ? { finalizers: [...finalizers] } : {}),
        ownerReferences: [controllerReference(set, statefulSets)],
      },
      spec: { containers: [], ...structuredClone(template.spec), hostname: name },
    },
    ordinal,
  );
  if (pod.spec && set.spec?.serviceName) pod.spec.subdomain = set.spec.serviceName;
  if (pod.metadata)
    pod.metadata.labels = { ...pod.metadata.labels, [revisionHashLabel]: revision.metadata?.name ?? '' };
  return pod;
}

/** The template that a revision's patch holds. */
export function templateOf({ data }: ControllerRevision): PodTemplateSpec | undefined {
  const patch = data as { spec?: { template?: PodTemplateSpec & { $patch?: string } } } | undefined;
  if (!patch?.spec?.template) return undefined;
  const { $patch: _directive, ...template } = patch.spec.template;
  return template;
}
