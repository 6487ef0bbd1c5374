/** The objects of the add-ons: pod network, kube-proxy, cluster DNS, storage. */
import type { UnknownObject } from '../../machinery/api/types.ts';
import { configuredReference, type ImageSettings } from '../bundle/image-names.ts';
import { addressAt, parseCidr } from '../config/cidr.ts';
import { tokenGroups } from '../config/defaults.ts';
import { formatYaml } from '../config/format-yaml.ts';
import { overlay } from '../config/overlay.ts';
import { renderObjects } from '../config/templates.ts';
import type { InitConfiguration } from '../config/types.ts';
import { withConfigHash } from '../control-plane/component-config-hash.ts';
import { nodeServer } from '../kubeconfig/kubeconfig.ts';

export const bootstrapGroup = tokenGroups[0]!;

export function networkObjects(config: InitConfiguration): UnknownObject[] {
  const { backend, mtu } = config.host.network;
  const network = config.cluster.networking.podSubnet;
  return renderObjects('addons/network.yaml', {
    image: configuredReference('kinit-network', config.cluster),
    server: nodeServer(config),
    networkConfiguration: JSON.stringify({ network, backend, ...(mtu ? { mtu } : {}) }, null, 2),
  });
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

export function proxyObjects(config: InitConfiguration): UnknownObject[] {
  const objects = renderObjects('addons/kube-proxy.yaml', {
    bootstrapGroup,
    image: configuredReference('kube-proxy', config.cluster),
    server: nodeServer(config),
    proxyConfiguration: formatYaml(proxyConfiguration(config)),
  });
  return withConfigHash(objects, 'kube-proxy', Object.keys(config.proxy).length > 0);
}

export function dnsObjects(config: InitConfiguration): UnknownObject[] {
  const { networking } = config.cluster;
  const services = parseCidr(networking.serviceSubnet);
  return renderObjects('addons/coredns.yaml', {
    dnsAddress: services ? addressAt(services, 10) : '',
    dnsDomain: networking.dnsDomain,
    image: configuredReference('coredns/coredns', config.cluster),
  });
}

export function localPathObjects(images: ImageSettings, directory: string): UnknownObject[] {
  return renderObjects('addons/local-path.yaml', {
    image: configuredReference('local-path-provisioner', images),
    directory,
  });
}
