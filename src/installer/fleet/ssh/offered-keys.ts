/**
 * Keys and certificates as this end offers them to a server.
 *
 * ssh2 names one algorithm for a key and for its signature. A certificate has two: its own, and that of the key that
 * signs. Therefore the requests (RFC 4252, section 7) are made here, and given to ssh2's connection to be sent; the
 * parts of it that are touched stand in `ProtocolParts`, and the version of ssh2 is fixed in package.json.
 */
import { createPrivateKey, sign as signWith } from 'node:crypto';
import ssh2, { type Client, type ParsedKey } from 'ssh2';
import { plainType } from './certificate.ts';
import { keyType } from './known-hosts.ts';
import { mpint, string, WireReader } from './wire.ts';

export interface OfferedKey {
  /** The public key or the certificate. */
  blob: Buffer;
  /** For messages: where it is from. */
  origin: string;
  /** @param algorithm of the signature. @returns the signature with its algorithm before it */
  sign(data: Buffer, algorithm: string): Promise<Buffer>;
}

interface ProtocolParts {
  authPK(
    user: string,
    key: ParsedKey,
    algorithm: string | undefined,
    sign?: (data: Buffer, done: (signature: Buffer) => void) => void,
  ): void;
  _kex: { sessionID: Buffer };
  _authsQueue: string[];
  _packetRW: {
    write: { allocStart: number; alloc(size: number): Buffer; finalize(packet: Buffer): Buffer };
  };
  _cipher: { encrypt(packet: Buffer): void };
}

/** Signs with an unlocked private key. */
export function signatureBy(key: ParsedKey, data: Buffer, algorithm: string): Buffer {
  const hashes: Record<string, string | null> = {
    'rsa-sha2-512': 'sha512',
    'rsa-sha2-256': 'sha256',
    'ssh-rsa': 'sha1',
    'ssh-ed25519': null,
    'ecdsa-sha2-nistp256': 'sha256',
    'ecdsa-sha2-nistp384': 'sha384',
    'ecdsa-sha2-nistp521': 'sha512',
  };
  if (algorithm === 'ssh-ed25519') {
    const raw = key.sign(data);
    return Buffer.concat([string(algorithm), string(raw as Buffer)]);
  }
  const hash = hashes[algorithm];
  if (hash === undefined) throw new Error(`cannot sign with ${algorithm}`);
  const raw = signWith(hash, data, { key: createPrivateKey(key.getPrivatePEM()), dsaEncoding: 'ieee-p1363' });
  const half = raw.length / 2;
  const value = algorithm.startsWith('ecdsa-')
    ? Buffer.concat([mpint(raw.subarray(0, half)), mpint(raw.subarray(half))])
    : raw;
  return Buffer.concat([string(algorithm), string(value)]);
}

/** What a certificate (or the key of a device) is called on the wire, and the algorithm of its signatures. */
function algorithmsOf(blob: Buffer): { offered: string; signature: string } {
  const type = keyType(blob);
  const plain = plainType(type);
  if (plain !== 'ssh-rsa') return { offered: type, signature: plain };
  return { offered: type.replace('ssh-rsa', 'rsa-sha2-512'), signature: 'rsa-sha2-512' };
}

/** Keys as an agent, since ssh2 waits for an agent's signatures. The server is asked about one after the other. */
export function agentOver(list: () => Promise<OfferedKey[]>): InstanceType<typeof ssh2.BaseAgent> {
  const known = new Map<ParsedKey, OfferedKey>();
  class Keys extends ssh2.BaseAgent<ParsedKey> {
    override getIdentities(done: (error: Error | undefined, keys?: ParsedKey[]) => void): void {
      const parsed = (offered: OfferedKey) => {
        const plain = ssh2.utils.parseKey(offered.blob);
        const key = plain instanceof Error ? unparsed(offered) : plain;
        known.set(key, offered);
        return key;
      };
      list().then(
        (keys) => done(undefined, keys.map(parsed)),
        (error: Error) => done(error),
      );
    }

    override sign(
      key: ParsedKey,
      data: Buffer,
      options: { hash?: string } | ((error?: Error, signature?: Buffer) => void),
      done?: (error?: Error, signature?: Buffer) => void,
    ): void {
      const finish = typeof options === 'function' ? options : done;
      const offered = known.get(key);
      if (!offered) {
        finish?.(new Error('this key was not offered'));
        return;
      }
      const direct = offeredBy.has(key);
      const hash = typeof options === 'function' ? undefined : options.hash;
      const rsa = hash ? `rsa-sha2-${hash.slice(3)}` : 'ssh-rsa';
      const algorithm = direct ? algorithmsOf(offered.blob).signature : key.type === 'ssh-rsa' ? rsa : key.type;
      offered.sign(data, algorithm).then(
        (signature) => finish?.(undefined, direct ? signature : bareValue(signature)),
        (error: Error) => finish?.(error),
      );
    }
  }
  return new Keys();
}

/** The value of a signature, without its algorithm: what ssh2 expects of the keys that it knows. */
function bareValue(signature: Buffer): Buffer {
  const reader = new WireReader(signature);
  reader.bytes();
  return reader.bytes();
}

const offeredBy = new WeakMap<ParsedKey, OfferedKey>();
const anyKey = `ssh-ed25519 ${Buffer.concat([string('ssh-ed25519'), string(Buffer.alloc(32))]).toString('base64')}`;

/** Stands for a key that ssh2 does not know: it takes only what it has parsed itself. */
function unparsed(offered: OfferedKey): ParsedKey {
  const key = Object.create(ssh2.utils.parseKey(anyKey) as ParsedKey) as ParsedKey;
  key.type = keyType(offered.blob) as ParsedKey['type'];
  key.getPublicSSH = () => offered.blob;
  offeredBy.set(key, offered);
  return key;
}

const userauthRequest = 50;

/** Lets a client, which has been told to connect, log in with keys that ssh2 does not know. */
export function allowOfferedKeys(client: Client): void {
  const protocol = (client as unknown as { _protocol: ProtocolParts })._protocol;
  const usual = protocol.authPK;
  protocol.authPK = (user, key, algorithm, sign) => {
    const offered = offeredBy.get(key);
    if (!offered) return usual.call(protocol, user, key, algorithm, sign);
    const request = Buffer.concat([
      Buffer.of(userauthRequest),
      string(user),
      string('ssh-connection'),
      string('publickey'),
      Buffer.of(sign ? 1 : 0),
      string(algorithmsOf(offered.blob).offered),
      string(offered.blob),
    ]);
    const send = (payload: Buffer) => {
      const { write } = protocol._packetRW;
      const start = write.allocStart;
      const packet = write.alloc(payload.length);
      packet.set(payload, start);
      protocol._authsQueue.push('publickey');
      protocol._cipher.encrypt(write.finalize(packet));
    };
    if (!sign) return send(request);
    sign(Buffer.concat([string(protocol._kex.sessionID), request]), (signature) =>
      send(Buffer.concat([request, string(signature)])),
    );
  };
}
