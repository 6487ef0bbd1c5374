/** Which lists of pods and Deployments a strategic merge patch merges, and by what; everything else replaces or nests. */
import type { FieldSchema, TypeSchema } from '../../machinery/api/schema/types.ts';

const object = (schema: TypeSchema): FieldSchema => ({ type: 'object', schema });
const type = (name: string, fields: Record<string, FieldSchema>): TypeSchema => ({ name, fields });

function merged(key: string, schema: TypeSchema = type('', {}), strategy = 'merge'): FieldSchema {
  return { type: 'array', items: object(schema), patchStrategy: strategy, patchMergeKey: key };
}

const container = type('io.k8s.api.core.v1.Container', {
  env: merged('name'),
  ports: merged('containerPort'),
  volumeDevices: merged('devicePath'),
  volumeMounts: merged('mountPath'),
});

const podSpec = type('io.k8s.api.core.v1.PodSpec', {
  containers: merged('name', container),
  ephemeralContainers: merged('name', container),
  hostAliases: merged('ip'),
  imagePullSecrets: merged('name'),
  initContainers: merged('name', container),
  resourceClaims: merged('name', undefined, 'merge,retainKeys'),
  schedulingGates: merged('name'),
  topologySpreadConstraints: merged('topologyKey'),
  volumes: merged('name', undefined, 'merge,retainKeys'),
});

const metadata = object(
  type('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta', {
    finalizers: { type: 'array', items: { type: 'string' }, patchStrategy: 'merge' },
    ownerReferences: merged('uid'),
  }),
);

export const podSchema = type('io.k8s.api.core.v1.Pod', { metadata, spec: object(podSpec) });

export const deploymentSchema = type('io.k8s.api.apps.v1.Deployment', {
  metadata,
  spec: object(
    type('io.k8s.api.apps.v1.DeploymentSpec', {
      strategy: { ...object(type('', {})), patchStrategy: 'retainKeys' },
      template: object(type('io.k8s.api.core.v1.PodTemplateSpec', { metadata, spec: object(podSpec) })),
    }),
  ),
});

/** No list of it merges. */
export const plainSchema = type('', {});
