import { load } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { noConfig, parseConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit } from '../../../src/installer/config/resolve.ts';
import { type ControlPlaneName, controlPlaneManifest } from '../../../src/installer/control-plane/static-pods.ts';
import { etcdManifest } from '../../../src/installer/etcd/static-pod.ts';
import type { Pod } from '../../../src/machinery/api/types.ts';

const identity = { hostname: 'cp1', address: '10.0.0.11' };
const config = resolveInit({}, noConfig, identity, []);
const trust = [{ name: 'ca-certs', path: '/etc/ssl/certs', readOnly: true, type: 'DirectoryOrCreate' }];
const podOf = (text: string) => load(text) as Pod;
const pod = (name: ControlPlaneName, from = config) => podOf(controlPlaneManifest(name, from, trust));
const names: ControlPlaneName[] = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'];

describe('static pods', () => {
  it.each([...names.map((name) => [name, pod(name)] as const), ['etcd', podOf(etcdManifest(config))] as const])(
    '%s is critical, on the host network, with the default seccomp profile',
    (name, { metadata, spec }) => {
      expect(metadata).toMatchObject({
        name,
        namespace: 'kube-system',
        labels: { component: name, tier: 'control-plane' },
      });
      expect(spec).toMatchObject({
        hostNetwork: true,
        priority: 2000001000,
        priorityClassName: 'system-node-critical',
        securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
      });
      const [container] = spec!.containers;
      expect(container!.command![0]).toBe(name);
      expect(container!.ports).toEqual([
        { containerPort: container!.ports![0]!.containerPort, name: 'probe-port', protocol: 'TCP' },
      ]);
      for (const probe of [container!.livenessProbe, container!.startupProbe]) {
        expect(probe).toMatchObject({ httpGet: { port: 'probe-port' }, periodSeconds: 10, timeoutSeconds: 15 });
      }
      expect(container!.startupProbe!.failureThreshold).toBe(24);
      const mounted = container!.volumeMounts!.map((mount) => mount.name).sort();
      expect(spec!.volumes!.map((volume) => volume.name).sort()).toEqual(mounted);
      const flags = container!.command!.slice(1);
      expect(flags).toEqual([...flags].sort());
    },
  );

  it('are annotated with their addresses', () => {
    expect(pod('kube-apiserver').metadata!.annotations).toEqual({
      'kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint': '10.0.0.11:6443',
    });
    expect(podOf(etcdManifest(config)).metadata!.annotations).toEqual({
      'kubeadm.kubernetes.io/etcd.advertise-client-urls': 'https://10.0.0.11:2379',
    });
  });

  it('probe each component where it listens', () => {
    const probes = names.map((name) => {
      const container = pod(name).spec!.containers[0]!;
      const { host, path } = container.livenessProbe!.httpGet!;
      return [`${host}:${container.ports![0]!.containerPort}${path}`, container.readinessProbe?.httpGet?.path];
    });
    expect(probes).toEqual([
      ['10.0.0.11:6443/livez', '/readyz'],
      ['127.0.0.1:10257/healthz', undefined],
      ['127.0.0.1:10259/livez', '/readyz'],
    ]);
  });

  it('take extra arguments, volumes and environment from the configuration', () => {
    const text = `apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
apiServer:
  extraArgs:
  - {name: v, value: "4"}
  - {name: authorization-mode, value: "Node,RBAC,Webhook"}
  extraVolumes:
  - {name: audit, hostPath: /var/log/audit, mountPath: /audit, pathType: DirectoryOrCreate}
  extraEnvs:
  - {name: TZ, value: UTC}
etcd:
  local:
    imageTag: 3.6.5-0
`;
    const from = resolveInit({}, parseConfig(text, 'c.yaml'), identity, []);
    const { spec } = pod('kube-apiserver', from);
    const [container] = spec!.containers;
    expect(container!.command).toContain('--v=4');
    expect(container!.command!.filter((flag) => flag.startsWith('--authorization-mode'))).toEqual([
      '--authorization-mode=Node,RBAC,Webhook',
    ]);
    expect(container!.env).toEqual([{ name: 'TZ', value: 'UTC' }]);
    expect(container!.volumeMounts).toContainEqual({ mountPath: '/audit', name: 'audit' });
    expect(spec!.volumes).toContainEqual({
      name: 'audit',
      hostPath: { path: '/var/log/audit', type: 'DirectoryOrCreate' },
    });
    const etcd = podOf(etcdManifest(from)).spec!.containers[0]!;
    expect(etcd.image).toBe('kinit.local/etcd:3.6.5-0');
    expect(etcd.command).toContain('--feature-gates=InitialCorruptCheck=true');
  });

  it('work on IPv6 hosts', () => {
    const from = resolveInit(
      { serviceCidr: 'fd00:96::/112', podNetworkCidr: 'fd00:244::/56' },
      noConfig,
      { hostname: 'cp1', address: 'fd00::11' },
      [],
    );
    expect(podOf(etcdManifest(from)).spec!.containers[0]!.command).toContain(
      '--listen-client-urls=https://[::1]:2379,https://[fd00::11]:2379',
    );
    expect(pod('kube-scheduler', from).spec!.containers[0]!.livenessProbe!.httpGet!.host).toBe('::1');
  });
});
