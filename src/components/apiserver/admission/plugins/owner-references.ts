/** OwnerReferencesPermissionEnforcement: who makes an object block its owner's deletion must be allowed to update the owner's finalizers. */
import type { OwnerReference } from '../../../../machinery/api/types.ts';
import type { AdmissionAttributes, AuthorizationAttributes } from '../../types.ts';
import { onOperations, type PluginFactory, refuse } from '../plugin.ts';

export const ownerReferencesPermissionEnforcement: PluginFactory = ({ authorizer, registry }) => {
  const may = async (question: Omit<AuthorizationAttributes, 'resourceRequest' | 'path'>) =>
    (await authorizer.authorize({ ...question, resourceRequest: true, path: '' })).decision === 'allow';
  return {
    name: 'OwnerReferencesPermissionEnforcement',
    handles: onOperations('CREATE', 'UPDATE'),
    async validate(attributes: AdmissionAttributes) {
      const { object, oldObject, descriptor, namespace, user, subresource } = attributes;
      if (!object || subresource === 'status') return;
      const before = oldObject?.metadata?.ownerReferences ?? [];
      const after = object.metadata?.ownerReferences ?? [];
      if (JSON.stringify(before) === JSON.stringify(after)) return;
      const base = { user, apiVersion: descriptor.version, namespace };
      // Who may delete the object may as well give it to the garbage collector.
      const name = object.metadata?.name ?? '';
      const mayDelete = await may({
        ...base,
        verb: 'delete',
        apiGroup: descriptor.group,
        resource: descriptor.resource,
        subresource: '',
        name,
      });
      if (!mayDelete) throw refuse(attributes, "cannot set an ownerRef on a resource you can't delete: , ");
      for (const owner of newlyBlocking(before, after)) {
        const [group = '', version = ''] = owner.apiVersion.includes('/')
          ? owner.apiVersion.split('/')
          : ['', owner.apiVersion];
        const resource = registry?.findKind(group, version, owner.kind)?.resource;
        if (!resource)
          throw refuse(
            attributes,
            `cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion ${owner.apiVersion} Kind ${owner.kind}: no matches for kind ${JSON.stringify(owner.kind)} in version ${JSON.stringify(owner.apiVersion)}`,
          );
        if (
          !(await may({
            ...base,
            apiVersion: version,
            verb: 'update',
            apiGroup: group,
            resource,
            subresource: 'finalizers',
            name: owner.name,
          }))
        )
          throw refuse(
            attributes,
            `cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: , `,
          );
      }
    },
  };
};

function newlyBlocking(before: OwnerReference[], after: OwnerReference[]): OwnerReference[] {
  const blocked = new Set(before.filter(({ blockOwnerDeletion }) => blockOwnerDeletion).map(({ uid }) => uid));
  return after.filter(({ blockOwnerDeletion, uid }) => blockOwnerDeletion && !blocked.has(uid));
}
