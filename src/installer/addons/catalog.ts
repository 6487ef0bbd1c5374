/** The add-ons that kinit brings: what they are for, what they are made of, and what is lost without them. */
import type { UnknownObject } from '../../machinery/api/types.ts';
import type { ImageName } from '../bundle/image-names.ts';
import { type AddonValues, type BuiltInAddon, builtInAddon, builtInAddons } from '../config/addon-values.ts';
import { nearestName } from '../config/nearest.ts';
import type { InitConfiguration } from '../config/types.ts';
import { KinitError } from '../errors.ts';
import { dnsObjects, localPathObjects, metricsServerObjects, networkObjects, proxyObjects } from './objects.ts';

export interface Addon {
  about: string;
  /** As kubeadm names it, after `addon/`. */
  phase: string;
  image: ImageName;
  /** Whether a cluster has it of which nobody has said anything. */
  usual(config: InitConfiguration): boolean;
  /** What holds when no value is given. */
  defaults(config: InitConfiguration): AddonValues;
  objects(config: InitConfiguration, values: AddonValues): UnknownObject[];
  /** What no longer works when it is turned off: asked about before. */
  breaks?: string;
}

export const addons: Record<BuiltInAddon, Addon> = {
  network: {
    about: 'pods of all nodes reach each other',
    phase: 'network',
    image: 'kinit-network',
    usual: () => true,
    defaults: ({ host }) => ({ ...host.network }),
    objects: networkObjects,
    breaks:
      'nodes that join or start anew stay NotReady and run no pods with addresses of their own, until another pod network is there; pods lose their routes to other nodes when these change',
  },
  proxy: {
    about: 'services lead to their pods',
    phase: 'kube-proxy',
    image: 'kube-proxy',
    usual: ({ cluster }) => !cluster.proxy.disabled,
    defaults: () => ({ mode: 'iptables' }),
    objects: proxyObjects,
    breaks:
      'services no longer follow their pods: cluster addresses and node ports lead to pods that are gone, also that of the API server and of the DNS',
  },
  dns: {
    about: 'names of services and pods',
    phase: 'coredns',
    image: 'coredns/coredns',
    usual: ({ cluster }) => !cluster.dns.disabled,
    defaults: () => ({ replicas: 2, upstreams: ['/etc/resolv.conf'], cache: 30 }),
    objects: dnsObjects,
    breaks: 'pods no longer find services, nor anything else, by name',
  },
  'metrics-server': {
    about: 'what nodes and pods use: kubectl top',
    phase: 'metrics-server',
    image: 'metrics-server',
    usual: () => false,
    defaults: () => ({ replicas: 1, resolution: '15s' }),
    objects: metricsServerObjects,
  },
  'local-path': {
    about: 'volumes in directories of the nodes: the default StorageClass',
    phase: 'local-path',
    image: 'local-path-provisioner',
    usual: ({ host }) => host.storage.provisioner === 'local-path',
    defaults: ({ host }) => ({ directory: host.storage.directory, defaultClass: true }),
    objects: localPathObjects,
  },
};

/** @throws KinitError Usage for a name that is none of kinit's add-ons */
export function requireBuiltIn(name: string, others: readonly string[] = []): BuiltInAddon {
  const found = builtInAddon(name);
  if (found) return found;
  const known = [...builtInAddons, ...others];
  const near = nearestName(name, known);
  throw new KinitError('Usage', `there is no add-on "${name}"`, {
    advice: near ? `did you mean "${near}"?` : `the add-ons are: ${known.join(', ')}`,
  });
}
