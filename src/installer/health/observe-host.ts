/** Looks at a host without changing it: services, components, disks, certificates, settings. */
import { X509Certificate } from 'node:crypto';
import { load, YAMLException } from 'js-yaml';
import { kinitVersion } from '../../machinery/version.ts';
import { defaultBindPort } from '../config/defaults.ts';
import {
  balancerPaths,
  cniPaths,
  containerdPaths,
  defaultCertificatesDir,
  etcdDataDir,
  kubeconfigPaths,
  kubeletDir,
  kubeletPaths,
  manifestsDir,
  virtualIpUnitPath,
} from '../config/paths.ts';
import { balancerUnit } from '../endpoint/balancer.ts';
import { virtualIpUnit } from '../endpoint/virtual-ip.ts';
import { manifestArgument } from '../etcd/access.ts';
import { sysctlPath } from '../host/changes.ts';
import { observeHost } from '../host/facts.ts';
import { closedPorts, controlPlanePorts, type PortRule, workerPorts } from '../host/firewall.ts';
import { exists, type Host, readText } from '../host/host.ts';
import { isLoaded, neededModules } from '../host/modules.ts';
import { activeSwap } from '../host/swap.ts';
import { neededSettings } from '../host/sysctl.ts';
import { timeKeeper } from '../host/time-sync.ts';
import { checkExpiration } from '../pki/expiration.ts';
import { ctr } from '../runtime/containerd.ts';
import { lastLineCount, observeComponents, plainLines } from './components.ts';
import { observeModes, observeOwners } from './modes.ts';
import { observeEtcdDisk } from './observe-etcd.ts';
import type { Certificate, Disk, HostObservation, Service } from './types.ts';

const look = { observe: true };

async function observeService(host: Host, unit: string): Promise<Service> {
  const { stdout } = await host.run(
    'systemctl',
    ['show', '--property=LoadState,ActiveState,UnitFileState,NRestarts', unit],
    look,
  );
  const property = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(stdout)?.[1] ?? '';
  const state = property('LoadState') === 'loaded' ? property('ActiveState') : 'missing';
  return {
    unit,
    state,
    enabled: property('UnitFileState') === 'enabled',
    restarts: Number(property('NRestarts') || 0),
    lastLines: state === 'active' ? [] : await journalLines(host, unit),
  };
}

async function journalLines(host: Host, unit: string): Promise<string[]> {
  const args = ['-u', unit, '-n', String(lastLineCount), '-o', 'cat', '--no-pager'];
  const { stdout } = await host.run('journalctl', args, look);
  return plainLines(stdout);
}

/** Columns of `df -P` by file system: what holds each folder. */
async function observeDisks(host: Host, folders: string[]): Promise<Disk[]> {
  const present: string[] = [];
  for (const folder of folders) if (await exists(host, folder)) present.push(folder);
  if (!present.length) return [];
  const rows = async (flags: string) =>
    (await host.run('df', [flags, ...present], look)).stdout
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/));
  const [bytes, inodes] = await Promise.all([rows('-Pk'), rows('-Pi')]);
  return present.map((path, index) => ({
    path,
    mount: bytes[index]?.[5] ?? '/',
    usedPercent: Number.parseInt(bytes[index]?.[4] ?? '0', 10) || 0,
    freeBytes: Number(bytes[index]?.[3] ?? 0) * 1024,
    inodesUsedPercent: Number.parseInt(inodes[index]?.[4] ?? '0', 10) || 0,
  }));
}

async function observeCertificates(host: Host, controlPlane: boolean): Promise<Certificate[]> {
  const found: Certificate[] = [];
  if (controlPlane) {
    const { certificates, authorities } = await checkExpiration({ host, certificatesDir: defaultCertificatesDir });
    for (const { name, expires } of [...certificates, ...authorities])
      if (expires) found.push({ name, expires: expires.toISOString() });
  }
  const kubelet = await readText(host, kubeletPaths.clientCertificate);
  if (kubelet) found.push({ name: 'kubelet.conf', expires: new X509Certificate(kubelet).validToDate.toISOString() });
  return found;
}

interface KubeletDocument {
  clusterDomain?: string;
  cgroupDriver?: string;
  failSwapOn?: boolean;
}

