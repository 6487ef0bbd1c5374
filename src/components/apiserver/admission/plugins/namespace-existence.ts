/** NamespaceExists and NamespaceAutoProvision: both off by default, NamespaceLifecycle does what most clusters want. */
import { notFound, StatusError } from '../../errors.ts';
import type { AdmissionAttributes } from '../../types.ts';
import { findObject, onOperations, type PluginFactory } from '../plugin.ts';

const namespaces = { group: '', resource: 'namespaces' };

const isInNamespace = ({ descriptor, namespace }: AdmissionAttributes): boolean =>
  descriptor.namespaced && namespace !== '';

export const namespaceExists: PluginFactory = (deps) => ({
  name: 'NamespaceExists',
  handles: onOperations('CREATE', 'UPDATE', 'DELETE'),
  async validate(attributes) {
    if (!isInNamespace(attributes)) return;
    if (!(await findObject(deps, namespaces, '', attributes.namespace)))
      throw notFound('', 'namespaces', attributes.namespace);
  },
});

export const namespaceAutoProvision: PluginFactory = (deps) => ({
  name: 'NamespaceAutoProvision',
  handles: onOperations('CREATE'),
  async admit(attributes) {
    const { namespace } = attributes;
    if (attributes.dryRun || !isInNamespace(attributes) || (await findObject(deps, namespaces, '', namespace))) return;
    try {
      await deps.loopback.create(namespaces, { metadata: { name: namespace } });
    } catch (error) {
      // Another request was faster.
      if (!(error instanceof StatusError) || error.status.reason !== 'AlreadyExists') throw error;
    }
  },
});
