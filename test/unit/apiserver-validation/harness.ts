/** Objects as YAML through defaulting and validation, as a request takes them. */
import { load } from 'js-yaml';
import { applyDefaults } from '../../../src/components/apiserver/defaulting/defaulting.ts';
import { createRegistry } from '../../../src/components/apiserver/registry/registry.ts';
import { validate } from '../../../src/components/apiserver/validation/validation.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';

const registry = createRegistry();

export function parse(yaml: string): UnknownObject {
  const object = load(yaml) as UnknownObject;
  const descriptor = descriptorOf(object);
  if (descriptor.namespaced) object.metadata = { namespace: 'default', ...object.metadata };
  applyDefaults(descriptor, object);
  return object;
}

function descriptorOf(object: UnknownObject) {
  const [version = '', group = ''] = (object.apiVersion ?? '').split('/').reverse();
  const found = registry.findKind(group, version, object.kind ?? '');
  if (!found) throw new Error(`no kind ${object.apiVersion} ${object.kind}`);
  return found;
}

/** `field: message` of every error. */
export function errorsOf(object: UnknownObject, old?: UnknownObject, subresource = ''): string[] {
  return validate(descriptorOf(object), object, old, subresource).map(({ field, message }) => `${field}: ${message}`);
}
