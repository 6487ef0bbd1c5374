/** The static pods of kube-apiserver, kube-controller-manager and kube-scheduler, as kubeadm v1.36 writes them. */
import { isIPv6 } from 'node:net';
import type { Probe, Volume } from '../../machinery/api/types.ts';
import { configuredReference, type ImageName } from '../bundle/image-names.ts';
import { joinHostPort } from '../config/cidr.ts';
import { parseDuration } from '../config/duration.ts';
import { auditPaths, encryptionFile, kubeconfigPaths } from '../config/paths.ts';
import { renderTemplate } from '../config/templates.ts';
import type { ControlPlaneComponent, InitConfiguration } from '../config/types.ts';
import { argumentValue } from '../config/validate.ts';
import { externalEtcdArguments, externalEtcdMounts } from '../etcd/external.ts';
import { buildArguments } from './arguments.ts';
import { auditArguments } from './audit.ts';
import type { Identity } from './identities.ts';
import { livenessProbe, readinessProbe, startupProbe } from './probes.ts';
import { extraMounts, type Mount, type MountPoint, volumeMounts, volumes } from './volumes.ts';

export type ControlPlaneName = 'kube-apiserver' | 'kube-controller-manager' | 'kube-scheduler';

export const flexVolumeFolder = '/usr/libexec/kubernetes/kubelet-plugins/volume/exec';

/** What the templates of static pods take. */
export interface StaticPodValues {
  arguments: string[];
  env: unknown[] | undefined;
  image: string;
  imagePullPolicy: string;
  /** Absent: root. */
  identity?: Identity | undefined;
  livenessProbe: Probe;
  readinessProbe: Probe | undefined;
  startupProbe: Probe;
  probePort: number;
  cpu: string;
  memory: string | undefined;
  volumeMounts: MountPoint[];
  volumes: Volume[];
  endpoint?: string;
  advertiseClientUrl?: string;
}

const loopback = (config: InitConfiguration) =>
  isIPv6(config.localAPIEndpoint.advertiseAddress) ? '::1' : '127.0.0.1';

/** What manifests depend on beside the configuration: files and users of this host. */
export interface HostFiles {
  /** The authority's key is here; absent: it is. */
  signs?: boolean;
  /** The cluster encrypts secrets in etcd. */
  encryption?: boolean;
  /** kinit's audit log is on. */
  audit?: boolean;
  /** As whom the component runs; absent: as root. */
  identity?: Identity | undefined;
}

export function apiServerArguments({ cluster, localAPIEndpoint }: InitConfiguration, files: HostFiles = {}): string[] {
  const pki = cluster.certificatesDir;
  const etcdHost = isIPv6(localAPIEndpoint.advertiseAddress) ? '[::1]' : '127.0.0.1';
  return buildArguments(
    {
      'advertise-address': localAPIEndpoint.advertiseAddress,
      'allow-privileged': 'true',
      ...(files.audit ? auditArguments : {}),
      'authorization-mode': 'Node,RBAC',
      'client-ca-file': `${pki}/ca.crt`,
      'enable-admission-plugins': 'NodeRestriction',
      'enable-bootstrap-token-auth': 'true',
      ...(files.encryption
        ? {
            'encryption-provider-config': encryptionFile(pki),
            'encryption-provider-config-automatic-reload': 'true',
          }
        : {}),
      ...(cluster.etcd.external
        ? externalEtcdArguments(cluster.etcd.external)
        : {
            'etcd-cafile': `${pki}/etcd/ca.crt`,
            'etcd-certfile': `${pki}/apiserver-etcd-client.crt`,
            'etcd-keyfile': `${pki}/apiserver-etcd-client.key`,
            'etcd-servers': `https://${etcdHost}:2379`,
          }),
      'kubelet-client-certificate': `${pki}/apiserver-kubelet-client.crt`,
      'kubelet-client-key': `${pki}/apiserver-kubelet-client.key`,
      'kubelet-preferred-address-types': 'InternalIP,ExternalIP,Hostname',
      'proxy-client-cert-file': `${pki}/front-proxy-client.crt`,
      'proxy-client-key-file': `${pki}/front-proxy-client.key`,
      'requestheader-allowed-names': 'front-proxy-client',
      'requestheader-client-ca-file': `${pki}/front-proxy-ca.crt`,
      'requestheader-extra-headers-prefix': 'X-Remote-Extra-',
      'requestheader-group-headers': 'X-Remote-Group',
      'requestheader-username-headers': 'X-Remote-User',
      'secure-port': String(localAPIEndpoint.bindPort),
      'service-account-issuer': `https://kubernetes.default.svc.${cluster.networking.dnsDomain}`,
      'service-account-key-file': `${pki}/sa.pub`,
      'service-account-signing-key-file': `${pki}/sa.key`,
      'service-cluster-ip-range': cluster.networking.serviceSubnet,
      'tls-cert-file': `${pki}/apiserver.crt`,
      'tls-private-key-file': `${pki}/apiserver.key`,
    },
    cluster.apiServer.extraArgs,
  );
}

