/** Config maps, secrets, namespaces, nodes and service accounts. */
import { isDeepStrictEqual } from 'node:util';
import { labelValueErrors, qualifiedNameErrors } from '../../../machinery/api/names.ts';
import type { ConfigMap, Namespace, Node, Secret, Taint, UnknownObject } from '../../../machinery/api/types.ts';
import { cidr, configKeyErrors } from './checks.ts';
import {
  at,
  duplicate,
  eachInvalid,
  entry,
  type FieldError,
  fieldImmutable,
  forbiddenField,
  invalidValue,
  qualifiedNameFieldErrors,
  required,
  tooLong,
  unsupported,
} from './field-errors.ts';
import { finalizerErrors } from './metadata.ts';
import { taintEffects } from './pods/scheduling.ts';
import { quantityErrors } from './resources.ts';

const maxBytes = 1024 * 1024;
const immutableText = 'field is immutable when `immutable` is set';

export function configMapErrors(object: UnknownObject): FieldError[] {
  const { data = {}, binaryData = {} } = object as ConfigMap;
  const errors: FieldError[] = [];
  let size = 0;
  for (const [key, value] of Object.entries(data)) {
    errors.push(...eachInvalid(entry('data', key), key, configKeyErrors(key)));
    if (key in binaryData) errors.push(invalidValue(entry('data', key), key, 'duplicate of key present in binaryData'));
    size += Buffer.byteLength(value);
  }
  for (const [key, value] of Object.entries(binaryData)) {
    errors.push(...eachInvalid(entry('binaryData', key), key, configKeyErrors(key)));
    size += Buffer.byteLength(value, 'base64');
  }
  if (size > maxBytes) errors.push(tooLong('', maxBytes));
  return errors;
}

export function configMapUpdateErrors(object: UnknownObject, old: UnknownObject): FieldError[] {
  const [next, before] = [object as ConfigMap, old as ConfigMap];
  const errors = before.immutable ? immutableErrors(next, before, ['data', 'binaryData']) : [];
  return [...errors, ...configMapErrors(object)];
}

function immutableErrors<T extends { immutable?: boolean }>(
  next: T,
  before: T,
  fields: (keyof T & string)[],
): FieldError[] {
  const errors: FieldError[] = [];
  if (!next.immutable) errors.push(forbiddenField('immutable', immutableText));
  for (const name of fields)
    if (!isDeepStrictEqual(next[name] ?? {}, before[name] ?? {})) errors.push(forbiddenField(name, immutableText));
  return errors;
}

const accountAnnotation = 'kubernetes.io/service-account.name';

export function secretErrors(object: UnknownObject): FieldError[] {
  const { data = {}, type, metadata } = object as Secret;
  const errors: FieldError[] = [];
  let size = 0;
  for (const [key, value] of Object.entries(data)) {
    errors.push(...eachInvalid(entry('data', key), key, configKeyErrors(key)));
    size += Buffer.byteLength(value, 'base64');
  }
  if (size > maxBytes) errors.push(tooLong('data', maxBytes));
  const need = (key: string) => (key in data ? [] : [required(entry('data', key))]);
  switch (type) {
    case 'kubernetes.io/service-account-token':
      if (!metadata?.annotations?.[accountAnnotation])
        errors.push(required(entry('metadata.annotations', accountAnnotation)));
      break;
    case 'kubernetes.io/dockercfg':
      errors.push(...dockerConfigErrors(data, '.dockercfg'));
      break;
    case 'kubernetes.io/dockerconfigjson':
      errors.push(...dockerConfigErrors(data, '.dockerconfigjson'));
      break;
    case 'kubernetes.io/basic-auth':
      if (!('username' in data) && !('password' in data)) errors.push(...need('username'), ...need('password'));
      break;
    case 'kubernetes.io/ssh-auth':
      errors.push(...(data['ssh-privatekey'] ? [] : [required(entry('data', 'ssh-privatekey'))]));
      break;
    case 'kubernetes.io/tls':
      errors.push(...need('tls.crt'), ...need('tls.key'));
      break;
  }
  return errors;
}

function dockerConfigErrors(data: Record<string, string>, key: string): FieldError[] {
  const value = data[key];
  if (value === undefined) return [required(entry('data', key))];
  try {
    JSON.parse(Buffer.from(value, 'base64').toString('utf8'));
    return [];
  } catch (error) {
    return [invalidValue(entry('data', key), '<secret contents redacted>', (error as Error).message)];
  }
}

export function secretUpdateErrors(object: UnknownObject, old: UnknownObject): FieldError[] {
  const [next, before] = [object as Secret, old as Secret];
  const errors = next.type === before.type ? [] : [invalidValue('type', next.type, fieldImmutable)];
  if (before.immutable) errors.push(...immutableErrors(next, before, ['data']));
  return [...errors, ...secretErrors(object)];
}

export const namespaceErrors = (object: UnknownObject): FieldError[] =>
  ((object as Namespace).spec?.finalizers ?? []).flatMap((name, i) =>
    finalizerErrors([name], 'spec.finalizers').map((error) => ({ ...error, field: at('spec.finalizers', i) })),
  );

export function nodeErrors(object: UnknownObject): FieldError[] {
  const { spec, status } = object as Node;
  const errors = taintErrors(spec?.taints ?? [], 'spec.taints');
  for (const kind of ['capacity', 'allocatable'] as const)
    for (const [name, text] of Object.entries(status?.[kind] ?? {})) {
      const field = entry(`status.${kind}`, name);
      errors.push(...qualifiedNameFieldErrors(name, field), ...quantityErrors(name, text, field));
    }
  for (const [i, range] of (spec?.podCIDRs ?? []).entries()) errors.push(...cidr(range, at('spec.podCIDRs', i)));
  return errors;
}

export function nodeUpdateErrors(object: UnknownObject, old: UnknownObject): FieldError[] {
  const [next, before] = [(object as Node).spec ?? {}, (old as Node).spec ?? {}];
  const errors = nodeErrors(object);
  if (before.podCIDRs?.length && !isDeepStrictEqual(next.podCIDRs, before.podCIDRs))
    errors.push(forbiddenField('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid'));
  if (before.providerID && next.providerID !== before.providerID)
    errors.push(forbiddenField('spec.providerID', 'node updates may not change providerID except from "" to valid'));
  return errors;
}

function taintErrors(taints: Taint[], field: string): FieldError[] {
  const seen = new Set<string>();
  return taints.flatMap((taint, i) => {
    const here = at(field, i);
    const { key, value, effect } = taint;
    const errors = eachInvalid(`${here}.key`, key, qualifiedNameErrors(key ?? ''));
    const bad = labelValueErrors(value ?? '');
    if (bad.length) errors.push(invalidValue(`${here}.value`, value, bad.join(';')));
    if (!effect) errors.push(required(`${here}.effect`));
    else if (!taintEffects.includes(effect)) errors.push(unsupported(`${here}.effect`, effect, taintEffects));
    const pair = `${key}:${effect}`;
    if (seen.has(pair))
      errors.push({
        ...duplicate(here, taint),
        message: `${duplicate(here, taint).message}: taints must be unique by key and effect pair`,
      });
    seen.add(pair);
    return errors;
  });
}
