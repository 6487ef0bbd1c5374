/** A container runtime that kinit did not install: where it listens, which one it is, and whether a kubelet can work with it. */
import { isRuntimeUnavailable, isUnimplemented, RuntimeError } from '../../machinery/cri/wire.ts';
import { cniPaths, containerdPaths } from '../config/paths.ts';
import type { CgroupDriver } from '../host/cgroups.ts';
import { exists, type Host } from '../host/host.ts';
import { type Cri, withCri } from './cri.ts';

/** As kubeadm looks for them. */
export const knownSockets = [
  `unix://${containerdPaths.socket}`,
  'unix:///run/crio/crio.sock',
  'unix:///run/cri-dockerd.sock',
] as const;

export type RuntimeProgram = 'containerd' | 'cri-o' | 'docker' | 'other';

export interface ExistingRuntime {
  socket: string;
  program: RuntimeProgram;
  /** What it calls itself, with its version: `containerd 1.6.20~ds1`. */
  name: string;
  /** Absent: it does not say. */
  cgroupDriver?: CgroupDriver;
  /** It can be asked for its cgroup driver: the kubelet will rely on that some day. */
  knowsRuntimeConfig: boolean;
  /** Image of the containers that hold a pod's namespaces. */
  sandboxImage?: string;
  /** Where it looks for CNI plugins; the first is where missing ones are put. */
  cniBin: string[];
  cniConfig: string;
}

export interface RuntimeProblem {
  socket: string;
  problem: string;
  advice: string;
}

export const isProblem = (found: ExistingRuntime | RuntimeProblem): found is RuntimeProblem => 'problem' in found;

const pathOf = (socket: string) => socket.replace(/^unix:\/\//, '');

/** @param socket empty: the only one of the known sockets that there is */
export async function inspectRuntime(host: Host, socket: string): Promise<ExistingRuntime | RuntimeProblem> {
  if (socket) return inspectSocket(host, socket);
  const found: string[] = [];
  for (const known of knownSockets) if (await exists(host, pathOf(known))) found.push(known);
  const [first, second] = found;
  if (first === undefined) {
    const problem = `there is no container runtime on this host: looked at ${knownSockets.join(', ')}`;
    return { socket: '', problem, advice: 'start one, name its socket with --cri-socket, or choose --runtime bundle' };
  }
  if (second !== undefined) {
    const problem = `there is more than one container runtime on this host: ${found.join(', ')}`;
    return { socket: '', problem, advice: 'choose one with --cri-socket' };
  }
  return inspectSocket(host, first);
}

async function inspectSocket(host: Host, socket: string): Promise<ExistingRuntime | RuntimeProblem> {
  if (!(await exists(host, pathOf(socket)))) {
    const problem = `there is no container runtime at ${socket}`;
    return { socket, problem, advice: 'start it, or leave --cri-socket away: kinit brings containerd' };
  }
  try {
    return await withCri(socket, (cri) => askRuntime(cri, socket));
  } catch (error) {
    if (error instanceof RuntimeError) return { socket, ...explain(error, socket) };
    throw error;
  }
}

function explain(error: RuntimeError, socket: string): { problem: string; advice: string } {
  if (isUnimplemented(error)) {
    const problem = `what listens at ${socket} does not speak CRI v1: ${error.message}`;
    return {
      problem,
      advice:
        'it needs containerd 1.6 or CRI-O 1.23 or later, with its plugin for Kubernetes: look for disabled_plugins = ["cri"] in /etc/containerd/config.toml',
    };
  }
  const dead = isRuntimeUnavailable(error) ? 'nobody answers' : 'the container runtime does not answer as it should';
  return {
    problem: `${dead} at ${socket}: ${error.message.replace(/ Resolution note:\s*$/, '')}`,
    advice: 'look at its state: systemctl status containerd (or crio, cri-docker)',
  };
}

export const programOf = (runtimeName: string): RuntimeProgram =>
  runtimeName === 'containerd' || runtimeName === 'cri-o' || runtimeName === 'docker' ? runtimeName : 'other';

async function askRuntime(cri: Cri, socket: string): Promise<ExistingRuntime> {
  const { runtimeName, runtimeVersion } = await cri.version();
  const { info } = await cri.status();
  const said = configurationOf(info);
  const answered = await cri.cgroupDriver().catch((error: unknown) => {
    if (isUnimplemented(error)) return undefined;
    throw error;
  });
  const cgroupDriver = answered ? (answered === 'SYSTEMD' ? 'systemd' : 'cgroupfs') : said.cgroupDriver;
  return {
    socket,
    program: programOf(runtimeName),
    name: `${runtimeName} ${runtimeVersion}`,
    knowsRuntimeConfig: answered !== undefined,
    cniBin: said.cniBin ?? (runtimeName === 'cri-o' ? [cniPaths.bin, '/usr/lib/cni'] : [cniPaths.bin]),
    cniConfig: said.cniConfig ?? cniPaths.config,
    ...(cgroupDriver ? { cgroupDriver } : {}),
    ...(said.sandboxImage ? { sandboxImage: said.sandboxImage } : {}),
  };
}

type Said = Partial<Pick<ExistingRuntime, 'cgroupDriver' | 'sandboxImage' | 'cniBin' | 'cniConfig'>>;

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

function valueAt(value: unknown, ...path: string[]): unknown {
  let at = value;
  for (const key of path) at = isRecord(at) ? at[key] : undefined;
  return at;
}

const textAt = (value: unknown, ...path: string[]): string | undefined => {
  const found = valueAt(value, ...path);
  return typeof found === 'string' && found !== '' ? found : undefined;
};

/** From the `config` of a verbose status: containerd 1 and 2 and CRI-O each say it in their own way. */
export function configurationOf(info: Record<string, string>): Said {
  let config: unknown;
  try {
    config = JSON.parse(info['config'] ?? '{}');
  } catch {
    // Not JSON: a runtime that is not known by name.
    return {};
  }
  const runtimes = valueAt(config, 'containerd', 'runtimes');
  const standard = textAt(config, 'containerd', 'defaultRuntimeName') ?? 'runc';
  const systemd = valueAt(runtimes, standard, 'options', 'SystemdCgroup');
  const sandboxImage = textAt(config, 'sandboxImage') ?? textAt(config, 'pinnedImages', 'sandbox');
  const bins = valueAt(config, 'cni', 'binDirs');
  const bin = textAt(config, 'cni', 'binDir');
  const cniBin = Array.isArray(bins) ? bins.filter((path) => typeof path === 'string') : bin ? [bin] : [];
  const cniConfig = textAt(config, 'cni', 'confDir');
  return {
    ...(isRecord(runtimes) ? { cgroupDriver: systemd === true ? ('systemd' as const) : ('cgroupfs' as const) } : {}),
    ...(sandboxImage ? { sandboxImage } : {}),
    ...(cniBin.length ? { cniBin } : {}),
    ...(cniConfig ? { cniConfig } : {}),
  };
}
