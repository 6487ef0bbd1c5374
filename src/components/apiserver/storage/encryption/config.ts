/** EncryptionConfiguration (apiserver.config.k8s.io/v1): parsed and checked as upstream does, errors with the field's path. */
import { CORE_SCHEMA, load } from 'js-yaml';
import { isObject, type JsonObject } from '../../../../machinery/api/json.ts';
import type { GroupResource } from '../../types.ts';
import { identity, type KeyProviderName, keyProvider, keyProviders, type Provider } from './providers.ts';

export interface ResourceProviders {
  /** `secrets`, `deployments.apps`, `*.apps`, `*.` for the core group, `*.*`. */
  resources: GroupResource[];
  providers: Provider[];
}

const apiVersion = 'apiserver.config.k8s.io/v1';

/** @throws Error with all that is wrong; keys are never in it */
export function parseEncryptionConfiguration(text: string): ResourceProviders[] {
  const document: unknown = load(text, { schema: CORE_SCHEMA });
  if (!isObject(document) || document['kind'] !== 'EncryptionConfiguration' || document['apiVersion'] !== apiVersion)
    throw new Error(`it is no EncryptionConfiguration of ${apiVersion}`);
  const problems: string[] = [];
  const entries = listOf(document, 'resources', '', problems);
  const found = entries.map((entry, i) => {
    const at = `resources[${i}]`;
    const names = listOf(entry, 'resources', `${at}.`, problems).map(String);
    problems.push(...wrongNames(names, `${at}.resources`));
    const providers = listOf(entry, 'providers', `${at}.`, problems).flatMap(
      (provider, j) => providerOf(provider, `${at}.providers[${j}]`, problems) ?? [],
    );
    return { resources: names.map(groupResource), providers };
  });
  if (problems.length) throw new Error(problems.join('; '));
  return found;
}

function listOf(owner: unknown, field: string, at: string, problems: string[]): unknown[] {
  const list = isObject(owner) ? owner[field] : undefined;
  if (Array.isArray(list) && list.length) return list;
  problems.push(`${at}${field}: Required value: at least one ${at}${field} is required`);
  return [];
}

const groupResource = (name: string): GroupResource => {
  const dot = name.indexOf('.');
  return dot < 0 ? { group: '', resource: name } : { group: name.slice(dot + 1), resource: name.slice(0, dot) };
};

function wrongNames(names: readonly string[], at: string): string[] {
  const problems: string[] = [];
  const all = JSON.stringify(names);
  if (new Set(names).size < names.length)
    problems.push(`${at}: Invalid value: ${all}: the same resource cannot be specified multiple times`);
  const parsed = names.map(groupResource);
  const masks = (a: GroupResource) =>
    a.resource === '*' &&
    names.length > 1 &&
    (a.group === '*' || parsed.some((b) => b !== a && b.group === a.group && b.resource !== '*'));
  if (parsed.some(masks))
    problems.push(
      `${at}: Invalid value: ${all}: using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they will be masked`,
    );
  for (const [i, name] of names.entries()) {
    const why = wrongName(name);
    if (why) problems.push(`${at}[${i}]: Invalid value: ${JSON.stringify(name)}: ${why}`);
  }
  return problems;
}

function wrongName(name: string): string | undefined {
  const { group, resource } = groupResource(name);
  if (name !== name.toLowerCase()) return 'resource name should not contain capital letters';
  if (name === '*') return "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources";
  if (['apiserveripinfo', 'serviceipallocations', 'servicenodeportallocations'].includes(name))
    return 'resources which do not have REST API/s cannot be encrypted';
  if (group === 'events.k8s.io')
    return "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead in the config file";
  if (group === 'extensions') return "'extensions' group has been removed and cannot be used for encryption";
  if (group === '*' && resource !== '*') return 'encrypting the same resource across groups is not supported';
  return undefined;
}

function providerOf(value: unknown, at: string, problems: string[]): Provider | undefined {
  const named = isObject(value) ? Object.keys(value).filter((name) => value[name] !== undefined) : [];
  const [name = ''] = named;
  if (named.length > 1) {
    problems.push(
      `${at}: Invalid value: more than one provider specified in a single element, should split into different list elements`,
    );
    return undefined;
  }
  if (name === 'identity') return identity;
  if (name === 'kms') {
    problems.push(`${at}.kms: Invalid value: this API server has no kms provider; take secretbox, aesgcm or aescbc`);
    return undefined;
  }
  if (!(name in keyProviders)) {
    problems.push(
      `${at}: Invalid value: provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity`,
    );
    return undefined;
  }
  const provider = name as KeyProviderName;
  const config = (value as JsonObject)[provider];
  const keys = isObject(config) && Array.isArray(config['keys']) ? (config['keys'] as unknown[]) : [];
  if (!keys.length) problems.push(`${at}.${provider}.keys: Required value: at least one keys is required`);
  return keyProvider(
    provider,
    keys.map((key, i) => keyOf(key, `${at}.${provider}.keys[${i}]`, keyProviders[provider].sizes, problems)),
  );
}

function keyOf(value: unknown, at: string, sizes: readonly number[], problems: string[]) {
  const { name, secret } = isObject(value) ? value : {};
  if (typeof name !== 'string' || !name)
    problems.push(`${at}.name: Required value: name is a mandatory field for a key`);
  const text = typeof secret === 'string' ? secret : '';
  const bytes = Buffer.from(text, 'base64');
  if (!text) problems.push(`${at}.secret: Required value: secret is a mandatory field for a key`);
  else if (bytes.toString('base64') !== text)
    problems.push(`${at}.secret: Invalid value: "REDACTED": secrets must be base64 encoded`);
  else if (!sizes.includes(bytes.length))
    problems.push(
      `${at}.secret: Invalid value: "REDACTED": secret is not of the expected length, got ${bytes.length}, expected one of [${sizes.join(' ')}]`,
    );
  // A key of the right size stands in for a wrong one: the configuration is refused as a whole.
  const usable = sizes.includes(bytes.length) ? bytes : Buffer.alloc(32);
  return { name: typeof name === 'string' ? name : '', secret: usable };
}
