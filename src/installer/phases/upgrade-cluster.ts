/** Phases of an upgrade that change objects of the cluster: configurations, rights, add-ons. */
import type { UnknownObject } from '../../machinery/api/types.ts';
import { applyObjects } from '../addons/apply.ts';
import { addons } from '../addons/catalog.ts';
import { listAddons } from '../addons/change.ts';
import { withStorageDirectory } from '../addons/cluster-config.ts';
import { desiredAddon } from '../addons/desired.ts';
import { readStore } from '../addons/store.ts';
import type { BuiltInAddon } from '../config/addon-values.ts';
import { bootstrapRbacObjects, kubeadmConfigObjects, kubeletConfigObjects } from '../control-plane/cluster-objects.ts';
import { pause } from '../host/wait.ts';
import { addonsWait, type UpgradedAddon, upgradedAddon, waitForRollouts, withVersion } from '../upgrade/addons.ts';
import { upgradedKubeletConfig } from '../upgrade/configuration.ts';
import { planeOf, type UpgradeContext } from '../upgrade/context.ts';
import { observeForUpgrade } from '../upgrade/observe.ts';
import type { Phase } from './engine.ts';
import { gateTimeout, kubeletTimeout } from './upgrade-host.ts';

const live = ({ host, plane }: UpgradeContext) => !host.dryRun && plane !== undefined;

export const uploadConfig: Phase<UpgradeContext>[] = [
  {
    name: 'upload-config/kubeadm',
    title: "Store the cluster's configuration",
    needed: live,
    run: async (context) =>
      applyObjects(await context.client(), kubeadmConfigObjects(planeOf(context).config), { signal: context.signal }),
  },
  {
    name: 'upload-config/kubelet',
    title: "Store the kubelets' configuration",
    needed: live,
    async run(context) {
      const { config, stored } = planeOf(context);
      const { document, userSupplied } = upgradedKubeletConfig(config.cluster, stored);
      const objects = kubeletConfigObjects(document, userSupplied);
      const applied = userSupplied ? objects.filter(({ kind }) => kind !== 'ConfigMap') : objects;
      return applyObjects(await context.client(), applied, { signal: context.signal });
    },
  },
];

export const bootstrapRights: Phase<UpgradeContext> = {
  name: 'bootstrap-token',
  title: 'Let nodes join by token',
  needed: live,
  run: async ({ client, signal }) => applyObjects(await client(), bootstrapRbacObjects(), { signal }),
};

/** A kubelet tells the images of its node every few seconds. */
const imagesShowMs = 30_000;

async function waiting(context: UpgradeContext) {
  const { cluster } = planeOf(context).config;
  const deadline = Date.now() + Math.min(imagesShowMs, kubeletTimeout(context));
  for (;;) {
    const state = await observeForUpgrade(await context.client(), context.signal);
    const wait = addonsWait(state, context.state.to.kubernetes, cluster);
    if (!wait || Date.now() > deadline || wait.reason.startsWith('the control planes')) return wait;
    await pause(1_000, context.signal);
  }
}

/** Whether the add-ons are to be upgraded in this run; why not is told once. */
async function isTime(context: UpgradeContext): Promise<boolean> {
  if (!context.addonsWait) {
    const wait = await waiting(context);
    context.addonsWait = wait ?? 'no';
    if (wait) context.warn(`the add-ons are left for later: ${wait.reason}; ${wait.advice}`);
  }
  return context.addonsWait === 'no';
}

async function rollOut(context: UpgradeContext, objects: UnknownObject[]): Promise<boolean> {
  const { signal } = context;
  const client = await context.client();
  const changed = await applyObjects(client, objects, { signal });
  await waitForRollouts(client, objects, { timeoutMs: gateTimeout(context), signal });
  return changed;
}

/** As the configuration and `kinit addons` have it. */
async function desiredNow(context: UpgradeContext, name: BuiltInAddon) {
  const store = await readStore(await context.client(), context.signal);
  return desiredAddon(name, planeOf(context).config, store[name]);
}

function addonPhase(name: UpgradedAddon, title: string): Phase<UpgradeContext> {
  return {
    name: `addon/${addons[name].phase}`,
    title,
    needed: async (context) => live(context) && (await desiredNow(context, name)).enabled,
    async run(context) {
      if (!(await isTime(context))) return false;
      const { config, stored } = planeOf(context);
      const { values } = await desiredNow(context, name);
      return rollOut(context, upgradedAddon(name, config, stored, context.patches, values));
    },
  };
}

/** Those without a phase of their own. */
const optional: Phase<UpgradeContext> = {
  name: 'addon/optional',
  title: 'Upgrade the add-ons that are on',
  needed: live,
  async run(context) {
    if (!(await isTime(context))) return false;
    const { signal } = context;
    const client = await context.client();
    const config = await withStorageDirectory(client, planeOf(context).config, signal);
    const objects: UnknownObject[] = [];
    for (const { name, enabled } of await listAddons({ client, config, signal })) {
      if (!enabled || (name !== 'metrics-server' && name !== 'local-path')) continue;
      objects.push(...addons[name].objects(config, (await desiredNow(context, name)).values).map(withVersion));
    }
    return rollOut(context, objects);
  },
};

/** The network before the proxy: pods that start anew need it. */
export const upgradeAddons: Phase<UpgradeContext>[] = [
  addonPhase('network', 'Upgrade the pod network'),
  addonPhase('proxy', 'Upgrade kube-proxy'),
  addonPhase('dns', 'Upgrade the cluster DNS'),
  optional,
];
