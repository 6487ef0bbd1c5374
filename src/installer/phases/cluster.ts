/** What init does through the API server once it answers: configuration, tokens, roles, add-ons. */
import { applyObjects } from '../addons/apply.ts';
import { dnsObjects, localPathObjects, networkObjects, proxyObjects } from '../addons/objects.ts';
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
import { applyPatches } from '../patches/patches.ts';
import { certificateFile } from '../pki/ensure.ts';
import { joinCommand } from '../tokens/join-command.ts';
import { ensureToken, findUsableToken } from '../tokens/store.ts';
import type { InitContext } from './context.ts';
import type { Phase } from './engine.ts';

const registrationTimeoutMs = 60_000;
const readyTimeoutMs = 120_000;

/** A pod whose image is not there yet is tried again only after a while. */
const imagesLoaded = ['images/load'];

const live = ({ host }: InitContext) => !host.dryRun;

const caPemOf = async ({ host, config }: InitContext) =>
  (await readText(host, certificateFile(config.cluster.certificatesDir, 'ca'))) ?? '';

export const clusterPhases: Phase<InitContext>[] = [
  {
    name: 'upload-config/cluster-admins',
    title: 'Give the administrators their role',
    needed: live,
    run: async ({ superAdmin, signal }) => applyObjects(await superAdmin(), clusterAdminObjects(), { signal }),
  },
  {
    name: 'addon/network',
    title: 'Install the pod network',
    background: true,
    after: imagesLoaded,
    needed: live,
    run: async ({ admin, config, signal }) => applyObjects(await admin(), networkObjects(config), { signal }),
  },
  {
    name: 'addon/kube-proxy',
    title: 'Install kube-proxy',
    background: true,
    after: imagesLoaded,
    needed: (context) => live(context) && !context.config.cluster.proxy.disabled,
    run: async ({ admin, config, signal }) => applyObjects(await admin(), proxyObjects(config), { signal }),
  },
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
  {
    name: 'addon/coredns',
    title: 'Install the cluster DNS',
    background: true,
    after: imagesLoaded,
    needed: (context) => live(context) && !context.config.cluster.dns.disabled,
    async run({ admin, config, patches, signal }) {
      const objects = dnsObjects(config).map((object) =>
        object.kind === 'Deployment' ? (applyPatches('corednsdeployment', object, patches) as typeof object) : object,
      );
      return applyObjects(await admin(), objects, { signal });
    },
  },
  {
    name: 'addon/local-path',
    title: 'Install storage in directories of the nodes',
    background: true,
    after: imagesLoaded,
    needed: (context) => live(context) && context.config.host.storage.provisioner === 'local-path',
    run: async ({ admin, config, signal }) =>
      applyObjects(await admin(), localPathObjects(config.cluster, config.host.storage.directory), { signal }),
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
  needed: live,
  async run({ admin, node, signal, config }) {
    const timeoutMs = parseDuration(config.timeouts.kubeletHealthCheck) ?? readyTimeoutMs;
    await waitForReady(await admin(), node.name, { signal, timeoutMs });
    return false;
  },
};
