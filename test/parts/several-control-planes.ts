/** A cluster with several control planes on lab hosts, its command line, and clients that reach its API as its nodes do. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { bundlePaths } from '../../src/installer/config/paths.ts';
import { stateFolder } from '../../src/installer/host/journal.ts';
import { createClient } from '../../src/machinery/client/client.ts';
import { loadKubeconfig } from '../../src/machinery/client/kubeconfig.ts';
import { configMaps } from '../../src/machinery/client/resources.ts';
import type { Client } from '../../src/machinery/client/types.ts';
import { createLab, type Lab, type LabHost, type LabSpec } from '../lab/lab.ts';
import type { Flavour } from '../lab/roots.ts';
import { freePort } from './free-port.ts';

const root = join(import.meta.dirname, '../..');
const flavours: readonly Flavour[] = ['debian', 'centos', 'ubuntu'];
export const endpointPort = 7443;

export interface SeveralControlPlanes {
  lab: Lab;
  /** With `inventory.yaml`; `kinit` runs in it. */
  folder: string;
  masters: LabHost[];
  workers: LabHost[];
  virtualIP: string;
  kubeconfig: string;
  /** @throws Error with everything that it has printed when it fails */
  kinit(...args: string[]): Promise<string>;
  up(): Promise<string>;
  /** kubectl on a control plane, against its own API server. */
  kubectl(on: string, command: string, input?: string): Promise<string>;
  /** Of the administrator, at `host:port`. */
  client(server: string): Promise<Client>;
  down(): Promise<void>;
}

/** Bare hosts m1 … and w1 …, of all flavours in turn, and an inventory for them; their nodes use local endpoints, and there is a virtual address. */
export async function hostsForSeveral(
  spec: Omit<LabSpec, 'hosts'> & {
    masters: number;
    workers: number;
    /** The inventory's settings of the cluster, once the network is known. */
    cluster?: (lab: Lab) => object;
  },
): Promise<SeveralControlPlanes> {
  const names = (letter: string, count: number) => Array.from({ length: count }, (_, i) => `${letter}${i + 1}`);
  const roles = { 'control-plane': names('m', spec.masters), worker: names('w', spec.workers) };
  const { masters: _, workers: __, cluster, ...rest } = spec;
  const lab = await createLab({
    ...rest,
    hosts: Object.values(roles).flatMap((of) => of.map((name, i) => ({ name, flavour: flavours[i % 3] as Flavour }))),
  });
  const folder = await mkdtemp(join(tmpdir(), 'kinit-ha-'));
  const [first] = lab.hosts as [LabHost];
  const virtualIP = first.ip.replace(/\d+$/, '100');
  const kubeconfig = join(folder, 'kubeconfig');
  const inventory = {
    apiVersion: 'kinit.local/v1alpha1',
    kind: 'Inventory',
    ...(cluster ? { cluster: cluster(lab) } : {}),
    endpoint: { mode: 'local', virtualIP },
    defaults: { user: 'root', identityFile: lab.sshKeyPath, knownHosts: lab.knownHosts },
    hosts: Object.entries(roles).flatMap(([role, of]) =>
      of.map((name) => ({ name, address: lab.host(name).ip, roles: [role] })),
    ),
  };
  await writeFile(join(folder, 'inventory.yaml'), JSON.stringify(inventory, undefined, 2));
  const kinit = async (...args: string[]) => {
    const { exitCode, all } = await execa(
      join(root, 'node_modules/.bin/node'),
      [join(root, 'dist/kinit/main.mjs'), ...args, ...(args.includes('--output') ? [] : ['--output', 'plain'])],
      { cwd: folder, reject: false, all: true, stdin: 'ignore', timeout: 900_000 },
    );
    if (exitCode !== 0) throw new Error(`kinit ${args.join(' ')} exited ${exitCode}:\n${all}`);
    return all;
  };
  return {
    lab,
    folder,
    masters: roles['control-plane'].map((name) => lab.host(name)),
    workers: roles.worker.map((name) => lab.host(name)),
    virtualIP,
    kubeconfig,
    kinit,
    up: () => kinit('up', '-i', 'inventory.yaml', '--kubeconfig-out', kubeconfig),
    kubectl: (on, command, input) => {
      const host = lab.host(on);
      const flags = `--kubeconfig /etc/kubernetes/admin.conf --cache-dir ${stateFolder}/kubectl --server https://${host.ip}:6443`;
      return host.must(`${bundlePaths.bin}/kubectl ${flags} ${command}`, input ? { input } : {});
    },
    client: async (server) => createClient({ ...(await loadKubeconfig(kubeconfig)), server: `https://${server}` }),
    down: async () => {
      await lab.down();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The control planes whose API servers a node's endpoint uses now. */
export async function serversInUse(node: LabHost): Promise<string[]> {
  const connections = await node.must(`ss -Htnp state established '( dport = :6443 )'`);
  const lines = connections.split('\n').filter((line) => line.includes('"kinit-balancer"'));
  return [...new Set(lines.map((line) => /([\d.]+):6443/.exec(line)?.[1] ?? line))];
}

/** The control plane that says that it has the virtual address. */
export const virtualHolder = (cluster: SeveralControlPlanes, on: string): Promise<string> =>
  cluster.kubectl(on, `-n kube-system get lease kinit-virtual-ip -o jsonpath='{.spec.holderIdentity}'`);

export interface Way {
  /** `127.0.0.1:<port>` */
  server: string;
  close(): void;
}

/** Makes the local endpoint of a node reachable from here. */
export async function wayThrough(lab: Lab, node: LabHost): Promise<Way> {
  const port = await freePort();
  const options = ['BatchMode=yes', 'ExitOnForwardFailure=yes', `UserKnownHostsFile=${lab.knownHosts}`];
  const child = spawn(
    'ssh',
    [
      ...['-N', '-i', lab.sshKeyPath, ...options.flatMap((option) => ['-o', option])],
      ...['-L', `127.0.0.1:${port}:127.0.0.1:${endpointPort}`, `root@${node.ip}`],
    ],
    { stdio: 'ignore' },
  );
  for (const deadline = Date.now() + 20_000; !(await listens(port)); await delay(50))
    if (Date.now() > deadline) throw new Error(`no way to the endpoint of ${node.name} after 20 s`);
  return { server: `127.0.0.1:${port}`, close: () => child.kill() };
}

const listens = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });

const askMs = 2_000;

/** A write by a client that keeps its connection, as kubelets and controllers do. */
export const write = (client: Client, name: string) => () =>
  client
    .resource(configMaps)
    .patch({ name, namespace: 'default' }, { data: { at: String(Date.now()) } }, { type: 'merge', timeoutMs: askMs });

/** A read that goes to etcd, by a client that connects each time, as kubectl does. */
export async function readOnce(cluster: SeveralControlPlanes, server: string, name: string): Promise<void> {
  const client = await cluster.client(server);
  try {
    await client.resource(configMaps).get({ name, namespace: 'default' }, { timeoutMs: askMs });
  } finally {
    client.close();
  }
}
