import { X509Certificate } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { networkObjects, proxyObjects } from '../../../src/installer/addons/objects.ts';
import { noConfig, parseConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit, resolveJoin } from '../../../src/installer/config/resolve.ts';
import {
  clusterConfigurationYaml,
  clusterInfoKubeconfig,
  kubeadmConfigObjects,
} from '../../../src/installer/control-plane/cluster-objects.ts';
import { balancerUnit, ensureBalancer, knownBalancer, knownServers } from '../../../src/installer/endpoint/balancer.ts';
import { withKnownEndpoint } from '../../../src/installer/endpoint/known-endpoint.ts';
import { ensureVirtualIp, virtualIpUnit } from '../../../src/installer/endpoint/virtual-ip.ts';
import { createChanges } from '../../../src/installer/host/changes.ts';
import { readText } from '../../../src/installer/host/host.ts';
import { openJournal } from '../../../src/installer/host/journal.ts';
import {
  ensureKubeconfig,
  kubeconfigIdentities,
  nodeServer,
  parseKubeconfig,
  restConfigOf,
  serverOf,
} from '../../../src/installer/kubeconfig/kubeconfig.ts';
import type { JoinContext } from '../../../src/installer/phases/context.ts';
import { findCluster, readCluster } from '../../../src/installer/phases/join.ts';
import { readKubeadmConfig } from '../../../src/installer/phases/join-configuration.ts';
import { apiServerAltNames, authorities } from '../../../src/installer/pki/catalog.ts';
import { ensureAuthority } from '../../../src/installer/pki/ensure.ts';
import { publicKeyPin } from '../../../src/installer/pki/x509.ts';
import { parseToken } from '../../../src/installer/tokens/format.ts';
import { signDetached } from '../../../src/installer/tokens/jws.ts';
import { buildKubeconfig } from '../../../src/machinery/client/kubeconfig.ts';
import type { Client } from '../../../src/machinery/client/types.ts';
import { freePort } from '../../parts/free-port.ts';
import { ApiServer, makeAuthority } from '../balancer/api-servers.ts';
import { scratchHost, scratchRoot, snapshot } from './scratch.ts';

const identity = { hostname: 'cp1', address: '10.0.0.11' };
const local = { endpointMode: 'local' };
const init = (flags: object, file = noConfig) => resolveInit(flags, file, identity, []);
const document = (fields: string) =>
  parseConfig(`apiVersion: kinit.local/v1alpha1\nkind: HostConfiguration\n${fields}\n`, 'c');

