/** Persistent volumes and claims. */
import { isDeepStrictEqual } from 'node:util';
import { compareQuantities, parseQuantity } from '../../../machinery/api/quantity.ts';
import type { PersistentVolume, PersistentVolumeClaim, UnknownObject } from '../../../machinery/api/types.ts';
import { noBackSteps, optionalOneOf } from './checks.ts';
import {
  entry,
  type FieldError,
  fieldImmutable,
  forbiddenField,
  invalidValue,
  required,
  unsupported,
} from './field-errors.ts';
import { quantityErrors } from './resources.ts';
import { labelSelectorErrors, nodeSelectorErrors } from './selectors.ts';

const modes = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];

function accessModeErrors(given: string[], detail: string): FieldError[] {
  const field = 'spec.accessModes';
  if (!given.length) return [required(field, detail)];
  const errors = given.filter((mode) => !modes.includes(mode)).map((mode) => unsupported(field, mode, modes));
  if (given.includes('ReadWriteOncePod') && given.length > 1)
    errors.push(forbiddenField(field, 'may not use ReadWriteOncePod with other access modes'));
  return errors;
}

function storageErrors(text: string | undefined, field: string): FieldError[] {
  if (text === undefined) return [required(field)];
  const errors = quantityErrors('storage', text, field);
  if (!errors.length && parseQuantity(text).nano === 0n)
    errors.push(invalidValue(field, text, 'must be greater than zero'));
  return errors;
}

export function claimErrors(object: UnknownObject): FieldError[] {
  const { spec = {} } = object as PersistentVolumeClaim;
  return [
    ...labelSelectorErrors(spec.selector, 'spec.selector'),
    ...accessModeErrors(spec.accessModes ?? [], 'at least 1 access mode is required'),
    ...storageErrors(spec.resources?.requests?.['storage'], entry('spec.resources', 'storage')),
    ...optionalOneOf(spec.volumeMode, ['Block', 'Filesystem'], 'spec.volumeMode'),
  ];
}

export function claimUpdateErrors(object: UnknownObject, old: UnknownObject): FieldError[] {
  const [next, before] = [(object as PersistentVolumeClaim).spec ?? {}, (old as PersistentVolumeClaim).spec ?? {}];
  const errors = claimErrors(object);
  const fixed = { ...next };
  const bound = (old as PersistentVolumeClaim).status?.phase === 'Bound';
  // Binding fills in the volume once, and a bound claim may grow.
  if (!before.volumeName) delete fixed.volumeName;
  const was = { ...before };
  // A claim without a class may get the default one later; the empty class is none at all, and stays.
  const classOf = (claim: UnknownObject) => claim.metadata?.annotations?.['volume.beta.kubernetes.io/storage-class'];
  if ((before.storageClassName ?? undefined) === undefined && !classOf(old) && !classOf(object))
    delete fixed.storageClassName;
  if (bound) {
    delete fixed.resources;
    delete was.resources;
    delete fixed.volumeAttributesClassName;
    delete was.volumeAttributesClassName;
  }
  if (!isDeepStrictEqual(fixed, was))
    errors.push(
      forbiddenField(
        'spec',
        'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
      ),
    );
  const size = ({ resources }: typeof next) => parseQuantity(resources?.requests?.['storage'] ?? '0');
  const given = parseQuantity((old as PersistentVolumeClaim).status?.capacity?.['storage'] ?? '0');
  // A growth that does not succeed may be taken back, but never below what is there.
  if (bound && compareQuantities(size(next), size(before)) < 0 && compareQuantities(size(next), given) <= 0)
    errors.push(forbiddenField('spec.resources.requests.storage', 'field can not be less than status.capacity'));
  return errors;
}

const notSources = new Set([
  'accessModes',
  'capacity',
  'claimRef',
  'mountOptions',
  'nodeAffinity',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'volumeAttributesClassName',
  'volumeMode',
]);

const sourceOf = (spec: object): [string, unknown][] =>
  Object.entries(spec).filter(([name, value]) => !notSources.has(name) && value);

export function volumeErrors(object: UnknownObject): FieldError[] {
  const { spec = {} } = object as PersistentVolume;
  const errors = accessModeErrors(spec.accessModes ?? [], '');
  if (!Object.keys(spec.capacity ?? {}).length) errors.push(required('spec.capacity'));
  else if (!spec.capacity?.['storage'] || Object.keys(spec.capacity).length > 1)
    errors.push(unsupported('spec.capacity', Object.keys(spec.capacity ?? {})[0], ['storage']));
  else errors.push(...storageErrors(spec.capacity['storage'], entry('spec.capacity', 'storage')));
  errors.push(
    ...optionalOneOf(
      spec.persistentVolumeReclaimPolicy,
      ['Delete', 'Recycle', 'Retain'],
      'spec.persistentVolumeReclaimPolicy',
    ),
  );
  const required_ = spec.nodeAffinity?.required;
  if (spec.nodeAffinity)
    errors.push(
      ...(required_
        ? nodeSelectorErrors(required_, 'spec.nodeAffinity.required')
        : [required('spec.nodeAffinity.required', 'must specify required node constraints')]),
    );
  const sources = sourceOf(spec);
  if (!sources.length) errors.push(required('spec', 'must specify a volume type'));
  for (const [name] of sources.slice(1))
    errors.push(forbiddenField(`spec.${name}`, 'may not specify more than 1 volume type'));
  if (spec.local && !spec.local.path) errors.push(required('spec.local.path'));
  if (spec.local && !required_) errors.push(required('spec.nodeAffinity', 'Local volume requires node affinity'));
  if (spec.hostPath && !spec.hostPath.path) errors.push(required('spec.hostPath.path'));
  errors.push(
    ...noBackSteps(spec.local?.path ?? '', 'spec.local.path'),
    ...noBackSteps(spec.hostPath?.path ?? '', 'spec.hostPath.path'),
  );
  if (spec.hostPath?.path === '/' && spec.persistentVolumeReclaimPolicy === 'Recycle')
    errors.push(
      forbiddenField('spec.persistentVolumeReclaimPolicy', "may not be 'recycle' for a hostPath mount of '/'"),
    );
  return [...errors, ...optionalOneOf(spec.volumeMode, ['Block', 'Filesystem'], 'spec.volumeMode')];
}

export function volumeUpdateErrors(object: UnknownObject, old: UnknownObject): FieldError[] {
  const [next, before] = [(object as PersistentVolume).spec ?? {}, (old as PersistentVolume).spec ?? {}];
  const errors = volumeErrors(object);
  if (!isDeepStrictEqual(sourceOf(next), sourceOf(before)))
    errors.push(
      forbiddenField('spec.persistentvolumesource', 'spec.persistentvolumesource is immutable after creation'),
    );
  if (before.nodeAffinity && !isDeepStrictEqual(next.nodeAffinity, before.nodeAffinity))
    errors.push(
      invalidValue(
        'spec.nodeAffinity',
        next.nodeAffinity ?? null,
        'field is immutable, except for updating from beta label to GA',
      ),
    );
  if (next.volumeMode !== before.volumeMode)
    errors.push(invalidValue('spec.volumeMode', next.volumeMode ?? null, fieldImmutable));
  return errors;
}
