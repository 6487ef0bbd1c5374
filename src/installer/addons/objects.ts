/** The objects of the add-ons: pod network, kube-proxy, cluster DNS, metrics, storage. */
import { createHash } from 'node:crypto';
import type { UnknownObject } from '../../machinery/api/types.ts';
import { configuredReference } from '../bundle/image-names.ts';
import type { ValuesOf } from '../config/addon-values.ts';
import { addressAt, parseCidr } from '../config/cidr.ts';
import { tokenGroups } from '../config/defaults.ts';
import { formatYaml } from '../config/format-yaml.ts';
import { overlay } from '../config/overlay.ts';
import { renderObjects } from '../config/templates.ts';
import type { InitConfiguration } from '../config/types.ts';
import { withConfigHash } from '../control-plane/component-config-hash.ts';
import { nodeServer } from '../kubeconfig/kubeconfig.ts';
import { corefile } from './corefile.ts';

export const bootstrapGroup = tokenGroups[0]!;

export function networkObjects(config: InitConfiguration, values: ValuesOf<'network'> = {}): UnknownObject[] {
  const { backend, mtu } = { ...config.host.network, ...values };
  const network = config.cluster.networking.podSubnet;
  const objects = renderObjects('addons/network.yaml', {
    image: configuredReference('kinit-network', config.cluster),
    server: nodeServer(config),
    networkConfiguration: JSON.stringify({ network, backend, ...(mtu ? { mtu } : {}) }, null, 2),
  });
  return restartedByConfiguration(objects);
}

/** As kubeadm marshals it; the user's KubeProxyConfiguration is laid over it. */
export function proxyConfiguration(config: InitConfiguration): Record<string, unknown> {
  const defaults = {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    bindAddress: '0.0.0.0',
    bindAddressHardFail: false,
    clientConnection: {
      acceptContentTypes: '',
      burst: 0,
      contentType: '',
      kubeconfig: '/var/lib/kube-proxy/kubeconfig.conf',
      qps: 0,
    },
    clusterCIDR: config.cluster.networking.podSubnet,
    configSyncPeriod: '0s',
    conntrack: { maxPerCore: null, min: null, tcpCloseWaitTimeout: null, tcpEstablishedTimeout: null },
    detectLocal: { bridgeInterface: '', interfaceNamePrefix: '' },
    detectLocalMode: '',
    enableProfiling: false,
    healthzBindAddress: '',
    hostnameOverride: '',
    iptables: { masqueradeAll: false, masqueradeBit: null, minSyncPeriod: '0s', syncPeriod: '0s' },
    ipvs: { excludeCIDRs: null, minSyncPeriod: '0s', scheduler: '', strictARP: false, syncPeriod: '0s' },
    metricsBindAddress: '',
    mode: '',
    nftables: { masqueradeAll: false, masqueradeBit: null, minSyncPeriod: '0s', syncPeriod: '0s' },
    nodePortAddresses: null,
    oomScoreAdj: null,
    portRange: '',
    showHiddenMetricsForVersion: '',
  };
  return overlay(defaults, config.proxy);
}

/** Values of the add-on as fields of KubeProxyConfiguration. */
function proxyFields(values: ValuesOf<'proxy'>): Record<string, unknown> {
  const { mode, metricsBindAddress, syncPeriod, minSyncPeriod, masqueradeAll, localhostNodePorts } = values;
  const given = (fields: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  const iptables = given({ syncPeriod, minSyncPeriod, masqueradeAll, localhostNodePorts });
  return { ...given({ mode, metricsBindAddress }), ...(Object.keys(iptables).length ? { iptables } : {}) };
}

export function proxyObjects(plain: InitConfiguration, values: ValuesOf<'proxy'> = {}): UnknownObject[] {
  const config = { ...plain, proxy: overlay(plain.proxy, proxyFields(values)) };
  const objects = renderObjects('addons/kube-proxy.yaml', {
    bootstrapGroup,
    image: configuredReference('kube-proxy', config.cluster),
    server: nodeServer(config),
    proxyConfiguration: formatYaml(proxyConfiguration(config)),
  });
  return restartedByConfiguration(withConfigHash(objects, 'kube-proxy', Object.keys(config.proxy).length > 0));
}

const defaultDnsReplicas = 2;

export function dnsObjects(config: InitConfiguration, values: ValuesOf<'dns'> = {}): UnknownObject[] {
  const { networking } = config.cluster;
  const services = parseCidr(networking.serviceSubnet);
  return renderObjects('addons/coredns.yaml', {
    dnsAddress: services ? addressAt(services, 10) : '',
    corefile: corefile(networking.dnsDomain, values),
    replicas: values.replicas ?? defaultDnsReplicas,
    image: configuredReference('coredns/coredns', config.cluster),
  });
}

export function metricsServerObjects(
  config: InitConfiguration,
  { replicas = 1, resolution = '15s' }: ValuesOf<'metrics-server'> = {},
): UnknownObject[] {
  return renderObjects('addons/metrics-server.yaml', {
    image: configuredReference('metrics-server', config.cluster),
    replicas,
    resolution,
  });
}

export function localPathObjects(config: InitConfiguration, values: ValuesOf<'local-path'> = {}): UnknownObject[] {
  return renderObjects('addons/local-path.yaml', {
    image: configuredReference('local-path-provisioner', config.cluster),
    directory: values.directory ?? config.host.storage.directory,
    defaultClass: values.defaultClass ?? true,
  });
}

const configurationAnnotation = 'kinit.local/configuration';

/** Programs that read their configuration once: pods are made anew when it changes. */
function restartedByConfiguration(objects: UnknownObject[]): UnknownObject[] {
  const data = objects.filter(({ kind }) => kind === 'ConfigMap').map((map) => (map as { data?: unknown }).data);
  const hash = createHash('sha256').update(JSON.stringify(data)).digest('hex').slice(0, 16);
  return objects.map((object) => {
    if (object.kind !== 'DaemonSet') return object;
    const { spec } = object as UnknownObject & { spec: { template: { metadata: { annotations?: object } } } };
    const annotations = { ...spec.template.metadata.annotations, [configurationAnnotation]: hash };
    const template = { ...spec.template, metadata: { ...spec.template.metadata, annotations } };
    return { ...object, spec: { ...spec, template } };
  });
}
