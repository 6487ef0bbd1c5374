/** The `kubernetes` plugin: answers the cluster's zones from services and endpoint slices. */
import type { EndpointSlice, Namespace, Service } from '../../../machinery/api/types.ts';
import { endpointSlices, namespaces, services } from '../../../machinery/client/resources.ts';
import type { InformerFactory } from '../../../machinery/informer/types.ts';
import { type Answer, emptyAnswer, type Handler } from '../chain.ts';
import { absolute, type Directive, seconds } from '../corefile.ts';
import { type ClusterView, type Lookup, lookup, type RecordOptions, reverseLookup, soaRecord } from './records.ts';

export interface KubernetesOptions extends RecordOptions {
  /** All zones answered, the cluster's own first. */
  zones: string[];
  /** Zones whose unknown names go on to the next plugin. */
  fallthrough: string[];
}

export function kubernetesOptions(directive: Directive): KubernetesOptions {
  const zones = directive.args.length ? directive.args.map(absolute) : ['cluster.local.'];
  const property = (name: string) => directive.properties.find((p) => p.name === name);
  const falls = property('fallthrough');
  const pods = property('pods')?.args[0] ?? 'disabled';
  return {
    zone: zones[0] as string,
    zones,
    ttl: seconds(property('ttl')?.args[0], 5),
    pods: pods === 'insecure' || pods === 'verified' ? pods : 'disabled',
    fallthrough: falls ? (falls.args.length ? falls.args.map(absolute) : ['.']) : [],
  };
}

/** Informers with the indexes that look-ups need. */
export function clusterView(factory: InformerFactory): ClusterView & { synced(): boolean } {
  const serviceInformer = factory.informer<Service>(services);
  const sliceInformer = factory.informer<EndpointSlice>(endpointSlices, {
    transform: (object) => ({ ...object, metadata: { ...object.metadata, managedFields: undefined } }),
  });
  const namespaceInformer = factory.informer<Namespace>(namespaces);
  const serviceOf = (slice: EndpointSlice) => slice.metadata?.labels?.['kubernetes.io/service-name'];
  serviceInformer.addIndex('clusterIP', (s) => (s.spec?.clusterIPs ?? []).filter((ip) => ip && ip !== 'None'));
  sliceInformer.addIndex('service', (slice) => {
    const service = serviceOf(slice);
    return service ? [`${slice.metadata?.namespace}/${service}`] : [];
  });
  sliceInformer.addIndex('address', (slice) => (slice.endpoints ?? []).flatMap((e) => e.addresses));
  return {
    service: (namespace, name) => serviceInformer.store.get(`${namespace}/${name}`),
    slices: (namespace, service) => sliceInformer.store.byIndex('service', `${namespace}/${service}`),
    hasNamespace: (namespace) => namespaceInformer.store.get(namespace) !== undefined,
    servicesByClusterIP: (ip) => serviceInformer.store.byIndex('clusterIP', ip),
    endpointNamesByIP: (ip) =>
      sliceInformer.store.byIndex('address', ip).flatMap((slice) => {
        const service = serviceOf(slice);
        return (slice.endpoints ?? [])
          .filter((e) => service && e.addresses.includes(ip))
          .map((e) => `${e.hostname || ip.replaceAll('.', '-')}.${service}.${slice.metadata?.namespace}`);
      }),
    synced: () => serviceInformer.hasSynced && sliceInformer.hasSynced && namespaceInformer.hasSynced,
  };
}

const below = (name: string, zone: string) => zone === '.' || name === zone || name.endsWith(`.${zone}`);

export function kubernetesHandler(view: ClusterView, options: KubernetesOptions): Handler {
  return async (query, next) => {
    const zone = options.zones.find((z) => below(query.name, z));
    if (!zone) return next(query);
    const reverse = zone.endsWith('.arpa.');
    const found: Lookup = reverse
      ? reverseLookup(view, options, query.name)
      : lookup(view, { ...options, zone }, query.name, query.type);
    if (!found && options.fallthrough.some((z) => below(query.name, z))) return next(query);
    const answer: Answer = { ...emptyAnswer(found ? 'NOERROR' : 'NXDOMAIN'), authoritative: true };
    if (!found?.records.length) {
      return {
        ...answer,
        answers: query.type === 'SOA' && query.name === zone ? [soaRecord(zone, options.ttl)] : [],
        authorities: [soaRecord(zone, options.ttl)],
      };
    }
    answer.answers = found.records;
    answer.additionals = found.additionals;
    if (found.cname) {
      // The target of an ExternalName service may lie in the cluster or anywhere else.
      const target = await resolveTarget(found.cname, query.type);
      if (target) answer.answers = [...answer.answers, ...target.answers];
    }
    return answer;

    async function resolveTarget(name: string, type: string): Promise<Answer | undefined> {
      const inside = options.zones.some((z) => below(name, z));
      const asked = { ...query, name, type };
      const got = inside ? await kubernetesHandler(view, options)(asked, next) : await next(asked);
      return got.code === 'NOERROR' ? got : undefined;
    }
  };
}
