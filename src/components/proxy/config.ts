/** KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1) and flags, as one set of settings. */
import { readFile } from 'node:fs/promises';
import { load } from 'js-yaml';
import { parseDuration } from '../../machinery/flags/flags.ts';

export interface ProxySettings {
  kubeconfig?: string;
  hostname: string;
  clusterCIDR: string;
  /** `host:port`. */
  healthzBindAddress: string;
  metricsBindAddress: string;
  masqueradeAll: boolean;
  masqueradeBit: number;
  localhostNodePorts: boolean;
  syncPeriodMs: number;
  minSyncPeriodMs: number;
}

type Document = Record<string, unknown>;

/** A Go duration (`1m30s`) in milliseconds; undefined for empty or zero. */
const durationMs = (value: unknown): number | undefined =>
  (typeof value === 'string' && parseDuration(value)) || undefined;

const section = (document: Document, name: string): Document => {
  const value = document[name];
  return typeof value === 'object' && value !== null ? (value as Document) : {};
};

/** Reads the configuration file. Throws an error that names the file and the field. */
export async function readProxyConfig(path: string, hostname: string): Promise<ProxySettings> {
  const document = load(await readFile(path, 'utf8'), { filename: path }) as Document | null;
  if (document?.['kind'] !== 'KubeProxyConfiguration') {
    throw new Error(
      `${path}: kind is ${JSON.stringify(document?.['kind'])}, expected KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1)`,
    );
  }
  return proxySettings(document, path, hostname);
}

export function proxySettings(document: Document, where: string, hostname: string): ProxySettings {
  const mode = document['mode'] ?? '';
  if (mode !== '' && mode !== 'iptables') {
    throw new Error(`${where}: mode: ${JSON.stringify(mode)} is not supported; use "iptables" or leave it empty`);
  }
  const iptables = section(document, 'iptables');
  const text = (value: unknown, fallback: string) => (typeof value === 'string' && value !== '' ? value : fallback);
  const bit = iptables['masqueradeBit'];
  if (bit !== undefined && bit !== null && (typeof bit !== 'number' || bit < 0 || bit > 31)) {
    throw new Error(`${where}: iptables.masqueradeBit: ${JSON.stringify(bit)} is not a number from 0 to 31`);
  }
  const kubeconfig = section(document, 'clientConnection')['kubeconfig'];
  return {
    ...(typeof kubeconfig === 'string' && kubeconfig ? { kubeconfig } : {}),
    hostname: text(document['hostnameOverride'], hostname),
    clusterCIDR: text(document['clusterCIDR'], ''),
    healthzBindAddress: text(document['healthzBindAddress'], '0.0.0.0:10256'),
    metricsBindAddress: text(document['metricsBindAddress'], '127.0.0.1:10249'),
    masqueradeAll: iptables['masqueradeAll'] === true,
    masqueradeBit: typeof bit === 'number' ? bit : 14,
    localhostNodePorts: iptables['localhostNodePorts'] !== false,
    syncPeriodMs: durationMs(iptables['syncPeriod']) ?? 30_000,
    minSyncPeriodMs: durationMs(iptables['minSyncPeriod']) ?? 1000,
  };
}
