/** Defaults of the apps group. */
import { ensureObject, type Fields, listAt, setDefault } from './fields.ts';
import { defaultPodTemplate } from './pods.ts';
import { defaultClaim } from './volumes.ts';

const revisionHistoryLimit = 10;

function defaultDeployment(deployment: Fields): void {
  const spec = ensureObject(deployment, 'spec');
  setDefault(spec, 'replicas', 1);
  const strategy = ensureObject(spec, 'strategy');
  setDefault(strategy, 'type', 'RollingUpdate', '');
  if (strategy['type'] === 'RollingUpdate') {
    const rolling = ensureObject(strategy, 'rollingUpdate');
    setDefault(rolling, 'maxUnavailable', '25%');
    setDefault(rolling, 'maxSurge', '25%');
  }
  setDefault(spec, 'revisionHistoryLimit', revisionHistoryLimit);
  setDefault(spec, 'progressDeadlineSeconds', 600);
  defaultPodTemplate(spec);
}

function defaultDaemonSet(daemonSet: Fields): void {
  const spec = ensureObject(daemonSet, 'spec');
  const strategy = ensureObject(spec, 'updateStrategy');
  setDefault(strategy, 'type', 'RollingUpdate', '');
  if (strategy['type'] === 'RollingUpdate') {
    const rolling = ensureObject(strategy, 'rollingUpdate');
    setDefault(rolling, 'maxUnavailable', 1);
    setDefault(rolling, 'maxSurge', 0);
  }
  setDefault(spec, 'revisionHistoryLimit', revisionHistoryLimit);
  defaultPodTemplate(spec);
}

function defaultStatefulSet(statefulSet: Fields): void {
  const spec = ensureObject(statefulSet, 'spec');
  setDefault(spec, 'podManagementPolicy', 'OrderedReady', '');
  const strategy = ensureObject(spec, 'updateStrategy');
  setDefault(strategy, 'type', 'RollingUpdate', '');
  if (strategy['type'] === 'RollingUpdate') {
    const rolling = ensureObject(strategy, 'rollingUpdate');
    setDefault(rolling, 'partition', 0);
    setDefault(rolling, 'maxUnavailable', 1);
  }
  const retention = ensureObject(spec, 'persistentVolumeClaimRetentionPolicy');
  setDefault(retention, 'whenDeleted', 'Retain', '');
  setDefault(retention, 'whenScaled', 'Retain', '');
  setDefault(spec, 'replicas', 1);
  setDefault(spec, 'revisionHistoryLimit', revisionHistoryLimit);
  defaultPodTemplate(spec);
  for (const claim of listAt(spec, 'volumeClaimTemplates')) defaultClaim(claim);
}

function defaultReplicaSet(replicaSet: Fields): void {
  const spec = ensureObject(replicaSet, 'spec');
  setDefault(spec, 'replicas', 1);
  defaultPodTemplate(spec);
}

export const appsDefaults: Record<string, (object: Fields) => void> = {
  'apps/v1/DaemonSet': defaultDaemonSet,
  'apps/v1/Deployment': defaultDeployment,
  'apps/v1/ReplicaSet': defaultReplicaSet,
  'apps/v1/StatefulSet': defaultStatefulSet,
};
