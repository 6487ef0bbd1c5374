/** Labs of real hosts on one machine: create, use, reboot, cut off, take down. */
import { spawn } from 'node:child_process';
import { existsSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import { setFrozen } from './cgroups.ts';
import { rememberHostKey } from './host-root.ts';
import { raiseInotifyLimit } from './kernel-limits.ts';
import { claimNetwork, hostAddress } from './network.ts';
import { type Flavour, flavourLayers } from './roots.ts';
import {
  cgroupOf,
  consolePath,
  controlSocket,
  type HostKind,
  type HostState,
  identityOf,
  isAlive,
  keyPath,
  knownHostsPath,
  type LabState,
  type LabUser,
  labFolder,
  listStates,
  readState,
  saveState,
} from './state.ts';
import { takeDown } from './take-down.ts';
import { installQemu } from './vm-host.ts';

export interface HostSpec {
  name: string;
  flavour: Flavour;
  /** Absent: a container. */
  kind?: HostKind;
  users?: LabUser[];
  /** Of a virtual machine: a bundle that is unpacked on its disk before it starts first; its processor would take minutes. */
  bundle?: string;
}

export interface LabSpec {
  name: string;
  hosts: HostSpec[];
  /** True: the lab stays after this process has ended, until it is taken down. */
  keep?: boolean;
  /** Id of the process with which the lab ends, unless it is kept; this one when absent. */
  owner?: number;
  /** Third byte of the addresses, 100 to 254; absent: any that is free. */
  network?: number;
  log?: (line: string) => void;
}

export interface ExecResult {
  code: number;
  stdout: string;
  stderr: string;
}

export interface LabHost {
  readonly name: string;
  readonly ip: string;
  readonly flavour: Flavour;
  readonly kind: HostKind;
  readonly consoleLog: string;
  /** Runs a shell command by SSH; as root unless `user` is named. Does not throw for a non-zero exit. */
  exec(command: string, options?: { user?: string; input?: string | Buffer; timeoutMs?: number }): Promise<ExecResult>;
  /** Like exec, but throws when the command fails; answers standard output. */
  must(command: string, options?: { user?: string; input?: string | Buffer; timeoutMs?: number }): Promise<string>;
  /** Copies a local file to the host. */
  copy(local: string, remote: string): Promise<void>;
  /** Reboots and waits until SSH answers again. */
  reboot(): Promise<void>;
  /** Pulls the plug. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Takes the host off the network, and back. */
  cut(): Promise<void>;
  heal(): Promise<void>;
  /** Stops all its processes where they are, and lets them go on; its kernel still answers. Containers only. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Waits until SSH answers. */
  reachable(timeoutMs?: number): Promise<void>;
}

export interface Lab {
  readonly name: string;
  readonly state: LabState;
  readonly hosts: LabHost[];
  readonly sshKeyPath: string;
  readonly knownHosts: string;
  host(name: string): LabHost;
  down(): Promise<void>;
}

/** Makes a lab and waits until all its hosts answer by SSH. A lab of the same name that is left over is removed first. */
export async function createLab(spec: LabSpec): Promise<Lab> {
  await sweepLabs();
  await removeLab(spec.name);
  if (spec.hosts.some((host) => host.kind === 'vm')) await installQemu(spec.log);
  for (const host of spec.hosts) await flavourLayers(host.flavour, host.kind, spec.log);
  const network = await claimNetwork(labFolder(spec.name), spec.network);
  await raiseInotifyLimit();
  const owner = spec.keep ? undefined : identityOf(spec.owner ?? process.pid);
  const state: LabState = {
    name: spec.name,
    folder: labFolder(spec.name),
    network,
    hosts: spec.hosts.map(({ name, kind = 'container', flavour, users = [], bundle }, position) => ({
      name,
      kind,
      flavour,
      position,
      address: hostAddress(network, position),
      users,
      ...(bundle ? { bundle } : {}),
    })),
    ...(owner ? { owner } : {}),
  };
  await saveState(state);
  const log = openSync(join(state.folder, 'supervisor.log'), 'a');
  const supervisor = spawn(process.execPath, [join(import.meta.dirname, 'supervisor.ts'), spec.name], {
    detached: true,
    stdio: ['ignore', log, log],
  });
  supervisor.unref();
  await saveState({ ...state, supervisorPid: supervisor.pid as number });
  const lab = labOf({ ...state, supervisorPid: supervisor.pid as number });
  try {
    await Promise.all(lab.hosts.map((host) => host.reachable()));
  } catch (error) {
    if (!spec.keep) await removeLab(spec.name);
    throw error;
  }
  for (const host of state.hosts) await rememberHostKey(state, host);
  return lab;
}

/** A lab that is there, or undefined. */
export function openLab(name: string): Lab | undefined {
  const state = readState(name);
  return state && labOf(state);
}

/** Takes a lab down, whatever state it is in. Answers whether there was one. */
export async function removeLab(name: string): Promise<boolean> {
  const state = readState(name);
  if (!state) return false;
  try {
    await control(state, { op: 'down' });
  } catch {
    // No supervisor answers. It may be taking the lab down already, as the owner has ended.
    await supervisorEnd(state);
    if (existsSync(state.folder)) await takeDown(state);
  }
  return true;
}

/** Waits until the lab's supervisor has ended, and ends it when that takes too long. */
async function supervisorEnd({ supervisorPid, name }: LabState): Promise<void> {
  const deadline = Date.now() + 30_000;
  const isSupervisor = async () => {
    const words = await readFile(`/proc/${supervisorPid}/cmdline`, 'utf8').catch(() => '');
    return words.includes(`lab/supervisor.ts\0${name}\0`);
  };
  while (supervisorPid && (await isSupervisor())) {
    if (Date.now() > deadline) process.kill(supervisorPid, 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Removes labs whose owner has died with their supervisor. */
export async function sweepLabs(): Promise<string[]> {
  const removed: string[] = [];
  for (const state of listStates()) {
    if (!state.owner || isAlive(state.owner)) continue;
    await removeLab(state.name);
    removed.push(state.name);
  }
  return removed;
}

function control(state: LabState, command: { op: string; host?: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(controlSocket(state), () => socket.write(`${JSON.stringify(command)}\n`));
    let text = '';
    socket.setTimeout(60_000, () => socket.destroy(new Error(`the lab's supervisor did not answer to ${command.op}`)));
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    socket.on('error', reject);
    socket.on('end', () => {
      if (!text) {
        reject(new Error(`the lab's supervisor ended during ${command.op}`));
        return;
      }
      const answer = JSON.parse(text) as { error?: string };
      if (answer.error) reject(new Error(answer.error));
      else resolve();
    });
  });
}

function labOf(state: LabState): Lab {
  const hosts = state.hosts.map((host) => hostOf(state, host));
  return {
    name: state.name,
    state,
    hosts,
    sshKeyPath: keyPath(state),
    knownHosts: knownHostsPath(state),
    host: (name) => {
      const found = hosts.find((host) => host.name === name);
      if (!found) throw new Error(`lab ${state.name} has no host ${name}`);
      return found;
    },
    down: async () => {
      await removeLab(state.name);
    },
  };
}

const sshOptions = (state: LabState) => [
  '-i',
  keyPath(state),
  '-o',
  'BatchMode=yes',
  '-o',
  'IdentitiesOnly=yes',
  '-o',
  'StrictHostKeyChecking=no',
  '-o',
  'UserKnownHostsFile=/dev/null',
  '-o',
  'LogLevel=ERROR',
  '-o',
  'ConnectTimeout=5',
];

/** Arguments for an interactive `ssh`. */
export const sshArguments = (state: LabState, host: HostState, user = 'root') => [
  ...sshOptions(state),
  `${user}@${host.address}`,
];

/** The last lines that a host and the lab's supervisor have written. */
async function consoleEnd(state: LabState, host: HostState): Promise<string> {
  const files = [consolePath(state, host.name), join(state.folder, 'supervisor.log')];
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')));
  return texts.map((text) => text.trimEnd().split('\n').slice(-10).join('\n')).join('\n');
}

function hostOf(state: LabState, host: HostState): LabHost {
  const exec: LabHost['exec'] = async (command, { user = 'root', input, timeoutMs = 120_000 } = {}) => {
    const result = await execa('ssh', [...sshArguments(state, host, user), command], {
      reject: false,
      timeout: timeoutMs,
      ...(input === undefined ? { stdin: 'ignore' as const } : { input }),
      maxBuffer: 64 << 20,
      stripFinalNewline: false,
    });
    return { code: result.exitCode ?? 255, stdout: result.stdout, stderr: result.stderr };
  };
  const isVm = host.kind === 'vm';
  const reachable = async (timeoutMs = isVm ? 240_000 : 60_000) => {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const { code, stderr } = await exec('true', { timeoutMs: isVm ? 30_000 : 6000 });
      if (code === 0) return;
      if (Date.now() > deadline)
        throw new Error(
          `host ${host.name} (${host.address}) does not answer by SSH: ${stderr.trim()}; its console:\n${await consoleEnd(state, host)}`,
        );
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  // A container has the kernel's boot_id in common with the machine, but a first process of its own.
  const bootId = async () =>
    (
      await exec("cat /proc/sys/kernel/random/boot_id; cut -d ' ' -f 22 /proc/1/stat", {
        timeoutMs: isVm ? 30_000 : 6000,
      })
    ).stdout;
  return {
    name: host.name,
    ip: host.address,
    flavour: host.flavour,
    kind: host.kind,
    consoleLog: consolePath(state, host.name),
    exec,
    must: async (command, options) => {
      const { code, stdout, stderr } = await exec(command, options);
      if (code !== 0) throw new Error(`${host.name}: ${command} exited ${code}: ${stderr.trim() || stdout.trim()}`);
      return stdout;
    },
    copy: async (local, remote) => {
      await execa('scp', ['-q', ...sshOptions(state), local, `root@${host.address}:${remote}`]);
    },
    reboot: async () => {
      const before = await bootId();
      await exec('systemctl reboot', { timeoutMs: 20_000 });
      // systemd gives processes that do not heed SIGTERM 90 s.
      const deadline = Date.now() + (isVm ? 300_000 : 180_000);
      for (;;) {
        const now = await bootId();
        if (now && now !== before) return;
        if (Date.now() > deadline) throw new Error(`host ${host.name} did not come back from its reboot`);
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    },
    kill: () => control(state, { op: 'kill', host: host.name }),
    start: async () => {
      await control(state, { op: 'start', host: host.name });
      await reachable();
    },
    cut: () => control(state, { op: 'cut', host: host.name }),
    heal: () => control(state, { op: 'heal', host: host.name }),
    freeze: () => setFrozen(cgroupOf(state, host.name), true),
    thaw: () => setFrozen(cgroupOf(state, host.name), false),
    reachable,
  };
}
