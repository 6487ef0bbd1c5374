/** What the importers read out of other tools' files, before it is written as an inventory. */
import { KinitError } from '../../errors.ts';

export const importFormats = ['vagrant', 'ansible', 'terraform', 'cloud-init', 'hosts'] as const;
export type ImportFormat = (typeof importFormats)[number];

export interface ImportedLogin {
  address?: string;
  port?: number;
  user?: string;
  identityFile?: string;
}

export interface ImportedHost extends ImportedLogin {
  /** As the source names it; not yet fit for a node. */
  name: string;
  groups: string[];
  /** An address that is not the one for SSH: shown in a comment. */
  privateAddress?: string;
  /** No public address. */
  internal?: true;
  connection?: 'local';
  sudo?: 'none';
  bastion?: ImportedLogin & { address: string };
  knownHosts?: string;
  acceptHostKeys?: true;
  labels?: Record<string, string>;
  /** The source names a password, which is not copied. */
  secrets?: ('passwordFromEnv' | 'sudo')[];
  /** Written as comments beside the host. */
  notes?: string[];
}

export interface Imported {
  /** For the first line of the file: `Ansible inventory (INI)`. */
  source: string;
  hosts: ImportedHost[];
  /** About the whole: what could not be taken along. */
  notes: string[];
}

export interface ImportFile {
  /** As it is shown: a path, or `standard input`. */
  name: string;
  text: string;
}

export type Importer = (files: readonly ImportFile[]) => Imported;

/** @throws KinitError Validation: the file is not what it was taken for */
export function unreadable(file: string, why: string, advice?: string): KinitError {
  return new KinitError('Validation', `${file}: ${why}`, {
    advice: advice ?? `see kinit inventory import --help for what can be read`,
  });
}

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
export const asList = (value: unknown): Json[] => (Array.isArray(value) ? (value as Json[]) : []);
export const asText = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : typeof value === 'number' ? String(value) : undefined;

/** A value below a value: `at(host, 'network', 0, 'ip')`. */
export function at(value: unknown, ...path: (string | number)[]): unknown {
  let here = value;
  for (const part of path) {
    if (typeof part === 'number' && Array.isArray(here)) here = (here as unknown[])[part];
    else if (typeof part === 'string' && isObject(here)) here = here[part];
    else return undefined;
  }
  return here;
}
