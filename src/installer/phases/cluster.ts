/** What init does through the API server once it answers: configuration, tokens, roles, add-ons. */
import { applyObjects } from '../addons/apply.ts';
import { addons } from '../addons/catalog.ts';
import { convergeAddon, isSpokenOf } from '../addons/change.ts';
import { convergeOwn, hasOwn } from '../addons/converge-own.ts';
import { desiredAddon } from '../addons/desired.ts';
import { readStore } from '../addons/store.ts';
import type { BuiltInAddon } from '../config/addon-values.ts';
import { parseDuration } from '../config/duration.ts';
import {
  bootstrapRbacObjects,
  clusterAdminObjects,
  clusterInfoObjects,
  kubeadmConfigObjects,
  kubeletConfigObjects,
} from '../control-plane/cluster-objects.ts';
import { markControlPlane, waitForReady } from '../control-plane/node.ts';
import { readText } from '../host/host.ts';
import { controlPlaneServer } from '../kubeconfig/kubeconfig.ts';
import { certificateFile } from '../pki/ensure.ts';
import { joinCommand } from '../tokens/join-command.ts';
import { ensureToken, findUsableToken } from '../tokens/store.ts';
import type { InitContext } from './context.ts';
import type { Phase } from './engine.ts';

const registrationTimeoutMs = 60_000;
const readyTimeoutMs = 120_000;

/** A pod whose image is not there yet is tried again only after a while. */
const imagesLoaded = ['images/load'];

/** A dry run asks the API server what it would change, when there is one. */
const live = ({ host, answers = false }: InitContext) => !host.dryRun || answers;

const caPemOf = async ({ host, config }: InitContext) =>
  (await readText(host, certificateFile(config.cluster.certificatesDir, 'ca'))) ?? '';

function addonPhase(name: BuiltInAddon, title: string): Phase<InitContext> {
  const workOf = async ({ admin, config, patches, prune = false, signal, warn, leftover }: InitContext) => ({
    client: await admin(),
    config,
    patches,
    prune,
    signal,
    warn,
    ...(leftover ? { leftover } : {}),
  });
  return {
    name: `addon/${addons[name].phase}`,
    title,
    background: true,
    after: imagesLoaded,
    needed: async (context) => live(context) && isSpokenOf(await workOf(context), name),
    run: async (context) => convergeAddon(await workOf(context), name),
  };
}

export const clusterPhases: Phase<InitContext>[] = [
  {
    name: 'upload-config/cluster-admins',
    title: 'Give the administrators their role',
    needed: live,
    run: async ({ superAdmin, signal }) => applyObjects(await superAdmin(), clusterAdminObjects(), { signal }),
  },
  addonPhase('network', 'Install the pod network'),
  addonPhase('proxy', 'Install kube-proxy'),
  {
    name: 'upload-config/kubeadm',
    title: "Store the cluster's configuration",
    background: true,
    needed: live,
    run: async ({ admin, config, signal }) => applyObjects(await admin(), kubeadmConfigObjects(config), { signal }),
  },
  {
    name: 'upload-config/kubelet',
    title: "Store the kubelets' configuration",
    background: true,
    needed: live,
    run: async ({ admin, config, kubeletConfig, signal }) => {
      const objects = kubeletConfigObjects(kubeletConfig, Object.keys(config.kubelet).length > 0);
      return applyObjects(await admin(), objects, { signal });
    },
  },
  {
    name: 'bootstrap-token',
    title: 'Let nodes join by token',
    background: true,
    needed: live,
    async run(context) {
      const { admin, config, signal } = context;
      const client = await admin();
      const caPem = await caPemOf(context);
      const objects = [...bootstrapRbacObjects(), ...clusterInfoObjects(config, caPem)];
      const applied = await applyObjects(client, objects, { signal });
      const chosen = config.tokenGiven ? undefined : await findUsableToken(client, { signal });
      let created = false;
      if (!chosen)
        for (const token of config.bootstrapTokens) created = (await ensureToken(client, token, { signal })) || created;
      context.joinToken = chosen ?? config.bootstrapTokens[0]!.token;
      return applied || created;
    },
  },
  addonPhase('dns', 'Install the cluster DNS'),
  addonPhase('local-path', 'Install storage in directories of the nodes'),
  addonPhase('metrics-server', 'Install metrics-server'),
  {
    name: 'addon/manifests',
    title: 'Apply manifests of your own',
    background: true,
    needed: async (context) =>
      live(context) && hasOwn(context.config, await readStore(await context.admin(), context.signal)),
    async run({ admin, config, prune = false, leftover, plan, signal }) {
      const told = { ...(leftover ? { leftover } : {}), ...(plan ? { plan } : {}) };
      return convergeOwn({ client: await admin(), config, prune, signal, ...told });
    },
  },
  {
    name: 'mark-control-plane',
    title: 'Mark the node as control plane',
    needed: live,
    run: async ({ admin, config, node, signal }) =>
      markControlPlane(await admin(), node.name, config.nodeRegistration.taints, {
        signal,
        timeoutMs: parseDuration(config.timeouts.kubernetesAPICall) ?? registrationTimeoutMs,
      }),
  },
];

/** undefined when there is no usable token: the phase bootstrap-token was skipped. */
export async function currentJoinCommand(context: InitContext): Promise<string | undefined> {
  const { admin, config, signal } = context;
  const joinToken = context.joinToken ?? (await findUsableToken(await admin(), { signal }));
  return joinToken && joinCommand(controlPlaneServer(config), joinToken, await caPemOf(context));
}

export const waitNode: Phase<InitContext> = {
  name: 'wait-node',
  title: 'Wait until the node is Ready',
  after: ['images/load', 'addon/network'],
  // Without kinit's pod network it becomes so when another one comes.
  needed: async (context) => {
    if (context.host.dryRun) return false;
    const stored = (await readStore(await context.admin(), context.signal))['network'];
    return desiredAddon('network', context.config, stored, context.prune).enabled;
  },
  async run({ admin, node, signal, config }) {
    const timeoutMs = parseDuration(config.timeouts.kubeletHealthCheck) ?? readyTimeoutMs;
    await waitForReady(await admin(), node.name, { signal, timeoutMs });
    return false;
  },
};
