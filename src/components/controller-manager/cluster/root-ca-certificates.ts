/** Every namespace has the ConfigMap kube-root-ca.crt, with which pods trust the API server. */
import { readFile } from 'node:fs/promises';
import type { ConfigMap } from '../../../machinery/api/types.ts';
import { isAlreadyExists, isNotFound } from '../../../machinery/client/errors.ts';
import { configMaps, namespaces } from '../../../machinery/client/resources.ts';
import { createWorkQueue } from '../../../machinery/workqueue/queue.ts';
import type { Controller, ControllerContext } from '../framework/controller.ts';
import { runReconciler } from '../framework/reconciler.ts';
import { isTerminating } from './service-accounts.ts';

const name = 'kube-root-ca.crt';
const annotations = {
  'kubernetes.io/description':
    'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.',
};

export const rootCaCertificatePublisher: Controller = {
  name: 'root-ca-certificate-publisher-controller',
  serviceAccount: 'root-ca-cert-publisher',
  async run(context) {
    const namespaceInformer = context.informers.informer(namespaces);
    const mapInformer = context.informers.informer(configMaps, { fieldSelector: `metadata.name=${name}` });
    const maps = context.client.resource(configMaps);
    const queue = createWorkQueue<string>();
    const add = (namespace: string | undefined) => namespace && queue.add(namespace);
    namespaceInformer.addHandler({
      onAdd: ({ metadata }) => add(metadata?.name),
      onUpdate: (_old, { metadata }) => add(metadata?.name),
    });
    mapInformer.addHandler({
      onUpdate: (_old, { metadata }) => add(metadata?.namespace),
      onDelete: ({ metadata }) => add(metadata?.namespace),
    });
    const rootCa = await rootCaOf(context);
    const data = { 'ca.crt': rootCa };
    await runReconciler(context, {
      queue,
      sources: [namespaceInformer, mapInformer],
      async reconcile(namespace) {
        const owner = namespaceInformer.store.get(namespace);
        if (!owner || owner.status?.phase === 'Terminating') return;
        const map = mapInformer.store.get(`${namespace}/${name}`);
        try {
          if (!map) await maps.create({ metadata: { name, namespace, annotations }, data });
          else if (!isCurrent(map, rootCa))
            await maps.update({
              ...map,
              metadata: { ...map.metadata, annotations: { ...map.metadata?.annotations, ...annotations } },
              data,
            });
        } catch (error) {
          if (isAlreadyExists(error) || isNotFound(error) || isTerminating(error)) return;
          throw error;
        }
      },
    });
  },
};

const isCurrent = ({ data, metadata }: ConfigMap, rootCa: string): boolean =>
  data?.['ca.crt'] === rootCa &&
  Object.keys(data).length === 1 &&
  Boolean(metadata?.annotations?.['kubernetes.io/description']);

/** `--root-ca-file`, or what this process itself trusts the API server by. */
async function rootCaOf({ options, client }: ControllerContext): Promise<string> {
  const path = options.rootCaFile || client.config.caFile;
  return path ? await readFile(path, 'utf8') : (client.config.caData ?? '');
}
