/** Which controllers run: `--controllers=*,bootstrapsigner,-daemonset-controller`, with upstream's older names too. */
import { FlagError } from '../../../machinery/flags/flags.ts';

/** Names of before 1.28, still understood. */
const aliases: Record<string, string> = {
  'serviceaccount-token': 'serviceaccount-token-controller',
  endpoint: 'endpoints-controller',
  endpointslice: 'endpointslice-controller',
  endpointslicemirroring: 'endpointslice-mirroring-controller',
  replicationcontroller: 'replicationcontroller-controller',
  podgc: 'pod-garbage-collector-controller',
  resourcequota: 'resourcequota-controller',
  namespace: 'namespace-controller',
  serviceaccount: 'serviceaccount-controller',
  garbagecollector: 'garbage-collector-controller',
  daemonset: 'daemonset-controller',
  job: 'job-controller',
  deployment: 'deployment-controller',
  replicaset: 'replicaset-controller',
  horizontalpodautoscaling: 'horizontal-pod-autoscaler-controller',
  disruption: 'disruption-controller',
  statefulset: 'statefulset-controller',
  cronjob: 'cronjob-controller',
  csrsigning: 'certificatesigningrequest-signing-controller',
  csrapproving: 'certificatesigningrequest-approving-controller',
  csrcleaner: 'certificatesigningrequest-cleaner-controller',
  ttl: 'ttl-controller',
  bootstrapsigner: 'bootstrap-signer-controller',
  tokencleaner: 'token-cleaner-controller',
  nodeipam: 'node-ipam-controller',
  nodelifecycle: 'node-lifecycle-controller',
  persistentvolume: 'persistentvolume-binder-controller',
  persistentvolumebinder: 'persistentvolume-binder-controller',
  attachdetach: 'persistentvolume-attach-detach-controller',
  persistentvolumeexpander: 'persistentvolume-expander-controller',
  clusterroleaggregation: 'clusterrole-aggregation-controller',
  pvcprotection: 'persistentvolumeclaim-protection-controller',
  pvprotection: 'persistentvolume-protection-controller',
  ttlafterfinished: 'ttl-after-finished-controller',
  rootcacertpublisher: 'root-ca-certificate-publisher-controller',
  ephemeralvolume: 'ephemeral-volume-controller',
};

/** Only on when named, as upstream. */
const offByDefault = new Set(['bootstrap-signer-controller', 'token-cleaner-controller']);

/** Upstream's, whether they exist here or not: naming one of these is no mistake. */
const knownElsewhere = new Set([
  ...Object.values(aliases),
  'legacy-serviceaccount-token-cleaner-controller',
  'validatingadmissionpolicy-status-controller',
  'service-cidr-controller',
  'taint-eviction-controller',
  'device-taint-eviction-controller',
  'resourceclaim-controller',
  'storage-version-migrator-controller',
  'selinux-warning-controller',
  'kube-apiserver-serving-clustertrustbundle-publisher-controller',
  'podcertificaterequest-cleaner-controller',
  'volumeattributesclass-protection-controller',
  'storageversion-garbage-collector-controller',
]);

/** Answers whether a controller is enabled. Throws FlagError for a name that nobody knows. */
export function enabledControllers(selection: string[], names: string[]): (name: string) => boolean {
  const on = new Set<string>();
  const off = new Set<string>();
  for (const word of selection) {
    if (word === '*') continue;
    const plain = word.replace(/^-/, '');
    const name = aliases[plain] ?? plain;
    if (!knownElsewhere.has(name) && !names.includes(name))
      throw new FlagError(`"${plain}" is not in the list of known controllers`);
    (word.startsWith('-') ? off : on).add(name);
  }
  const all = selection.includes('*');
  return (name) => on.has(name) || (!off.has(name) && all && !offByDefault.has(name));
}
