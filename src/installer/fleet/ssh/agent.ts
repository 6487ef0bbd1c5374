/** The user's SSH agent: which keys and certificates it has, and signatures by them. */
import { connect } from 'node:net';
import { string, uint32, WireReader } from './wire.ts';

const requestIdentities = 11;
const identitiesAnswer = 12;
const signRequest = 13;
const signResponse = 14;
const answerTimeoutMs = 10_000;
/** Somebody may have to confirm, or to touch a device. */
const signTimeoutMs = 60_000;

function ask(socketPath: string, payload: Buffer, timeoutMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    let answer = Buffer.alloc(0);
    const end = (settle: () => void) => {
      socket.destroy();
      settle();
    };
    socket.setTimeout(timeoutMs, () => end(() => reject(new Error('the SSH agent does not answer'))));
    socket.on('error', (error) => end(() => reject(error)));
    socket.on('close', () => reject(new Error('the SSH agent closed the connection')));
    socket.on('data', (chunk) => {
      answer = Buffer.concat([answer, chunk]);
      if (answer.length < 4 || answer.length < 4 + answer.readUInt32BE(0)) return;
      end(() => resolve(answer.subarray(4, 4 + answer.readUInt32BE(0))));
    });
    socket.write(string(payload));
  });
}

/** Public keys and certificates, in the agent's order. @throws Error when there is no agent */
export async function agentKeys(socketPath: string): Promise<Buffer[]> {
  const answer = await ask(socketPath, Buffer.of(requestIdentities), answerTimeoutMs);
  if (answer[0] !== identitiesAnswer) throw new Error('the SSH agent names no keys');
  const reader = new WireReader(answer.subarray(1));
  const keys: Buffer[] = [];
  for (let left = reader.uint32(); left > 0; left--) {
    keys.push(reader.bytes());
    reader.bytes();
  }
  return keys;
}

const rsaFlags: Record<string, number> = { 'rsa-sha2-256': 2, 'rsa-sha2-512': 4 };

/** @param algorithm of the signature; it matters to RSA keys only. @returns the signature with its algorithm before it */
export async function agentSignature(
  socketPath: string,
  key: Buffer,
  data: Buffer,
  algorithm: string,
): Promise<Buffer> {
  const flags = uint32(rsaFlags[algorithm] ?? 0);
  const request = Buffer.concat([Buffer.of(signRequest), string(key), string(data), flags]);
  const answer = await ask(socketPath, request, signTimeoutMs);
  if (answer[0] !== signResponse) throw new Error('the SSH agent refuses to sign');
  return new WireReader(answer.subarray(1)).bytes();
}
