/** Gives every node its pod CIDRs from `--cluster-cidr`; those that nodes already have are never given twice. */
import type { Node } from '../../../../machinery/api/types.ts';
import { nodes } from '../../../../machinery/client/resources.ts';
import { referenceTo } from '../../../../machinery/events/recorder.ts';
import { createWorkQueue } from '../../../../machinery/workqueue/queue.ts';
import type { Controller } from '../../framework/controller.ts';
import { runReconciler } from '../../framework/reconciler.ts';
import { CidrSet, parseCidr } from './cidr-set.ts';

const podCidrsOf = ({ spec }: Node): string[] => spec?.podCIDRs ?? (spec?.podCIDR ? [spec.podCIDR] : []);

export const nodeIpam: Controller = {
  name: 'node-ipam-controller',
  serviceAccount: 'node-controller',
  async run(context) {
    const { options, client } = context;
    if (!options.allocateNodeCidrs) return;
    const sets = options.clusterCidrs.map(
      (range) =>
        new CidrSet(range, parseCidr(range).bits === 32 ? options.nodeCidrMaskSizeIpv4 : options.nodeCidrMaskSizeIpv6),
    );
    for (const range of options.serviceClusterIpRange.split(',').filter(Boolean))
      for (const set of sets) set.occupy(range);
    const each = (cidrs: string[], act: (set: CidrSet, cidr: string) => void) => {
      for (const cidr of cidrs) for (const set of sets) act(set, cidr);
    };
    const recorder = context.recorder('cidrAllocator');
    const informer = context.informers.informer(nodes);
    const queue = createWorkQueue<string>({ maxDelayMs: 30_000 });
    const take = (node: Node) => {
      const cidrs = podCidrsOf(node);
      each(cidrs, (set, cidr) => set.occupy(cidr));
      if (cidrs.length === 0) queue.add(node.metadata?.name ?? '');
    };
    informer.addHandler({
      onAdd: take,
      onUpdate: (_old, node) => take(node),
      onDelete: (node) => each(podCidrsOf(node), (set, cidr) => set.release(cidr)),
    });
    await runReconciler(context, {
      queue,
      // All CIDRs in use are known before the first one is given: the informer delivers the whole list first.
      sources: [informer],
      async reconcile(name) {
        const api = client.resource(nodes);
        const cached = informer.store.get(name);
        if (!cached || podCidrsOf(cached).length > 0) return;
        // Written by this controller a moment ago, or by another one: the live node decides.
        const node = await api.find({ name });
        if (!node || podCidrsOf(node).length > 0) return;
        const cidrs: string[] = [];
        for (const set of sets) {
          const cidr = set.allocate();
          if (cidr) cidrs.push(cidr);
        }
        if (cidrs.length < sets.length) {
          each(cidrs, (set, cidr) => set.release(cidr));
          recorder.event(
            referenceTo(node, 'v1', 'Node'),
            'Normal',
            'CIDRNotAvailable',
            `Node ${name} status is now: CIDRNotAvailable`,
          );
          throw new Error(
            'failed to allocate cidr: CIDR allocation failed; there are no remaining CIDRs left to allocate in the accepted range',
          );
        }
        try {
          await api.patch({ name }, { spec: { podCIDR: cidrs[0], podCIDRs: cidrs } }, { type: 'strategic' });
        } catch (error) {
          // The answer may have been lost after the write: only what the node surely does not have is free again.
          const live = await api.find({ name });
          const kept = live ? podCidrsOf(live) : [];
          each(
            cidrs.filter((cidr) => !kept.includes(cidr)),
            (set, cidr) => set.release(cidr),
          );
          throw error;
        }
      },
    });
  },
};
