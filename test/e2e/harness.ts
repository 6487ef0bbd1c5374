/** The cluster that the end-to-end tests share, and how they speak to it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { type LabHost, openLab } from '../lab/lab.ts';
import { inventoryVariables, kubeconfigPath, kubectlPath as kubectlPathOf } from '../parts/cluster-files.ts';

export const root = join(import.meta.dirname, '../..');
/** A cluster that is up already (`KINIT_E2E_LAB=cluster` for that of `npm run up`), to try single parts quickly. */
export const borrowed = process.env['KINIT_E2E_LAB'];
/** Otherwise a lab and network (`KINIT_E2E_NETWORK`) of its own, beside that of `npm run up`. */
export const lab = borrowed ?? 'e2e';
export const network = borrowed ? networkOf(borrowed) : Number(process.env['KINIT_E2E_NETWORK'] ?? 101);
export const kubeconfig = kubeconfigPath(lab);
export const inventory = join(root, 'inventory/lab.yaml');

function networkOf(name: string): number {
  const [host] = openLab(name)?.hosts ?? [];
  if (!host) throw new Error(`KINIT_E2E_LAB: the lab ${name} is not up`);
  return Number(host.ip.split('.')[2]);
}

export interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a program in the repository; never throws for its exit code. */
export async function run(
  command: string,
  args: string[],
  options: { timeoutMs?: number; input?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Result> {
  const result = await execa(command, args, {
    cwd: root,
    reject: false,
    timeout: options.timeoutMs ?? 120_000,
    ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
    ...(options.env ? { env: options.env } : {}),
    maxBuffer: 64 << 20,
    stripFinalNewline: false,
  });
  return { code: result.exitCode ?? 255, stdout: result.stdout, stderr: result.stderr };
}

/** `npm run up` and `npm run down` for the tests' own lab. */
export const up = (timeoutMs = 600_000) =>
  run(
    'npm',
    ['run', '--silent', 'up', '--', '--lab', lab, '--network', String(network), '--owner', String(process.pid)],
    {
      timeoutMs,
    },
  );
export const down = () => run('npm', ['run', '--silent', 'down', '--', '--lab', lab]);

/** The installer's command line, as somebody at a workstation types it. */
export const kinit = (...args: string[]) =>
  run(join(root, 'node_modules/.bin/node'), [join(root, 'dist/kinit/main.mjs'), ...args], {
    timeoutMs: 300_000,
    env: { ...process.env, ...inventoryVariables(lab, network) },
  });

export function hosts(): LabHost[] {
  const found = openLab(lab);
  if (!found) throw new Error(`the lab ${lab} is not up`);
  return found.hosts;
}

/** Runs a shell command as root on a host; throws when it fails. */
export async function onHost(name: string, command: string): Promise<string> {
  const host = hosts().find((candidate) => candidate.name === name);
  if (!host) throw new Error(`no host ${name}`);
  return host.must(command);
}

/** The machine's own kubectl, or the one of the bundle. */
export function kubectlPath(): string {
  return existsSync('/usr/bin/kubectl') ? '/usr/bin/kubectl' : kubectlPathOf(lab);
}
export const useKubeconfig = (): NodeJS.ProcessEnv => ({ ...process.env, KUBECONFIG: kubeconfig });

interface KubectlOptions {
  input?: string;
  timeoutMs?: number;
}

/** Runs kubectl; answers whatever comes of it. */
export function kubectl(...args: string[]): Promise<Result>;
export function kubectl(options: KubectlOptions, ...args: string[]): Promise<Result>;
export function kubectl(first: KubectlOptions | string, ...rest: string[]): Promise<Result> {
  const [options, args] = typeof first === 'string' ? [{}, [first, ...rest]] : [first, rest];
  return run(kubectlPath(), args, { ...options, env: useKubeconfig() });
}

/** Runs kubectl and answers what it prints; throws when it fails. */
export async function must(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await kubectl(...args);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')} exited ${code}: ${stderr.trim() || stdout.trim()}`);
  return stdout;
}

/** `kubectl apply -f -`. */
export async function apply(manifest: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await kubectl({ input: manifest }, ...args, 'apply', '-f', '-');
  if (code !== 0) throw new Error(`kubectl apply exited ${code}: ${stderr.trim()}`);
  return stdout;
}

/** Runs a command line on a terminal of its own and answers what it shows. */
export async function script(commandLine: string, timeoutMs = 30_000): Promise<string> {
  const { stdout } = await execa('script', ['-qec', commandLine, '/dev/null'], {
    env: useKubeconfig(),
    timeout: timeoutMs,
    reject: false,
    input: '',
  });
  return stdout;
}
