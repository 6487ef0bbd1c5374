/** Looks at the cluster from a control plane: nodes, pods of the system, leaders, DNS, requests for certificates. */
import { Resolver } from 'node:dns/promises';
import { isConditionTrue } from '../../machinery/api/conditions.ts';
import type { ContainerStatus, Lease, Node, Pod } from '../../machinery/api/types.ts';
import { certificateSigningRequests, leases, nodes, pods, services } from '../../machinery/client/resources.ts';
import type { Client } from '../../machinery/client/types.ts';
import { lastLineCount } from './components.ts';
import type { ClusterObservation, NodeObservation, PodTrouble } from './types.ts';

const timeoutMs = 8_000;
const rolePrefix = 'node-role.kubernetes.io/';

export function observeNode({ metadata, spec, status }: Node): NodeObservation {
  const conditions = status?.conditions ?? [];
  const ready = conditions.find(({ type }) => type === 'Ready');
  return {
    name: metadata?.name ?? '',
    ready: ready?.status === 'True',
    message: ready?.status === 'True' ? '' : (ready?.message ?? 'the kubelet has not reported yet'),
    unschedulable: spec?.unschedulable ?? false,
    roles: Object.keys(metadata?.labels ?? {})
      .filter((label) => label.startsWith(rolePrefix))
      .map((label) => label.slice(rolePrefix.length))
      .sort(),
    version: status?.nodeInfo?.kubeletVersion ?? '',
    address: status?.addresses?.find(({ type }) => type === 'InternalIP')?.address ?? '',
    pressures: conditions.filter(({ type, status }) => type !== 'Ready' && status === 'True').map(({ type }) => type),
  };
}

/** What is wrong with a container; undefined when it runs or has done its work. */
function containerTrouble({ state, lastState, ready }: ContainerStatus, pod: Pod) {
  const { waiting, terminated } = state ?? {};
  if (waiting && !['ContainerCreating', 'PodInitializing'].includes(waiting.reason ?? ''))
    return { reason: waiting.reason ?? 'Waiting', message: waiting.message ?? '' };
  if (terminated && terminated.exitCode !== 0 && pod.spec?.restartPolicy !== 'Never')
    return { reason: terminated.reason ?? 'Error', message: `exit code ${terminated.exitCode}` };
  const ended = lastState?.terminated;
  if (!ready && ended) return { reason: 'NotReady', message: `ended before with exit code ${ended.exitCode}` };
  return undefined;
}

const hasEnded = ({ status }: Pod) => status?.phase === 'Failed' || status?.phase === 'Succeeded';

/** Ended by its node (shut down, or short of something); its controller has made another one, which is looked at instead. */
const isReplaced = (pod: Pod) =>
  hasEnded(pod) &&
  pod.spec?.restartPolicy === 'Always' &&
  (pod.metadata?.ownerReferences ?? []).some(({ controller, kind }) => controller && kind !== 'Node');

/** @param now ms since 1970: a pod may be pending for a while */
export function podTroubles(pod: Pod, now: number): Omit<PodTrouble, 'lastLines'>[] {
  if (isReplaced(pod)) return [];
  const { metadata, spec, status } = pod;
  const base = { namespace: metadata?.namespace ?? '', name: metadata?.name ?? '', node: spec?.nodeName ?? '' };
  const statuses = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const found = statuses.flatMap((container) => {
    const trouble = containerTrouble(container, pod);
    return trouble ? [{ ...base, container: container.name, ...trouble, restarts: container.restartCount }] : [];
  });
  const ageMs = now - new Date(metadata?.creationTimestamp ?? now).getTime();
  if (found.length || status?.phase !== 'Pending' || ageMs < 60_000) return found;
  const unscheduled = status.conditions?.find(({ type, status: is }) => type === 'PodScheduled' && is === 'False');
  const message = unscheduled?.message ?? `waiting for ${Math.round(ageMs / 1000)} s`;
  return [{ ...base, container: '', reason: unscheduled?.reason ?? 'Pending', message, restarts: 0 }];
}

