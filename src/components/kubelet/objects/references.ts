/** Which ConfigMaps and Secrets of its namespace a pod refers to: image pull secrets, environment, volumes. */
import type { Container, Pod, Volume } from '../../../machinery/api/types.ts';

export interface PodReferences {
  configMaps: Set<string>;
  secrets: Set<string>;
}

export function referencesOf(pod: Pod): PodReferences {
  const found: PodReferences = { configMaps: new Set(), secrets: new Set() };
  const { spec } = pod;
  for (const { name } of spec?.imagePullSecrets ?? []) if (name) found.secrets.add(name);
  const containers = [
    ...(spec?.initContainers ?? []),
    ...(spec?.containers ?? []),
    ...((spec?.ephemeralContainers ?? []) as Container[]),
  ];
  for (const container of containers) {
    for (const { configMapRef, secretRef } of container.envFrom ?? []) {
      if (configMapRef?.name) found.configMaps.add(configMapRef.name);
      if (secretRef?.name) found.secrets.add(secretRef.name);
    }
    for (const { valueFrom } of container.env ?? []) {
      if (valueFrom?.configMapKeyRef?.name) found.configMaps.add(valueFrom.configMapKeyRef.name);
      if (valueFrom?.secretKeyRef?.name) found.secrets.add(valueFrom.secretKeyRef.name);
    }
  }
  for (const volume of spec?.volumes ?? []) addVolume(volume, found);
  return found;
}

function addVolume(volume: Volume, found: PodReferences): void {
  if (volume.configMap?.name) found.configMaps.add(volume.configMap.name);
  if (volume.secret?.secretName) found.secrets.add(volume.secret.secretName);
  for (const source of volume.projected?.sources ?? []) {
    if (source.configMap?.name) found.configMaps.add(source.configMap.name);
    if (source.secret?.name) found.secrets.add(source.secret.name);
  }
}
