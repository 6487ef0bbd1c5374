/** A real containerd of its own for a test: binaries of the bundle, own socket, own state, the test images loaded. */
import { spawn } from 'node:child_process';
import { createWriteStream, existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { createRuntime } from '../../src/components/kubelet/cri/runtime.ts';
import { openDebianRoot } from '../../src/installer/bundle/debian-root.ts';
import { layHostFiles } from '../../src/installer/bundle/host-files.ts';
import { buildTestImages, pauseImage, testImagesTar } from '../images/build.ts';

const repository = join(import.meta.dirname, '../..');

export interface TestContainerd {
  dir: string;
  socket: string;
  /** Path of the bundle's ctr. */
  program: string;
  /** Where CNI configurations are looked for; empty at first. */
  cniFolder: string;
  ctr(...args: string[]): Promise<string>;
  stop(): Promise<void>;
}

/** The bundle's programs in `.cache/test-runtime`, made once. */
async function runtimeFiles(): Promise<string> {
  const target = join(repository, '.cache/test-runtime');
  if (existsSync(join(target, 'bin/runc'))) return target;
  const root = await openDebianRoot(join(repository, '.cache/bundle'), () => undefined);
  const draft = `${target}.draft-${process.pid}`;
  await rm(draft, { recursive: true, force: true });
  await layHostFiles(draft, target, {
    root,
    node: join(repository, 'node_modules/node/bin/node'),
    dist: join(repository, 'dist'),
  });
  await rename(draft, target);
  return target;
}

/** @param dir for everything it writes; short, as sockets have short names */
export async function startContainerd(dir: string): Promise<TestContainerd> {
  const files = await runtimeFiles();
  if (!existsSync(testImagesTar)) await buildTestImages();
  await mkdir(join(dir, 'cni'), { recursive: true });
  const socket = join(dir, 'containerd.sock');
  const bin = join(files, 'bin');
  const config = join(dir, 'containerd.toml');
  await writeFile(
    config,
    `version = 2
root = "${dir}/root"
state = "${dir}/state"
[grpc]
  address = "${socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${files}/cni/bin"
    conf_dir = "${dir}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "${bin}/runc"
        SystemdCgroup = false
`,
  );
  const child = spawn(join(bin, 'containerd'), ['--config', config], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PATH: `${bin}:${process.env['PATH']}` },
  });
  const log = createWriteStream(join(dir, 'containerd.log'));
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const ctr = async (...args: string[]) =>
    (await execa(join(bin, 'ctr'), ['--address', socket, '--namespace', 'k8s.io', ...args])).stdout;
  const deadline = Date.now() + 20_000;
  for (;;) {
    const up = await ctr('version').then(
      () => true,
      () => false,
    );
    if (up) break;
    if (Date.now() > deadline || child.exitCode !== null)
      throw new Error(`containerd does not answer; see ${dir}/containerd.log`);
    await delay(50);
  }
  await ctr('images', 'import', testImagesTar);
  return {
    dir,
    socket,
    program: join(bin, 'ctr'),
    cniFolder: join(dir, 'cni'),
    ctr,
    async stop() {
      // Only the runtime itself gives a sandbox's network back.
      const runtime = createRuntime(`unix://${socket}`);
      try {
        for (const { id } of await runtime.listPodSandboxes()) {
          await runtime.stopPodSandbox(id);
          await runtime.removePodSandbox(id);
        }
      } finally {
        runtime.close();
      }
      for (const id of (await ctr('tasks', 'ls', '-q')).split('\n').filter(Boolean))
        await ctr('tasks', 'rm', '--force', id).catch(() => undefined);
      for (const id of (await ctr('containers', 'ls', '-q')).split('\n').filter(Boolean))
        await ctr('containers', 'rm', id).catch(() => undefined);
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
    },
  };
}
