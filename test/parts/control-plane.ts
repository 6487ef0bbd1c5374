/** A real control plane in processes of this machine: etcd, kube-apiserver and, when wanted, controller-manager and scheduler. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { makeKey, privateKeyPem, publicKeyPem } from '../../src/installer/pki/keys.ts';
import { certificatePem, type Issuer, issueCertificate } from '../../src/installer/pki/x509.ts';
import { buildKubeconfig } from '../../src/machinery/client/kubeconfig.ts';
import { freePort } from './free-port.ts';

const root = join(import.meta.dirname, '../..');

export interface ControlPlaneOptions {
  /** Made and removed when absent. */
  dir?: string;
  /** Free ones unless told. */
  port?: number;
  etcdPort?: number;
  components?: ('controller-manager' | 'scheduler')[];
  /** Further arguments of kube-apiserver. */
  arguments?: string[];
  /** Programs as images have them: path and V8 flags of each. Absent: the sources. Then etcd is up before kube-apiserver starts. */
  built?: (name: string) => { path: string; nodeOptions: string };
}

export interface ControlPlane {
  dir: string;
  server: string;
  port: number;
  etcd: string;
  /** Path of a kubeconfig; `admin` is a member of system:masters. */
  kubeconfig(user: 'admin' | 'controller-manager' | 'scheduler'): string;
  /** Makes a client certificate and its kubeconfig for anybody. */
  issue(name: string, groups: string[]): Promise<string>;
  process(name: string): ChildProcess;
  /** Where a component serves /healthz. */
  address(name: string): string;
  /** How long kube-apiserver took to /readyz when it first started. */
  readySeconds: number;
  /** Starts a process again after it ended or was killed. */
  restart(name: string): Promise<void>;
  stop(): Promise<void>;
}

