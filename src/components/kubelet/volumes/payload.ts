/** What configMap, secret, downwardAPI and projected volumes contain. */
import type { Pod, Volume } from '../../../machinery/api/types.ts';
import { podField, resourceField } from '../environment/fields.ts';
import type { ReferencedObjects } from '../types.ts';
import type { Payload } from './atomic-writer.ts';

type Defined<K extends keyof Volume> = NonNullable<Volume[K]>;
type Item = { key: string; path: string; mode?: number };

export interface PayloadContext {
  pod: Pod;
  objects: ReferencedObjects;
  nodeName: string;
  nodeAllocatable: Record<string, string>;
}

const usualMode = 0o644;
const tokenSeconds = 3600;

/** undefined: the volume is of another kind. */
export function payloadOf(volume: Volume, context: PayloadContext): Promise<Payload> | undefined {
  if (volume.configMap) return configMapPayload(volume.configMap, volume.configMap.defaultMode ?? usualMode, context);
  if (volume.secret) {
    const { secretName, ...rest } = volume.secret;
    return secretPayload(
      { ...rest, ...(secretName ? { name: secretName } : {}) },
      rest.defaultMode ?? usualMode,
      context,
    );
  }
  if (volume.downwardAPI)
    return Promise.resolve(downwardPayload(volume.downwardAPI, volume.downwardAPI.defaultMode ?? usualMode, context));
  if (volume.projected) return projectedPayload(volume.projected, context);
  return undefined;
}

async function configMapPayload(
  source: { name?: string; items?: Item[]; optional?: boolean },
  mode: number,
  { pod, objects }: PayloadContext,
): Promise<Payload> {
  const map = await objects.configMap(pod.metadata?.namespace ?? '', source.name ?? '');
  if (!map && !source.optional) throw new Error(`configmap "${source.name}" not found`);
  const files = new Map<string, Buffer>();
  for (const [key, value] of Object.entries(map?.data ?? {})) files.set(key, Buffer.from(value));
  for (const [key, value] of Object.entries(map?.binaryData ?? {})) files.set(key, Buffer.from(value, 'base64'));
  return chosen(files, source, mode, 'configmap references non-existent config key');
}

async function secretPayload(
  source: { name?: string; items?: Item[]; optional?: boolean },
  mode: number,
  { pod, objects }: PayloadContext,
): Promise<Payload> {
  const secret = await objects.secret(pod.metadata?.namespace ?? '', source.name ?? '');
  if (!secret && !source.optional) throw new Error(`secret "${source.name}" not found`);
  const files = new Map<string, Buffer>();
  for (const [key, value] of Object.entries(secret?.data ?? {})) files.set(key, Buffer.from(value, 'base64'));
  return chosen(files, source, mode, 'references non-existent secret key');
}

function chosen(
  files: Map<string, Buffer>,
  { items, optional }: { items?: Item[]; optional?: boolean },
  defaultMode: number,
  missing: string,
): Payload {
  const payload: Payload = new Map();
  if (!items?.length) for (const [key, data] of files) payload.set(key, { data, mode: defaultMode });
  for (const { key, path, mode } of items ?? []) {
    const data = files.get(key);
    if (data) payload.set(path, { data, mode: mode ?? defaultMode });
    else if (!optional) throw new Error(`${missing}: ${key}`);
  }
  return payload;
}

function downwardPayload(
  source: Pick<Defined<'downwardAPI'>, 'items'>,
  defaultMode: number,
  { pod, nodeName, nodeAllocatable }: PayloadContext,
): Payload {
  const payload: Payload = new Map();
  for (const { path, mode, fieldRef, resourceFieldRef } of source.items ?? []) {
    let text = '';
    if (fieldRef) text = podField(pod, fieldRef.fieldPath, { podIps: [], hostIps: [], nodeName });
    else if (resourceFieldRef) {
      const { containerName, resource, divisor } = resourceFieldRef;
      const all = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
      const container = all.find(({ name }) => name === containerName);
      if (!container) throw new Error(`container ${containerName} not found`);
      text = resourceField(container, resource, divisor, nodeAllocatable);
    }
    payload.set(path, { data: Buffer.from(text), mode: mode ?? defaultMode });
  }
  return payload;
}

async function projectedPayload(source: Defined<'projected'>, context: PayloadContext): Promise<Payload> {
  const mode = source.defaultMode ?? usualMode;
  const payload: Payload = new Map();
  const problems: string[] = [];
  for (const part of source.sources ?? []) {
    try {
      const files = await partPayload(part, mode, context);
      for (const [path, file] of files) payload.set(path, file);
    } catch (error) {
      problems.push((error as Error).message);
    }
  }
  if (problems.length > 0) throw new Error(problems.length === 1 ? problems[0] : `[${problems.join(', ')}]`);
  return payload;
}

type Part = NonNullable<Defined<'projected'>['sources']>[number];

async function partPayload(part: Part, mode: number, context: PayloadContext): Promise<Payload> {
  if (part.configMap) return configMapPayload(part.configMap, mode, context);
  if (part.secret) return secretPayload(part.secret, mode, context);
  if (part.downwardAPI) return downwardPayload(part.downwardAPI, mode, context);
  if (part.serviceAccountToken) {
    const { audience = '', expirationSeconds = tokenSeconds, path } = part.serviceAccountToken;
    const token = await context.objects.serviceAccountToken(context.pod, audience, expirationSeconds);
    const uid = commonUser(context.pod);
    const hidden = uid !== undefined || context.pod.spec?.securityContext?.fsGroup !== undefined;
    return new Map([
      [path, { data: Buffer.from(token), mode: hidden ? 0o600 : mode, ...(uid === undefined ? {} : { uid }) }],
    ]);
  }
  throw new Error(`projected source ${Object.keys(part).join(', ') || '(empty)'} is not supported`);
}

/** The user that all containers run as, if it is one and the same. */
export function commonUser(pod: Pod): number | undefined {
  const all = [
    ...(pod.spec?.initContainers ?? []),
    ...(pod.spec?.containers ?? []),
    ...(pod.spec?.ephemeralContainers ?? []),
  ];
  const users = new Set(all.map((c) => c.securityContext?.runAsUser ?? pod.spec?.securityContext?.runAsUser));
  const [user] = users;
  return users.size === 1 ? user : undefined;
}
