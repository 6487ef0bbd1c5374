/**
 * An upgrade of a control plane against a real API server. The host is a folder; in place of its kubelet, a loop shows the static
 * pods of the manifests and the node as a kubelet would.
 */
import { createHash } from 'node:crypto';
import { chmodSync, readFileSync, readlinkSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { formatDifferences } from '../../../src/cli/render/upgrade.ts';
import { applyObjects } from '../../../src/installer/addons/apply.ts';
import { noConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit } from '../../../src/installer/config/resolve.ts';
import type { InitConfiguration } from '../../../src/installer/config/types.ts';
import { kubeadmConfigObjects, kubeletConfigObjects } from '../../../src/installer/control-plane/cluster-objects.ts';
import type { Host } from '../../../src/installer/host/host.ts';
import type { PhaseEvent } from '../../../src/installer/phases/events.ts';
import {
  runRollback,
  runUpgrade,
  type UpgradeFlags,
  upgradeDifferences,
  upgradePlan,
} from '../../../src/installer/phases/run-upgrade.ts';
import { clusterKubeletConfig } from '../../../src/installer/runtime/kubelet.ts';
import type { Pod } from '../../../src/machinery/api/types.ts';
import { createClient } from '../../../src/machinery/client/client.ts';
import { loadKubeconfig } from '../../../src/machinery/client/kubeconfig.ts';
import { configMaps, nodes, pods } from '../../../src/machinery/client/resources.ts';
import type { Client } from '../../../src/machinery/client/types.ts';
import { kinitVersion, kubernetesVersion } from '../../../src/machinery/version.ts';
import { type ControlPlane, startControlPlane } from '../../parts/control-plane.ts';
import { scratchHost, scratchRoot, snapshot } from '../../unit/installer/scratch.ts';

const before = 'v1.36.1';
const manifests = '/etc/kubernetes/manifests';
const names = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'];

let plane: ControlPlane;
let client: Client;
let root: string;
let host: Host;
let healthz: Server;
let stopKubelet: () => Promise<void>;
/** Images whose containers the stand-in lets crash. */
const broken = new Set<string>();
/** How often containers of components ended while nobody told of them. */
const ended = new Map<string, number>();
/** In which order components came to a new image. */
const seen: string[] = [];

const currentFolder = async () => (await host.stat('/opt/kinit/current'))?.target ?? '';
const text = (path: string) => readFileSync(join(root, path), 'utf8');

const manifestOf = (name: string) => `apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: kube-system, labels: {component: ${name}, tier: control-plane}}
spec:
  hostNetwork: true
  containers:
  - name: ${name}
    image: kinit.local/${name}:${name === 'etcd' ? '3.5.16-0' : before}
    command:
    - ${name}
    - --advertise-address=127.0.0.1
    - --secure-port=6443
`;

function filesOfHost(name: string): Record<string, string> {
  const bundle = (kinit: string, kubernetes: string) => JSON.stringify({ kinit, kubernetes, files: [], images: [] });
  const runtime = { kind: 'runtime', runtime: 'existing', socket: 'unix:///run/x.sock', program: 'other', kept: true };
  return {
    '/proc/sys/kernel/hostname': `${name}\n`,
    '/proc/77/comm': 'kubelet\n',
    '/run/lock-folder': '',
    '/var/lib/kinit/journal.jsonl': `${JSON.stringify(runtime)}\n`,
    '/var/lib/kubelet/kubeadm-flags.env': 'KUBELET_KUBEADM_ARGS=""\n',
    '/var/lib/kubelet/instance-config.yaml': 'containerRuntimeEndpoint: unix:///run/x.sock\n',
    '/var/lib/kubelet/config.yaml': 'kind: KubeletConfiguration\n',
    '/etc/systemd/system/kubelet.service': 'old unit\n',
    '/opt/kinit/v0.0.9/manifest.json': bundle('v0.0.9', before),
    [`/opt/kinit/${kinitVersion}/manifest.json`]: bundle(kinitVersion, kubernetesVersion),
  };
}

/** A host in a folder. Of systemd it has the kubelet's unit: a restart takes the program that the link points to. */
function hostIn(folder: string): Host {
  symlinkSync('/opt/kinit/v0.0.9', join(folder, 'opt/kinit/current'));
  symlinkSync('/opt/kinit/v0.0.9/bin/node', join(folder, 'proc/77/exe'));
  chmodSync(join(folder, 'var/lib/kubelet'), 0o700);
  const systemctl = ([action]: readonly string[]): string => {
    if (action === 'show') return 'MainPID=77\nUnitFileState=enabled\nActiveState=active\n';
    if (action !== 'restart') return '';
    unlinkSync(join(folder, 'proc/77/exe'));
    symlinkSync(`${readlinkSync(join(folder, 'opt/kinit/current'))}/bin/node`, join(folder, 'proc/77/exe'));
    return '';
  };
  return scratchHost(folder, (command, args) => ({ stdout: command === 'systemctl' ? systemctl(args) : '' }));
}

async function showPod(name: string): Promise<void> {
  const manifest = (await host.readFile(`${manifests}/${name}.yaml`))?.toString();
  if (manifest === undefined) return;
  const wanted = load(manifest) as Pod;
  // A container that ended meanwhile is another one, though the manifest is what it was.
  const hash = createHash('md5')
    .update(manifest)
    .update(String(ended.get(name) ?? 0))
    .digest('hex');
  const image = wanted.spec!.containers[0]!.image!;
  const ref = { name: `${name}-cp1`, namespace: 'kube-system' };
  const present = await client.resource(pods).find(ref);
  const annotations = { 'kubernetes.io/config.mirror': hash, 'kubernetes.io/config.hash': hash };
  if (present?.metadata?.annotations?.['kubernetes.io/config.hash'] === hash) return;
  if (present) {
    seen.push(name);
    await client.resource(pods).delete(ref, { gracePeriodSeconds: 0 });
  }
  const metadata = { ...wanted.metadata, ...ref, annotations };
  await client.resource(pods).create({ ...wanted, metadata, spec: { ...wanted.spec!, nodeName: 'cp1' } });
  const state = broken.has(image) ? { waiting: { reason: 'CrashLoopBackOff' } } : { running: {} };
  const ready = broken.has(image) ? 'False' : 'True';
  const status = {
    conditions: [{ type: 'Ready', status: ready }],
    containerStatuses: [
      { name, image, imageID: '', ready: ready === 'True', restartCount: 0, containerID: `test://${hash}`, state },
    ],
  };
  await client.resource(pods).patch(ref, { status }, { type: 'merge', subresource: 'status' });
}

/** Without an API server a kubelet tells nothing of any pod. */
const isSilent = () => broken.has(/image: (\S+)/.exec(text(`${manifests}/kube-apiserver.yaml`))?.[1] ?? '');

async function showNode(name: string, on: Host): Promise<void> {
  const program = (await on.stat('/proc/77/exe'))?.target ?? '';
  const kubeletVersion = program.includes('/v0.0.9/') ? before : kubernetesVersion;
  const status = { nodeInfo: { kubeletVersion }, conditions: [{ type: 'Ready', status: 'True' }] };
  await client.resource(nodes).patch({ name }, { status }, { type: 'merge', subresource: 'status' });
}

/** What a kubelet would do, again and again. @returns ends it */
function inPlaceOfKubelet(show: () => Promise<void>): () => Promise<void> {
  let stopped = false;
  const loop = (async () => {
    while (!stopped) {
      await show();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  return () => {
    stopped = true;
    return loop;
  };
}

function storedConfig(): InitConfiguration {
  const config = resolveInit(
    { nodeName: 'cp1', apiserverAdvertiseAddress: '127.0.0.1' },
    noConfig,
    { hostname: 'cp1', address: '127.0.0.1' },
    [],
  );
  return { ...config, cluster: { ...config.cluster, kubernetesVersion: before } };
}

const flags: UpgradeFlags = {
  ignorePreflightErrors: ['EtcdHealth'],
  skipPhases: ['images/load', 'etcd-snapshot', 'runtime'],
  timeouts: { upgradeManifests: '4s', kubeletHealthCheck: '4s', kubernetesAPICall: '2s' },
};

const flagsOfNode: UpgradeFlags = { ...flags, skipPhases: ['images/load', 'runtime'] };

/** @param until the phase after which somebody presses Ctrl-C */
async function apply(more: UpgradeFlags = {}, until?: string) {
  const events: PhaseEvent[] = [];
  const abort = new AbortController();
  const options = {
    host,
    dryRun: false,
    signal: abort.signal,
    events: (event: PhaseEvent) => {
      events.push(event);
      if (event.type === 'phase-ended' && event.phase === until) abort.abort(new Error('interrupted'));
    },
  };
  const result = await runUpgrade('apply', { ...flags, ...more }, options).catch((error: Error) => error);
  const outcomes = Object.fromEntries(
    events.flatMap((event) => (event.type === 'phase-ended' ? [[event.phase, event.outcome]] : [])),
  );
  const warnings = events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
  return { result, outcomes, warnings };
}

const storedVersion = async () => {
  const map = await client.resource(configMaps).get({ name: 'kubeadm-config', namespace: 'kube-system' });
  return /^kubernetesVersion: (.*)$/m.exec(map.data?.['ClusterConfiguration'] ?? '')?.[1];
};
const state = () => JSON.parse(text('/var/lib/kinit/upgrade.json')) as { ended?: string; backup: string };
const images = () =>
  names.map((name) => /image: (\S+)/.exec(text(`${manifests}/${name}.yaml`))?.[1]?.replace(/.*:/, ''));

beforeAll(async () => {
  plane = await startControlPlane();
  const kubeconfig = plane.kubeconfig('admin');
  client = createClient(await loadKubeconfig(kubeconfig));
  root = scratchRoot({
    ...filesOfHost('cp1'),
    '/etc/kubernetes/admin.conf': readFileSync(kubeconfig, 'utf8'),
    ...Object.fromEntries(names.map((name) => [`${manifests}/${name}.yaml`, manifestOf(name)])),
  });
  host = hostIn(root);
  healthz = createServer((_request, response) => void response.end('ok')).listen(0, '127.0.0.1');
  await new Promise((resolve) => healthz.once('listening', resolve));
  const { port } = healthz.address() as AddressInfo;
  const config = storedConfig();
  // Its owner has named the port, so an upgrade keeps the document.
  const kubelet = clusterKubeletConfig(config.cluster, 'systemd', { healthzPort: port });
  await applyObjects(client, [...kubeadmConfigObjects(config), ...kubeletConfigObjects(kubelet, true)]);
  const labels = { 'node-role.kubernetes.io/control-plane': '' };
  await client.resource(nodes).create({ metadata: { name: 'cp1', labels } });
  writeFileSync(join(root, 'var/lib/kubelet/config.yaml'), `kind: KubeletConfiguration\nhealthzPort: ${port}\n`);
  let unheard = false;
  stopKubelet = inPlaceOfKubelet(async () => {
    if (isSilent()) {
      unheard = true;
      return;
    }
    if (unheard) ended.set('kube-apiserver', (ended.get('kube-apiserver') ?? 0) + 1);
    unheard = false;
    for (const name of names) await showPod(name);
    await showNode('cp1', host);
  });
  const shown = async () => {
    const { items } = await client.resource(pods).list({ namespace: 'kube-system' });
    expect(items.filter(({ status }) => status?.containerStatuses)).toHaveLength(names.length);
  };
  await vi.waitFor(shown, 10_000);
  seen.length = 0;
}, 60_000);

afterAll(async () => {
  await stopKubelet?.();
  client?.close();
  healthz?.close();
  await plane?.stop();
});

describe.sequential('an upgrade', () => {
  it('is planned, and its differences are shown, while nothing is written', async () => {
    const kept = snapshot(root, '/etc');
    const { signal } = new AbortController();
    const plan = await upgradePlan(flags, signal, host);
    expect(plan).toMatchObject({
      clusterVersion: before,
      changes: true,
      // This test's etcd is no static pod.
      findings: [{ check: 'EtcdHealth' }],
      missingImages: { cp1: expect.any(Array) },
    });
    expect(plan.components.map(({ name, node, current, target }) => [name, node, current, target])).toContainEqual([
      'kube-scheduler',
      'cp1',
      before,
      kubernetesVersion,
    ]);
    expect(plan.configs).toMatchObject([{ name: 'kubelet-config', userSupplied: true }]);
    const differences = formatDifferences(await upgradeDifferences(flags, signal, host), 0);
    expect(differences).toContain(`-    image: kinit.local/kube-scheduler:${before}\n`);
    expect(differences).toContain(`+    image: kinit.local/kube-scheduler:${kubernetesVersion}\n`);
    expect(snapshot(root, '/etc')).toEqual(kept);
  });

  it('that a gate stops brings the host back to what it was', async () => {
    const kept = names.map((name) => text(`${manifests}/${name}.yaml`));
    broken.add(`kinit.local/kube-scheduler:${kubernetesVersion}`);
    const { result, outcomes, warnings } = await apply();
    broken.clear();
    expect(String(result)).toMatch(
      /upgrade to kinit \S+, Kubernetes v1\.36\.2 failed, and this host is back at kinit v0\.0\.9, Kubernetes v1\.36\.1: kube-scheduler on cp1 is not well/,
    );
    expect((result as { details?: object }).details).toMatchObject({
      phase: 'control-plane/scheduler',
      seen: expect.stringContaining('CrashLoopBackOff'),
    });
    expect(outcomes).toMatchObject({ 'control-plane/apiserver': 'changed', 'control-plane/scheduler': 'failed' });
    expect(warnings.join('\n')).toContain('going back to kinit v0.0.9');
    expect(names.map((name) => text(`${manifests}/${name}.yaml`))).toEqual(kept);
    expect([await currentFolder(), await storedVersion(), state().ended]).toEqual([
      '/opt/kinit/v0.0.9',
      before,
      'rolled-back',
    ]);
  });

  it('whose API server does not come back is taken back, though nobody tells of the other pods before it runs again', async () => {
    const kept = names.map((name) => text(`${manifests}/${name}.yaml`));
    broken.add(`kinit.local/kube-apiserver:${kubernetesVersion}`);
    const { result, outcomes } = await apply();
    broken.clear();
    expect(String(result)).toMatch(/and this host is back at kinit v0\.0\.9, .*: kube-apiserver on cp1 is not well/);
    expect(outcomes).toMatchObject({ 'control-plane/etcd': 'changed', 'control-plane/apiserver': 'failed' });
    expect(names.map((name) => text(`${manifests}/${name}.yaml`))).toEqual(kept);
    expect([await currentFolder(), state().ended]).toEqual(['/opt/kinit/v0.0.9', 'rolled-back']);
  });

  it('that is interrupted stays where it is, and knows where it comes from', async () => {
    seen.length = 0;
    const { result } = await apply({}, 'control-plane/apiserver');
    expect(String(result)).toContain('interrupted');
    expect(seen).toEqual(names.slice(0, 2));
    expect(state()).toMatchObject({ from: { kinit: 'v0.0.9' }, to: { kinit: kinitVersion } });
    expect(state().ended).toBeUndefined();
    expect(images()).toEqual(['3.5.16-0', kubernetesVersion, before, before]);
  });

  it('goes on from there, one component after the other, and leaves nothing to do for a second run', async () => {
    seen.length = 0;
    const { backup } = state();
    const { result, outcomes, warnings } = await apply();
    expect(result).toMatchObject({ changed: true });
    expect(seen).toEqual(names.slice(2));
    expect(state().backup).toBe(backup);
    expect(images()).toEqual(['3.5.16-0', kubernetesVersion, kubernetesVersion, kubernetesVersion]);
    expect(outcomes).toMatchObject({
      bundle: 'changed',
      'kubelet-config': 'changed',
      'upload-config/kubeadm': 'changed',
      'post-upgrade': 'changed',
    });
    expect([await currentFolder(), await storedVersion(), state().ended]).toEqual([
      `/opt/kinit/${kinitVersion}`,
      kubernetesVersion,
      'done',
    ]);
    // The stand-in's node has no images, and nobody could pull them.
    expect(warnings.join('\n')).toContain(
      'the add-ons are left for later: the nodes cp1 do not have the new images yet',
    );
    const again = await apply({ skipPhases: [...flags.skipPhases!, 'addon'] });
    expect(Object.entries(again.outcomes).filter(([, outcome]) => outcome === 'changed')).toEqual([]);
    expect(again.result).toMatchObject({ changed: false });
  }, 120_000);

  it('is taken back on request, with the version that the cluster stores', async () => {
    const options = { host, dryRun: false, signal: new AbortController().signal, events: () => undefined };
    await runRollback({ timeouts: flags.timeouts! }, options);
    expect(images()).toEqual(['3.5.16-0', before, before, before]);
    expect([await currentFolder(), await storedVersion(), state().ended]).toEqual([
      '/opt/kinit/v0.0.9',
      before,
      'rolled-back',
    ]);
    expect(text('/etc/systemd/system/kubelet.service')).toBe('old unit\n');
  });

  it('reaches a worker after the cluster, with nothing but what its kubelet may do', async () => {
    await client.resource(nodes).create({ metadata: { name: 'w1' } });
    const folder = scratchRoot({
      ...filesOfHost('w1'),
      '/etc/kubernetes/kubelet.conf': readFileSync(await plane.issue('system:node:w1', ['system:nodes']), 'utf8'),
    });
    const worker = hostIn(folder);
    const end = inPlaceOfKubelet(() => showNode('w1', worker));
    const options = { host: worker, dryRun: false, signal: new AbortController().signal, events: () => undefined };
    try {
      await expect(runUpgrade('node', flagsOfNode, options)).rejects.toMatchObject({
        details: { phase: 'preflight', seen: expect.stringContaining(`the cluster is ${before}, this bundle is`) },
      });
      const config = storedConfig();
      const upgraded = { ...config, cluster: { ...config.cluster, kubernetesVersion } };
      await applyObjects(client, kubeadmConfigObjects(upgraded));
      const { phases } = await runUpgrade('node', flagsOfNode, options);
      const changed = phases.filter(({ outcome }) => outcome === 'changed').map(({ name }) => name);
      expect(changed).toEqual(['backup', 'bundle', 'kubelet-config', 'post-upgrade']);
      expect((await worker.stat('/opt/kinit/current'))?.target).toBe(`/opt/kinit/${kinitVersion}`);
      expect(await runUpgrade('node', flagsOfNode, options)).toMatchObject({ changed: false });
    } finally {
      await end();
    }
  });

  it('says what to do when the API server does not answer', async () => {
    await host.writeFile(
      '/etc/kubernetes/admin.conf',
      text('/etc/kubernetes/admin.conf').replace(plane.server, 'https://127.0.0.1:1'),
    );
    const { result } = await apply();
    expect(result).toMatchObject({
      code: 'Api',
      details: { advice: expect.stringContaining('kinit upgrade rollback') },
    });
  });
});
