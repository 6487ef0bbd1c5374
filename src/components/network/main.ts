/** kinit-network: connects pods of all nodes. Runs on every node, in the host's network. */
import { existsSync } from 'node:fs';
import { createClient } from '../../machinery/client/client.ts';
import { clientConfig } from '../../machinery/client/in-cluster.ts';
import { nodes } from '../../machinery/client/resources.ts';
import { createInformerFactory } from '../../machinery/informer/factory.ts';
import { createLogger } from '../../machinery/logging/logger.ts';
import { coalesce } from '../../machinery/process/coalesce.ts';
import { runComponent } from '../../machinery/process/component.ts';
import { chooseIptables } from '../../machinery/process/iptables.ts';
import { aborted } from '../../machinery/process/pause.ts';
import { listenHealth } from '../../machinery/serving/health.ts';
import { readNetworkConfig } from './config.ts';
import { internalIP, peersOf, planNetwork } from './plan.ts';
import { findUplink, reconcileLinks, reconcileRules, writeCniConfig } from './reconcile.ts';

await runComponent({
  name: 'kinit-network',
  about: 'Connects the pods of all nodes: VXLAN or direct routes, masquerading, and the CNI configuration of the node.',
  flags: {
    kubeconfig: { kind: 'string', help: 'Path of a kubeconfig; without it the service account of the pod is used.' },
    'node-name': { kind: 'string', help: 'Name of this node; without it the environment variable NODE_NAME.' },
    config: { kind: 'string', default: '/etc/kinit-network/net-conf.json', help: 'Path of the network configuration.' },
    'cni-config-dir': {
      kind: 'string',
      default: '/etc/cni/net.d',
      help: 'Folder that the container runtime reads CNI configuration from.',
    },
    'healthz-bind-address': { kind: 'string', default: '127.0.0.1:10258', help: 'Address of /healthz.' },
    v: { kind: 'integer', default: '0', help: 'Log verbosity.' },
  },
  async run(flags, signal) {
    const log = createLogger('kinit-network', flags.v);
    const nodeName = flags['node-name'] ?? process.env['NODE_NAME'];
    if (!nodeName) throw new Error('the name of this node is not known: set --node-name or NODE_NAME');
    const config = await readNetworkConfig(flags.config);
    const iptables = await chooseIptables();
    const client = createClient(await clientConfig(flags.kubeconfig, 'kinit-network'));
    const factory = createInformerFactory(client, (message) => log.warn(message));
    const informer = factory.informer(nodes, {
      // Of a node only its addresses and its range matter here.
      transform: (object) => {
        const node = object as { metadata?: object; spec?: { podCIDR?: string }; status?: { addresses?: object[] } };
        const { name, uid, resourceVersion } = (object.metadata ?? {}) as Record<string, string>;
        return {
          metadata: { name, uid, resourceVersion },
          spec: { podCIDR: node.spec?.podCIDR },
          status: { addresses: node.status?.addresses },
        } as typeof object;
      },
    });
    let problem: string | undefined = 'the node has no pod range yet';
    let rulesFor = '';

    const reconcile = async () => {
      const self = informer.store.get(nodeName);
      const podCIDR = self?.spec?.podCIDR;
      const address = self && internalIP(self);
      if (!podCIDR || !address) {
        problem = `node ${nodeName} has ${address ? 'no pod range (spec.podCIDR) yet' : 'no InternalIP yet'}`;
        return;
      }
      const plan = planNetwork(config, await findUplink(address), podCIDR, peersOf(informer.store.list(), nodeName));
      const changes = await reconcileLinks(plan);
      if (rulesFor !== podCIDR || Date.now() - rulesAt > rulesPeriodMs) {
        await reconcileRules(iptables, config.network, podCIDR);
        rulesFor = podCIDR;
        rulesAt = Date.now();
      }
      const wrote = await writeCniConfig(flags['cni-config-dir'], plan);
      problem = undefined;
      if (changes || wrote)
        log.info({ podCIDR, backend: config.backend, peers: plan.routes.length, changes }, 'network reconciled');
    };
    let rulesAt = 0;
    const rulesPeriodMs = 60_000;

    const ask = coalesce(reconcile, {
      minIntervalMs: 100,
      periodMs: 30_000,
      signal,
      onError: (error) => {
        problem = error.message;
        log.error(error.message);
      },
    });
    informer.addHandler({
      onAdd: ask,
      onDelete: ask,
      onUpdate: (before, after) => {
        // Nodes report their state all the time; only these two fields concern the network.
        if (before.spec?.podCIDR !== after.spec?.podCIDR || internalIP(before) !== internalIP(after)) ask();
      },
    });
    const server = await listenHealth(flags['healthz-bind-address'], {
      checks: { '/healthz': { network: () => problem } },
    });
    log.info({ iptables: iptables.command, cni: existsSync(flags['cni-config-dir']) }, 'started');
    factory.start(signal);
    await aborted(signal);
    server.close();
    client.close();
  },
});