describe('a cluster whose nodes find the API servers by themselves', () => {
  it('has certificates that are valid for loopback, and the first control plane as its address', () => {
    const { cluster } = init(local);
    expect(cluster.apiServer.certSANs).toEqual(['127.0.0.1']);
    expect(cluster.controlPlaneEndpoint).toBe('10.0.0.11:6443');
    expect(apiServerAltNames(init(local))).toContain('127.0.0.1');
    expect(init({ ...local, apiserverCertExtraSans: ['127.0.0.1'] }).cluster.apiServer.certSANs).toEqual(['127.0.0.1']);
  });

  it('tells kube-proxy and the pod network, and the nodes that join', () => {
    const config = init(local);
    expect(nodeServer(config)).toBe('https://127.0.0.1:7443');
    const maps = [...proxyObjects(config), ...networkObjects(config)].filter(({ kind }) => kind === 'ConfigMap');
    expect(maps).toHaveLength(2);
    for (const map of maps)
      expect((map['data'] as Record<string, string>)['kubeconfig.conf']).toContain('server: https://127.0.0.1:7443');
    const objects = kubeadmConfigObjects(config);
    expect(objects[0]?.metadata?.annotations).toEqual({ 'kinit.local/node-endpoint': '127.0.0.1:7443' });
    expect(objects.map(({ kind, metadata }) => `${kind} ${metadata?.namespace}/${metadata?.name}`)).toEqual([
      'ConfigMap kube-system/kubeadm-config',
      'Role kube-system/kubeadm:nodes-kubeadm-config',
      'RoleBinding kube-system/kubeadm:nodes-kubeadm-config',
      'Role default/kinit:api-servers',
      'RoleBinding default/kinit:api-servers',
    ]);
  });

  it.each([
    ['no address but its own', {}, '10.0.0.11:6443'],
    ['the address of another control plane', { controlPlaneEndpoint: '10.0.0.10:6443' }, '10.0.0.11:6443'],
    ['a name', { controlPlaneEndpoint: 'api.example.test:6443' }, 'api.example.test:6443'],
  ])('has kubeconfigs that lead to their own host, but for a name: %s', (_, flags, admin) => {
    const config = init({ ...local, ...flags });
    expect(serverOf(kubeconfigIdentities.admin, config)).toBe(`https://${admin}`);
    for (const name of ['kubelet', 'controllerManager', 'scheduler'] as const)
      expect(serverOf(kubeconfigIdentities[name], config)).toBe('https://10.0.0.11:6443');
  });

  it('is made by a file, too', () => {
    const config = init({}, document('endpoint: {mode: local, port: 8443}'));
    expect(nodeServer(config)).toBe('https://127.0.0.1:8443');
    expect(nodeServer(init({ endpointMode: 'shared' }, document('endpoint: {mode: local}')))).toBe(
      'https://10.0.0.11:6443',
    );
  });

  it.each([
    ['another mode', { endpointMode: 'global' }, noConfig, /--endpoint-mode is "global"; it takes local or shared/],
    [
      'the port of the API server',
      {},
      () => document('endpoint: {mode: local, port: 6443}'),
      /c:3:.*the API server's own/,
    ],
  ])('is not made with %s', (_, flags, file, message) =>
    expect(() => init(flags, typeof file === 'function' ? file() : file)).toThrow(message),
  );

  it('is not made unless it is asked for', () => {
    const config = init({});
    expect(config.host.endpoint).toBeUndefined();
    expect(config.cluster.apiServer.certSANs).toEqual([]);
    expect(kubeadmConfigObjects(config)).toHaveLength(3);
    expect(kubeadmConfigObjects(config)[0]?.metadata?.annotations).toBeUndefined();
  });
});

describe('a cluster that shared an endpoint until now', () => {
  it('keeps the credentials of its administrators, who are led to their own host', async () => {
    const root = scratchRoot();
    onTestFinished(() => rmSync(root, { recursive: true, force: true }));
    const host = scratchHost(root);
    const changes = createChanges(host, await openJournal(host));
    const first = { controlPlaneEndpoint: '10.0.0.10:6443' };
    const { admin } = kubeconfigIdentities;
    for (const authority of authorities) await ensureAuthority(changes, init(first).cluster, authority);
    expect(await ensureKubeconfig(changes, init(first), admin)).toBe(true);
    const access = async () => restConfigOf(parseKubeconfig((await readText(host, admin.path)) ?? '', 'a'), 'a');
    const before = await access();
    expect(before.server).toBe('https://10.0.0.10:6443');
    const now = init({ ...local, ...first });
    expect(await ensureKubeconfig(changes, now, admin)).toBe(true);
    expect(await access()).toEqual({ ...before, server: 'https://10.0.0.11:6443' });
    expect(await ensureKubeconfig(changes, now, admin)).toBe(false);
    // Made by a static pod that started while the file was away.
    await host.writeFile(admin.path, '', { mode: 0o644 });
    expect(await ensureKubeconfig(changes, now, admin)).toBe(true);
    expect((await access()).server).toBe('https://10.0.0.11:6443');
    const elsewhere = init({ ...local, controlPlaneEndpoint: 'api.example.test:6443' });
    await expect(ensureKubeconfig(changes, elsewhere, admin)).rejects.toThrow(
      'it points to https://10.0.0.11:6443 instead of https://api.example.test:6443',
    );
  });

  it.each([proxyObjects, networkObjects])('gets new pods for its add-ons: %o', (objects) => {
    const template = (flags: object) => {
      const set = objects(init(flags)).find(({ kind }) => kind === 'DaemonSet') as unknown as {
        spec: { template: object };
      };
      return set.spec.template;
    };
    expect(template({})).toEqual(template({ endpointMode: 'shared' }));
    expect(template({})).not.toEqual(template(local));
  });
});