/** Empty where there is none, or none that can be read: a host may be broken in any way. */
export async function kubeletDocument(host: Host): Promise<KubeletDocument> {
  const text = (await readText(host, kubeletPaths.config)) ?? '';
  try {
    return (text.trim() ? (load(text) ?? {}) : {}) as KubeletDocument;
  } catch (error) {
    if (error instanceof YAMLException) return {};
    throw error;
  }
}

async function runtimeDriver(host: Host): Promise<string | undefined> {
  const value = /^\s*SystemdCgroup\s*=\s*(true|false)/m.exec((await readText(host, containerdPaths.config)) ?? '')?.[1];
  return value === undefined ? undefined : value === 'true' ? 'systemd' : 'cgroupfs';
}

/** What the firewall has to let through, wherever the API server listens. */
export async function portsOf(host: Host): Promise<PortRule[]> {
  const manifest = await readText(host, `${manifestsDir}/kube-apiserver.yaml`);
  if (manifest === undefined) return workerPorts;
  return controlPlanePorts(Number(manifestArgument(manifest, 'secure-port') ?? defaultBindPort));
}

/** The name under which the kubelet of this host is in the cluster. */
async function nodeNameOf(host: Host, hostname: string): Promise<string> {
  const flags = (await readText(host, kubeletPaths.flags)) ?? '';
  return /--hostname-override=([^\s"]+)/.exec(flags)?.[1] ?? hostname.toLowerCase();
}

export async function observeHealth(host: Host): Promise<HostObservation> {
  const facts = await observeHost(host);
  const isNode = await exists(host, kubeconfigPaths.kubelet);
  const isControlPlane = await exists(host, `${manifestsDir}/kube-apiserver.yaml`);
  const nodeName = await nodeNameOf(host, facts.hostname);
  const units = ['containerd.service', 'kubelet.service'];
  if (await exists(host, balancerPaths.unit)) units.push(balancerUnit);
  if (await exists(host, virtualIpUnitPath)) units.push(virtualIpUnit);
  const meminfo = (await readText(host, '/proc/meminfo')) ?? '';
  const memory = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(meminfo)?.[1] ?? 0);
  const kubelet = await kubeletDocument(host);
  const [
    services,
    components,
    runtime,
    driver,
    swap,
    disks,
    certificates,
    configs,
    keeper,
    closed,
    fileModes,
    fileOwners,
    etcdDisk,
  ] = await Promise.all([
    Promise.all(units.map((unit) => observeService(host, unit))),
    isNode ? observeComponents(host, nodeName) : [],
    ctr(host, ['version']),
    runtimeDriver(host),
    activeSwap(host),
    observeDisks(host, ['/', '/var/log', kubeletDir, containerdPaths.root, etcdDataDir]),
    observeCertificates(host, isControlPlane),
    host.list(cniPaths.config),
    timeKeeper(host),
    isNode ? closedPorts(host, await portsOf(host)) : [],
    observeModes(host),
    observeOwners(host),
    observeEtcdDisk(host),
  ]);
  const settings = await Promise.all(
    Object.entries(neededSettings).map(async ([key, wanted]) => {
      const found = (await readText(host, sysctlPath(key)))?.trim();
      return { key, wanted, ...(found === undefined ? {} : { found }) };
    }),
  );
  const missingModules: string[] = [];
  for (const name of neededModules) if (!(await isLoaded(host, name))) missingModules.push(name);
  return {
    hostname: facts.hostname,
    role: isControlPlane ? 'control-plane' : isNode ? 'worker' : 'none',
    ...(isNode ? { nodeName } : {}),
    system: facts.os.name,
    kernel: facts.kernel,
    kinitVersion,
    time: new Date().toISOString(),
    ...(keeper ? { timeKeeper: keeper } : {}),
    services,
    components,
    runtimeAnswers: runtime.exitCode === 0,
    ...(driver ? { runtimeCgroupDriver: driver } : {}),
    ...(kubelet.cgroupDriver ? { kubeletCgroupDriver: kubelet.cgroupDriver } : {}),
    swapAllowed: kubelet.failSwapOn === false,
    swap: swap.map(({ device }) => device),
    disks,
    memoryAvailablePercent: Math.round((memory('MemAvailable') / Math.max(1, memory('MemTotal'))) * 100),
    certificates,
    networkConfigured: configs.some((name) => /\.(conf|conflist|json)$/.test(name)),
    settings,
    missingModules,
    fileModes,
    fileOwners,
    closedPorts: closed,
    ...(etcdDisk ? { etcdDisk } : {}),
  };
}
