/** NamespaceLifecycle: objects live in namespaces that exist and are not going away; three namespaces stay. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Namespace } from '../../../../machinery/api/types.ts';
import { notFound, StatusError } from '../../errors.ts';
import { findObject, onOperations, type PluginFactory, refuse } from '../plugin.ts';

const namespaces = { group: '', resource: 'namespaces' };
const immortal = ['default', 'kube-system', 'kube-public'];
/** A namespace made through another API server may be on its way to us. */
const missingNamespaceWaitMs = 50;

export const namespaceLifecycle: PluginFactory = (deps) => ({
  name: 'NamespaceLifecycle',
  handles: onOperations('CREATE', 'UPDATE', 'DELETE'),
  async admit(attributes) {
    const { operation, descriptor, namespace } = attributes;
    const isNamespace = descriptor.group === '' && descriptor.resource === 'namespaces';
    if (isNamespace && operation === 'DELETE' && immortal.includes(attributes.name))
      throw refuse(attributes, 'this namespace may not be deleted');
    if (isNamespace || !descriptor.namespaced || !namespace || operation === 'DELETE') return;
    // Reviews are questions, not content.
    if (descriptor.group === 'authorization.k8s.io') return;
    let found = deps.cache.get(namespaces, '', namespace);
    if (!found && operation === 'CREATE') {
      await delay(missingNamespaceWaitMs);
      found = await findObject(deps, namespaces, '', namespace);
    } else found ??= await deps.loopback.get(namespaces, '', namespace);
    if (!found) throw notFound('', 'namespaces', namespace);
    if (operation !== 'CREATE' || (found as Namespace).status?.phase !== 'Terminating') return;
    const refused = refuse(
      attributes,
      `unable to create new content in namespace ${namespace} because it is being terminated`,
    );
    throw new StatusError({
      ...refused.status,
      details: {
        ...refused.status.details,
        causes: [
          {
            reason: 'NamespaceTerminating',
            message: `namespace ${namespace} is being terminated`,
            field: 'metadata.namespace',
          },
        ],
      },
    });
  },
});
