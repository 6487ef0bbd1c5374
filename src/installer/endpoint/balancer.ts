/** kinit-balancer on a host: its unit and its state. It runs beside the kubelet, since the kubelet needs it to begin. */
import { splitHostPort } from '../config/cidr.ts';
import { loopback } from '../config/local-endpoint.ts';
import { balancerPaths, bundlePaths, kubeconfigPaths } from '../config/paths.ts';
import { renderTemplate } from '../config/templates.ts';
import type { EndpointSettings } from '../config/types.ts';
import { KinitError } from '../errors.ts';
import type { Changes } from '../host/changes.ts';
import type { HostFacts } from '../host/facts.ts';
import { type Host, readText, runOrFail } from '../host/host.ts';
import { waitUntil } from '../host/wait.ts';
import { tryPort } from '../preflight/endpoint.ts';

export const balancerUnit = 'kinit-balancer.service';

export interface BalancerSettings {
  /** `127.0.0.1:7443` */
  listen: string;
  /** API servers to begin with, `host:port`. */
  servers: readonly string[];
  nodeName: string;
  facts: Pick<HostFacts, 'canLowerOomScore'>;
  certificateAuthority: string;
}

export interface KnownBalancer {
  endpoint: EndpointSettings;
  servers: string[];
  certificateAuthority: string;
}

/** What the unit of this host says, undefined when there is none. */
export async function knownBalancer(host: Host): Promise<KnownBalancer | undefined> {
  const text = await readText(host, balancerPaths.unit);
  if (text === undefined) return undefined;
  const flag = (name: string) => new RegExp(`--${name}=(\\S+)`).exec(text)?.[1] ?? '';
  const port = splitHostPort(flag('listen'))?.port;
  if (!port) throw new KinitError('Validation', `${balancerPaths.unit} does not say where the balancer listens`);
  return {
    endpoint: { mode: 'local', port },
    servers: flag('servers').split(',').filter(Boolean),
    certificateAuthority: flag('certificate-authority'),
  };
}

/** The API servers that this host has learnt, with those that it began with behind them. */
export async function knownServers(host: Host): Promise<string[]> {
  const text = (await readText(host, balancerPaths.members)) ?? '';
  const learnt = [...text.matchAll(/"server":\s*"([^"]+)"/g)].map(([, server = '']) => server);
  const { servers = [] } = (await knownBalancer(host)) ?? {};
  return [...new Set([...learnt, ...servers])];
}

/** Makes the unit, and waits until it listens. What it began with stays: a restart would cut the connections of the node. */
export async function ensureBalancer(
  changes: Changes,
  settings: BalancerSettings,
  signal: AbortSignal,
): Promise<boolean> {
  const { host } = changes;
  const { listen, nodeName, certificateAuthority, facts } = settings;
  const before = await knownBalancer(host);
  // It never leads to itself.
  const servers = (before?.servers.length ? before.servers : settings.servers).filter((server) => server !== listen);
  if (servers.length === 0) throw new Error('the balancer has no server to begin with');
  const folder = await changes.folder(balancerPaths.folder, 0o700);
  const unit = await changes.file(
    balancerPaths.unit,
    renderTemplate(`systemd/${balancerUnit}`, {
      program: `${bundlePaths.bin}/kinit-balancer`,
      listen,
      servers: servers.join(','),
      nodeName,
      kubeconfig: kubeconfigPaths.kubelet,
      certificateAuthority,
      state: balancerPaths.members,
      folder: balancerPaths.folder,
      lowOomScore: facts.canLowerOomScore,
    }),
  );
  if (unit) await runOrFail(host, 'systemctl', ['daemon-reload']);
  const state = await changes.unit(balancerUnit, { enabled: true, active: true });
  if (unit && !state) await runOrFail(host, 'systemctl', ['restart', balancerUnit]);
  if (!host.dryRun) await waitForListener(listen, signal);
  return folder || unit || state;
}

async function waitForListener(listen: string, signal: AbortSignal): Promise<void> {
  const { port = 0 } = splitHostPort(listen) ?? {};
  await waitUntil(async () => (await tryPort(loopback, port)).answer === 'open', {
    timeoutMs: 30_000,
    intervalMs: 20,
    signal,
    failure: () =>
      new KinitError('Timeout', `the balancer does not listen on ${listen} after 30 s`, {
        advice: `look at: journalctl -u ${balancerUnit} -n 50`,
      }),
  });
}
