/** Reads a `--config` file: several YAML documents, each checked against its kind, every error with its place. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { KinitError } from '../errors.ts';
import { nearestName } from './nearest.ts';
import { type DocumentKind, type Documents, documentKinds } from './schema.ts';
import { type FieldPath, parseYaml, type YamlDocument } from './yaml.ts';

export interface ReadConfig {
  documents: Documents;
  /** `file:line:column` of a field of a document; the kind's document need not be there. */
  place(kind: DocumentKind, path: FieldPath): string;
}

export const noConfig: ReadConfig = { documents: {}, place: () => '' };

export async function readConfigFile(path: string): Promise<ReadConfig> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new KinitError('Validation', `cannot read the configuration file ${path}: ${error.code}`, {
      advice: 'check the path given with --config',
    });
  });
  return parseConfig(text, path);
}

/** @throws KinitError Validation that lists every mistake of the file, one line each */
export function parseConfig(text: string, filename: string): ReadConfig {
  const documents: Partial<Record<DocumentKind, unknown>> = {};
  const sources = new Map<DocumentKind, YamlDocument>();
  const mistakes: string[] = [];
  for (const document of parseYaml(text, filename)) {
    const place = (path: FieldPath) => formatPlace(filename, document, path);
    const kind = kindOf(document.value, place, mistakes);
    if (!kind) continue;
    if (sources.has(kind)) {
      mistakes.push(`${place([])}: a second ${kind}; a file holds each kind once`);
      continue;
    }
    sources.set(kind, document);
    const parsed = documentKinds[kind].schema.safeParse(document.value, { reportInput: true });
    if (parsed.success) documents[kind] = parsed.data;
    else mistakes.push(...describeIssues(parsed.error, documentKinds[kind].schema, kind, place));
  }
  if (mistakes.length) throw invalidConfig(inOrder(mistakes));
  return {
    documents: documents as Documents,
    place: (kind, path) => {
      const source = sources.get(kind);
      return source ? formatPlace(filename, source, path) : filename;
    },
  };
}

/** By line and column. */
function inOrder(mistakes: readonly string[]): string[] {
  const position = (text: string) => (/:(\d+):(\d+): /.exec(text) ?? []).slice(1).map(Number);
  return mistakes.toSorted((a, b) => {
    const [left, right] = [position(a), position(b)];
    return (left[0] ?? 0) - (right[0] ?? 0) || (left[1] ?? 0) - (right[1] ?? 0);
  });
}

export function invalidConfig(mistakes: string[]): KinitError {
  const more = mistakes.length > 1 ? `\n${mistakes.slice(1).join('\n')}` : '';
  return new KinitError('Validation', `${mistakes[0]}${more}`, {
    advice: 'correct the configuration; nothing was changed',
  });
}

export function formatPlace(filename: string, document: YamlDocument, path: FieldPath): string {
  const { line, column } = document.position(path);
  return `${filename}:${line}:${column}`;
}

function kindOf(value: unknown, place: (path: FieldPath) => string, mistakes: string[]): DocumentKind | undefined {
  const object = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  const { kind, apiVersion } = object;
  if (typeof kind !== 'string' || typeof apiVersion !== 'string') {
    mistakes.push(`${place([])}: a document needs apiVersion and kind`);
    return undefined;
  }
  if (!(kind in documentKinds)) {
    const near = nearestName(kind, Object.keys(documentKinds));
    mistakes.push(
      `${place(['kind'])}: unknown kind "${kind}"${near ? `; did you mean "${near}"?` : `; known are ${Object.keys(documentKinds).join(', ')}`}`,
    );
    return undefined;
  }
  const expected = documentKinds[kind as DocumentKind].apiVersion;
  if (apiVersion !== expected) {
    const migrate = /^kubeadm\.k8s\.io\/v1beta[1-3]$/.test(apiVersion)
      ? ' (kinit config migrate --old-config <file> --new-config <file> rewrites it)'
      : '';
    mistakes.push(
      `${place(['apiVersion'])}: ${kind} has apiVersion "${apiVersion}"; this release reads "${expected}"${migrate}`,
    );
    return undefined;
  }
  return kind as DocumentKind;
}

/** What a schema has against a document, one line per mistake, each with its place. */
export function describeIssues(
  error: z.ZodError,
  schema: z.core.$ZodType,
  root: string,
  place: (path: FieldPath) => string,
): string[] {
  return error.issues.flatMap((issue) => describeIssue(issue, schema, root, place));
}

function describeIssue(
  issue: z.core.$ZodIssue,
  schema: z.core.$ZodType,
  root: string,
  place: (path: FieldPath) => string,
): string[] {
  const path = issue.path.filter((part): part is string | number => typeof part !== 'symbol');
  const field = formatField([root, ...path]);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const near = nearestName(key, fieldsAt(schema, path));
      return `${place([...path, key])}: unknown field "${key}" in ${field}${near ? `; did you mean "${near}"?` : ''}`;
    });
  }
  if (issue.code === 'invalid_key')
    return issue.issues.map(({ message }) => `${place(path)}: the name in ${field} ${message}`);
  const given = secretFields.test(field) ? '' : formatGiven(issue.input);
  if (issue.code === 'invalid_value') {
    const allowed = issue.values.map((v) => `"${String(v)}"`).join(', ');
    const near = typeof issue.input === 'string' ? nearestName(issue.input, issue.values.map(String)) : undefined;
    const hint = near ? `; did you mean "${near}"?` : '';
    return [`${place(path)}: ${field} must be one of ${allowed}${given && `; it is ${given}`}${hint}`];
  }
  const own = issue.code === 'custom' || !issue.message.startsWith('Invalid input: ');
  const message = issue.message.replace(/^Invalid input: /, '');
  return [`${place(path)}: ${field}: ${message}${own || !given ? '' : ` ${given}`}`];
}

/** What stands there is not repeated. */
const secretFields = /(token|certificateKey)$/i;

/** A plain value as it was given; nothing for what is missing or large. */
function formatGiven(value: unknown): string {
  if (value === undefined || value === null || typeof value === 'object') return '';
  const text = JSON.stringify(value) ?? '';
  return text.length > 80 ? `${text.slice(0, 77)}…"` : text;
}

/** `ClusterConfiguration.apiServer.extraArgs[0].name` */
export function formatField(path: FieldPath): string {
  return path.map((part, i) => (typeof part === 'number' ? `[${part}]` : i ? `.${part}` : part)).join('');
}

/** Names of the fields that a schema knows at a path. */
function fieldsAt(schema: z.core.$ZodType, path: FieldPath): string[] {
  let at: z.core.$ZodType = unwrap(schema);
  for (const part of path) {
    if (at instanceof z.ZodObject) {
      const next: unknown = at.shape[String(part)];
      if (!(next instanceof z.ZodType)) return [];
      at = unwrap(next);
    } else if (at instanceof z.ZodArray) at = unwrap(at.element);
    else return [];
  }
  return at instanceof z.ZodObject ? Object.keys(at.shape) : [];
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  let at = schema;
  while (at instanceof z.ZodOptional || at instanceof z.ZodNullable) at = at.unwrap();
  return at;
}
