/**
 * `npm run up`: build and bundle (when something has changed), three lab hosts (when they are not there), `kinit up` over SSH.
 *
 * `--lab NAME --network N` makes another cluster beside the first one; its inventory and kubeconfig lie in `.lab/NAME/`.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { openDebianRoot } from '../src/installer/bundle/debian-root.ts';
import { openLab } from '../test/lab/lab.ts';
import {
  clusterLab,
  clusterNetwork,
  createClusterLab,
  inventoryVariables,
  kubeconfigPath,
  kubectlPath,
} from '../test/parts/cluster-files.ts';

const root = join(import.meta.dirname, '..');
const { values } = parseArgs({
  options: {
    lab: { type: 'string', default: clusterLab },
    network: { type: 'string', default: String(clusterNetwork) },
    owner: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const say = (line: string) => process.stdout.write(`${line}\n`);

function run(...command: string[]): void {
  const [program = '', ...args] = command;
  const { status } = spawnSync(program, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

/** Changes with everything that goes into the bundle. */
function sourceDigest(): string {
  const list = spawnSync(
    'git',
    ['ls-files', '-co', '--exclude-standard', '-z', '--', 'src', 'templates', 'scripts', 'package-lock.json'],
    { cwd: root },
  );
  const hash = createHash('sha256');
  const paths = `${list.stdout}`.split('\0').filter((path) => path && existsSync(join(root, path)));
  const { stdout } = spawnSync('sha256sum', paths, { cwd: root, maxBuffer: 64 << 20 });
  return hash.update(stdout).digest('hex');
}

async function buildWhenChanged(): Promise<void> {
  const mark = join(root, 'dist/.sources');
  const digest = sourceDigest();
  if (existsSync(mark) && (await readFile(mark, 'utf8')) === digest) {
    say('bundle: unchanged');
    return;
  }
  run(process.execPath, 'scripts/build.ts');
  run(process.execPath, 'scripts/bundle.ts');
  await writeFile(mark, digest);
}

async function hostsUp(name: string, network: number): Promise<void> {
  if (openLab(name)) {
    say(`lab ${name}: unchanged`);
    return;
  }
  const started = performance.now();
  await createClusterLab(name, network, values.owner ? Number(values.owner) : undefined, say);
  say(`lab ${name}: 3 hosts in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

/** The bundle's own kubectl, for machines that have none. */
async function writeKubectl(name: string): Promise<void> {
  const debian = await openDebianRoot(join(root, '.cache/bundle'), () => undefined);
  const path = kubectlPath(name);
  const loader = join(debian.path, 'lib64/ld-linux-x86-64.so.2');
  const script = `#!/bin/sh
# kubectl of the bundle, set up for this cluster.
KUBECONFIG="\${KUBECONFIG:-${kubeconfigPath(name)}}" exec '${loader}' --library-path '${debian.path}/usr/lib/x86_64-linux-gnu' --argv0 kubectl '${debian.path}/usr/bin/kubectl' "$@"
`;
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, script);
  await chmod(path, 0o755);
}

if (values.help) {
  say('usage: npm run up [-- --lab NAME --network 100..254 --owner PID]\n--owner: the hosts end with that process');
  process.exit(0);
}
const network = Number(values.network);
if (!Number.isInteger(network) || network < 100 || network > 254) {
  say(`--network ${values.network}: a number from 100 to 254`);
  process.exit(2);
}
run(process.execPath, 'scripts/prepare-machine.ts');
await buildWhenChanged();
await hostsUp(values.lab, network);
Object.assign(process.env, inventoryVariables(values.lab, network));
await writeKubectl(values.lab);
const kubeconfig = kubeconfigPath(values.lab);
run(process.execPath, 'dist/kinit/main.mjs', 'up', '--inventory', 'inventory/lab.yaml', '--kubeconfig-out', kubeconfig);
run(kubectlPath(values.lab), '--kubeconfig', kubeconfig, 'get', 'nodes', '-o', 'wide');
say(
  `\nexport KUBECONFIG=${relative(process.cwd(), kubeconfig)}     # and then: kubectl get pods -A   (or ${relative(process.cwd(), kubectlPath(values.lab))} …)`,
);
