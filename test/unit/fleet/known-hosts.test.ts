import { describe, expect, it } from 'vitest';
import {
  fingerprint,
  judgeHostKey,
  knownHostName,
  knownTypes,
  parseKnownHosts,
} from '../../../src/installer/fleet/ssh/known-hosts.ts';

const keyOf = (type: string, secret: string): Buffer => {
  const field = (text: string) => Buffer.concat([Buffer.from([0, 0, 0, text.length]), Buffer.from(text)]);
  return Buffer.concat([field(type), field(secret)]);
};
const [ours, other, rsa] = [keyOf('ssh-ed25519', 'ours'), keyOf('ssh-ed25519', 'other'), keyOf('ssh-rsa', 'rsa')];
const line = (names: string, key: Buffer, type = 'ssh-ed25519') => `${names} ${type} ${key.toString('base64')}`;
/** A hashed name begins so; the salt is ours. */
const salted = '|1|AAECAwQFBgcICQoLDA0ODxAREhM=|';

describe('a host key', () => {
  const at = (address: string, port = 22) => ({ name: knownHostName(address, port), bare: address });
  it.each([
    ['is known by name', line('10.0.0.1', ours), at('10.0.0.1'), 'known'],
    ['is known among several names', line('web,10.0.0.1', ours), at('10.0.0.1'), 'known'],
    ['is known by pattern', line('10.0.0.*', ours), at('10.0.0.1'), 'known'],
    ['is not known where a pattern excludes it', line('10.0.0.*,!10.0.0.1', ours), at('10.0.0.1'), 'unknown'],
    ['is known with its port', line('[10.0.0.1]:2222', ours), at('10.0.0.1', 2222), 'known'],
    ['is known at another port, as ssh has it', line('10.0.0.1', ours), at('10.0.0.1', 2222), 'known'],
    ['may be another one at another port', line('10.0.0.1', other), at('10.0.0.1', 2222), 'unknown'],
    ['is unknown in an empty file', '# nothing\n\n', at('10.0.0.1'), 'unknown'],
    ['has changed', line('10.0.0.1', other), at('10.0.0.1'), 'changed'],
    ['of another type is unknown', line('10.0.0.1', rsa, 'ssh-rsa'), at('10.0.0.1'), 'unknown'],
    ['is revoked', `@revoked ${line('*', ours)}\n${line('10.0.0.1', ours)}`, at('10.0.0.1'), 'revoked'],
    ['is not vouched for by an authority', `@cert-authority ${line('*', ours)}`, at('10.0.0.1'), 'unknown'],
  ])('%s', (_what, file, names, verdict) => {
    expect(judgeHostKey(ours, names, [], parseKnownHosts(file))).toBe(verdict);
  });

  it('is known by a hashed name', async () => {
    const { createHmac } = await import('node:crypto');
    const salt = Buffer.from('AAECAwQFBgcICQoLDA0ODxAREhM=', 'base64');
    const hash = createHmac('sha1', salt).update('10.0.0.1').digest('base64');
    const file = parseKnownHosts(line(`${salted}${hash}`, ours));
    expect(judgeHostKey(ours, at('10.0.0.1'), [], file)).toBe('known');
    expect(judgeHostKey(ours, at('10.0.0.2'), [], file)).toBe('unknown');
  });

  it('given in the inventory outweighs the files', () => {
    const file = parseKnownHosts(line('10.0.0.1', ours));
    const inInventory = (...keys: string[]) => judgeHostKey(ours, at('10.0.0.1'), keys, file);
    expect(inInventory(fingerprint(ours))).toBe('known');
    expect(inInventory(`ssh-ed25519 ${ours.toString('base64')} comment`)).toBe('known');
    expect(inInventory(fingerprint(other))).toBe('changed');
  });

  it('is asked for in a type that is known', () => {
    const file = parseKnownHosts(`${line('a', rsa, 'ssh-rsa')}\n${line('b', ours)}`);
    expect(knownTypes(at('a'), [], file)).toEqual(['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa']);
    expect(knownTypes(at('b'), [], file)).toEqual(['ssh-ed25519']);
    expect(knownTypes(at('c'), [], file)).toEqual([]);
  });
});
