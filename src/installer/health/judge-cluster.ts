/** From what was seen of the cluster, and of all hosts together, to what is wrong. */
import type { ClusterObservation, HostReport, Problem } from './types.ts';

type Found = Omit<Problem, 'where'>;

/** Certificates and leases go wrong from here on. */
const skewLimitSeconds = 5;
const leaderSilentSeconds = 30;

function api({ apiError, endpoint }: ClusterObservation): Found[] {
  if (apiError === undefined) return [];
  return [
    {
      id: 'api-silent',
      level: 'error',
      message: `the API server at ${endpoint} does not answer as it should`,
      seen: apiError,
      advice: 'look at the components of the control planes above; without etcd it does not become ready',
    },
  ];
}

function nodes({ nodes: all }: ClusterObservation): Found[] {
  return all.flatMap(({ name, ready, message, pressures, unschedulable }): Found[] => [
    ...(ready
      ? []
      : [
          {
            id: 'node-not-ready',
            level: 'error' as const,
            message: `the node ${name} is not Ready`,
            seen: message,
            advice: `on it, look at: journalctl -u kubelet -n 50`,
          },
        ]),
    ...pressures.map((pressure) => ({
      id: 'node-pressure',
      level: 'warning' as const,
      message: `the node ${name} reports ${pressure}`,
      advice: 'the kubelet evicts pods while this lasts; free what is short',
    })),
    ...(unschedulable
      ? [
          {
            id: 'node-cordoned',
            level: 'warning' as const,
            message: `the node ${name} takes no new pods (cordoned)`,
            advice: `when its maintenance is over: kubectl uncordon ${name}`,
          },
        ]
      : []),
  ]);
}

/** As upstream allows: a kubelet is never newer than the API server, and at most three minor versions older. */
function skew({ nodes: all, version: server = '' }: ClusterObservation): Found[] {
  const minorOf = (version: string) => Number(/^v?\d+\.(\d+)/.exec(version)?.[1] ?? Number.NaN);
  const newest = minorOf(server);
  return all.flatMap(({ name, version }): Found[] => {
    const minor = minorOf(version);
    const tooNew = minor > newest;
    if (!tooNew && !(newest - minor > 3)) return [];
    return [
      {
        id: 'version-skew',
        level: 'error',
        message: `the kubelet of ${name} is too ${tooNew ? 'new' : 'old'} for the API server`,
        seen: `${version}, the API server ${server}`,
        advice: tooNew
          ? 'upgrade the control planes first: kinit upgrade apply'
          : `upgrade it, on ${name}: kinit upgrade node`,
      },
    ];
  });
}

function pods({ troubles }: ClusterObservation): Found[] {
  return troubles.map(({ namespace, name, container, reason, message, restarts, lastLines, node }) => ({
    id: namespace === 'kube-system' ? 'system-pod' : 'pod',
    level: namespace === 'kube-system' ? 'error' : 'warning',
    message: `${namespace}/${name}${container ? `, container ${container}` : ''}: ${reason}${restarts ? `, ${restarts} restarts` : ''}${node ? ` (on ${node})` : ''}`,
    seen: [message, ...lastLines].filter(Boolean).join('\n'),
    advice: `kubectl -n ${namespace} describe pod ${name}`,
  }));
}

function leaders({ leaders: all, apiError }: ClusterObservation): Found[] {
  if (apiError !== undefined) return [];
  return all
    .filter(
      ({ holder, renewedSecondsAgo = Number.POSITIVE_INFINITY }) => !holder || renewedSecondsAgo > leaderSilentSeconds,
    )
    .map(({ component, holder, renewedSecondsAgo }) => ({
      id: 'leader-silent',
      level: 'error',
      message: holder
        ? `${component} on ${holder} has not renewed its lead for ${renewedSecondsAgo} s`
        : `no ${component} leads`,
      advice: `kubectl -n kube-system logs -l component=${component}`,
    }));
}

function dns({ dns: { answers, seen }, apiError }: ClusterObservation): Found[] {
  if (answers || apiError !== undefined) return [];
  return [
    {
      id: 'dns-silent',
      level: 'error',
      message: "the cluster's DNS does not answer",
      seen,
      advice:
        'kubectl -n kube-system get pods -l k8s-app=kube-dns -o wide; kubectl -n kube-system logs -l k8s-app=kube-dns',
    },
  ];
}

function requests({ pendingRequests }: ClusterObservation): Found[] {
  if (!pendingRequests.length) return [];
  return [
    {
      id: 'requests-pending',
      level: 'warning',
      message: `${pendingRequests.length} requests for certificates wait for somebody who approves them`,
      seen: pendingRequests.join('\n'),
      advice: 'look at who asks, then: kubectl certificate approve NAME',
    },
  ];
}

export function judgeCluster(cluster: ClusterObservation): Problem[] {
  return [api, nodes, skew, pods, leaders, dns, requests]
    .flatMap((judge) => judge(cluster))
    .map((problem) => ({ where: 'cluster', ...problem }));
}

/** What shows only when hosts are laid side by side. */
export function judgeHosts(hosts: readonly HostReport[]): Problem[] {
  const unreachable = hosts
    .filter(({ error }) => error !== undefined)
    .map(
      ({ name, error }): Problem => ({
        where: name,
        id: 'host-unreachable',
        level: 'error',
        message: 'the host cannot be looked at',
        seen: error as string,
        advice: 'see whether it runs and SSH answers',
      }),
    );
  const versions = new Map<string, string[]>();
  for (const { name, observation } of hosts) {
    if (!observation || observation.role === 'none') continue;
    versions.set(observation.kinitVersion, [...(versions.get(observation.kinitVersion) ?? []), name]);
  }
  if (versions.size < 2) return unreachable;
  return [
    ...unreachable,
    {
      where: 'cluster',
      id: 'versions-differ',
      level: 'warning',
      message: 'not all hosts have the same version',
      seen: [...versions].map(([version, names]) => `${version}: ${names.join(', ')}`).join('\n'),
      advice: 'bring them to one version with kinit up',
    },
  ];
}

/**
 * @param offsets how far each host's clock is before the workstation's, in seconds
 */
export function judgeClocks(offsets: ReadonlyMap<string, number>): Problem[] {
  const sorted = [...offsets].sort((a, b) => a[1] - b[1]);
  const median = sorted[Math.floor((sorted.length - 1) / 2)]?.[1] ?? 0;
  return sorted
    .filter(([, offset]) => Math.abs(offset - median) > skewLimitSeconds)
    .map(([where, offset]) => ({
      where,
      id: 'clock-skew',
      level: 'error',
      message: `the clock is ${Math.abs(offset - median).toFixed(0)} s ${offset > median ? 'ahead of' : 'behind'} the others`,
      advice: 'let chrony or systemd-timesyncd keep it',
    }));
}
