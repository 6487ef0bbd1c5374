/** Manifests of an add-on of one's own: read from files and folders, split into objects, each with its place. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { UnknownObject } from '../../machinery/api/types.ts';
import type { ManifestSource } from '../config/addon-values.ts';
import { formatPlace, invalidConfig } from '../config/read-config.ts';
import { type FieldPath, parseYaml, type YamlDocument } from '../config/yaml.ts';
import { KinitError } from '../errors.ts';
import type { ObjectName } from './store.ts';

export interface ManifestText {
  /** As it is named in messages. */
  file: string;
  text: string;
}

export interface ManifestObject {
  object: UnknownObject;
  /** `document 2, ConfigMap default/app` */
  what: string;
  /** `app.yaml:12:3` of a field. */
  place(path: FieldPath): string;
}

const isManifest = (name: string): boolean => /\.(ya?ml|json)$/.test(name) && !name.startsWith('.');

async function readOne(path: string, shown: string): Promise<ManifestText[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [{ file: shown, text: await readFile(path, 'utf8') }];
    const names = (await readdir(path)).filter(isManifest).sort();
    if (!names.length) throw new KinitError('Validation', `there is no .yaml, .yml or .json file in ${shown}`);
    return Promise.all(
      names.map(async (name) => ({ file: join(shown, name), text: await readFile(join(path, name), 'utf8') })),
    );
  } catch (error) {
    if (error instanceof KinitError) throw error;
    throw new KinitError('Validation', `cannot read the manifests ${shown}: ${(error as NodeJS.ErrnoException).code}`, {
      advice: 'check the path; nothing was changed',
    });
  }
}

/** @param folder that paths begin at */
export async function readManifests(sources: readonly ManifestSource[], folder = '.'): Promise<ManifestText[]> {
  const read = await Promise.all(
    sources.map((source) => (typeof source === 'string' ? readOne(resolve(folder, source), source) : [source])),
  );
  return read.flat();
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const nameOf = ({ apiVersion = '', kind = '', metadata }: UnknownObject): ObjectName => ({
  apiVersion,
  kind,
  ...(metadata?.namespace ? { namespace: metadata.namespace } : {}),
  name: metadata?.name ?? '',
});

/** `ConfigMap default/app` */
export const describeName = ({ kind, namespace, name }: ObjectName): string =>
  `${kind} ${namespace ? `${namespace}/` : ''}${name}`;

/** Without the version: an object stays the same when its file names another one. */
export const keyOf = ({ apiVersion, kind, namespace = '', name }: ObjectName): string =>
  [apiVersion.includes('/') ? apiVersion.split('/')[0] : '', kind, namespace, name].join('|');

/** What an object lacks to be applied again and again. */
function missing(value: unknown): { path: FieldPath; message: string }[] {
  if (!isObject(value)) return [{ path: [], message: 'is no object with apiVersion and kind' }];
  const { apiVersion, kind, metadata } = value;
  const text = (field: unknown) => typeof field === 'string' && field !== '';
  const mistakes: { path: FieldPath; message: string }[] = [];
  if (!text(apiVersion)) mistakes.push({ path: ['apiVersion'], message: 'apiVersion is missing' });
  if (!text(kind)) mistakes.push({ path: ['kind'], message: 'kind is missing' });
  if (metadata !== undefined && !isObject(metadata))
    mistakes.push({ path: ['metadata'], message: 'metadata is no object' });
  else if (!text(metadata?.['name'])) {
    const why = metadata?.['generateName'] ? 'generateName makes a new object each time; give it a name' : 'is missing';
    mistakes.push({ path: ['metadata', 'name'], message: `metadata.name: ${why}` });
  } else if (metadata?.['namespace'] !== undefined && !text(metadata['namespace']))
    mistakes.push({ path: ['metadata', 'namespace'], message: 'metadata.namespace is no name' });
  return mistakes;
}

/** A List stands for its items. */
function itemsOf({ value }: YamlDocument): { value: unknown; path: FieldPath }[] {
  if (!isObject(value) || !/List$/.test(String(value['kind'])) || !Array.isArray(value['items']))
    return [{ value, path: [] }];
  return value['items'].map((item: unknown, index) => ({ value: item, path: ['items', index] }));
}

/** @throws KinitError Validation that lists every mistake with file, line, document and object */
export function parseManifests(texts: readonly ManifestText[]): ManifestObject[] {
  const found: ManifestObject[] = [];
  const mistakes: string[] = [];
  const seen = new Map<string, string>();
  for (const { file, text } of texts) {
    for (const [index, document] of parseYaml(text, file).entries()) {
      for (const { value, path } of itemsOf(document)) {
        const place = (field: FieldPath) => formatPlace(file, document, [...path, ...field]);
        const wrong = missing(value);
        const name = wrong.length ? undefined : nameOf(value as UnknownObject);
        const known = isObject(value) && typeof value['kind'] === 'string' ? `, ${value['kind']}` : '';
        const what = `document ${index + 1}${name ? `, ${describeName(name)}` : known}`;
        for (const { path: field, message } of wrong) mistakes.push(`${place(field)}: ${what}: ${message}`);
        if (!name) continue;
        const first = seen.get(keyOf(name));
        if (first) mistakes.push(`${place(['metadata', 'name'])}: ${what}: it stands in ${first} already`);
        seen.set(keyOf(name), `${file}, document ${index + 1}`);
        found.push({ object: value as UnknownObject, what, place });
      }
    }
  }
  if (!mistakes.length && !found.length)
    mistakes.push(`${texts.map(({ file }) => file).join(', ') || 'the manifests'}: there is no object`);
  if (mistakes.length) throw invalidConfig(mistakes);
  return found;
}

/** Namespaces and definitions before what needs them; everything else as it stands. */
export function inOrder(objects: readonly ManifestObject[]): { first: ManifestObject[]; others: ManifestObject[] } {
  const isFirst = ({ object: { kind } }: ManifestObject) => kind === 'Namespace' || kind === 'CustomResourceDefinition';
  return { first: objects.filter(isFirst), others: objects.filter((one) => !isFirst(one)) };
}

/** What an add-on consisted of and no longer does, the last first. */
export function leftOut(before: readonly ObjectName[], now: readonly ObjectName[]): ObjectName[] {
  const kept = new Set(now.map(keyOf));
  return before.filter((name) => !kept.has(keyOf(name))).reverse();
}
