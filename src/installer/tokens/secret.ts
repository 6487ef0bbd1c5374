/** Bootstrap tokens as Secrets of type bootstrap.kubernetes.io/token in kube-system. */
import type { Secret } from '../../machinery/api/types.ts';
import { parseDuration } from '../config/duration.ts';
import type { BootstrapTokenOptions } from '../config/types.ts';
import { KinitError } from '../errors.ts';
import { parseToken } from './format.ts';

export const tokenSecretType = 'bootstrap.kubernetes.io/token';
export const tokenNamespace = 'kube-system';
export const tokenSecretName = (id: string) => `bootstrap-token-${id}`;

/** RFC 3339 in seconds, as Go writes it. */
export const formatTime = (date: Date) => date.toISOString().replace(/\.\d{3}Z$/, 'Z');

const encode = (text: string) => Buffer.from(text).toString('base64');

export function buildTokenSecret(options: BootstrapTokenOptions, now = new Date()): Secret {
  const token = parseToken(options.token);
  if (!token) throw new KinitError('Validation', 'a token has the form [a-z0-9]{6}.[a-z0-9]{16}');
  const ttl = options.ttl === undefined ? 0 : (parseDuration(options.ttl) ?? 0);
  const expiration = options.expires ?? (ttl > 0 ? formatTime(new Date(now.getTime() + ttl)) : undefined);
  const data: Record<string, string> = { 'token-id': token.id, 'token-secret': token.secret };
  if (options.description) data['description'] = options.description;
  if (expiration) data['expiration'] = expiration;
  for (const usage of options.usages) data[`usage-bootstrap-${usage}`] = 'true';
  if (options.groups.length) data['auth-extra-groups'] = options.groups.join(',');
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: tokenSecretName(token.id), namespace: tokenNamespace },
    type: tokenSecretType,
    data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, encode(value)])),
  };
}

/** undefined when the Secret is not a well-formed token. */
export function readTokenSecret(secret: Secret): BootstrapTokenOptions | undefined {
  const field = (key: string) => {
    const value = secret.data?.[key];
    return value === undefined ? undefined : Buffer.from(value, 'base64').toString();
  };
  const token = `${field('token-id')}.${field('token-secret')}`;
  const parsed = parseToken(token);
  if (!parsed || secret.metadata?.name !== tokenSecretName(parsed.id)) return undefined;
  return {
    token,
    description: field('description'),
    expires: field('expiration'),
    usages: ['authentication', 'signing'].filter((usage) => field(`usage-bootstrap-${usage}`) === 'true'),
    groups: field('auth-extra-groups')?.split(',') ?? [],
  };
}

export function isExpired({ expires }: BootstrapTokenOptions, now = new Date()): boolean {
  return expires !== undefined && new Date(expires) <= now;
}
