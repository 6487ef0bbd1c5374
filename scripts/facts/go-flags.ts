/** How a JSON field is declared in upstream's Go structs: `p` pointer, `e` omitempty, `z` omitzero. */

export type GoFields = Record<string, Record<string, string>>;

const crd = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.';
const aggregator = 'io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.';
const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1.';

/** Fields that are newer than the sources that go-fields.json was made from, or whose sources are not among them. */
const corrections: GoFields = {
  [`${meta}ObjectMeta`]: { creationTimestamp: 'ez' },
  'io.k8s.api.core.v1.PodCondition': { observedGeneration: 'e' },
  'io.k8s.api.core.v1.PodStatus': { observedGeneration: 'e', extendedResourceClaimStatus: 'pe', allocatedResources: 'e' },
  'io.k8s.api.core.v1.ResourceHealth': { message: 'pe' },
  [`${crd}CustomResourceDefinitionSpec`]: { preserveUnknownFields: 'e', conversion: 'pe' },
  [`${crd}CustomResourceDefinitionVersion`]: { deprecated: 'e', served: '', storage: '' },
  [`${crd}CustomResourceDefinitionNames`]: { singular: 'e', listKind: 'e' },
  [`${crd}CustomResourceDefinitionStatus`]: { conditions: '', storedVersions: '', acceptedNames: '', observedGeneration: 'e' },
  [`${crd}CustomResourceDefinitionCondition`]: { reason: 'e', message: 'e', lastTransitionTime: 'e', observedGeneration: 'e' },
  [`${crd}CustomResourceColumnDefinition`]: { format: 'e', description: 'e', priority: 'e' },
  [`${crd}ExternalDocumentation`]: { description: 'e', url: 'e' },
  [`${crd}ValidationRule`]: { message: 'e', messageExpression: 'e', fieldPath: 'e' },
  [`${crd}JSONSchemaProps`]: {
    id: 'e',
    $schema: 'e',
    description: 'e',
    type: 'e',
    format: 'e',
    title: 'e',
    exclusiveMaximum: 'e',
    exclusiveMinimum: 'e',
    pattern: 'e',
    uniqueItems: 'e',
    nullable: 'e',
    'x-kubernetes-embedded-resource': 'e',
    'x-kubernetes-int-or-string': 'e',
  },
  [`${aggregator}APIServiceSpec`]: { group: 'e', version: 'e', insecureSkipTLSVerify: 'e', service: 'pe' },
  [`${aggregator}APIServiceCondition`]: { reason: 'e', message: 'e', lastTransitionTime: 'e' },
  [`${aggregator}ServiceReference`]: { namespace: 'e', name: 'e', port: 'pe' },
};

const olderVersions = ['v1', 'v1beta2', 'v1beta1', 'v1alpha3', 'v1alpha1'];

/** Flags of one field, looked up in the type's earlier versions too; undefined when the sources do not know it. */
export function goFlags(fields: GoFields, type: string, field: string): string | undefined {
  const corrected = corrections[type]?.[field];
  if (corrected !== undefined) return corrected;
  for (const version of olderVersions) {
    const known = fields[type.replace(/\.v1\./, `.${version}.`)]?.[field];
    if (known !== undefined) return known;
  }
  return undefined;
}
