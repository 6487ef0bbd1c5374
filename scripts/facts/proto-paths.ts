/** Protobuf field numbers of JSON fields, with the numbers of embedded messages on the way. */

interface ProtoField {
  type: string;
  id: number;
}
interface ProtoNode {
  fields?: Record<string, ProtoField>;
  nested?: Record<string, ProtoNode>;
}
export type ProtoMessages = Map<string, Record<string, ProtoField>>;

/** All messages of a protobufjs JSON description by full name. */
export function protoMessages(root: ProtoNode): ProtoMessages {
  const found: ProtoMessages = new Map();
  const walk = (node: ProtoNode, path: string[]) => {
    for (const [name, child] of Object.entries(node.nested ?? {})) {
      if (child.fields) found.set([...path, name].join('.'), child.fields);
      walk(child, [...path, name]);
    }
  };
  walk(root, []);
  return found;
}

/** Messages that Go embeds: their fields lie on the outer JSON object. */
const embedded = new Set([
  'localObjectReference',
  'ephemeralContainerCommon',
  'persistentVolumeSource',
  'handler',
  'volumeSource',
  'ingressRuleValue',
  'deviceConfiguration',
  'ruleWithOperations',
  'rule',
]);
/** Owners of fields of those names that are not embedded. */
const notEmbedded = new Set(['EndpointHints', 'Lifecycle']);

const jsonName = (field: string): string =>
  ({
    ref: '$ref',
    schema: '$schema',
    uID: 'uid',
    aPIGroup: 'apiGroup',
    xKubernetesPreserveUnknownFields: 'x-kubernetes-preserve-unknown-fields',
    xKubernetesEmbeddedResource: 'x-kubernetes-embedded-resource',
    xKubernetesIntOrString: 'x-kubernetes-int-or-string',
    xKubernetesListMapKeys: 'x-kubernetes-list-map-keys',
    xKubernetesListType: 'x-kubernetes-list-type',
    xKubernetesMapType: 'x-kubernetes-map-type',
    xKubernetesValidations: 'x-kubernetes-validations',
  })[field] ?? field;

/** A lookup from JSON field name to its path of field numbers, for one OpenAPI type. */
export function protoPaths(messages: ProtoMessages, type: string): (field: string) => number[] | undefined {
  const paths = new Map<string, number[]>();
  const protoName = type
    .replace('io.k8s.', 'k8s.io.')
    .replace('apiextensions-apiserver', 'apiextensions_apiserver')
    .replace('kube-aggregator', 'kube_aggregator');
  const collect = (message: string, prefix: number[]) => {
    for (const [name, { type: fieldType, id }] of Object.entries(messages.get(message) ?? {})) {
      const inner = fieldType.startsWith('.') ? fieldType.slice(1) : `${message.slice(0, message.lastIndexOf('.'))}.${fieldType}`;
      if (embedded.has(name) && messages.has(inner) && !notEmbedded.has(type.slice(type.lastIndexOf('.') + 1))) {
        collect(inner, [...prefix, id]);
        continue;
      }
      for (const alias of [name, jsonName(name), name.charAt(0).toLowerCase() + name.slice(1)]) {
        if (!paths.has(alias)) paths.set(alias, [...prefix, id]);
      }
    }
  };
  collect(protoName, []);
  return (field) => paths.get(field);
}
