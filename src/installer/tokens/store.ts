/** Bootstrap tokens in the cluster: creating, listing, deleting. */
import type { Secret } from '../../machinery/api/types.ts';
import { isNotFound } from '../../machinery/client/errors.ts';
import type { CallOptions, Client, ResourceType } from '../../machinery/client/types.ts';
import type { BootstrapTokenOptions } from '../config/types.ts';
import { KinitError } from '../errors.ts';
import { parseToken } from './format.ts';
import {
  buildTokenSecret,
  isExpired,
  readTokenSecret,
  tokenNamespace,
  tokenSecretName,
  tokenSecretType,
} from './secret.ts';

const secrets: ResourceType<Secret> = {
  group: '',
  version: 'v1',
  resource: 'secrets',
  kind: 'Secret',
  namespaced: true,
};

/** @throws KinitError Api when a token of this id is there already */
export async function createToken(
  client: Client,
  options: BootstrapTokenOptions,
  call: CallOptions = {},
): Promise<void> {
  const secret = buildTokenSecret(options);
  const name = secret.metadata!.name!;
  if (await client.resource(secrets).find({ name, namespace: tokenNamespace }, call)) {
    throw new KinitError('Api', `a token with id "${parseToken(options.token)?.id}" already exists`, {
      advice: 'choose another one, or delete it: kinit token delete <id>',
    });
  }
  await client.resource(secrets).create(secret, call);
}

/** Creates the token unless it is there and valid. @returns whether it was created or renewed */
export async function ensureToken(
  client: Client,
  options: BootstrapTokenOptions,
  call: CallOptions = {},
): Promise<boolean> {
  const name = tokenSecretName(parseToken(options.token)!.id);
  const found = await client.resource(secrets).find({ name, namespace: tokenNamespace }, call);
  const token = found && readTokenSecret(found);
  if (token && token.token === options.token && !isExpired(token)) return false;
  const secret = buildTokenSecret(options);
  if (!found) await client.resource(secrets).create(secret, call);
  else {
    const resourceVersion = found.metadata?.resourceVersion;
    await client.resource(secrets).update({ ...secret, metadata: { ...secret.metadata, resourceVersion } }, call);
  }
  return true;
}

export async function listTokens(client: Client, call: CallOptions = {}): Promise<BootstrapTokenOptions[]> {
  const { items } = await client
    .resource(secrets)
    .list({ namespace: tokenNamespace, fieldSelector: `type=${tokenSecretType}`, ...call });
  return items
    .filter(({ type }) => type === tokenSecretType)
    .map(readTokenSecret)
    .filter((token) => token !== undefined);
}

/** A token that nodes can join with now. */
export async function findUsableToken(client: Client, call: CallOptions = {}): Promise<string | undefined> {
  const tokens = await listTokens(client, call);
  return tokens.find(
    (token) => !isExpired(token) && token.usages.includes('signing') && token.usages.includes('authentication'),
  )?.token;
}

/** @param tokenOrId `abcdef` or `abcdef.0123456789abcdef` */
export function tokenIdOf(tokenOrId: string): string {
  const id = parseToken(tokenOrId)?.id ?? tokenOrId;
  if (!/^[a-z0-9]{6}$/.test(id)) {
    throw new KinitError('Usage', `"${tokenOrId}" is neither a token nor the id of one`, {
      advice: 'an id has six characters of [a-z0-9]; see: kinit token list',
    });
  }
  return id;
}

/** @param tokenOrId `abcdef` or `abcdef.0123456789abcdef` */
export async function deleteToken(client: Client, tokenOrId: string, call: CallOptions = {}): Promise<string> {
  const id = tokenIdOf(tokenOrId);
  try {
    await client.resource(secrets).delete({ name: tokenSecretName(id), namespace: tokenNamespace }, call);
  } catch (error) {
    if (isNotFound(error))
      throw new KinitError('Api', `there is no bootstrap token "${id}"`, { advice: 'see: kinit token list' });
    throw error;
  }
  return id;
}
