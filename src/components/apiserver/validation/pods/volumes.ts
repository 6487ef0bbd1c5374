/** Volumes of a pod: one source each, and what that source needs. */
import { dns1123LabelErrors, dns1123SubdomainErrors } from '../../../../machinery/api/names.ts';
import { parseQuantity } from '../../../../machinery/api/quantity.ts';
import type { Volume } from '../../../../machinery/api/types.ts';
import { configKeyErrors, descendingPath, named, noBackSteps, optionalOneOf } from '../checks.ts';
import { at, duplicate, type FieldError, forbiddenField, invalidValue, required } from '../field-errors.ts';
import { fieldRefErrors, resourceFieldErrors } from './environment.ts';

type Projection = NonNullable<NonNullable<Volume['projected']>['sources']>[number];
type Items = NonNullable<NonNullable<Volume['configMap']>['items']>;
type DownwardItems = NonNullable<NonNullable<Volume['downwardAPI']>['items']>;

export function volumeErrors(volumes: Volume[], field: string): FieldError[] {
  const names = new Set<string>();
  const errors: FieldError[] = [];
  for (const [i, volume] of volumes.entries()) {
    const here = at(field, i);
    errors.push(...sourceErrors(volume, here));
    const bad = named(volume.name, `${here}.name`, dns1123LabelErrors);
    if (bad.length) errors.push(...bad);
    else if (names.has(volume.name)) errors.push(duplicate(`${here}.name`, volume.name));
    names.add(volume.name);
  }
  return errors;
}

type Checks = { [K in keyof Omit<Volume, 'name'>]-?: (source: NonNullable<Volume[K]>, field: string) => FieldError[] };

const needs =
  (...fields: string[]) =>
  (source: object, field: string): FieldError[] =>
    fields.flatMap((name) => ((source as Record<string, unknown>)[name] ? [] : [required(`${field}.${name}`)]));

const hostPathTypes = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
];

/** In the order in which upstream looks at them. */
const checks: Checks = {
  emptyDir: ({ sizeLimit }, field) =>
    sizeLimit !== undefined && parseQuantity(sizeLimit).nano < 0n
      ? [forbiddenField(`${field}.sizeLimit`, 'SizeLimit field must be a valid resource quantity')]
      : [],
  hostPath: ({ path, type }, field) =>
    path
      ? [...noBackSteps(path, `${field}.path`), ...optionalOneOf(type, hostPathTypes, `${field}.type`)]
      : [required(`${field}.path`)],
  gitRepo: needs('repository'),
  gcePersistentDisk: needs('pdName'),
  awsElasticBlockStore: needs('volumeID'),
  secret: ({ secretName, defaultMode, items }, field) => [
    ...(secretName ? [] : [required(`${field}.secretName`)]),
    ...modeErrors(defaultMode, `${field}.defaultMode`),
    ...itemErrors(items, `${field}.items`),
  ],
  nfs: ({ server, path }, field) => [
    ...(server ? [] : [required(`${field}.server`)]),
    ...(path ? [] : [required(`${field}.path`)]),
    ...(path && !path.startsWith('/') ? [invalidValue(`${field}.path`, path, 'must be an absolute path')] : []),
  ],
  iscsi: needs('targetPortal', 'iqn'),
  glusterfs: needs('endpoints', 'path'),
  flexVolume: needs('driver'),
  configMap: ({ name, defaultMode, items }, field) => [
    ...(name ? [] : [required(`${field}.name`)]),
    ...modeErrors(defaultMode, `${field}.defaultMode`),
    ...itemErrors(items, `${field}.items`),
  ],
  cinder: needs('volumeID'),
  cephfs: needs('monitors'),
  rbd: needs('monitors', 'image'),
  flocker: () => [],
  downwardAPI: ({ defaultMode, items }, field) => [
    ...modeErrors(defaultMode, `${field}.defaultMode`),
    ...downwardErrors(items, `${field}.items`),
  ],
  fc: () => [],
  azureFile: needs('secretName', 'shareName'),
  vsphereVolume: needs('volumePath'),
  quobyte: needs('registry', 'volume'),
  azureDisk: needs('diskName', 'diskURI'),
  photonPersistentDisk: needs('pdID'),
  portworxVolume: needs('volumeID'),
  scaleIO: needs('gateway', 'system', 'volumeName'),
  storageos: () => [],
  persistentVolumeClaim: needs('claimName'),
  projected: ({ defaultMode, sources = [] }, field) => [
    ...modeErrors(defaultMode, `${field}.defaultMode`),
    ...sources.flatMap((source, i) => projectionErrors(source, at(`${field}.sources`, i))),
  ],
  csi: ({ driver }, field) => named(driver, `${field}.driver`, dns1123SubdomainErrors),
  ephemeral: ({ volumeClaimTemplate }, field) =>
    volumeClaimTemplate ? [] : [required(`${field}.volumeClaimTemplate`)],
  image: ({ pullPolicy }, field) =>
    optionalOneOf(pullPolicy, ['Always', 'IfNotPresent', 'Never'], `${field}.pullPolicy`),
};

