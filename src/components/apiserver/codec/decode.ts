/** Bodies of requests → objects: JSON, YAML and protobuf, checked against the kind's schema. */
import { CORE_SCHEMA, loadAll, mergeTag, type Schema } from 'js-yaml';
import type { TypeSchema } from '../../../machinery/api/schema/types.ts';
import type { UnknownObject } from '../../../machinery/api/types.ts';
import { badRequest, unsupportedMediaType } from '../errors.ts';
import { typeTable } from '../registry/type-facts.ts';
import type { ResourceDescriptor } from '../types.ts';
import { goSyntaxError } from './go-json-errors.ts';
import { countWrittenKeys, duplicateKeys } from './json-keys.ts';
import { normalizeObject } from './normalize.ts';
import { decodeProtobuf, type Envelope } from './protobuf/envelope.ts';
import { DecodeError } from './scalars.ts';

export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

export interface Decoded {
  object: UnknownObject;
  /** For `ctx.warn`, with fieldValidation Warn: unknown and duplicate fields. */
  warnings: string[];
}

/** What a body is to be decoded as: a served resource, or a kind that only travels in bodies (DeleteOptions, Eviction, …). */
export type DecodeTarget =
  | Pick<ResourceDescriptor, 'group' | 'version' | 'kind' | 'schema'>
  | { group: string; version: string; kind: string; schema?: undefined };

const protobufType = 'application/vnd.kubernetes.protobuf';
const metaPackage = 'io.k8s.apimachinery.pkg.apis.meta.v1';

export function schemaOf(target: DecodeTarget): TypeSchema {
  const schema =
    target.schema ??
    typeTable().kind(target.group, target.version, target.kind) ??
    typeTable().type(`${metaPackage}.${target.kind}`);
  if (!schema) throw new Error(`no schema for ${target.group}/${target.version} ${target.kind}`);
  return schema;
}

/** Kinds of the meta group that are accepted in every group and version. */
const isMetaKind = (target: DecodeTarget): boolean => target.kind.endsWith('Options') && !target.schema;

/**
 * Decodes a body of the descriptor's kind (or of a `kind` given as group, version and kind, for subresource bodies and
 * DeleteOptions). Unknown fields are dropped; values are normalised as upstream's Go structs would write them (quantities,
 * times, empty structs). Throws StatusErrors: 400 for what cannot be decoded or is unknown under Strict, 415 for other types.
 */
export function decodeBody(
  bytes: Uint8Array,
  contentType: string | undefined,
  target: DecodeTarget,
  fieldValidation: FieldValidation,
): Decoded {
  const mediaType = (contentType ?? '').split(';')[0]!.trim().toLowerCase();
  switch (mediaType) {
    case '':
    case 'application/json': {
      const parsed = parseJson(bytes, target);
      return checked(parsed, target, fieldValidation, { bytes, text: () => Buffer.from(bytes).toString() });
    }
    case 'application/yaml':
      return checked(parseYaml(bytes, target), target, fieldValidation);
    case protobufType:
      if (isCustom(target)) throw unknownFormat(['application/json', 'application/yaml']);
      return checked(parseProtobuf(bytes, target), target, 'Ignore');
    default:
      throw unknownFormat(['application/json', 'application/yaml', ...(isCustom(target) ? [] : [protobufType])]);
  }
}

const isCustom = ({ schema }: DecodeTarget): boolean => schema !== undefined && !schema.name.startsWith('io.k8s.');

const unknownFormat = (accepted: string[]) =>
  unsupportedMediaType(
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
  );

/**
 * The same checks and normalisation for an object that was made by a patch: the result of JSON, merge and strategic patches
 * and of apply goes through here before defaulting.
 */
export function normalize(target: DecodeTarget, object: UnknownObject, fieldValidation: FieldValidation): Decoded {
  return checked(object, target, fieldValidation);
}

function parseJson(bytes: Uint8Array, target: DecodeTarget): unknown {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  try {
    return JSON.parse(text);
  } catch (error) {
    const what = goSyntaxError(text, error as Error);
    throw unrecognized(target, `couldn't get version/kind; json parse error: ${what}`, bytes);
  }
}

let yaml: Schema | undefined;
/** Of YAML 1.1 what manifests use: merge keys. */
function yamlSchema(): Schema {
  yaml ??= CORE_SCHEMA.withTags(mergeTag);
  return yaml;
}

function parseYaml(bytes: Uint8Array, target: DecodeTarget): unknown {
  try {
    const documents: unknown[] = loadAll(Buffer.from(bytes).toString(), { schema: yamlSchema() });
    return documents[0] ?? {};
  } catch (error) {
    const { reason, mark } = error as { reason?: string; mark?: { line: number } };
    throw unrecognized(
      target,
      `yaml: ${mark ? `line ${mark.line + 1}: ` : ''}${reason ?? (error as Error).message}`,
      bytes,
    );
  }
}

