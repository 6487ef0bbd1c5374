/** Terraform and OpenTofu: a state file, `terraform show -json`, or `terraform output -json`. */

import { outputHosts } from './terraform-output.ts';
import { hostOfMachine, machineTypes } from './terraform-resources.ts';
import {
  asList,
  asText,
  at,
  type Imported,
  type ImportedHost,
  type ImportFile,
  isObject,
  type JsonObject,
  unreadable,
} from './types.ts';

interface Resource {
  mode: string;
  type: string;
  label: string;
  attributes: JsonObject;
}

function parseJson({ name, text }: ImportFile): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch (error) {
    throw unreadable(name, `is no JSON: ${(error as Error).message}`);
  }
  throw unreadable(name, 'is no JSON object');
}

export function importTerraform(files: readonly ImportFile[]): Imported {
  const hosts: ImportedHost[] = [];
  const notes: string[] = [];
  const sources = new Set<string>();
  for (const file of files) {
    const document = parseJson(file);
    if (Array.isArray(document['resources'])) sources.add('Terraform state');
    else if (isObject(document['values'])) sources.add('terraform show -json');
    else if (Object.values(document).some((output) => isObject(output) && 'value' in output)) {
      sources.add('terraform output -json');
      const found = outputHosts(document);
      hosts.push(...found.hosts);
      notes.push(...found.notes);
      if (!found.hosts.length) throw unreadable(file.name, 'no output is an address, or a list or map of machines');
      continue;
    } else
      throw unreadable(file.name, 'is neither a state nor the output of: terraform show -json, terraform output -json');
    const found = machinesOf(resourcesOf(document));
    if (!found.length) {
      throw unreadable(
        file.name,
        `has none of the resources that are machines`,
        `known are ${Object.keys(machineTypes).join(', ')}`,
      );
    }
    hosts.push(...found);
  }
  return { source: [...sources].join(', '), hosts: throughBastion(hosts, notes), notes };
}

function resourcesOf(document: JsonObject): Resource[] {
  const resources = asList(document['resources']).flatMap((resource) => {
    const [mode, type, name] = ['mode', 'type', 'name'].map((field) => asText(at(resource, field)) ?? '');
    return asList(at(resource, 'instances')).flatMap((instance): Resource[] => {
      const attributes = at(instance, 'attributes');
      const index = asText(at(instance, 'index_key'));
      if (!isObject(attributes)) return [];
      return [{ mode: mode!, type: type!, label: index === undefined ? name! : `${name}-${index}`, attributes }];
    });
  });
  return [...resources, ...moduleResources(at(document, 'values', 'root_module'))];
}

/** `terraform show -json` nests modules. */
function moduleResources(module: unknown): Resource[] {
  const own = asList(at(module, 'resources')).flatMap((resource): Resource[] => {
    const attributes = at(resource, 'values');
    if (!isObject(attributes)) return [];
    const index = asText(at(resource, 'index'));
    const name = asText(at(resource, 'name')) ?? '';
    return [
      {
        mode: asText(at(resource, 'mode')) ?? 'managed',
        type: asText(at(resource, 'type')) ?? '',
        label: index === undefined ? name : `${name}-${index}`,
        attributes,
      },
    ];
  });
  return [...own, ...asList(at(module, 'child_modules')).flatMap(moduleResources)];
}

function machinesOf(resources: Resource[]): ImportedHost[] {
  const images = new Map<string, string>();
  for (const { type, attributes } of resources) {
    if (!/_(ami|image)$/.test(type)) continue;
    const [id, name] = [asText(attributes['id']), asText(attributes['name']) ?? asText(attributes['family'])];
    if (id && name) images.set(id, name);
  }
  return resources
    .filter(({ mode }) => mode !== 'data')
    .flatMap(({ type, label, attributes }) => hostOfMachine(type, label, attributes, images) ?? []);
}

/** Machines without a public address are reached through the one that is a bastion by its name. */
function throughBastion(hosts: ImportedHost[], notes: string[]): ImportedHost[] {
  const internal = hosts.filter((host) => host.internal);
  if (!internal.length || internal.length === hosts.length) return hosts;
  const bastion = hosts.find((host) => !host.internal && isBastion(host));
  if (!bastion?.address) {
    notes.push(`Without a public address: ${internal.map(({ name }) => name).join(', ')}. Is there a bastion?`);
    return hosts;
  }
  const { address, user } = bastion;
  return hosts.map((host) => (host.internal ? { ...host, bastion: { address, ...(user ? { user } : {}) } } : host));
}

export const isBastion = ({ name, groups }: ImportedHost): boolean =>
  [name, ...groups].some((word) => /(^|[^a-z])(bastion|jump(host|box)?|gateway)([^a-z]|$)/i.test(word));
