/** The Node authorizer: a kubelet may reach what belongs to its own node and to the pods on it. */
import type { PolicyRule } from '../../../../machinery/api/types.ts';
import type { AuthorizationAttributes, AuthorizationDecision, Authorizer, UserInfo } from '../../types.ts';
import { selectedValue } from '../attributes.ts';
import { rulesAllow } from '../rbac/rules.ts';
import type { NodeGraph } from './graph.ts';
import type { ReferenceKind } from './pod-references.ts';

const nodeUserPrefix = 'system:node:';

/** Name of the node that a user is, empty for a member of system:nodes without one, undefined for anybody else. */
export function nodeIdentity(user: UserInfo): string | undefined {
  if (!user.name.startsWith(nodeUserPrefix) || !user.groups.includes('system:nodes')) return undefined;
  return user.name.slice(nodeUserPrefix.length);
}

const allow: AuthorizationDecision = { decision: 'allow' };
const noOpinion = (reason = ''): AuthorizationDecision => ({ decision: 'no-opinion', reason });

/** `nodeRules`: the static rules of the `system:node` cluster role, for everything that the graph does not divide. */
export function createNodeAuthorizer(
  graph: NodeGraph,
  nodeRules: () => PolicyRule[],
): Authorizer & { authorize(attributes: AuthorizationAttributes): AuthorizationDecision } {
  return {
    authorize(attributes) {
      const node = nodeIdentity(attributes.user);
      if (node === undefined) return noOpinion();
      if (node === '') return noOpinion(`unknown node for user ${JSON.stringify(attributes.user.name)}`);
      const divided = attributes.resourceRequest
        ? dividedResources[attributes.apiGroup ? `${attributes.resource}.${attributes.apiGroup}` : attributes.resource]
        : undefined;
      if (divided) return divided(graph, node, attributes);
      return rulesAllow(nodeRules(), attributes) ? allow : noOpinion();
    },
  };
}

type Rule = (graph: NodeGraph, node: string, attributes: AuthorizationAttributes) => AuthorizationDecision;

const dividedResources: Record<string, Rule> = {
  secrets: (graph, node, a) => readNamespaced('secret', graph, node, a),
  configmaps: (graph, node, a) => readNamespaced('configmap', graph, node, a),
  persistentvolumeclaims: (graph, node, a) =>
    a.subresource === 'status' ? claimStatus(graph, node, a) : getOnly(node, a, () => refers('pvc', graph, node, a)),
  persistentvolumes: (graph, node, a) => getOnly(node, a, () => graph.mounts(node, a.name)),
  'resourceclaims.resource.k8s.io': (graph, node, a) => getOnly(node, a, () => refers('resourceclaim', graph, node, a)),
  'volumeattachments.storage.k8s.io': (graph, node, a) => getOnly(node, a, () => graph.attached(node, a.name)),
  serviceaccounts: serviceAccount,
  'leases.coordination.k8s.io': lease,
  'csinodes.storage.k8s.io': csiNode,
  'resourceslices.resource.k8s.io': resourceSlice,
  nodes: nodeObject,
  pods: pod,
};

const refers = (kind: ReferenceKind, graph: NodeGraph, node: string, a: AuthorizationAttributes) =>
  graph.refers(node, kind, a.namespace, a.name);

function related(node: string, a: AuthorizationAttributes, isRelated: () => boolean): AuthorizationDecision {
  if (!a.name) return noOpinion('No Object name found');
  return isRelated() ? allow : noOpinion(`no relationship found between node '${node}' and this object`);
}

function readNamespaced(
  kind: ReferenceKind,
  graph: NodeGraph,
  node: string,
  a: AuthorizationAttributes,
): AuthorizationDecision {
  if (!['get', 'list', 'watch'].includes(a.verb)) return noOpinion('can only read resources of this type');
  if (a.subresource) return noOpinion('cannot read subresource');
  if (!a.namespace) return noOpinion('can only read namespaced object of this type');
  return related(node, a, () => refers(kind, graph, node, a));
}

function getOnly(node: string, a: AuthorizationAttributes, isRelated: () => boolean): AuthorizationDecision {
  if (a.verb !== 'get') return noOpinion('can only get individual resources of this type');
  if (a.subresource) return noOpinion('cannot get subresource');
  return related(node, a, isRelated);
}

