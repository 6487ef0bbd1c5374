/** `kinit init`: what happens to a host that becomes a control plane, in this order. */
import { ownManifests } from '../addons/converge-own.ts';
import { checkExternalAuthorities, describeExternal } from '../pki/external.ts';
import { certificatePhases } from './certs.ts';
import { clusterPhases, currentJoinCommand, waitNode } from './cluster.ts';
import type { InitContext } from './context.ts';
import { controlPlanePhases, usersPhase } from './control-plane.ts';
import type { Phase } from './engine.ts';
import { etcdSnapshots } from './etcd-snapshots.ts';
import { hostPhases } from './host.ts';
import { kubeconfigPhases } from './kubeconfig.ts';
import { kubeletFinalize, kubeletStart } from './kubelet.ts';
import { initLocalEndpoint, virtualIp } from './local-endpoint.ts';
import { checkSettings, preflight } from './preflight.ts';
import { controlPlaneImagePhases, runtimePhases } from './runtime.ts';
import { uploadCerts } from './upload-certs.ts';

const preflightPhase: Phase<InitContext> = {
  name: 'preflight',
  title: 'Check the host',
  async run(context) {
    await preflight(context, checkSettings(context), context.node.ignorePreflightErrors);
    await ownManifests(context.config);
    const external = await checkExternalAuthorities(context.host, context.config);
    if (external.length) context.warn(describeExternal(context.config.cluster.certificatesDir, external));
    await context.changes.journal.record({ kind: 'note', what: 'init' });
    return false;
  },
};

/** The line itself stands in the last event and at the end of the output. */
const showJoinCommand: Phase<InitContext> = {
  name: 'show-join-command',
  title: 'Make the command for joining nodes',
  after: ['bootstrap-token'],
  needed: ({ host }) => !host.dryRun,
  async run(context) {
    context.joinCommand = await currentJoinCommand(context);
    return false;
  },
};

export const initPhases: readonly Phase<InitContext>[] = [
  preflightPhase,
  ...hostPhases,
  usersPhase,
  ...runtimePhases,
  ...controlPlaneImagePhases,
  ...certificatePhases,
  ...kubeconfigPhases,
  initLocalEndpoint,
  kubeletStart,
  ...controlPlanePhases,
  virtualIp,
  etcdSnapshots,
  ...clusterPhases,
  uploadCerts,
  waitNode,
  kubeletFinalize,
  showJoinCommand,
];

export const initPhaseNames = initPhases.map(({ name }) => name);
