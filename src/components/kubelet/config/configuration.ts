/** Reads a KubeletConfiguration file (and drop-ins) and applies flags over it: file → drop-ins → flags, over upstream's defaults. */

import { readdir, readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { load } from 'js-yaml';
import { isObject } from '../../../machinery/api/json.ts';
import { parseDuration } from '../../../machinery/api/time.ts';
import { type Configuration, type Setting, settings } from './settings.ts';

export type { Configuration } from './settings.ts';

export class ConfigurationError extends Error {}

const apiVersion = 'kubelet.config.k8s.io/v1beta1';
/** Settings that name files, which are relative to the configuration file. */
const paths = [
  'staticPodPath',
  'tlsCertFile',
  'tlsPrivateKeyFile',
  'authentication.x509.clientCAFile',
  'resolvConf',
] as const;

export interface LoadedConfiguration {
  configuration: Configuration;
  /** What was ignored, for the log. */
  warnings: string[];
}

/** The defaults alone. */
export function defaultConfiguration(): Configuration {
  const values: Record<string, unknown> = {};
  for (const [path, setting] of Object.entries(settings) as [string, Setting][])
    values[path] = setting.default ?? emptyOf(setting);
  return withDefaultEviction(values as Configuration);
}

const emptyOf = ({ kind }: Setting): unknown => (kind === 'list' ? [] : kind === 'map' ? {} : undefined);

const defaultEvictionHard = {
  'memory.available': '100Mi',
  'nodefs.available': '10%',
  'nodefs.inodesFree': '5%',
  'imagefs.available': '15%',
  'imagefs.inodesFree': '5%',
};

/** Given thresholds replace upstream's as a whole, unless merging is asked for. */
function withDefaultEviction(configuration: Configuration): Configuration {
  const given = configuration.evictionHard;
  const evictionHard =
    Object.keys(given).length === 0
      ? defaultEvictionHard
      : configuration.mergeDefaultEvictionSettings
        ? { ...defaultEvictionHard, ...given }
        : given;
  return { ...configuration, evictionHard };
}

/** Parses the text of a file; `path` is for messages and relative paths. Answers only what is set. */
export function parseConfiguration(text: string, path: string): { values: Partial<Configuration>; warnings: string[] } {
  const fail = (what: string): never => {
    throw new ConfigurationError(`failed to load kubelet config file, path: ${path}, error: ${what}`);
  };
  let document: unknown;
  try {
    document = load(text);
  } catch (error) {
    return fail(`not YAML: ${(error as Error).message}`);
  }
  if (!isObject(document)) return fail('it is empty or no object');
  if (document['kind'] !== 'KubeletConfiguration')
    return fail(`kind ${JSON.stringify(document['kind'])} is not KubeletConfiguration`);
  if (document['apiVersion'] !== apiVersion && document['apiVersion'] !== 'kubelet.config.k8s.io/v1')
    return fail(`apiVersion ${JSON.stringify(document['apiVersion'])} is not ${apiVersion}`);
  const warnings: string[] = [];
  const values: Record<string, unknown> = {};
  const visit = (object: Record<string, unknown>, prefix: string) => {
    for (const [field, value] of Object.entries(object)) {
      const name = prefix + field;
      const setting = (settings as Record<string, Setting>)[name];
      if (setting) {
        const converted = convert(setting, value, name, fail);
        if (converted !== undefined) values[name] = converted;
      } else if (isObject(value) && Object.keys(settings).some((known) => known.startsWith(`${name}.`))) {
        visit(value, `${name}.`);
      } else warnings.push(`unknown field "${name}"`);
    }
  };
  const { kind: _kind, apiVersion: _apiVersion, ...fields } = document;
  visit(fields, '');
  for (const name of paths) {
    const value = values[name];
    if (typeof value === 'string' && value && !isAbsolute(value)) values[name] = join(dirname(path), value);
  }
  return { values: values as Partial<Configuration>, warnings };
}

function convert(setting: Setting, value: unknown, name: string, fail: (what: string) => never): unknown {
  if (value === null || value === undefined) return undefined;
  const wrong = (): never => fail(`${name}: ${JSON.stringify(value)} is not of type ${setting.kind}`);
  switch (setting.kind) {
    case 'boolean':
      return typeof value === 'boolean' ? value : wrong();
    case 'integer':
      return Number.isInteger(value) ? value : wrong();
    case 'number':
      return typeof value === 'number' ? value : wrong();
    case 'string':
      // Upstream's enums and plain strings take an empty text for "not set"; numbers are quantities (containerLogMaxSize).
      if (typeof value !== 'string' && typeof value !== 'number') return wrong();
      return value === '' ? undefined : String(value);
    case 'duration': {
      if (typeof value !== 'string') return wrong();
      try {
        return parseDuration(value) || undefined;
      } catch (error) {
        return fail(`${name}: ${(error as Error).message}`);
      }
    }
    case 'list':
      return Array.isArray(value) ? value.map(String) : wrong();
    case 'map':
      return isObject(value)
        ? Object.fromEntries(Object.entries(value).map(([key, text]) => [key, String(text)]))
        : wrong();
    case 'any':
      return value;
  }
}

/**
 * @param file `--config`
 * @param dropInFolder `--config-dir`: `*.conf` in order of their names
 * @param overrides what flags said
 */
export async function loadConfiguration(
  file: string | undefined,
  dropInFolder: string | undefined,
  overrides: Partial<Configuration>,
): Promise<LoadedConfiguration> {
  const files = file ? [file] : [];
  if (dropInFolder) {
    const names = await readdir(dropInFolder).catch(() => {
      throw new ConfigurationError(`failed to read --config-dir ${dropInFolder}`);
    });
    files.push(
      ...names
        .filter((name) => name.endsWith('.conf'))
        .sort()
        .map((name) => join(dropInFolder, name)),
    );
  }
  let merged: Partial<Configuration> = {};
  const warnings: string[] = [];
  for (const path of files) {
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw new ConfigurationError(
        `failed to load kubelet config file, path: ${path}, error: ${error.code === 'ENOENT' ? 'no such file or directory' : error.message}`,
      );
    });
    const part = parseConfiguration(text, path);
    merged = { ...merged, ...part.values };
    warnings.push(...part.warnings.map((warning) => `${path}: ${warning}`));
  }
  const defaults = defaultConfiguration();
  const given = { ...merged, ...overrides };
  const configuration = withDefaultEviction({ ...defaults, evictionHard: {}, ...given });
  validate(configuration);
  return { configuration, warnings };
}

function validate(configuration: Configuration): void {
  const problems: string[] = [];
  const oneOf = (name: keyof Configuration, allowed: string[]) => {
    if (!allowed.includes(configuration[name] as string))
      problems.push(`${name}: ${JSON.stringify(configuration[name])} is not one of ${allowed.join(', ')}`);
  };
  oneOf('cgroupDriver', ['cgroupfs', 'systemd']);
  oneOf('authorization.mode', ['AlwaysAllow', 'Webhook']);
  for (const name of ['port', 'healthzPort', 'readOnlyPort'] as const)
    if (configuration[name] < 0 || configuration[name] > 65535)
      problems.push(`${name}: ${configuration[name]} is not a port (0 to 65535)`);
  if (configuration.imageGCLowThresholdPercent >= configuration.imageGCHighThresholdPercent)
    problems.push('imageGCLowThresholdPercent must be less than imageGCHighThresholdPercent');
  if (configuration.containerLogMaxFiles <= 1) problems.push('containerLogMaxFiles must be greater than 1');
  if (configuration.maxPods < 0) problems.push('maxPods must not be negative');
  if (problems.length) throw new ConfigurationError(`failed to validate kubelet configuration: ${problems.join('; ')}`);
}
