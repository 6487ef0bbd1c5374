/**
 * The process that keeps a lab: starts its hosts, starts them again when they reboot, and takes everything down when it is told
 * to or when the lab's owner has died. `node test/lab/supervisor.ts <lab name>`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { makeHostCgroups, removeHostCgroups } from './cgroups.ts';
import { mountHostRoot, plainFolderOf, plainFolders } from './host-root.ts';
import { connectHost, disconnectHost, namespaceOf, setCable } from './network.ts';
import { controlSocket, type HostState, hostFolder, isAlive, type LabState, readState } from './state.ts';
import { killHost, takeDown } from './take-down.ts';

/** What systemd-nspawn exits with when the system inside asked for a reboot. */
const rebootExitCode = 133;

const name = process.argv[2];
const state = name ? readState(name) : undefined;
if (!state) throw new Error(`there is no lab named ${name}`);
const lab: LabState = state;
const children = new Map<string, ChildProcess>();
let ending = false;

const cgroupName = (host: HostState) => `${lab.name}-${host.name}`;

async function startHost(host: HostState): Promise<void> {
  const root = await mountHostRoot(lab, host);
  await disconnectHost(lab.network, host.name, host.position);
  await connectHost(lab.network, host.name, host.position);
  await removeHostCgroups(cgroupName(host));
  const groups = await makeHostCgroups(cgroupName(host));
  const nspawn = [
    '--boot',
    '--quiet',
    `--directory=${root}`,
    `--machine=${host.name}`,
    '--register=no',
    '--keep-unit',
    `--network-namespace-path=/run/netns/${namespaceOf(lab.network, host.name)}`,
    '--capability=all',
    '--system-call-filter=@keyring bpf @swap @module @reboot',
    '--link-journal=no',
    '--resolv-conf=off',
    '--timezone=off',
    '--console=pipe',
    ...plainFolders.map((path) => `--bind=${plainFolderOf(lab, host.name, path)}:${path}`),
  ];
  // The shell joins the host's control groups and becomes systemd-nspawn, which makes them the root of the host's own.
  const join_ = `${groups.map((file) => `echo $$ > '${file}'`).join('; ')}; exec systemd-nspawn "$@"`;
  const child = spawn('sh', ['-c', join_, 'sh', ...nspawn], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], SYSTEMD_NSPAWN_API_VFS_WRITABLE: '1', TERM: 'dumb' },
  });
  const console_ = createWriteStream(join(hostFolder(lab, host.name), 'console.log'), { flags: 'a' });
  child.stdout?.pipe(console_);
  child.stderr?.pipe(console_);
  children.set(host.name, child);
  child.on('exit', (code) => {
    if (children.get(host.name) === child) children.delete(host.name);
    if (!ending && code === rebootExitCode)
      startHost(host).catch((error: Error) => console_.write(`lab: ${error.message}\n`));
  });
}

async function stopHost(host: HostState): Promise<void> {
  children.delete(host.name);
  await killHost(lab, host);
}

interface Command {
  op: 'start' | 'kill' | 'cut' | 'heal' | 'down' | 'ping';
  host?: string;
}

async function obey({ op, host: wanted }: Command): Promise<void> {
  if (op === 'ping') return;
  if (op === 'down') {
    ending = true;
    await takeDown(lab);
    setImmediate(() => process.exit(0));
    return;
  }
  const host = lab.hosts.find((h) => h.name === wanted);
  if (!host) throw new Error(`no host named ${wanted}; there are: ${lab.hosts.map((h) => h.name).join(', ')}`);
  if (op === 'start') await startHost(host);
  else if (op === 'kill') await stopHost(host);
  else await setCable(lab.network, host.position, op === 'cut' ? 'down' : 'up');
}

await rm(controlSocket(lab), { force: true });
const server = createServer((socket) => {
  let text = '';
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    text += chunk.toString();
    if (!text.endsWith('\n')) return;
    obey(JSON.parse(text) as Command).then(
      () => socket.end('{"ok":true}\n'),
      (error: Error) => socket.end(`${JSON.stringify({ error: error.message })}\n`),
    );
  });
});
await Promise.all(lab.hosts.map(startHost));
server.listen(controlSocket(lab));

if (lab.owner) {
  const owner = lab.owner;
  setInterval(() => {
    if (isAlive(owner) || ending) return;
    ending = true;
    takeDown(lab).then(() => process.exit(0));
  }, 500);
}
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    ending = true;
    takeDown(lab).then(() => process.exit(0));
  });
}