async function withLog(client: Client, trouble: Omit<PodTrouble, 'lastLines'>): Promise<PodTrouble> {
  const { namespace, name, container, restarts } = trouble;
  if (!container) return { ...trouble, lastLines: [] };
  const query = `container=${encodeURIComponent(container)}&tailLines=${lastLineCount}${restarts ? '&previous=true' : ''}`;
  const answer = await client
    .raw('GET', `/api/v1/namespaces/${namespace}/pods/${name}/log?${query}`, { timeoutMs })
    .catch(() => undefined);
  const lines = answer?.status === 200 ? answer.body.split('\n').filter((line) => line.trim() !== '') : [];
  return { ...trouble, lastLines: lines.slice(-lastLineCount) };
}

export function leaderOf(component: string, lease: Lease | undefined, now: number) {
  const { holderIdentity, renewTime } = lease?.spec ?? {};
  return {
    component,
    ...(holderIdentity ? { holder: holderIdentity.split('_')[0] ?? holderIdentity } : {}),
    ...(renewTime ? { renewedSecondsAgo: Math.max(0, Math.round((now - new Date(renewTime).getTime()) / 1000)) } : {}),
  };
}

/** Asks the cluster's DNS for the name that every cluster has. */
async function observeDns(client: Client, domain: string): Promise<ClusterObservation['dns']> {
  const service = await dnsAddress(client);
  const name = `kubernetes.default.svc.${domain}`;
  if (!service) return { answers: false, seen: 'there is no service kube-dns in kube-system' };
  const resolver = new Resolver({ timeout: 2_000, tries: 2 });
  resolver.setServers([service]);
  try {
    const addresses = await resolver.resolve4(name);
    return { service, answers: addresses.length > 0, seen: `${name} is ${addresses.join(', ')}` };
  } catch (error) {
    return {
      service,
      answers: false,
      seen: `${name} at ${service}: ${error instanceof Error ? error.message : error}`,
    };
  }
}

async function dnsAddress(client: Client): Promise<string | undefined> {
  const found = await client.resource(services).find({ namespace: 'kube-system', name: 'kube-dns' }, { timeoutMs });
  return found?.spec?.clusterIP;
}

/** @param domain of the cluster's names: `cluster.local` */
export async function observeCluster(client: Client, domain: string): Promise<ClusterObservation> {
  const { server: endpoint } = client.config;
  const none = { nodes: [], pods: { total: 0, running: 0 }, troubles: [], leaders: [], pendingRequests: [] };
  const silent = { answers: false, seen: 'not asked' };
  try {
    const ready = await client.raw('GET', '/readyz?verbose', { timeoutMs });
    if (ready.status !== 200) {
      const failed = ready.body.split('\n').filter((line) => line.startsWith('[-]'));
      return { endpoint, apiError: `HTTP ${ready.status}: ${failed.join('; ') || ready.body}`, ...none, dns: silent };
    }
    return { endpoint, ...(await readyCluster(client, domain)) };
  } catch (error) {
    const apiError = error instanceof Error ? error.message : String(error);
    return { endpoint, apiError, ...none, dns: silent };
  }
}

async function readyCluster(client: Client, domain: string): Promise<Omit<ClusterObservation, 'endpoint'>> {
  const lease = (name: string) => client.resource(leases).find({ namespace: 'kube-system', name }, { timeoutMs });
  const components = ['kube-controller-manager', 'kube-scheduler'];
  const [version, allNodes, allPods, requests, dns, ...held] = await Promise.all([
    client.raw('GET', '/version', { timeoutMs }),
    client.resource(nodes).list({ timeoutMs }),
    client.resource(pods).list({ timeoutMs }),
    client.resource(certificateSigningRequests).list({ timeoutMs }),
    observeDns(client, domain),
    ...components.map(lease),
  ]);
  const now = Date.now();
  const troubles = allPods.items.flatMap((pod) => podTroubles(pod, now));
  return {
    version: (JSON.parse(version.body) as { gitVersion?: string }).gitVersion ?? '',
    nodes: allNodes.items.map(observeNode),
    pods: {
      total: allPods.items.filter((pod) => !hasEnded(pod)).length,
      running: allPods.items.filter((pod) => isConditionTrue(pod.status?.conditions, 'Ready')).length,
    },
    troubles: await Promise.all(troubles.map((trouble) => withLog(client, trouble))),
    leaders: components.map((component, index) => leaderOf(component, held[index], now)),
    dns,
    pendingRequests: requests.items
      .filter(({ status }) => !status?.conditions?.length)
      .map(({ metadata, spec }) => `${metadata?.name} (${spec.signerName}, by ${spec.username})`),
  };
}
