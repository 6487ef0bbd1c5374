/** What can be set of kinit's add-ons, by name, and how they are written in a configuration. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { parseDuration } from './duration.ts';
import { nearestName } from './nearest.ts';

/** Of a folder on hosts, below the root. */
export const directoryPattern = /^(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+)+$/;

const duration = (leastMs: number, example: string) =>
  z.string().refine((text) => (parseDuration(text) ?? -1) >= leastMs, {
    error: `is no duration like ${example}${leastMs > 0 ? ` (at least ${leastMs / 1000}s)` : ''}`,
  });

function isServer(text: string): boolean {
  if (directoryPattern.test(text) || isIP(text)) return true;
  const [, address = '', port = ''] = /^(\[[0-9A-Fa-f:.]+\]|[0-9.]+):([0-9]{1,5})$/.exec(text) ?? [];
  return isIP(address.replace(/^\[|\]$/g, '')) !== 0 && Number(port) >= 1 && Number(port) <= 65535;
}
const servers = z
  .array(z.string().refine(isServer, { error: 'is no DNS server: an IP address, with :port or without, or a file' }))
  .min(1)
  .max(15);
const zone = z.string().regex(/^[a-z0-9_]([-a-z0-9_.]*[a-z0-9])?$/, 'is no DNS zone like corp.example');

export const addonValues = {
  network: z.strictObject({
    backend: z.enum(['vxlan', 'host-gw']).optional(),
    mtu: z.int().min(576).max(65535).optional(),
  }),
  proxy: z.strictObject({
    mode: z.enum(['iptables']).optional(),
    syncPeriod: duration(1000, '30s').optional(),
    minSyncPeriod: duration(0, '1s').optional(),
    masqueradeAll: z.boolean().optional(),
    localhostNodePorts: z.boolean().optional(),
    metricsBindAddress: z
      .string()
      .regex(/^(\[[0-9A-Fa-f:.]+\]|[0-9.]+):[0-9]{1,5}$/, 'is no address with port like 0.0.0.0:10249')
      .optional(),
  }),
  dns: z.strictObject({
    replicas: z.int().min(1).max(100).optional(),
    upstreams: servers.optional(),
    /** Seconds; 0: nothing is cached. */
    cache: z.int().min(0).max(3600).optional(),
    /** Servers of their own for these zones. */
    zones: z.record(zone, servers).optional(),
    log: z.boolean().optional(),
  }),
  'metrics-server': z.strictObject({
    replicas: z.int().min(1).max(10).optional(),
    resolution: duration(10_000, '15s').optional(),
  }),
  'local-path': z.strictObject({
    directory: z.string().regex(directoryPattern, 'is no absolute path without blanks and dots').optional(),
    defaultClass: z.boolean().optional(),
  }),
} as const;

export type BuiltInAddon = keyof typeof addonValues;
export type ValuesOf<N extends BuiltInAddon> = z.infer<(typeof addonValues)[N]>;
export type AddonValues = Record<string, unknown>;

export const builtInAddons = Object.keys(addonValues) as BuiltInAddon[];

/** What kubeadm calls them. */
const otherNames: Record<string, BuiltInAddon> = { coredns: 'dns', 'kube-proxy': 'proxy', storage: 'local-path' };

/** One of kinit's own by any of its names; undefined for others. */
export const builtInAddon = (name: string): BuiltInAddon | undefined =>
  name in addonValues ? (name as BuiltInAddon) : otherNames[name];

interface ValueMistake {
  path: (string | number)[];
  message: string;
}

/** What is wrong with values; empty: nothing. */
export function valueMistakes(name: BuiltInAddon, values: AddonValues): ValueMistake[] {
  const parsed = addonValues[name].safeParse(values, { reportInput: true });
  if (parsed.success) return [];
  return parsed.error.issues.flatMap((issue): ValueMistake[] => {
    const path = issue.path.filter((part): part is string | number => typeof part !== 'symbol');
    const field = path.map((part, i) => (typeof part === 'number' ? `[${part}]` : i ? `.${part}` : part)).join('');
    if (issue.code === 'unrecognized_keys') {
      const known = Object.keys(addonValues[name].shape);
      return issue.keys.map((key) => {
        const near = nearestName(key, known);
        const hint = near ? `did you mean "${near}"?` : `it has ${known.join(', ')}`;
        return {
          path: [...path, key],
          message: `there is no value "${[...path, key].join('.')}"; ${hint}`,
        };
      });
    }
    if (issue.code === 'invalid_value') {
      const allowed = issue.values.map((value) => `"${String(value)}"`).join(', ');
      return [{ path, message: `${field} is ${JSON.stringify(issue.input)}; it takes ${allowed}` }];
    }
    const given = issue.input === undefined ? '' : `: ${JSON.stringify(issue.input)}`;
    return [{ path, message: `${field}${given}: ${issue.message.replace(/^Invalid input: /, '')}` }];
  });
}

/** The text of a file that was read elsewhere. */
const manifestText = z.strictObject({ file: z.string().min(1), text: z.string() });

const addonDocument = z
  .strictObject({
    name: z
      .string()
      .max(63)
      .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'is no name of an add-on (lower-case letters, digits, dashes)'),
    enabled: z.boolean().optional(),
    values: z.record(z.string(), z.unknown()).optional(),
    /** Files and folders of objects, for an add-on of one's own. */
    manifests: z
      .array(z.union([z.string().min(1), manifestText], { error: 'is no path of a file or folder' }))
      .min(1)
      .optional(),
  })
  .superRefine(({ name, enabled, values, manifests }, { addIssue }) => {
    const own = builtInAddon(name);
    const complain = (path: (string | number)[], message: string) => addIssue({ code: 'custom', path, message });
    if (own && manifests) complain(['manifests'], `${name} is an add-on of kinit's; give your manifests another name`);
    if (own && values)
      for (const { path, message } of valueMistakes(own, values)) complain(['values', ...path], message);
    if (own) return;
    if (!manifests && enabled !== false) {
      const near = nearestName(name, builtInAddons);
      const hint = near ? `did you mean "${near}"?` : `kinit has ${builtInAddons.join(', ')}; your own have manifests`;
      complain(['name'], `there is no add-on "${name}"; ${hint}`);
    }
    if (values) complain(['values'], 'manifests have no values; write them into the files');
  });

export const addonList = z.array(addonDocument).superRefine((addons, { addIssue }) => {
  const names = addons.map(({ name }) => builtInAddon(name) ?? name);
  names.forEach((name, index) => {
    const first = names.indexOf(name);
    if (first < index)
      addIssue({ code: 'custom', path: [index, 'name'], message: `${name} stands in the list already` });
  });
});

/** An add-on as a configuration names it. */
export type DeclaredAddon = z.infer<typeof addonDocument>;
export type ManifestSource = NonNullable<DeclaredAddon['manifests']>[number];
