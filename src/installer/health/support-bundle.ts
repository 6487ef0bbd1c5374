/** An archive of logs and state of a host, and from a control plane of the cluster: what somebody else needs to find a fault. */
import { createWriteStream, type WriteStream } from 'node:fs';
import { rename } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { type Pack, pack } from 'tar-stream';
import type { Client } from '../../machinery/client/types.ts';
import { cniPaths, containerdPaths, kubeconfigPaths, kubeletPaths, manifestsDir } from '../config/paths.ts';
import { exists, type Host, readText } from '../host/host.ts';
import { stateFolder } from '../host/journal.ts';
import { clientFromFile } from '../phases/run.ts';
import { examineHost } from './examine.ts';
import { redact, redactObject } from './redact.ts';

/** Of each log, from its end. */
const logBytes = 2 << 20;
const timeoutMs = 20_000;

/** Names in the archive and what is run for them; the output of a program that is not there says so. */
const commands: Record<string, string[]> = {
  'system/processes.txt': ['ps', '-eo', 'pid,ppid,stat,etime,rss,pcpu,comm', '--sort', 'pid'],
  'system/disks.txt': ['df', '-P'],
  'system/inodes.txt': ['df', '-Pi'],
  'system/memory.txt': ['free', '-m'],
  'system/mounts.txt': ['cat', '/proc/self/mounts'],
  'system/modules.txt': ['cat', '/proc/modules'],
  'system/kernel.txt': ['dmesg', '--ctime'],
  'system/failed-units.txt': ['systemctl', '--failed', '--no-pager'],
  'network/addresses.txt': ['ip', '-d', 'addr'],
  'network/routes.txt': ['ip', 'route', 'show', 'table', 'all'],
  'network/neighbours.txt': ['ip', 'neigh'],
  'network/listening.txt': ['ss', '-tulnp'],
  'network/iptables.txt': ['iptables-save'],
  'network/nftables.txt': ['nft', 'list', 'ruleset'],
  'network/sysctl.txt': [
    'sysctl',
    'net.ipv4.ip_forward',
    'net.bridge.bridge-nf-call-iptables',
    'net.ipv4.conf.all.rp_filter',
  ],
  'runtime/containers.txt': ['/opt/kinit/current/bin/ctr', '-n', 'k8s.io', 'containers', 'ls'],
  'runtime/tasks.txt': ['/opt/kinit/current/bin/ctr', '-n', 'k8s.io', 'tasks', 'ls'],
  'runtime/images.txt': ['/opt/kinit/current/bin/ctr', '-n', 'k8s.io', 'images', 'ls'],
  'logs/kubelet.txt': ['journalctl', '-u', 'kubelet', '-n', '5000', '--no-pager', '-o', 'short-iso'],
  'logs/kinit-balancer.txt': ['journalctl', '-u', 'kinit-balancer', '-n', '5000', '--no-pager', '-o', 'cat'],
  'logs/kinit-virtual-ip.txt': ['journalctl', '-u', 'kinit-virtual-ip', '-n', '5000', '--no-pager', '-o', 'cat'],
  'logs/containerd.txt': ['journalctl', '-u', 'containerd', '-n', '5000', '--no-pager', '-o', 'short-iso'],
};

const files = [
  '/etc/os-release',
  '/etc/hosts',
  '/etc/resolv.conf',
  '/etc/fstab',
  containerdPaths.config,
  containerdPaths.unit,
  kubeletPaths.config,
  kubeletPaths.flags,
  kubeletPaths.unit,
  kubeletPaths.dropIn,
];
const folders = [manifestsDir, cniPaths.config];