function sourceErrors(volume: Volume, here: string): FieldError[] {
  const errors: FieldError[] = [];
  let seen = 0;
  for (const [name, check] of Object.entries(checks) as [
    keyof Checks,
    (source: never, field: string) => FieldError[],
  ][]) {
    const source = volume[name];
    if (source === undefined || source === null) continue;
    if (seen > 0) errors.push(forbiddenField(`${here}.${name}`, 'may not specify more than 1 volume type'));
    else errors.push(...check(source as never, `${here}.${name}`));
    seen += 1;
  }
  if (seen === 0) errors.push(required(here, 'must specify a volume type'));
  return errors;
}

function projectionErrors(source: Projection, here: string): FieldError[] {
  const { secret, configMap, downwardAPI, serviceAccountToken, clusterTrustBundle, podCertificate } = source;
  const errors: FieldError[] = [];
  if (secret)
    errors.push(
      ...(secret.name ? [] : [required(`${here}.secret.name`)]),
      ...itemErrors(secret.items, `${here}.secret.items`),
    );
  if (configMap)
    errors.push(
      ...(configMap.name ? [] : [required(`${here}.configMap.name`)]),
      ...itemErrors(configMap.items, `${here}.configMap.items`),
    );
  if (downwardAPI) errors.push(...downwardErrors(downwardAPI.items, `${here}.downwardAPI.items`));
  if (serviceAccountToken) {
    const { expirationSeconds = 3600, path } = serviceAccountToken;
    const field = `${here}.serviceAccountToken`;
    if (expirationSeconds < 600)
      errors.push(
        invalidValue(
          `${field}.expirationSeconds`,
          expirationSeconds,
          'may not specify a duration less than 10 minutes',
        ),
      );
    if (expirationSeconds > 2 ** 32)
      errors.push(
        invalidValue(
          `${field}.expirationSeconds`,
          expirationSeconds,
          'may not specify a duration larger than 2^32 seconds',
        ),
      );
    if (!path) errors.push(required(`${field}.path`));
    else errors.push(...descendingPath(path, `${field}.path`));
  }
  const count = [secret, configMap, downwardAPI, serviceAccountToken, clusterTrustBundle, podCertificate].filter(
    Boolean,
  ).length;
  if (count === 0) errors.push(required(here, 'must specify a projection source'));
  if (count > 1) errors.push(forbiddenField(here, 'may not specify more than 1 volume type'));
  return errors;
}

const modeErrors = (mode: number | undefined | null, field: string): FieldError[] =>
  mode !== undefined && mode !== null && (mode < 0 || mode > 0o777)
    ? [invalidValue(field, mode, 'must be a number between 0 and 0777 (octal), both inclusive')]
    : [];

function itemErrors(items: Items | undefined, field: string): FieldError[] {
  return (items ?? []).flatMap(({ key, path, mode }, i) => {
    const here = at(field, i);
    return [
      ...named(key, `${here}.key`, configKeyErrors),
      ...(path ? reservedPathErrors(path, `${here}.path`) : [required(`${here}.path`)]),
      ...modeErrors(mode, `${here}.mode`),
    ];
  });
}

function reservedPathErrors(path: string, field: string): FieldError[] {
  const errors = descendingPath(path, field);
  if (path.startsWith('..') && !path.startsWith('../') && path !== '..')
    errors.push(invalidValue(field, path, "must not start with '..'"));
  return errors;
}

/** Sorted, as errors list them. */
const downwardFields = [
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
];

function downwardErrors(items: DownwardItems | undefined, field: string): FieldError[] {
  return (items ?? []).flatMap(({ path, fieldRef, resourceFieldRef, mode }, i) => {
    const here = at(field, i);
    const errors = path ? reservedPathErrors(path, `${here}.path`) : [required(`${here}.path`)];
    if (fieldRef) {
      errors.push(...fieldRefErrors(fieldRef, downwardFields, `${here}.fieldRef`));
      if (resourceFieldRef)
        errors.push(
          invalidValue(here, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously'),
        );
    } else if (resourceFieldRef) {
      if (!resourceFieldRef.containerName) errors.push(required(`${here}.resourceFieldRef.containerName`));
      errors.push(...resourceFieldErrors(resourceFieldRef, `${here}.resourceFieldRef`));
    } else errors.push(required(here, 'one of fieldRef and resourceFieldRef is required'));
    return [...errors, ...modeErrors(mode, `${here}.mode`)];
  });
}