/** @param signs false when the authority's key is elsewhere: an empty file turns the signing controller off */
export function controllerManagerArguments(config: InitConfiguration, signs = true): string[] {
  const { cluster } = config;
  const pki = cluster.certificatesDir;
  const kubeconfig = kubeconfigPaths.controllerManager;
  return buildArguments(
    {
      'allocate-node-cidrs': 'true',
      'authentication-kubeconfig': kubeconfig,
      'authorization-kubeconfig': kubeconfig,
      'bind-address': loopback(config),
      'client-ca-file': `${pki}/ca.crt`,
      'cluster-cidr': cluster.networking.podSubnet,
      'cluster-name': cluster.clusterName,
      'cluster-signing-cert-file': signs ? `${pki}/ca.crt` : '',
      'cluster-signing-key-file': signs ? `${pki}/ca.key` : '',
      controllers: '*,bootstrapsigner,tokencleaner',
      kubeconfig,
      'leader-elect': 'true',
      'requestheader-client-ca-file': `${pki}/front-proxy-ca.crt`,
      'root-ca-file': `${pki}/ca.crt`,
      'service-account-private-key-file': `${pki}/sa.key`,
      'service-cluster-ip-range': cluster.networking.serviceSubnet,
      'use-service-account-credentials': 'true',
    },
    cluster.controllerManager.extraArgs,
  );
}

export function schedulerArguments(config: InitConfiguration): string[] {
  const kubeconfig = kubeconfigPaths.scheduler;
  return buildArguments(
    {
      'authentication-kubeconfig': kubeconfig,
      'authorization-kubeconfig': kubeconfig,
      'bind-address': loopback(config),
      kubeconfig,
      'leader-elect': 'true',
    },
    config.cluster.scheduler.extraArgs,
  );
}

interface Shape {
  image: ImageName;
  settings: ControlPlaneComponent;
  arguments: string[];
  cpu: string;
  probeHost: string;
  probePort: number;
  livePath: string;
  readyPath?: string;
  mounts: Mount[];
}

const auditMounts: Mount[] = [
  { name: 'audit-policy', path: auditPaths.policy, readOnly: true, type: 'File' },
  { name: 'audit-logs', path: auditPaths.logs, type: 'DirectoryOrCreate' },
];

function shapeOf(name: ControlPlaneName, config: InitConfiguration, trust: Mount[], files: HostFiles): Shape {
  const { cluster, localAPIEndpoint } = config;
  const pki: Mount = { name: 'k8s-certs', path: cluster.certificatesDir, readOnly: true, type: 'DirectoryOrCreate' };
  const kubeconfig = (path: string): Mount => ({ name: 'kubeconfig', path, readOnly: true, type: 'FileOrCreate' });
  const probeHost = (settings: ControlPlaneComponent) =>
    argumentValue(settings.extraArgs, 'bind-address') ?? loopback(config);
  switch (name) {
    case 'kube-apiserver':
      return {
        image: name,
        settings: cluster.apiServer,
        arguments: apiServerArguments(config, files),
        cpu: '250m',
        probeHost: localAPIEndpoint.advertiseAddress,
        probePort: localAPIEndpoint.bindPort,
        livePath: '/livez',
        readyPath: '/readyz',
        mounts: [...trust, pki, ...externalEtcdMounts(cluster), ...(files.audit ? auditMounts : [])],
      };
    case 'kube-controller-manager':
      return {
        image: name,
        settings: cluster.controllerManager,
        arguments: controllerManagerArguments(config, files.signs ?? true),
        cpu: '200m',
        probeHost: probeHost(cluster.controllerManager),
        probePort: 10257,
        livePath: '/healthz',
        mounts: [
          ...trust,
          { name: 'flexvolume-dir', path: flexVolumeFolder, type: 'DirectoryOrCreate' },
          pki,
          kubeconfig(kubeconfigPaths.controllerManager),
        ],
      };
    case 'kube-scheduler':
      return {
        image: name,
        settings: cluster.scheduler,
        arguments: schedulerArguments(config),
        cpu: '100m',
        probeHost: probeHost(cluster.scheduler),
        probePort: 10259,
        livePath: '/livez',
        readyPath: '/readyz',
        mounts: [kubeconfig(kubeconfigPaths.scheduler)],
      };
  }
}

/**
 * The manifest's text.
 * @param trust the host's trust store, from `trustStoreMounts`
 * @param files what is on this host
 */
export function controlPlaneManifest(
  name: ControlPlaneName,
  config: InitConfiguration,
  trust: Mount[],
  files: HostFiles = {},
): string {
  const shape = shapeOf(name, config, trust, files);
  const mounts = [...shape.mounts, ...extraMounts(shape.settings.extraVolumes)];
  const startMs = parseDuration(config.timeouts.controlPlaneComponentHealthCheck) ?? 240_000;
  const values: StaticPodValues = {
    arguments: shape.arguments,
    env: shape.settings.extraEnvs.length ? shape.settings.extraEnvs : undefined,
    image: configuredReference(shape.image, config.cluster),
    imagePullPolicy: 'IfNotPresent',
    identity: files.identity,
    livenessProbe: livenessProbe(shape.probeHost, shape.livePath),
    readinessProbe: shape.readyPath ? readinessProbe(shape.probeHost, shape.readyPath) : undefined,
    startupProbe: startupProbe(shape.probeHost, shape.livePath, startMs),
    probePort: shape.probePort,
    cpu: shape.cpu,
    memory: undefined,
    volumeMounts: volumeMounts(mounts),
    volumes: volumes(mounts),
    endpoint: joinHostPort(config.localAPIEndpoint.advertiseAddress, config.localAPIEndpoint.bindPort),
  };
  return renderTemplate(`static-pods/${name}.yaml`, values);
}
