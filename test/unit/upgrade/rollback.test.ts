/** What an upgrade keeps of a host, when it goes back, and that the way back leads to what was there. */
import { mkdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { joinedMembers } from '../../../src/installer/etcd/static-pod.ts';
import { createChanges } from '../../../src/installer/host/changes.ts';
import { openJournal } from '../../../src/installer/host/journal.ts';
import { withVersion } from '../../../src/installer/phases/upgrade-rollback.ts';
import { copyOf, isManifest, restoreCopies, saveCopies } from '../../../src/installer/upgrade/backup.ts';
import { bundleIn, currentBundle, oldBundles, ownBundle } from '../../../src/installer/upgrade/bundle-folders.ts';
import { isOlder } from '../../../src/installer/upgrade/certificates.ts';
import { rollbackDecision } from '../../../src/installer/upgrade/rollback.ts';
import { moveLink, restartFrom, withSandboxImage } from '../../../src/installer/upgrade/services.ts';
import {
  beginningOf,
  readUpgradeState,
  type UpgradeState,
  writeUpgradeState,
} from '../../../src/installer/upgrade/state.ts';
import { kinitVersion, kubernetesVersion } from '../../../src/machinery/version.ts';
import { scratchHost, scratchRoot, snapshot } from '../installer/scratch.ts';

const bundle = (kinit: string, kubernetes: string) => ({ kinit, kubernetes, folder: `/opt/kinit/${kinit}` });
const [first, second, third] = [bundle('v0.1.0', 'v1.36.2'), bundle('v0.2.0', 'v1.36.3'), bundle('v0.3.0', 'v1.36.4')];
const now = new Date('2026-03-04T05:06:07Z');
const stateOf = (more: Partial<UpgradeState> = {}): UpgradeState => ({
  from: first,
  to: second,
  started: '2026-03-01T00:00:00.000Z',
  backup: '/etc/kubernetes/tmp/kubeadm-backup-manifests-2026-03-01-00-00-00',
  saved: [{ path: '/etc/kubernetes/manifests/etcd.yaml', mode: 0o600 }],
  ...more,
});

describe('a run of an upgrade', () => {
  it.each([
    ['is a new one on a host that was never upgraded', undefined, first, second, 'new'],
    ['goes on with what was broken off', stateOf(), first, second, 'again'],
    ['goes on when the link has moved already', stateOf(), second, second, 'again'],
    ['is the same one when it has ended', stateOf({ ended: 'done' }), second, second, 'again'],
    ['is a new one after an earlier one has ended', stateOf({ ended: 'done' }), second, third, 'new'],
    ['is a new one after the host went back', stateOf({ ended: 'rolled-back' }), first, second, 'new'],
    ['is a new one when the host runs from an older bundle again', stateOf({ ended: 'done' }), first, second, 'new'],
  ] as const)('%s', (_name, before, from, to, kind) => {
    const { kind: found, state } = beginningOf(before, from, to, now);
    expect(found).toBe(kind);
    if (found === 'again') expect(state).toBe(before);
    else
      expect(state).toMatchObject({
        from,
        to,
        saved: [],
        backup: '/etc/kubernetes/tmp/kubeadm-backup-manifests-2026-03-04-05-06-07',
      });
  });

  it('is refused while another one is broken off', () => {
    expect(() => beginningOf(stateOf(), first, third, now)).toThrow(
      'to kinit v0.2.0, Kubernetes v1.36.3 was broken off',
    );
  });

  it('is remembered, and a damaged memory is told', async () => {
    const host = scratchHost(scratchRoot());
    expect(await readUpgradeState(host)).toBeUndefined();
    await writeUpgradeState(host, stateOf());
    expect(await readUpgradeState(host)).toEqual(stateOf());
    await host.writeFile('/var/lib/kinit/upgrade.json', '{"from":');
    await expect(readUpgradeState(host)).rejects.toThrow('/var/lib/kinit/upgrade.json is damaged');
  });
});

describe('a failure', () => {
  const failed = { interrupted: false, dryRun: false };
  it.each([
    ['leads back when something was kept', failed, stateOf(), 'back'],
    ['that is an interruption leaves it for the next run', { ...failed, interrupted: true }, stateOf(), 'stay'],
    ['of a dry run has nothing to undo', { ...failed, dryRun: true }, stateOf(), 'stay'],
    ['before anything was kept has changed nothing', failed, stateOf({ saved: [] }), 'stay'],
    ['of the same bundle again has no earlier one', failed, stateOf({ to: first }), 'stay'],
  ] as const)('%s', (_name, failure, state, decision) => {
    expect(rollbackDecision(failure, state)).toBe(decision);
  });
});

const files = {
  '/etc/kubernetes/manifests/etcd.yaml': 'etcd 1\n',
  '/etc/kubernetes/manifests/kube-apiserver.yaml': 'server 1\n',
  '/var/lib/kubelet/config.yaml': 'kubelet 1\n',
  '/etc/containerd/config.toml': 'containerd 1\n',
};

describe('what an upgrade replaces', () => {
  it('comes back as it was, with its modes, and what was not there goes away', async () => {
    const root = scratchRoot({ ...files, '/etc/systemd/system/ssh.service': 'of the host\n' });
    const host = scratchHost(root);
    const changes = createChanges(host, await openJournal(host));
    const before = snapshot(root);
    const { backup } = stateOf();
    const saved = await saveCopies(changes, backup);
    const copies = snapshot(root, backup);
    expect(copies[copyOf(backup, '/etc/kubernetes/manifests/etcd.yaml')]).toBe('600 etcd 1\n');
    expect(copies[`${backup}/host/var/lib/kubelet/config.yaml`]).toBe('600 kubelet 1\n');
    for (const path of Object.keys(files)) await host.writeFile(path, 'changed', { mode: 0o600 });
    await host.writeFile('/etc/systemd/system/kubelet.service', 'new');
    const state = stateOf({ backup, saved });
    expect(await restoreCopies(host, state, (path) => !isManifest(path))).toEqual([
      '/var/lib/kubelet/config.yaml',
      '/etc/systemd/system/kubelet.service',
      '/etc/containerd/config.toml',
    ]);
    await restoreCopies(host, state, isManifest);
    const after = snapshot(root);
    for (const path of Object.keys(files)) expect(after[path]).toBe(before[path]);
    expect(after['/etc/systemd/system/kubelet.service']).toBeUndefined();
    expect(await restoreCopies(host, state, () => true)).toEqual([]);
  });

  it('is not touched when a copy is gone', async () => {
    const host = scratchHost(scratchRoot(files));
    await expect(restoreCopies(host, stateOf(), () => true)).rejects.toThrow(
      'the copy of /etc/kubernetes/manifests/etcd.yaml is gone',
    );
    expect(String(await host.readFile('/etc/kubernetes/manifests/etcd.yaml'))).toBe('etcd 1\n');
  });
});

function bundlesRoot(...versions: string[]): string {
  const root = scratchRoot();
  for (const version of versions) {
    mkdirSync(join(root, 'opt/kinit', version), { recursive: true });
    const manifest = {
      kinit: version,
      kubernetes: version === kinitVersion ? kubernetesVersion : 'v1.36.1',
      files: [],
      images: [],
    };
    writeFileSync(join(root, 'opt/kinit', version, 'manifest.json'), JSON.stringify(manifest));
  }
  symlinkSync(`/opt/kinit/${versions[0]}`, join(root, 'opt/kinit/current'));
  return root;
}

describe('the bundles of a host', () => {
  it('lie side by side, and one link says which is in use', async () => {
    const root = bundlesRoot('v0.0.9', kinitVersion);
    const host = scratchHost(root);
    const [from, to] = [await currentBundle(host), await ownBundle(host)];
    expect([from.kinit, to.kinit]).toEqual(['v0.0.9', kinitVersion]);
    expect([await moveLink(host, to.folder), await moveLink(host, to.folder)]).toEqual([true, false]);
    expect(readlinkSync(join(root, 'opt/kinit/current'))).toBe(`/opt/kinit/${kinitVersion}`);
    expect(await currentBundle(host)).toEqual(to);
  });

  it('are removed when they are neither in use nor the way back', async () => {
    const root = bundlesRoot('v0.0.9', 'v0.0.7', 'v0.0.8', kinitVersion);
    mkdirSync(join(root, 'opt/kinit/parts'));
    const host = scratchHost(root);
    const keep = [await currentBundle(host), await ownBundle(host)];
    expect(await oldBundles(host, keep)).toEqual(['/opt/kinit/v0.0.7', '/opt/kinit/v0.0.8']);
  });

  it('are told when one is missing', async () => {
    const host = scratchHost(bundlesRoot('v0.0.9'));
    expect(await bundleIn(host, '/opt/kinit/v0.0.1')).toBeUndefined();
    await expect(ownBundle(host)).rejects.toThrow(`the bundle of this kinit (${kinitVersion}) is not on this host`);
    await host.symlink('/opt/kinit/current', '/opt/kinit/v0.0.1');
    await expect(currentBundle(host)).rejects.toThrow('/opt/kinit/current points to no bundle');
  });
});

describe('a service', () => {
  it.each([
    ['is started anew from another bundle', '/opt/kinit/v0.1.0/bin/node', false, ['restart']],
    ['stays when it runs from it already', '/opt/kinit/v0.2.0/bin/node', false, []],
    ['is started anew when its files have changed', '/opt/kinit/v0.2.0/bin/node', true, ['restart']],
    ['is started when it does not run', undefined, false, ['restart']],
  ] as const)('%s', async (_name, program, also, actions) => {
    const root = scratchRoot();
    mkdirSync(join(root, 'proc/77'), { recursive: true });
    if (program) symlinkSync(program, join(root, 'proc/77/exe'));
    const done: string[] = [];
    const host = scratchHost(root, (_command, [action = '']) => {
      if (action === 'show') return { stdout: `MainPID=${program ? 77 : 0}\n` };
      done.push(action);
      return {};
    });
    expect(await restartFrom(host, 'kubelet.service', '/opt/kinit/v0.2.0', also)).toBe(actions.length > 0);
    expect(done).toEqual(actions);
  });
});

describe('what stays of a configuration', () => {
  it("is all of containerd's but the image of sandboxes", () => {
    const text = 'sandbox_image = "registry.example.com:5000/kinit/pause:3.9"\n[plugins.x]\nusername = "a"\n';
    expect(withSandboxImage(text)).toMatch(
      /^sandbox_image = "registry\.example\.com:5000\/kinit\/pause:3\.10\.1"\n\[plugins\.x]\nusername = "a"\n$/,
    );
  });

  it('is all of the ClusterConfiguration but its version', () => {
    const text = 'apiVersion: kubeadm.k8s.io/v1beta4\nkubernetesVersion: v1.36.3\nnetworking: {}\n';
    expect(withVersion(text, 'v1.36.2')).toBe(text.replace('v1.36.3', 'v1.36.2'));
  });

  it('are the members that etcd had when this one joined', () => {
    const manifest =
      '    - --initial-cluster=cp1=https://10.0.0.1:2380,cp2=https://10.0.0.2:2380\n    - --initial-cluster-state=existing\n';
    expect(joinedMembers(manifest)).toBe('cp1=https://10.0.0.1:2380,cp2=https://10.0.0.2:2380');
    expect(joinedMembers(manifest.replace(/.*state.*\n/, ''))).toBeUndefined();
    expect(joinedMembers(undefined)).toBeUndefined();
  });
});

describe('certificates', () => {
  const started = new Date('2026-03-04T05:06:07.500Z');
  it.each([
    ['of last year are renewed', '2025-03-04T05:00:00Z', true],
    ['made just before are renewed', '2026-03-04T05:01:05Z', true],
    ['made in this upgrade are not made twice', '2026-03-04T05:01:07Z', false],
  ])('%s', (_name, validFrom, renewed) => {
    expect(isOlder(new Date(validFrom), started)).toBe(renewed);
  });
});
