/** What is known of a lab on disk: `.lab/<name>/lab.json`, written before anything is made, removed last. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LabNetwork } from './network.ts';
import type { Flavour } from './roots.ts';

const repository = join(import.meta.dirname, '../..');
export const labsFolder = join(repository, '.lab');

export interface LabUser {
  name: string;
  /** Member of sudo: without asking, or with this password; absent: no sudo at all. */
  sudo?: 'nopasswd' | 'password';
  password?: string;
}

/** A container shares the machine's kernel and starts in a second; a virtual machine has its own and takes a minute. */
export type HostKind = 'container' | 'vm';

export interface HostState {
  name: string;
  kind: HostKind;
  flavour: Flavour;
  position: number;
  address: string;
  users: LabUser[];
  /** Of a virtual machine: a bundle that is unpacked on its disk before it starts first. */
  bundle?: string;
}

export interface LabState {
  name: string;
  folder: string;
  network: LabNetwork;
  hosts: HostState[];
  supervisorPid?: number;
  /** The lab ends with this process; absent: it stays until it is taken down. */
  owner?: ProcessIdentity;
}

export interface ProcessIdentity {
  pid: number;
  /** Field 22 of /proc/<pid>/stat: tells a process from a later one with the same id. */
  startTime: string;
}

export function identityOf(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { pid, startTime: fields[19] as string };
  } catch {
    return undefined; // no such process
  }
}

export const isAlive = (identity: ProcessIdentity): boolean =>
  identityOf(identity.pid)?.startTime === identity.startTime;

export const labFolder = (name: string) => join(labsFolder, name);
export const hostFolder = (state: LabState, host: string) => join(state.folder, 'hosts', host);
/** Hosts' control groups bear the name of the bridge: that is unique on the machine, a lab's name only in its repository. */
export const cgroupOf = (state: LabState, host: string) => `${state.network.bridge}-${host}`;
export const hostKeyPath = (state: LabState, host: string) => join(hostFolder(state, host), 'ssh_host_ed25519_key.pub');
export const consolePath = (state: LabState, host: string) => join(hostFolder(state, host), 'console.log');
export const controlSocket = (state: LabState) => join(state.folder, 'control.sock');
export const keyPath = (state: LabState) => join(state.folder, 'id_ed25519');
export const knownHostsPath = (state: LabState) => join(state.folder, 'known_hosts');

export async function saveState(state: LabState): Promise<void> {
  await mkdir(state.folder, { recursive: true });
  const path = join(state.folder, 'lab.json');
  await writeFile(`${path}.draft`, `${JSON.stringify(state, null, 1)}\n`);
  await rename(`${path}.draft`, path);
}

export function readState(name: string): LabState | undefined {
  const path = join(labFolder(name), 'lab.json');
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as LabState) : undefined;
}

export function listStates(): LabState[] {
  if (!existsSync(labsFolder)) return [];
  return readdirSync(labsFolder).flatMap((name) => readState(name) ?? []);
}