describe('control planes that share a virtual address', () => {
  const shared = { virtualIp: '10.0.0.100' };

  it.each([
    ['alone', shared, ['10.0.0.100'], '10.0.0.100:6443', '10.0.0.100:6443'],
    [
      'beside local endpoints',
      { ...shared, ...local },
      ['127.0.0.1', '10.0.0.100'],
      '10.0.0.100:6443',
      '127.0.0.1:7443',
    ],
    ['under a name', { ...shared, controlPlaneEndpoint: 'a.test' }, ['10.0.0.100'], 'a.test:6443', 'a.test:6443'],
  ])('are found by it %s', (_, flags, names, endpoint, node) => {
    const config = init(flags);
    expect(config.cluster.apiServer.certSANs).toEqual(names);
    expect(config.cluster.controlPlaneEndpoint).toBe(endpoint);
    expect(serverOf(kubeconfigIdentities.admin, config)).toBe(`https://${endpoint}`);
    expect(serverOf(kubeconfigIdentities.kubelet, config)).toBe('https://10.0.0.11:6443');
    expect(nodeServer(config)).toBe(`https://${node}`);
  });

  it('tell those that join', async () => {
    const config = init(shared, document('endpoint: {virtualIP: 10.0.0.9, interface: eth1}'));
    const objects = kubeadmConfigObjects(config);
    expect(objects).toHaveLength(3);
    expect(objects[0]?.metadata?.annotations).toEqual({ 'kinit.local/virtual-ip': '10.0.0.100 eth1' });
    const client = { resource: () => ({ get: async () => objects[0] }) } as unknown as Client;
    expect(await readKubeadmConfig(client, AbortSignal.timeout(1_000))).toEqual({
      text: expect.stringContaining('controlPlaneEndpoint: 10.0.0.100:6443'),
      virtualIp: { virtualIP: '10.0.0.100', interface: 'eth1' },
    });
  });

  it.each([
    ['an address that is none', { virtualIp: '10.0.0' }, '', /--virtual-ip is "10.0.0"; it takes an IPv4 address/],
    ['an address of IPv6', {}, 'endpoint: {virtualIP: "fd00::1"}', /c:3:.*is not an IPv4 address/],
    ['the address of the host', { virtualIp: '10.0.0.11' }, '', /this host's own address/],
    [
      'an interface that is none',
      {},
      'endpoint: {virtualIP: 10.0.0.9, interface: "a b"}',
      /not the name of an interface/,
    ],
    ['neither mode nor address', {}, 'endpoint: {port: 7}', /names neither a mode nor a virtualIP/],
  ])('are not made with %s', (_, flags, fields, message) =>
    expect(() => init(flags, fields ? document(fields) : noConfig)).toThrow(message),
  );

  it('have a unit, which a later init knows, and which lets the address go however it ends', async () => {
    const root = scratchRoot();
    try {
      const commands: string[] = [];
      const host = scratchHost(root, (_, args) => {
        if (args[0] !== 'show') commands.push(args.join(' '));
        return {};
      });
      const changes = createChanges(host, await openJournal(host));
      const settings = {
        address: '10.0.0.100',
        server: '10.0.0.11:6443',
        nodeName: 'cp1',
        facts: { canLowerOomScore: false },
      };
      expect(await ensureVirtualIp(changes, settings)).toBe(true);
      expect(commands).toEqual(['daemon-reload', `enable --now ${virtualIpUnit}`]);
      const unit = snapshot(root)['/etc/systemd/system/kinit-virtual-ip.service'] ?? '';
      expect(unit).toMatch(/^ExecStopPost=.*kinit-virtual-ip --address=10.0.0.100 --release$/m);
      expect(unit).not.toContain('--interface');
      expect(unit).not.toContain('OOMScoreAdjust');
      const known = await withKnownEndpoint(host, init({}));
      expect(known.host.endpoint).toEqual({ mode: 'shared', port: 7443, virtualIP: '10.0.0.100' });
      expect(known.cluster.controlPlaneEndpoint).toBe('10.0.0.100:6443');
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});

describe('the balancer on a host', () => {
  let root: string;
  let port: number;
  let listener: Server;
  let commands: string[];
  let active: boolean;

  beforeAll(async () => {
    port = await freePort();
    listener = createServer().listen(port, '127.0.0.1');
  });
  afterAll(() => listener.close());
  beforeEach(() => {
    root = scratchRoot();
    commands = [];
    active = false;
    return () => rmSync(root, { recursive: true });
  });

  const host = () =>
    scratchHost(root, (_, args) => {
      if (args[0] === 'show')
        return { stdout: `UnitFileState=${active ? 'enabled' : 'disabled'}\nActiveState=${active ? '' : 'in'}active` };
      commands.push(args.join(' '));
      if (args[0] === 'enable') active = true;
      return {};
    });
  const ensure = async (servers: string[], nodeName = 'n1') => {
    const changes = createChanges(host(), await openJournal(host()));
    const settings = {
      listen: `127.0.0.1:${port}`,
      servers,
      nodeName,
      facts: { canLowerOomScore: true },
      certificateAuthority: '/etc/kubernetes/pki/ca.crt',
    };
    return ensureBalancer(changes, settings, AbortSignal.timeout(5_000));
  };

  it('is a unit that begins with what it was told, and is known again', async () => {
    expect(await knownBalancer(host())).toBeUndefined();
    expect(await ensure(['10.0.0.11:6443', '10.0.0.12:6443'])).toBe(true);
    expect(commands).toEqual(['daemon-reload', `enable --now ${balancerUnit}`]);
    expect(await knownBalancer(host())).toEqual({
      endpoint: { mode: 'local', port },
      servers: ['10.0.0.11:6443', '10.0.0.12:6443'],
      certificateAuthority: '/etc/kubernetes/pki/ca.crt',
    });
    const { '/etc/systemd/system/kinit-balancer.service': unit = '' } = snapshot(root);
    expect(unit).toContain('Before=kubelet.service');
    expect(unit).toContain('--kubeconfig=/etc/kubernetes/kubelet.conf');
  });

  it('changes nothing the second time, whatever server the node finds then', async () => {
    await ensure(['10.0.0.11:6443']);
    commands = [];
    expect(await ensure(['10.0.0.12:6443'])).toBe(false);
    expect(commands).toEqual([]);
    expect((await knownBalancer(host()))?.servers).toEqual(['10.0.0.11:6443']);
  });

  it('is started again when its unit changes, and leaves with all that it had', async () => {
    await ensure(['10.0.0.11:6443']);
    commands = [];
    expect(await ensure(['10.0.0.11:6443'], 'n2')).toBe(true);
    expect(commands).toEqual(['daemon-reload', `restart ${balancerUnit}`]);
    const entries = (await openJournal(host())).entries.filter(({ kind }) => kind !== 'parent');
    expect(entries.map((entry) => ('path' in entry ? entry.path : 'unit' in entry ? entry.unit : ''))).toEqual([
      '/var/lib/kinit-balancer',
      '/etc/systemd/system/kinit-balancer.service',
      balancerUnit,
    ]);
  });

  it('never leads to itself', async () => {
    await ensure([`127.0.0.1:${port}`, '10.0.0.11:6443']);
    expect((await knownBalancer(host()))?.servers).toEqual(['10.0.0.11:6443']);
  });

  it('tells which servers it has learnt', async () => {
    await ensure(['10.0.0.11:6443']);
    const members = [{ server: '10.0.0.12:6443' }, { server: '10.0.0.11:6443', goneSince: 5 }];
    writeFileSync(join(root, 'var/lib/kinit-balancer/members.json'), JSON.stringify(members));
    expect(await knownServers(host())).toEqual(['10.0.0.12:6443', '10.0.0.11:6443']);
  });

  it('decides for the host when init runs again', async () => {
    const again = init({});
    expect(await withKnownEndpoint(host(), again)).toBe(again);
    await ensure(['10.0.0.11:6443']);
    const known = await withKnownEndpoint(host(), again);
    expect(nodeServer(known)).toBe(`https://127.0.0.1:${port}`);
    expect(known.cluster.apiServer.certSANs).toEqual(['127.0.0.1']);
    const refused = (flags: object) => expect(withKnownEndpoint(host(), init(flags))).rejects;
    await refused(local).toThrow(`endpoint.port is 7443, but this cluster was made with ${port}`);
    await refused({ endpointMode: 'shared' }).toThrow('endpoint.mode is shared, but this cluster was made with local');
    await refused({ ...local, virtualIp: '10.0.0.9' }).toThrow('endpoint.virtualIP is 10.0.0.9, but');
  });

  it('is no way by which a node learns its own address when it joins again', async () => {
    const authority = await makeAuthority();
    const api = await new ApiServer('b', '127.0.0.3', authority).start();
    try {
      await ensure([`127.0.0.2:${api.port}`, api.address]);
      const kubeconfig = buildKubeconfig({
        clusterName: 'c',
        userName: 'u',
        server: `https://127.0.0.1:${port}`,
        ca: authority.caPem,
        token: 't',
      });
      mkdirSync(join(root, 'etc/kubernetes'), { recursive: true });
      const path = join(root, 'etc/kubernetes/kubelet.conf');
      writeFileSync(path, kubeconfig);
      const file = `apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndiscovery: {file: {kubeConfigPath: ${path}}}\n`;
      const config = resolveJoin({}, parseConfig(file, 'c'), identity, []);
      const context = { host: host(), config, signal: AbortSignal.timeout(5_000) } as unknown as JoinContext;
      await findCluster(context);
      expect(context.cluster?.server).toBe(`https://${api.address}`);
      expect(context.nodeEndpoint).toBe(`127.0.0.1:${port}`);
    } finally {
      await api.kill();
    }
  });
});

describe('a host that joins when the control plane that cluster-info names is lost', () => {
  const token = 'abcdef.0123456789abcdef';

  /** @param annotations of kubeadm-config */
  async function join(annotations: Record<string, string>): Promise<JoinContext> {
    const authority = await makeAuthority();
    const api = await new ApiServer('b', '127.0.0.3', authority).start();
    const root = scratchRoot();
    try {
      const lost = init({ controlPlaneEndpoint: `127.0.0.2:${api.port}` });
      const kubeconfig = clusterInfoKubeconfig(lost, authority.caPem);
      const signature = signDetached(kubeconfig, parseToken(token)!);
      api.objects.set('/api/v1/namespaces/kube-public/configmaps/cluster-info', {
        data: { kubeconfig, 'jws-kubeconfig-abcdef': signature },
      });
      api.objects.set('/api/v1/namespaces/kube-system/configmaps/kubeadm-config', {
        metadata: { annotations },
        data: { ClusterConfiguration: clusterConfigurationYaml(lost.cluster) },
      });
      const pin = publicKeyPin(new X509Certificate(authority.caPem));
      const config = resolveJoin(
        { endpoint: api.address, token, discoveryTokenCaCertHash: [pin] },
        noConfig,
        identity,
        [],
      );
      const signal = AbortSignal.timeout(8_000);
      const context = { host: scratchHost(root), config, signal, warn: () => undefined } as unknown as JoinContext;
      await findCluster(context);
      expect(context.cluster?.server).toBe(`https://${api.address}`);
      await readCluster(context);
      return context;
    } finally {
      await api.kill();
      rmSync(root, { recursive: true });
    }
  }

  it('goes on with the one that was given, where nodes find them by themselves', async () => {
    const context = await join({ 'kinit.local/node-endpoint': '127.0.0.1:7443' });
    expect(context.nodeEndpoint).toBe('127.0.0.1:7443');
  });

  it('fails where nodes share that endpoint', () =>
    expect(join({})).rejects.toThrow('cannot reach the API server at 127.0.0.2'));
});
