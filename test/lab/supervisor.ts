/**
 * The process that keeps a lab: starts its hosts, starts them again when they reboot, and takes everything down when it is told
 * to or when the lab's owner has died. `node test/lab/supervisor.ts <lab name>`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { appendFile, mkdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { execa } from 'execa';
import { makeHostCgroups, removeHostCgroups } from './cgroups.ts';
import { prepareContainer } from './container-host.ts';
import { disconnectHost, openNetwork, setCable } from './network.ts';
import {
  cgroupOf,
  consolePath,
  controlSocket,
  type HostState,
  hostFolder,
  isAlive,
  keyPath,
  type LabState,
  readState,
} from './state.ts';
import { killHost, takeDown } from './take-down.ts';
import { prepareMachine } from './vm-host.ts';

const name = process.argv[2];
const state = name ? readState(name) : undefined;
if (!state) throw new Error(`there is no lab named ${name}`);
const lab: LabState = state;
const children = new Map<string, ChildProcess>();
const starting = new Set<Promise<void>>();
let ending = false;

/** Starts a host; taking the lab down waits for it, so that nothing is made behind its back. */
async function startHost(host: HostState): Promise<void> {
  const start = bootHost(host);
  starting.add(start);
  await start.finally(() => starting.delete(start));
}

async function bootHost(host: HostState): Promise<void> {
  if (ending) return;
  await disconnectHost(lab.network, host.name, host.position);
  const { command, env, rebootExitCode } = await (host.kind === 'vm' ? prepareMachine : prepareContainer)(lab, host);
  await removeHostCgroups(cgroupOf(lab, host.name));
  if (ending) return;
  const groups = await makeHostCgroups(cgroupOf(lab, host.name));
  // The shell joins the host's control groups and becomes the host's program; a container has them as the root of its own.
  const script = `${groups.map((file) => `echo $$ > '${file}'`).join('; ')}; exec "$@"`;
  const child = spawn('sh', ['-c', script, 'sh', ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], TERM: 'dumb', ...env },
  });
  const console_ = createWriteStream(consolePath(lab, host.name), { flags: 'a' });
  child.stdout?.pipe(console_);
  child.stderr?.pipe(console_);
  children.set(host.name, child);
  child.on('exit', (code) => {
    if (children.get(host.name) === child) children.delete(host.name);
    if (!ending && code !== null && code === rebootExitCode) startOrSay(host);
  });
}

const startOrSay = (host: HostState) =>
  startHost(host).catch((error: Error) => appendFile(consolePath(lab, host.name), `lab: ${error.message}\n`));

let ended: Promise<void> | undefined;
function end(): Promise<void> {
  ending = true;
  ended ??= Promise.allSettled(starting).then(() => takeDown(lab));
  return ended;
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
    await end();
    return;
  }
  const host = lab.hosts.find((h) => h.name === wanted);
  if (!host) throw new Error(`no host named ${wanted}; there are: ${lab.hosts.map((h) => h.name).join(', ')}`);
  if (op === 'start') await startHost(host);
  else if (op === 'kill') await stopHost(host);
  else await setCable(lab.network, host.position, op === 'cut' ? 'down' : 'up');
}

await rm(controlSocket(lab), { force: true });
await openNetwork(lab.network);
await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', `lab ${lab.name}`, '-f', keyPath(lab)]);
for (const host of lab.hosts) await mkdir(hostFolder(lab, host.name), { recursive: true });
const server = createServer((socket) => {
  let text = '';
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    text += chunk.toString();
    if (!text.endsWith('\n')) return;
    const command = JSON.parse(text) as Command;
    obey(command).then(
      () => {
        socket.end('{"ok":true}\n');
        // Who has asked may have gone without reading the answer.
        if (command.op === 'down') setTimeout(() => process.exit(0), 300);
      },
      (error: Error) => socket.end(`${JSON.stringify({ error: error.message })}\n`),
    );
  });
});
server.listen(controlSocket(lab));

const endAndExit = () => end().then(() => process.exit(0));
if (lab.owner) {
  const owner = lab.owner;
  const watch = setInterval(() => {
    if (isAlive(owner)) return;
    clearInterval(watch);
    endAndExit();
  }, 500);
}
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, endAndExit);
await Promise.all(lab.hosts.map(startOrSay));