/** Never secrets: neither of the cluster nor of service accounts. */
const resources = [
  '/api/v1/nodes',
  '/api/v1/pods',
  '/api/v1/events',
  '/api/v1/services',
  '/api/v1/namespaces',
  '/api/v1/persistentvolumes',
  '/api/v1/persistentvolumeclaims',
  '/api/v1/namespaces/kube-system/configmaps',
  '/apis/apps/v1/deployments',
  '/apis/apps/v1/daemonsets',
  '/apis/apps/v1/statefulsets',
  '/apis/batch/v1/jobs',
  '/apis/discovery.k8s.io/v1/endpointslices',
  '/apis/coordination.k8s.io/v1/leases',
  '/apis/certificates.k8s.io/v1/certificatesigningrequests',
  '/version',
];

type Add = (name: string, text: string) => void;

async function addCommands(host: Host, add: Add): Promise<void> {
  for (const [name, [program = '', ...args]] of Object.entries(commands)) {
    const result = await host
      .run(program, args, { observe: true, timeoutMs })
      .catch((error: Error) => ({ exitCode: 1, stdout: '', stderr: error.message }));
    add(name, `# ${[program, ...args].join(' ')}\n${result.stdout}\n${result.exitCode === 0 ? '' : result.stderr}`);
  }
}

async function addFiles(host: Host, add: Add): Promise<void> {
  const paths = [...files];
  for (const folder of folders) paths.push(...(await host.list(folder)).map((name) => `${folder}/${name}`));
  for (const path of paths) {
    const text = await readText(host, path);
    if (text !== undefined) add(`files${path}`, text);
  }
}

/** Logs of system pods, and what kinit's own runs told. */
async function addLogs(host: Host, add: Add): Promise<void> {
  for (const pod of await host.list('/var/log/pods')) {
    if (!pod.startsWith('kube-system_')) continue;
    for (const container of await host.list(`/var/log/pods/${pod}`)) {
      const home = `/var/log/pods/${pod}/${container}`;
      for (const name of (await host.list(home)).filter((log) => log.endsWith('.log')))
        add(`logs/pods/${pod}/${container}/${name}`, await endOf(host, `${home}/${name}`));
    }
  }
  for (const job of await host.list(`${stateFolder}/jobs`)) {
    const path = `${stateFolder}/jobs/${job}/events.jsonl`;
    if (await exists(host, path)) add(`logs/kinit/${job}.jsonl`, await endOf(host, path));
  }
}

async function endOf(host: Host, path: string): Promise<string> {
  return (await host.run('tail', ['-c', String(logBytes), path], { observe: true, timeoutMs })).stdout;
}

async function addCluster(client: Client, add: Add): Promise<void> {
  for (const path of resources) {
    const name = `cluster/${path.split('/').at(-1)}.json`;
    try {
      const { status, body } = await client.raw('GET', path, { timeoutMs });
      add(name, status === 200 ? JSON.stringify(redactObject(JSON.parse(body)), null, 1) : `HTTP ${status}\n${body}`);
    } catch (error) {
      add(name, `not answered: ${error instanceof Error ? error.message : error}\n`);
    }
  }
}

async function fill(host: Host, archive: Pack): Promise<void> {
  const mtime = new Date();
  const add: Add = (name, text) => {
    archive.entry({ name, mode: 0o600, mtime }, redact(text));
  };
  add('doctor.json', `${JSON.stringify(await examineHost(host), null, 1)}\n`);
  await addCommands(host, add);
  await addFiles(host, add);
  await addLogs(host, add);
  if (await exists(host, kubeconfigPaths.admin)) {
    const client = await clientFromFile(host, kubeconfigPaths.admin);
    try {
      await addCluster(client, add);
    } finally {
      client.close();
    }
  }
  archive.finalize();
}

/** Writes the archive (tar, gzip) to a stream. */
export async function writeSupportBundle(host: Host, output: Writable): Promise<void> {
  const archive = pack();
  await Promise.all([fill(host, archive), pipeline(archive, createGzip(), output)]);
}

/** The same to a file that only its owner reads; it is there when it is complete. */
export async function saveSupportBundle(path: string, write: (output: WriteStream) => Promise<void>): Promise<void> {
  await write(createWriteStream(`${path}.draft`, { mode: 0o600 }));
  await rename(`${path}.draft`, path);
}
