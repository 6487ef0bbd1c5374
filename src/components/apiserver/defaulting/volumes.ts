/** Defaults of volumes in pods and of persistent volumes' sources. */
import { defaultPullPolicy } from './containers.ts';
import { type Fields, hasObject, listAt, objectAt, setDefault, setDefaults } from './fields.ts';

const filesMode = 0o644;
const tokenSeconds = 3600;

/** A volume of a pod: without a source it is an emptyDir. */
export function defaultVolume(volume: Fields): void {
  if (!Object.keys(volume).some((field) => field !== 'name' && hasObject(volume, field))) volume['emptyDir'] = {};
  for (const source of ['secret', 'configMap', 'downwardAPI', 'projected']) {
    if (hasObject(volume, source)) setDefault(objectAt(volume, source), 'defaultMode', filesMode);
  }
  defaultDownwardItems(objectAt(volume, 'downwardAPI'));
  for (const source of listAt(objectAt(volume, 'projected'), 'sources')) {
    defaultDownwardItems(objectAt(source, 'downwardAPI'));
    if (hasObject(source, 'serviceAccountToken')) {
      setDefault(objectAt(source, 'serviceAccountToken'), 'expirationSeconds', tokenSeconds);
    }
    if (hasObject(source, 'podCertificate')) {
      setDefault(objectAt(source, 'podCertificate'), 'maxExpirationSeconds', 86_400);
    }
  }
  if (hasObject(volume, 'image')) {
    const image = objectAt(volume, 'image');
    setDefault(image, 'pullPolicy', defaultPullPolicy(String(image['reference'] ?? '')), '');
  }
  const template = objectAt(volume, 'ephemeral');
  const claim = objectAt(template, 'volumeClaimTemplate');
  if (hasObject(claim, 'spec')) defaultClaimSpec(objectAt(claim, 'spec'));
  defaultVolumeSource(volume);
}

function defaultDownwardItems(source: Fields): void {
  for (const item of listAt(source, 'items')) {
    if (hasObject(item, 'fieldRef')) setDefault(objectAt(item, 'fieldRef'), 'apiVersion', 'v1', '');
  }
}

/** Sources that pods and persistent volumes have in common. */
export function defaultVolumeSource(source: Fields): void {
  const defaults: Record<string, Fields> = {
    iscsi: { iscsiInterface: 'default' },
    rbd: { pool: 'rbd', user: 'admin', keyring: '/etc/ceph/keyring' },
    azureDisk: { cachingMode: 'ReadWrite', kind: 'Shared', fsType: 'ext4', readOnly: false },
    scaleIO: { storageMode: 'ThinProvisioned', fsType: 'xfs' },
  };
  for (const [field, values] of Object.entries(defaults)) {
    if (hasObject(source, field)) setDefaults(objectAt(source, field), values);
  }
  if (hasObject(source, 'hostPath')) setDefault(objectAt(source, 'hostPath'), 'type', '');
}

export function defaultClaimSpec(spec: Fields): void {
  setDefault(spec, 'volumeMode', 'Filesystem');
}

export function defaultClaim(claim: Fields): void {
  const status = objectAt(claim, 'status');
  setDefault(status, 'phase', 'Pending', '');
  claim['status'] = status;
  defaultClaimSpec(objectAt(claim, 'spec'));
}
