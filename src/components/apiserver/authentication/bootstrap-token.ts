/** Bootstrap tokens (`abcdef.0123456789abcdef`): Secrets `kube-system/bootstrap-token-<id>` with an expiry and a usage. */
import { timingSafeEqual } from 'node:crypto';
import type { Secret } from '../../../machinery/api/types.ts';
import type { CacheReader, UserInfo } from '../types.ts';

const format = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const extraGroupFormat = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;
const secrets = { group: '', resource: 'secrets' };

/** undefined for anything that is not a valid bootstrap token now. */
export function bootstrapUser(token: string, cache: CacheReader, now: Date): UserInfo | undefined {
  const [, id, secretPart] = format.exec(token) ?? [];
  if (!id || !secretPart) return undefined;
  const secret = cache.get(secrets, 'kube-system', `bootstrap-token-${id}`) as Secret | undefined;
  return secret && userOfSecret(secret, id, secretPart, now);
}

export function userOfSecret(secret: Secret, id: string, secretPart: string, now: Date): UserInfo | undefined {
  const field = (name: string) => Buffer.from(secret.data?.[name] ?? '', 'base64').toString('utf8');
  if (secret.metadata?.deletionTimestamp || secret.type !== 'bootstrap.kubernetes.io/token') return undefined;
  if (field('token-id') !== id || !equal(field('token-secret'), secretPart)) return undefined;
  if (field('usage-bootstrap-authentication') !== 'true' || isExpired(field('expiration'), now)) return undefined;
  const extraGroups = field('auth-extra-groups')
    .split(',')
    .filter((group) => group !== '');
  if (!extraGroups.every((group) => extraGroupFormat.test(group))) return undefined;
  return {
    name: `system:bootstrap:${id}`,
    groups: [...new Set(['system:bootstrappers', ...extraGroups])],
  };
}

/** A token whose expiry cannot be read is expired, as upstream has it. */
function isExpired(expiration: string, now: Date): boolean {
  if (!expiration) return false;
  const at = Date.parse(expiration);
  return Number.isNaN(at) || at <= now.getTime();
}

function equal(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