export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'kinit-control-plane-')));
  await mkdir(dir, { recursive: true });
  const port = options.port ?? (await freePort());
  const etcdPort = options.etcdPort ?? (await freePort());
  const peerPort = await freePort();
  const server = `https://127.0.0.1:${port}`;
  const etcd = `http://127.0.0.1:${etcdPort}`;
  const authority = await makeAuthority();
  const file = (name: string) => join(dir, name);
  const serving = await makeKey();
  const signing = await makeKey();
  await Promise.all([
    write(file('ca.crt'), certificatePem(authority.certificate)),
    write(file('ca.key'), privateKeyPem(authority.key)),
    write(file('apiserver.key'), privateKeyPem(serving)),
    write(
      file('apiserver.crt'),
      certificatePem(
        issueCertificate(
          {
            commonName: 'kube-apiserver',
            altNames: ['127.0.0.1', 'localhost', 'kubernetes', '10.96.0.1'],
            usages: ['serverAuth'],
            ...validity(),
          },
          serving,
          authority,
        ),
      ),
    ),
    write(file('sa.key'), privateKeyPem(signing)),
    write(file('sa.pub'), publicKeyPem(signing)),
  ]);
  const issue = async (name: string, groups: string[]) => {
    const key = await makeKey();
    const certificate = issueCertificate(
      { commonName: name, organizations: groups, usages: ['clientAuth'], ...validity() },
      key,
      authority,
    );
    const path = file(`${name.replaceAll(':', '-')}.kubeconfig`);
    const config = buildKubeconfig({
      clusterName: 'test',
      userName: name,
      server,
      ca: certificatePem(authority.certificate),
      cert: certificatePem(certificate),
      key: privateKeyPem(key),
    });
    await write(path, config);
    return path;
  };
  const users = {
    admin: 'kubernetes-admin',
    'controller-manager': 'system:kube-controller-manager',
    scheduler: 'system:kube-scheduler',
  };
  await issue(users.admin, ['system:masters']);
  await issue(users['controller-manager'], []);
  await issue(users.scheduler, []);
  const kubeconfig = (user: keyof typeof users) => file(`${users[user].replaceAll(':', '-')}.kubeconfig`);

  const node = join(root, 'node_modules/.bin/node');
  const program = (name: string) => options.built?.(name).path ?? join(root, 'src/components', name, 'main.ts');
  const controllerManagerPort = await freePort();
  const schedulerPort = await freePort();
  const commands: Record<string, string[]> = {
    etcd: [
      'etcd',
      '--data-dir',
      file('etcd'),
      '--listen-client-urls',
      etcd,
      '--advertise-client-urls',
      etcd,
      '--listen-peer-urls',
      `http://127.0.0.1:${peerPort}`,
      '--unsafe-no-fsync',
    ],
    apiserver: [
      node,
      program('apiserver'),
      `--etcd-servers=${etcd}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=192.0.2.1',
      `--secure-port=${port}`,
      `--tls-cert-file=${file('apiserver.crt')}`,
      `--tls-private-key-file=${file('apiserver.key')}`,
      `--client-ca-file=${file('ca.crt')}`,
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      '--enable-bootstrap-token-auth=true',
      '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
      `--service-account-key-file=${file('sa.pub')}`,
      `--service-account-signing-key-file=${file('sa.key')}`,
      '--service-cluster-ip-range=10.96.0.0/12',
      ...(options.arguments ?? []),
    ],
    'controller-manager': [
      node,
      program('controller-manager'),
      '--bind-address=127.0.0.1',
      `--secure-port=${controllerManagerPort}`,
      `--kubeconfig=${kubeconfig('controller-manager')}`,
      `--authentication-kubeconfig=${kubeconfig('controller-manager')}`,
      `--authorization-kubeconfig=${kubeconfig('controller-manager')}`,
      `--cluster-signing-cert-file=${file('ca.crt')}`,
      `--cluster-signing-key-file=${file('ca.key')}`,
      `--root-ca-file=${file('ca.crt')}`,
      `--service-account-private-key-file=${file('sa.key')}`,
      '--allocate-node-cidrs=true',
      '--cluster-cidr=10.244.0.0/16',
      '--service-cluster-ip-range=10.96.0.0/12',
      '--controllers=*,bootstrapsigner,tokencleaner',
      '--use-service-account-credentials=true',
      '--leader-elect=true',
    ],
    scheduler: [
      node,
      program('scheduler'),
      '--bind-address=127.0.0.1',
      `--secure-port=${schedulerPort}`,
      `--kubeconfig=${kubeconfig('scheduler')}`,
      `--authentication-kubeconfig=${kubeconfig('scheduler')}`,
      `--authorization-kubeconfig=${kubeconfig('scheduler')}`,
      '--leader-elect=true',
    ],
  };
  const running = new Map<string, ChildProcess>();
  const start = (name: string) => {
    const [command = '', ...rest] = commands[name] ?? [];
    const child = spawn(command, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ETCD_UNSUPPORTED_ARCH: '', NODE_OPTIONS: options.built?.(name).nodeOptions ?? '' },
    });
    const log = createWriteStream(file(`${name}.log`), { flags: 'a' });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    running.set(name, child);
  };
  const isReady = async () => {
    const deadline = Date.now() + 30_000;
    while (!(await answers(`${server}/readyz`, certificatePem(authority.certificate)))) {
      const gone = running.get('apiserver')?.exitCode;
      if (gone !== null && gone !== undefined)
        throw new Error(`kube-apiserver ended with ${gone}; see ${file('apiserver.log')}`);
      if (Date.now() > deadline)
        throw new Error(`kube-apiserver is not ready after 30 s; see ${file('apiserver.log')}`);
      await delay(options.built ? 10 : 50);
    }
  };
  const end = async (name: string) => {
    const child = running.get(name);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await ended;
    clearTimeout(late);
  };
  start('etcd');
  let readySeconds = Number.NaN;
  try {
    if (options.built) await hasEtcd(etcd);
    const started = performance.now();
    start('apiserver');
    await isReady();
    readySeconds = (performance.now() - started) / 1000;
  } catch (error) {
    await Promise.all([end('apiserver'), end('etcd')]);
    throw error;
  }
  for (const name of options.components ?? []) start(name);
  return {
    dir,
    server,
    port,
    etcd,
    kubeconfig,
    issue,
    process: (name) => running.get(name) as ChildProcess,
    address: (name) =>
      name === 'apiserver'
        ? server
        : `https://127.0.0.1:${name === 'scheduler' ? schedulerPort : controllerManagerPort}`,
    readySeconds,
    async restart(name) {
      await end(name);
      start(name);
      if (name === 'apiserver' || name === 'etcd') await isReady();
    },
    async stop() {
      for (const name of [...running.keys()].reverse()) await end(name);
      if (!options.dir) await rm(dir, { recursive: true, force: true });
    },
  };
}

const write = (path: string, text: string) => writeFile(path, text, { mode: 0o600 });

const validity = () => ({ notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 86_400_000) });

async function makeAuthority(): Promise<Issuer> {
  const key = await makeKey();
  return { key, certificate: issueCertificate({ commonName: 'kubernetes', isCa: true, ...validity() }, key) };
}

async function hasEtcd(url: string): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const healthy = await fetch(`${url}/health`).then(
      (answer) => answer.ok,
      () => false,
    );
    if (healthy) return;
    if (Date.now() > deadline) throw new Error(`etcd at ${url} is not healthy after 30 s`);
    await delay(20);
  }
}

/** Whether the address answers 200. */
function answers(url: string, ca: string): Promise<boolean> {
  return new Promise((resolve) => {
    const req = request(url, { ca, timeout: 2_000, agent: false }, (res) => {
      res.resume();
      resolve(res.statusCode === 200);
    });
    req.once('timeout', () => req.destroy());
    req.once('error', () => resolve(false));
    req.end();
  });
}
