/** A workstation that reaches the cluster through a bastion only: kubectl, kubeconfigs, tunnels. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openLab } from '../../lab/lab.ts';
import { eventually } from '../../parts/eventually.ts';
import { kubectlPath, lab, type Result, root, run } from '../harness.ts';

/** @param gone another control plane, which does not answer */
function inventoryText(gone: boolean): string {
  const cluster = openLab(lab);
  if (!cluster) throw new Error(`the lab ${lab} is not up`);
  const login = { user: 'root', identityFile: cluster.sshKeyPath, knownHosts: cluster.knownHosts };
  const controlPlane = (name: string, address: string) => ({ name, address, roles: ['control-plane'] });
  return JSON.stringify({
    apiVersion: 'kinit.local/v1alpha1',
    kind: 'Inventory',
    defaults: { ...login, bastion: { ...login, address: cluster.host('w1').ip } },
    hosts: [
      // Nothing listens at that port.
      ...(gone ? [{ ...controlPlane('gone', cluster.host('cp1').ip), port: 1 }] : []),
      controlPlane('cp1', cluster.host('cp1').ip),
    ],
  });
}

export function accessFromAfar(): void {
  describe('a cluster behind a bastion', () => {
    let folder: string;
    let env: NodeJS.ProcessEnv;
    const program = [join(root, 'node_modules/.bin/node'), join(root, 'dist/kinit/main.mjs')] as const;
    const given = () => ['--inventory', join(folder, 'inventory.yaml')];
    const kinit = (words: string[], input?: string): Promise<Result> =>
      run(program[0], [program[1], ...words], { env, ...(input === undefined ? {} : { input }) });
    const must = async (words: string[], input?: string): Promise<string> => {
      const { code, stdout, stderr } = await kinit(words, input);
      if (code !== 0) throw new Error(`kinit ${words.join(' ')} exited ${code}: ${stderr}`);
      return stdout;
    };
    const leftOver = async () => (await readdir(folder)).filter((name) => name.startsWith('kinit-kubeconfig-'));

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'kinit-access-'));
      await writeFile(join(folder, 'inventory.yaml'), inventoryText(false));
      await writeFile(join(folder, 'with-gone.yaml'), inventoryText(true));
      // The kubectl of the tests may be a script of that name.
      const path = `${join(kubectlPath(), '..')}:${process.env['PATH']}`;
      env = { ...process.env, PATH: path, XDG_RUNTIME_DIR: folder, HOME: folder };
      delete env['KUBECONFIG'];
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    it('is reached by kubectl, with its input and exit code, through the control plane that answers', async () => {
      const withGone = ['--inventory', join(folder, 'with-gone.yaml')];
      expect(await must(['kubectl', ...withGone, 'get', 'nodes', '-o', 'name'])).toContain('node/cp1\n');
      const manifest = 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: from-afar }\n';
      expect(await must(['kubectl', ...given(), '--', 'apply', '-f', '-'], manifest)).toContain('created');
      expect(await must(['kubectl', ...given(), 'delete', 'configmap', 'from-afar'])).toContain('deleted');
      const missing = await kinit(['kubectl', ...given(), 'get', 'pod', 'nope']);
      expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('NotFound') as string });
      expect(await leftOver()).toEqual([]);
    });

    it('leaves no kubeconfig when a signal ends kubectl', async () => {
      const words = ['kubectl', ...given(), 'get', 'namespaces', '--watch'];
      const child = spawn(program[0], [program[1], ...words], { env, stdio: ['ignore', 'pipe', 'inherit'] });
      const ended = once(child, 'exit');
      try {
        await once(child.stdout, 'data');
        const [name = ''] = await leftOver();
        expect((await stat(join(folder, name, 'config'))).mode & 0o777).toBe(0o600);
      } finally {
        child.kill('SIGTERM');
        await ended;
      }
      expect(await ended).toEqual([143, null]);
      expect(await leftOver()).toEqual([]);
    });

    it('gives its kubeconfig to a file and to another kubeconfig, and kubeconfigs to others', async () => {
      const out = join(folder, 'admin.conf');
      expect(await must(['kubeconfig', ...given(), '--out', out])).toContain(`${out}: written`);
      expect((await stat(out)).mode & 0o777).toBe(0o600);
      const merge = ['kubeconfig', 'get', ...given(), '--merge', '--context-name', 'afar', '--output', 'json'];
      expect(JSON.parse(await must(merge))).toMatchObject({ context: 'afar', changed: true, host: 'cp1' });
      expect(JSON.parse(await must(merge))).toMatchObject({ changed: false });
      const user = ['kubeconfig', 'user', ...given(), '--client-name', 'jane', '--groups', 'dev,ops'];
      await writeFile(join(folder, 'jane.conf'), await must(user), { mode: 0o600 });
      const asked = await run(kubectlPath(), [
        '--kubeconfig',
        join(folder, 'jane.conf'),
        'auth',
        'whoami',
        '-o',
        'json',
      ]);
      expect(JSON.parse(asked.stdout)).toMatchObject({
        status: { userInfo: { username: 'jane', groups: ['dev', 'ops', 'system:authenticated'] } },
      });
    });

    it('is reached by others through a tunnel, whose kubeconfig goes with it', async () => {
      const out = join(folder, 'tunnel.conf');
      const tunnel = execa(program[0], [program[1], 'tunnel', ...given(), '--out', out], { env, reject: false });
      try {
        await eventually(
          async () => expect(await readFile(out, 'utf8')).toContain('server: https://127.0.0.1:'),
          30_000,
        );
        const seen = await run(kubectlPath(), ['--kubeconfig', out, 'get', 'node', 'cp1', '-o', 'name']);
        expect(seen.stdout).toBe('node/cp1\n');
      } finally {
        tunnel.kill('SIGTERM');
        await tunnel;
      }
      await expect(stat(out)).rejects.toMatchObject({ code: 'ENOENT' });
    });
  });
}
