/** KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1): profiles with their plugins, weights and arguments. */
import { readFile } from 'node:fs/promises';
import { load } from 'js-yaml';
import { nearest, parseDuration } from '../../../machinery/flags/flags.ts';

export interface ProfileSettings {
  schedulerName: string;
  /** Plugin → weight; a plugin not named has its default. */
  weights: ReadonlyMap<string, number>;
  disabled: ReadonlySet<string>;
  args: ReadonlyMap<string, Record<string, unknown>>;
  percentageOfNodesToScore: number;
}

export interface SchedulerSettings {
  kubeconfig?: string;
  leaderElection: {
    leaderElect?: boolean;
    leaseDurationMs?: number;
    renewDeadlineMs?: number;
    retryPeriodMs?: number;
    resourceName?: string;
    resourceNamespace?: string;
  };
  initialBackoffMs: number;
  maxBackoffMs: number;
  profiles: ProfileSettings[];
}

type Document = Record<string, unknown>;

const plainProfile = (schedulerName: string, percentageOfNodesToScore = 0): ProfileSettings => ({
  schedulerName,
  weights: new Map(),
  disabled: new Set(),
  args: new Map(),
  percentageOfNodesToScore,
});

export const defaultSettings = (): SchedulerSettings => ({
  leaderElection: {},
  initialBackoffMs: 1000,
  maxBackoffMs: 10_000,
  profiles: [plainProfile('default-scheduler')],
});

export async function readConfiguration(path: string, plugins: readonly string[]): Promise<SchedulerSettings> {
  const document = load(await readFile(path, 'utf8'), { filename: path });
  return settingsOf(document, path, plugins);
}

/** @param plugins names of all plugins. Throws an error that names the file and the field. */
export function settingsOf(raw: unknown, path: string, plugins: readonly string[]): SchedulerSettings {
  const refuse = (field: string, why: string): never => {
    throw new Error(`${path}: ${field}: ${why}`);
  };
  const object = (value: unknown, field: string): Document => {
    if (value === undefined || value === null) return {};
    if (typeof value !== 'object' || Array.isArray(value)) refuse(field, 'expected a mapping');
    return value as Document;
  };
  const list = (value: unknown, field: string): Document[] => {
    if (value === undefined || value === null) return [];
    if (!Array.isArray(value)) refuse(field, 'expected a list');
    return (value as unknown[]).map((item, i) => object(item, `${field}[${i}]`));
  };
  const optional = <T>(value: unknown, field: string, kind: 'string' | 'number' | 'boolean'): T | undefined => {
    if (value === undefined || value === null) return undefined;
    return typeof value === kind ? (value as T) : refuse(field, `expected a ${kind}, got ${JSON.stringify(value)}`);
  };
  const milliseconds = (value: unknown, field: string): number | undefined => {
    const given = optional<string>(value, field, 'string');
    if (given === undefined) return undefined;
    return parseDuration(given) ?? refuse(field, `"${given}" is not a duration such as 15s`);
  };
  const pluginName = (value: unknown, field: string): string => {
    const name = optional<string>(value, field, 'string') ?? refuse(field, 'required');
    if (name === '*' || plugins.includes(name)) return name;
    const near = nearest(name, [...plugins]);
    return refuse(field, `there is no plugin "${name}"${near ? `; did you mean ${near}?` : ''}`);
  };

  const document = object(raw, 'document');
  if (document['kind'] !== 'KubeSchedulerConfiguration')
    refuse('kind', `is ${JSON.stringify(document['kind'])}, expected KubeSchedulerConfiguration`);
  if (document['apiVersion'] !== 'kubescheduler.config.k8s.io/v1')
    refuse('apiVersion', `is ${JSON.stringify(document['apiVersion'])}, expected kubescheduler.config.k8s.io/v1`);

  const percentage = optional<number>(document['percentageOfNodesToScore'], 'percentageOfNodesToScore', 'number') ?? 0;
  const profiles = list(document['profiles'], 'profiles').map((profile, i): ProfileSettings => {
    const at = `profiles[${i}]`;
    const weights = new Map<string, number>();
    const disabled = new Set<string>();
    for (const [point, value] of Object.entries(object(profile['plugins'], `${at}.plugins`))) {
      const where = `${at}.plugins.${point}`;
      const set = object(value, where);
      for (const [j, item] of list(set['disabled'], `${where}.disabled`).entries()) {
        const name = pluginName(item['name'], `${where}.disabled[${j}].name`);
        for (const each of name === '*' ? plugins : [name])
          disabled.add(point === 'multiPoint' ? each : `${point}/${each}`);
      }
      for (const [j, item] of list(set['enabled'], `${where}.enabled`).entries()) {
        const name = pluginName(item['name'], `${where}.enabled[${j}].name`);
        disabled.delete(point === 'multiPoint' ? name : `${point}/${name}`);
        const weight = optional<number>(item['weight'], `${where}.enabled[${j}].weight`, 'number');
        if (weight) weights.set(name, weight);
      }
    }
    const args = new Map(
      list(profile['pluginConfig'], `${at}.pluginConfig`).map((item, j) => [
        pluginName(item['name'], `${at}.pluginConfig[${j}].name`),
        object(item['args'], `${at}.pluginConfig[${j}].args`),
      ]),
    );
    return {
      schedulerName: optional<string>(profile['schedulerName'], `${at}.schedulerName`, 'string') ?? 'default-scheduler',
      weights,
      disabled,
      args,
      percentageOfNodesToScore:
        optional<number>(profile['percentageOfNodesToScore'], `${at}.percentageOfNodesToScore`, 'number') ?? percentage,
    };
  });
  for (const [i, { schedulerName }] of profiles.entries())
    if (profiles.findIndex((other) => other.schedulerName === schedulerName) !== i)
      refuse(`profiles[${i}].schedulerName`, `duplicate value "${schedulerName}"`);

  const election = object(document['leaderElection'], 'leaderElection');
  const seconds = (field: string, fallback: number) =>
    (optional<number>(document[field], field, 'number') ?? fallback) * 1000;
  const connection = object(document['clientConnection'], 'clientConnection');
  const kubeconfig = optional<string>(connection['kubeconfig'], 'clientConnection.kubeconfig', 'string');
  return {
    ...(kubeconfig ? { kubeconfig } : {}),
    leaderElection: defined({
      leaderElect: optional<boolean>(election['leaderElect'], 'leaderElection.leaderElect', 'boolean'),
      leaseDurationMs: milliseconds(election['leaseDuration'], 'leaderElection.leaseDuration'),
      renewDeadlineMs: milliseconds(election['renewDeadline'], 'leaderElection.renewDeadline'),
      retryPeriodMs: milliseconds(election['retryPeriod'], 'leaderElection.retryPeriod'),
      resourceName: optional<string>(election['resourceName'], 'leaderElection.resourceName', 'string'),
      resourceNamespace: optional<string>(election['resourceNamespace'], 'leaderElection.resourceNamespace', 'string'),
    }),
    initialBackoffMs: seconds('podInitialBackoffSeconds', 1),
    maxBackoffMs: seconds('podMaxBackoffSeconds', 10),
    profiles: profiles.length > 0 ? profiles : [plainProfile('default-scheduler', percentage)],
  };
}

type Defined<T> = { [K in keyof T]?: NonNullable<T[K]> };
const defined = <T extends object>(fields: T): Defined<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>;
