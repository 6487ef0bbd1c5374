/** Phases of an upgrade that only control planes have: the static pods, one after the other, each behind its gate. */
import type { ControlPlaneName } from '../control-plane/static-pods.ts';
import { joinedMembers } from '../etcd/static-pod.ts';
import { readText } from '../host/host.ts';
import { manifestPath, type StaticPodName } from '../upgrade/backup.ts';
import { imagesOf } from '../upgrade/bundle-folders.ts';
import { renewFor } from '../upgrade/certificates.ts';
import { planeOf, type UpgradeContext } from '../upgrade/context.ts';
import { settleStaticPod } from '../upgrade/static-pod.ts';
import { componentManifest, localEtcdManifest } from './control-plane.ts';
import type { Phase } from './engine.ts';
import { gateTimeout, guarded } from './upgrade-host.ts';

type PlaneContext = Pick<UpgradeContext, 'changes' | 'patches' | 'plane' | 'warn'>;

/** The manifest of the new version; what a host needs beside it is made. */
export async function newManifest(
  { changes, patches, plane, warn }: PlaneContext,
  name: StaticPodName,
): Promise<string> {
  if (!plane) throw new Error('only control planes have static pods');
  const context = { changes, config: plane.config, patches, warn, upgrade: true };
  if (name !== 'etcd') return componentManifest(context, name);
  const present = await readText(changes.host, manifestPath('etcd'));
  return localEtcdManifest(context, joinedMembers(present));
}

/** Those that run on this host. */
export function staticPodsOf({ plane }: Pick<UpgradeContext, 'plane'>, etcdUpgrade: boolean): StaticPodName[] {
  if (!plane) return [];
  const components: ControlPlaneName[] = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'];
  return etcdUpgrade && plane.config.cluster.etcd.external === undefined ? ['etcd', ...components] : components;
}

async function renewed(context: UpgradeContext, component: Parameters<typeof renewFor>[1]): Promise<boolean> {
  const { host, settings, state } = context;
  if (!settings.certificateRenewal) return false;
  const { cluster } = planeOf(context).config;
  return (await renewFor(host, component, cluster, new Date(state.started))).length > 0;
}

function componentPhase(name: StaticPodName): Phase<UpgradeContext> {
  return guarded({
    name: `control-plane/${name.replace('kube-', '')}`,
    title: `Upgrade ${name}`,
    needed: (context) => staticPodsOf(context, context.settings.etcdUpgrade).includes(name),
    async run(context) {
      const { changes, client, nodeName, signal, state } = context;
      const certificates = await renewed(context, name);
      const manifest = await newManifest(context, name);
      const step = { changes, client, nodeName, layout: imagesOf(state.to), timeoutMs: gateTimeout(context), signal };
      return (await settleStaticPod(name, manifest, step)) || certificates;
    },
  });
}

export const upgradeControlPlane: Phase<UpgradeContext>[] = [
  componentPhase('etcd'),
  componentPhase('kube-apiserver'),
  componentPhase('kube-controller-manager'),
  componentPhase('kube-scheduler'),
  {
    name: 'control-plane/kubeconfigs',
    title: "Renew the administrators' certificates",
    needed: ({ plane }) => plane !== undefined,
    run: (context) => renewed(context, 'administrators'),
  },
];