function claimStatus(graph: NodeGraph, node: string, a: AuthorizationAttributes): AuthorizationDecision {
  if (!['update', 'patch'].includes(a.verb)) return noOpinion('can only get/update/patch this type');
  return related(node, a, () => refers('pvc', graph, node, a));
}

function serviceAccount(graph: NodeGraph, node: string, a: AuthorizationAttributes): AuthorizationDecision {
  const reads = a.verb === 'get' && a.subresource === '';
  const asksForToken = a.verb === 'create' && a.subresource === 'token';
  if (!reads && !asksForToken) return noOpinion('can only create tokens for individual service accounts');
  return related(node, a, () => refers('serviceaccount', graph, node, a));
}

const ownObjectVerbs = ['get', 'create', 'update', 'patch', 'delete'];

function lease(_graph: NodeGraph, node: string, a: AuthorizationAttributes): AuthorizationDecision {
  if (!ownObjectVerbs.includes(a.verb)) return noOpinion('can only get, create, update, patch, or delete a node lease');
  if (a.namespace !== 'kube-node-lease')
    return noOpinion('can only access leases in the "kube-node-lease" system namespace');
  // The name of an object that is created is not known yet: NodeRestriction checks it.
  if (a.verb !== 'create' && a.name !== node)
    return noOpinion('can only access node lease with the same name as the requesting node');
  return allow;
}

function csiNode(_graph: NodeGraph, node: string, a: AuthorizationAttributes): AuthorizationDecision {
  if (!ownObjectVerbs.includes(a.verb)) return noOpinion('can only get, create, update, patch, or delete a CSINode');
  if (a.subresource) return noOpinion('cannot authorize CSINode subresources');
  if (a.verb !== 'create' && a.name !== node)
    return noOpinion('can only access CSINode with the same name as the requesting node');
  return allow;
}

function resourceSlice(_graph: NodeGraph, node: string, a: AuthorizationAttributes): AuthorizationDecision {
  if (a.subresource) return noOpinion('cannot authorize ResourceSlice subresources');
  if (a.verb === 'create' || ['get', 'update', 'patch', 'delete'].includes(a.verb)) return allow;
  if (!['list', 'watch', 'deletecollection'].includes(a.verb))
    return noOpinion(
      'only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection',
    );
  return selectedValue(a.fieldSelector, 'spec.nodeName') === node
    ? allow
    : noOpinion('can only list/watch/deletecollection resourceslices with spec.nodeName field selector');
}

function nodeObject(_graph: NodeGraph, node: string, a: AuthorizationAttributes): AuthorizationDecision {
  if (a.subresource === 'status') return ['update', 'patch'].includes(a.verb) ? allow : noOpinion();
  if (a.subresource) return noOpinion();
  // NodeRestriction limits these to the node's own object.
  if (['create', 'update', 'patch'].includes(a.verb)) return allow;
  if (!['get', 'list', 'watch'].includes(a.verb)) return noOpinion();
  if (a.name === node || selectedValue(a.fieldSelector, 'metadata.name') === node) return allow;
  return noOpinion(
    a.name
      ? `node '${node}' cannot read '${a.name}', only its own Node object`
      : `node '${node}' cannot read all nodes, only its own Node object`,
  );
}

function pod(graph: NodeGraph, node: string, a: AuthorizationAttributes): AuthorizationDecision {
  if (a.subresource === 'status') return ['update', 'patch'].includes(a.verb) ? allow : noOpinion();
  if (a.subresource === 'eviction') return a.verb === 'create' ? allow : noOpinion();
  if (a.subresource) return noOpinion();
  // NodeRestriction limits these to mirror pods and to pods on the node.
  if (a.verb === 'create' || a.verb === 'delete') return allow;
  const isRelated = () => graph.runs(node, a.namespace, a.name);
  if (a.verb === 'get') return related(node, a, isRelated);
  if (a.verb !== 'list' && a.verb !== 'watch') return noOpinion();
  if (selectedValue(a.fieldSelector, 'spec.nodeName') === node) return allow;
  if (a.name) return related(node, a, isRelated);
  return noOpinion('can only list/watch pods with spec.nodeName field selector');
}