function parseProtobuf(bytes: Uint8Array, target: DecodeTarget): unknown {
  const { apiVersion, kind, decode } = opened(bytes, target);
  checkKind(target, apiVersion, kind);
  try {
    return { ...(apiVersion ? { apiVersion } : {}), ...(kind ? { kind } : {}), ...decode(schemaOf(target)) };
  } catch (error) {
    throw cannotBeHandled(target, kind, apiVersion, (error as Error).message);
  }
}

function opened(bytes: Uint8Array, target: DecodeTarget): Envelope {
  try {
    return decodeProtobuf(bytes);
  } catch (error) {
    throw unrecognized(target, (error as Error).message, bytes);
  }
}

/** Go prints the start of bodies that it cannot make out. */
function summary(bytes: Uint8Array): string {
  if (bytes.length === 0) return '<empty>';
  const start = Buffer.from(bytes.subarray(0, 30));
  return `${bytes[0] === 0x7b ? start.toString() : start.toString('hex')}${bytes.length > 30 ? ' ...' : ''}`;
}

const unrecognized = (target: DecodeTarget, message: string, bytes: Uint8Array) =>
  badRequest(`the object provided is unrecognized (must be of type ${target.kind}): ${message} (${summary(bytes)})`);

const cannotBeHandled = (target: DecodeTarget, kind: string, apiVersion: string, message: string) => {
  const version = apiVersion.split('/').at(-1) || target.version;
  return badRequest(`${kind || target.kind} in version "${version}" cannot be handled as a ${target.kind}: ${message}`);
};

function checkKind(target: DecodeTarget, apiVersion: string, kind: string): void {
  if (isMetaKind(target)) return;
  const expected = target.group ? `${target.group}/${target.version}` : target.version;
  const sameKind = !kind || kind === target.kind;
  if (sameKind && (!apiVersion || apiVersion === expected)) return;
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion || target.version];
  const known = typeTable().kind(group!, version!, kind || target.kind) !== undefined;
  if (known && !sameKind) {
    const goKind = `${version}.${kind}`;
    const internal = `${target.group.split('.')[0] || 'core'}.${target.kind}`;
    throw cannotBeHandled(target, kind, apiVersion, `converting (${goKind}) to (${internal}): unknown conversion`);
  }
  if (known || sameKind) {
    throw badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${expected})`,
    );
  }
  const scheme = 'in scheme "pkg/api/legacyscheme/scheme.go:30"';
  throw cannotBeHandled(
    target,
    kind,
    apiVersion,
    `no kind "${kind}" is registered for version "${apiVersion || expected}" ${scheme}`,
  );
}

function checked(
  parsed: unknown,
  target: DecodeTarget,
  fieldValidation: FieldValidation,
  source?: { bytes: Uint8Array; text(): string },
): Decoded {
  const object = (parsed ?? {}) as UnknownObject;
  if (typeof object !== 'object' || Array.isArray(object)) {
    const type = Array.isArray(parsed) ? 'array' : typeof parsed;
    throw unrecognized(
      target,
      `couldn't get version/kind; json parse error: json: cannot unmarshal ${type} into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }`,
      source?.bytes ?? Buffer.from(JSON.stringify(parsed)),
    );
  }
  const apiVersion = typeof object.apiVersion === 'string' ? object.apiVersion : '';
  const kind = typeof object.kind === 'string' ? object.kind : '';
  checkKind(target, apiVersion, kind);
  try {
    const result = normalizeObject(schemaOf(target), object);
    const warnings = fieldValidation === 'Ignore' ? [] : strictErrors(result, source);
    if (warnings.length > 0 && fieldValidation === 'Strict') {
      throw new DecodeError(`strict decoding error: ${warnings.join(', ')}`);
    }
    const expected = target.group ? `${target.group}/${target.version}` : target.version;
    const { apiVersion: _version, kind: _kind, ...rest } = result.object;
    const typed = isMetaKind(target)
      ? { ...(kind ? { kind } : {}), ...(apiVersion ? { apiVersion } : {}) }
      : { kind: target.kind, apiVersion: expected };
    return { object: { ...typed, ...rest } as UnknownObject, warnings };
  } catch (error) {
    if (error instanceof DecodeError) throw cannotBeHandled(target, kind, apiVersion, error.message);
    throw error;
  }
}

function strictErrors(
  result: { unknown: string[]; keys: number },
  source: { bytes: Uint8Array; text(): string } | undefined,
): string[] {
  const duplicates =
    source && countWrittenKeys(source.bytes) !== result.keys
      ? duplicateKeys(source.text()).map((path) => `duplicate field "${path}"`)
      : [];
  return [...duplicates, ...result.unknown.map((path) => `unknown field "${path}"`)];
}
