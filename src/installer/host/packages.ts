/** Packages of the distribution: what would be installed, installing it, and taking it away again. */
import { KinitError } from '../errors.ts';
import type { Changes } from './changes.ts';
import type { HostFacts } from './facts.ts';
import { type Host, runOrFail } from './host.ts';

export type PackageManager = 'apt' | 'dnf' | 'yum';

const quiet = { LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' };
const longMs = 900_000;

/** @throws KinitError Preflight on a host that has none of them */
export async function packageManager(host: Host, { os }: HostFacts): Promise<PackageManager> {
  const has = async (program: string) =>
    (await host.run(program, ['--version'], { observe: true, env: quiet })).exitCode === 0;
  const order = os.family === 'debian' ? (['apt-get'] as const) : (['dnf', 'yum', 'apt-get'] as const);
  for (const program of order) if (await has(program)) return program === 'apt-get' ? 'apt' : program;
  throw new KinitError('Preflight', `this host has no package manager that kinit knows (apt, dnf, yum)`, {
    seen: os.name,
    advice: 'use --runtime bundle',
  });
}

/** Names of `apt-get --simulate install`; what is only upgraded is not among them. */
export const newPackagesOfApt = (simulated: string): string[] =>
  simulated.split('\n').flatMap((line) => /^Inst (\S+) \(/.exec(line)?.[1] ?? []);

/** Names in the tables of `dnf install --assumeno`. */
export function newPackagesOfDnf(told: string): string[] {
  const names: string[] = [];
  let installs = false;
  for (const line of told.split('\n')) {
    if (/^\S.*:$/.test(line)) installs = /^Installing\b/.test(line);
    else if (/^\S|^$/.test(line)) installs = false;
    else if (installs) names.push(/^ (\S+)/.exec(line)?.[1] ?? '');
  }
  return names.filter((name) => name !== '');
}

export async function isInstalled(host: Host, manager: PackageManager, name: string): Promise<boolean> {
  const [program, args] =
    manager === 'apt' ? (['dpkg-query', ['-s', name]] as const) : (['rpm', ['-q', name]] as const);
  const { exitCode, stdout } = await host.run(program, args, { observe: true, env: quiet });
  return exitCode === 0 && (manager !== 'apt' || /^Status: \S+ \S+ installed$/m.test(stdout));
}

const aptInstall = [
  '-y',
  '--no-install-recommends',
  '-o',
  'Dpkg::Options::=--force-confold',
  '-o',
  'DPkg::Lock::Timeout=300',
];

/** What installing would bring, beside the package what it needs; undefined: the repositories do not have it. */
async function plan(host: Host, manager: PackageManager, name: string): Promise<string[] | undefined> {
  const options = { observe: true, env: quiet, timeoutMs: longMs };
  if (manager === 'apt') {
    const { exitCode, stdout } = await host.run('apt-get', ['--simulate', 'install', ...aptInstall, name], options);
    return exitCode === 0 ? newPackagesOfApt(stdout) : undefined;
  }
  // It answers "no" itself, which is a failure.
  const { stdout } = await host.run(manager, ['install', '--assumeno', name], options);
  const names = newPackagesOfDnf(stdout);
  return names.length ? names : undefined;
}

/**
 * Installs the first of the packages that the host's repositories have, unless one is there already.
 * @param before what else is to be written down of the host as it was
 * @returns whether it had to be installed
 * @throws KinitError Command when none is to be had
 */
export async function installFirst(
  changes: Changes,
  manager: PackageManager,
  names: readonly string[],
  before: () => Promise<void>,
): Promise<boolean> {
  const { host, journal } = changes;
  for (const name of names) {
    if (!(await isInstalled(host, manager, name))) continue;
    await before();
    return false;
  }
  // An installation that was broken off is finished first: nothing else can be installed before.
  if (manager === 'apt' && journal.has('packages')) await host.run('dpkg', ['--configure', '-a'], { env: quiet });
  let found = await firstPlan(host, manager, names);
  if (!found && manager === 'apt') {
    // The lists may be older than the repositories, or missing.
    await host.run('apt-get', ['update'], { env: quiet, timeoutMs: longMs });
    if (host.dryRun) return true;
    found = await firstPlan(host, manager, names);
  }
  if (!found) {
    throw new KinitError('Command', `the package repositories of this host have no package ${names.join(' or ')}`, {
      seen: `asked ${manager}`,
      advice: 'set up a repository that has it, or choose --runtime bundle',
    });
  }
  await journal.record({ kind: 'packages', manager, names: found.brings });
  await before();
  const [program, args] =
    manager === 'apt' ? ['apt-get', ['install', ...aptInstall, found.name]] : [manager, ['install', '-y', found.name]];
  await runOrFail(host, program as string, args as string[], {
    env: quiet,
    timeoutMs: longMs,
    advice: 'correct what the package manager says, and run kinit again',
  });
  return true;
}

async function firstPlan(host: Host, manager: PackageManager, names: readonly string[]) {
  for (const name of names) {
    const brings = await plan(host, manager, name);
    if (brings) return { name, brings };
  }
  return undefined;
}

/** @returns what could not be removed: others may need it by now */
export async function removePackages(host: Host, manager: PackageManager, names: readonly string[]): Promise<string[]> {
  const present: string[] = [];
  for (const name of names) if (await hasTraces(host, manager, name)) present.push(name);
  if (!present.length) return [];
  // These two leave alone what others need, where apt and dnf would remove the others too.
  const { exitCode, stderr } =
    manager === 'apt'
      ? await host.run('dpkg', ['--purge', ...present], { env: quiet, timeoutMs: longMs })
      : await host.run('rpm', ['-e', ...present], { env: quiet, timeoutMs: longMs });
  return exitCode === 0 ? [] : [`packages ${present.join(' ')}: ${stderr.trim()}`];
}

/** Installed, or its configuration files are left. */
async function hasTraces(host: Host, manager: PackageManager, name: string): Promise<boolean> {
  if (manager !== 'apt') return isInstalled(host, manager, name);
  return (await host.run('dpkg-query', ['-W', name], { observe: true, env: quiet })).exitCode === 0;
}
