/** The kubelet's command line: its own flags, and one for each setting of the configuration file. */
import type { Taint } from '../../../machinery/api/types.ts';
import { FlagError, type FlagSpec, type FlagValues } from '../../../machinery/flags/flags.ts';
import { type Configuration, type Setting, settings } from './settings.ts';

const ownFlags = {
  config: { kind: 'string', help: 'The kubelet will load its initial configuration from this file.' },
  'config-dir': { kind: 'string', help: 'Path to a directory with drop-in configuration files.' },
  kubeconfig: { kind: 'string', help: 'Path to a kubeconfig file, specifying how to connect to the API server.' },
  'bootstrap-kubeconfig': {
    kind: 'string',
    help: 'Path to a kubeconfig file that is used to get a client certificate when the file of --kubeconfig does not exist.',
  },
  'cert-dir': {
    kind: 'string',
    default: '/var/lib/kubelet/pki',
    help: 'The directory where the TLS certs are located.',
  },
  'root-dir': { kind: 'string', default: '/var/lib/kubelet', help: 'Directory path for managing kubelet files.' },
  'hostname-override': { kind: 'string', help: 'Used as identification instead of the actual hostname.' },
  'node-ip': { kind: 'string', help: 'IP address (or comma-separated dual-stack IP addresses) of the node.' },
  'node-labels': { kind: 'map', help: 'Labels to add when registering the node in the cluster.' },
  'cloud-provider': { kind: 'string', default: '', help: "Set to 'external' for running with a cloud provider." },
  'pod-infra-container-image': { kind: 'string', help: 'Ignored: the container runtime decides the sandbox image.' },
  'exit-on-lock-contention': { kind: 'boolean', help: 'Whether the kubelet should exit upon lock-file contention.' },
  'lock-file': { kind: 'string', default: '', help: 'The path to a file to use as a lock file.' },
  'image-credential-provider-config': { kind: 'string', default: '', help: 'Credential provider plugin config file.' },
  'image-credential-provider-bin-dir': { kind: 'string', default: '', help: 'Credential provider plugin directory.' },
  v: { kind: 'integer', default: '0', help: 'Number for the log level verbosity.', short: 'v' },
  vmodule: { kind: 'string', default: '', help: 'Ignored.' },
  'logging-format': { kind: 'string', default: '', help: 'Ignored: logs are JSON lines.' },
} as const satisfies Record<string, FlagSpec>;

const thresholdFlags = new Set([
  'eviction-hard',
  'eviction-soft',
  'eviction-soft-grace-period',
  'eviction-minimum-reclaim',
]);

const kindOfFlag = ({ kind, flag }: Setting): FlagSpec['kind'] =>
  kind === 'any' || thresholdFlags.has(flag ?? '') ? 'string' : kind;

/** Flags of settings have no default here: only given ones override the file. */
const settingFlags: Record<string, FlagSpec> = {};
for (const [path, setting] of Object.entries(settings) as [string, Setting][])
  if (setting.flag)
    settingFlags[setting.flag] = { kind: kindOfFlag(setting), help: `Sets ${path} of the configuration file.` };

export const kubeletFlags: typeof ownFlags & Record<string, FlagSpec> = { ...settingFlags, ...ownFlags };
export type OwnFlags = FlagValues<typeof ownFlags>;

/** The settings that were given as flags. */
export function configurationOverrides(values: Record<string, unknown>, given: Set<string>): Partial<Configuration> {
  const overrides: Record<string, unknown> = {};
  for (const [path, setting] of Object.entries(settings) as [string, Setting][]) {
    if (!setting.flag || !given.has(setting.flag)) continue;
    const value = values[setting.flag];
    overrides[path] =
      setting.flag === 'register-with-taints'
        ? parseTaints(String(value))
        : thresholdFlags.has(setting.flag)
          ? parseThresholds(String(value))
          : value;
  }
  return overrides as Partial<Configuration>;
}

/** `key=value:effect,key:effect`. */
export function parseTaints(text: string): Taint[] {
  return text
    .split(',')
    .filter(Boolean)
    .map((part) => {
      const match = /^([^=:]+)(?:=([^:]*))?:(NoSchedule|PreferNoSchedule|NoExecute)$/.exec(part);
      if (!match)
        throw new FlagError(`invalid argument "${part}" for --register-with-taints: expected key=value:effect`);
      const [, key, value, effect] = match as unknown as [string, string, string | undefined, string];
      return { key, effect, ...(value ? { value } : {}) };
    });
}

/** `memory.available<100Mi,nodefs.available<10%` → map. */
export function parseThresholds(text: string): Record<string, string> {
  return Object.fromEntries(
    text
      .split(',')
      .filter(Boolean)
      .map((part) => {
        const at = part.search(/[<=]/);
        if (at < 0) throw new FlagError(`invalid eviction threshold "${part}": expected signal<quantity`);
        return [part.slice(0, at), part.slice(at + 1)];
      }),
  );
}
