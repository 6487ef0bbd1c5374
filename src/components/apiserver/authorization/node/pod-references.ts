/** Everything that a pod makes its node need: secrets, config maps, claims, its service account. Pure. */
import type { Pod } from '../../../../machinery/api/types.ts';

export type ReferenceKind = 'secret' | 'configmap' | 'pvc' | 'serviceaccount' | 'resourceclaim';

/** `kind:namespace/name` of each object that the pod refers to. */
export function podReferences(pod: Pod): Set<string> {
  const namespace = pod.metadata?.namespace ?? '';
  const found = new Set<string>();
  const add = (kind: ReferenceKind, name: string | undefined, inNamespace = namespace) => {
    if (name) found.add(referenceKey(kind, inNamespace, name));
  };
  const { spec } = pod;
  if (!spec) return found;
  add('serviceaccount', spec.serviceAccountName);
  for (const secret of spec.imagePullSecrets ?? []) add('secret', secret.name);
  for (const container of [
    ...(spec.initContainers ?? []),
    ...(spec.containers ?? []),
    ...(spec.ephemeralContainers ?? []),
  ]) {
    for (const source of container.envFrom ?? []) {
      add('secret', source.secretRef?.name);
      add('configmap', source.configMapRef?.name);
    }
    for (const { valueFrom } of container.env ?? []) {
      add('secret', valueFrom?.secretKeyRef?.name);
      add('configmap', valueFrom?.configMapKeyRef?.name);
    }
  }
  for (const volume of spec.volumes ?? []) {
    add('secret', volume.secret?.secretName);
    add('configmap', volume.configMap?.name);
    add('pvc', volume.persistentVolumeClaim?.claimName);
    if (volume.ephemeral) add('pvc', `${pod.metadata?.name}-${volume.name}`);
    for (const source of volume.projected?.sources ?? []) {
      add('secret', source.secret?.name);
      add('configmap', source.configMap?.name);
    }
    add('secret', volume.azureFile?.secretName);
    add('secret', volume.csi?.nodePublishSecretRef?.name);
    for (const plugin of [
      volume.cephfs,
      volume.cinder,
      volume.flexVolume,
      volume.iscsi,
      volume.rbd,
      volume.scaleIO,
      volume.storageos,
    ])
      add('secret', plugin?.secretRef?.name);
  }
  for (const claim of pod.status?.resourceClaimStatuses ?? []) add('resourceclaim', claim.resourceClaimName);
  for (const claim of spec.resourceClaims ?? []) add('resourceclaim', claim.resourceClaimName);
  return found;
}

export const referenceKey = (kind: ReferenceKind, namespace: string, name: string) => `${kind}:${namespace}/${name}`;

/** Secrets that a persistent volume needs where it is mounted. */
export function volumeSecrets(volume: {
  spec?: {
    claimRef?: { namespace?: string };
    csi?: Record<string, unknown>;
    [source: string]: unknown;
  };
}): string[] {
  const spec = volume.spec;
  if (!spec) return [];
  const keys: string[] = [];
  const add = (ref: unknown) => {
    const { name, namespace } = (ref ?? {}) as { name?: string; namespace?: string };
    if (name) keys.push(referenceKey('secret', namespace || (spec.claimRef?.namespace ?? ''), name));
  };
  for (const field of [
    'nodePublishSecretRef',
    'nodeStageSecretRef',
    'nodeExpandSecretRef',
    'controllerPublishSecretRef',
  ])
    add(spec.csi?.[field]);
  for (const source of ['cephfs', 'cinder', 'flexVolume', 'iscsi', 'rbd', 'scaleIO', 'storageos'])
    add((spec[source] as { secretRef?: unknown } | undefined)?.secretRef);
  const azureFile = spec['azureFile'] as { secretName?: string; secretNamespace?: string } | undefined;
  if (azureFile) add({ name: azureFile.secretName, namespace: azureFile.secretNamespace });
  return keys;
}
