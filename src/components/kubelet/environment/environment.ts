/** The variables of a container: envFrom, then env in order, then services that nothing else has named. */
import type { Container, EnvVar } from '../../../machinery/api/types.ts';
import type { EnvironmentInput } from '../types.ts';
import { expand } from './expand.ts';
import { podField, resourceField } from './fields.ts';
import { serviceVariables } from './services.ts';

export { expand, expandAll } from './expand.ts';

export interface Variable {
  name: string;
  value: string;
}

/** @throws Error with the text of CreateContainerConfigError, for example `secret "x" not found` */
export async function containerEnvironment(input: EnvironmentInput): Promise<Variable[]> {
  const { pod, container, services } = input;
  const fromServices = serviceVariables(services, pod.metadata?.namespace ?? '', pod.spec?.enableServiceLinks ?? true);
  const variables = await importedVariables(input);
  const lookup = (name: string) => variables.get(name) ?? fromServices.get(name);
  for (const variable of container.env ?? []) {
    const value = variable.value ? expand(variable.value, lookup) : await referencedValue(variable, input);
    if (value !== undefined) variables.set(variable.name, value);
  }
  for (const [name, value] of fromServices) if (!variables.has(name)) variables.set(name, value);
  return [...variables].map(([name, value]) => ({ name, value }));
}

async function importedVariables({ pod, container, objects }: EnvironmentInput): Promise<Map<string, string>> {
  const variables = new Map<string, string>();
  const namespace = pod.metadata?.namespace ?? '';
  for (const { prefix = '', configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef) {
      const map = await objects.configMap(namespace, configMapRef.name ?? '');
      if (!map && !configMapRef.optional) throw new Error(`configmap "${configMapRef.name}" not found`);
      for (const [key, value] of Object.entries(map?.data ?? {})) variables.set(prefix + key, value);
    } else if (secretRef) {
      const secret = await objects.secret(namespace, secretRef.name ?? '');
      if (!secret && !secretRef.optional) throw new Error(`secret "${secretRef.name}" not found`);
      for (const [key, value] of Object.entries(secret?.data ?? {}))
        variables.set(prefix + key, Buffer.from(value, 'base64').toString());
    }
  }
  return variables;
}

/** undefined: an optional reference to nothing; the variable is left out. */
async function referencedValue({ valueFrom }: EnvVar, input: EnvironmentInput): Promise<string | undefined> {
  if (!valueFrom) return '';
  const { pod, container, objects, nodeAllocatable } = input;
  const namespace = pod.metadata?.namespace ?? '';
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = valueFrom;
  if (fieldRef) return podField(pod, fieldRef.fieldPath, input);
  if (resourceFieldRef) {
    const { containerName, resource, divisor } = resourceFieldRef;
    const of = containerName ? containerNamed(input, containerName) : container;
    return resourceField(of, resource, divisor, nodeAllocatable);
  }
  if (configMapKeyRef) {
    const { name = '', key, optional } = configMapKeyRef;
    const map = await objects.configMap(namespace, name);
    const value = map?.data?.[key];
    if (value !== undefined) return value;
    if (optional) return undefined;
    throw new Error(
      map ? `couldn't find key ${key} in ConfigMap ${namespace}/${name}` : `configmap "${name}" not found`,
    );
  }
  if (secretKeyRef) {
    const { name = '', key, optional } = secretKeyRef;
    const secret = await objects.secret(namespace, name);
    const value = secret?.data?.[key];
    if (value !== undefined) return Buffer.from(value, 'base64').toString();
    if (optional) return undefined;
    throw new Error(secret ? `couldn't find key ${key} in Secret ${namespace}/${name}` : `secret "${name}" not found`);
  }
  return '';
}

function containerNamed({ pod }: EnvironmentInput, name: string): Container {
  const found = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])].find((c) => c.name === name);
  if (!found) throw new Error(`container ${name} not found`);
  return found;
}
