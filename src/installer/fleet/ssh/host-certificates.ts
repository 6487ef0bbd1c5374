/**
 * Host certificates: asks a server for one, and lets ssh2 check the server's signature with the certified key.
 *
 * ssh2 knows host keys only. A certificate stands in the key exchange (RFC 4253, section 8) where a key would: it is what
 * both ends hash, while the signature is that of the key inside of it. The parts of ssh2's exchange that are touched stand in
 * `ExchangeParts`; the version of ssh2 is fixed in package.json.
 */
import type { Client, ServerHostKeyAlgorithm } from 'ssh2';
import constants from 'ssh2/lib/protocol/constants.js';
import { isCertificateType, parseCertificate, plainType } from './certificate.ts';
import { keyType } from './known-hosts.ts';

const rsaTypes = ['rsa-sha2-512', 'rsa-sha2-256'] as const;

const certificateSuffix = '-cert-v01@openssh.com';
export const hostCertificateTypes = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  ...rsaTypes,
].map((type) => `${type}${certificateSuffix}` as ServerHostKeyAlgorithm);

interface ExchangeParts {
  negotiated: { serverHostKey: string };
  _hostKey: Buffer;
  getPublicKey(): Buffer;
}

interface ProtocolParts {
  _kex: ExchangeParts | undefined;
}

const protocolOf = (client: Client) => (client as unknown as { _protocol: ProtocolParts })._protocol;

/** ssh2 refuses to ask for types that it does not list. */
export function allowHostCertificates(): void {
  for (const type of hostCertificateTypes) {
    if (!constants.SUPPORTED_SERVER_HOST_KEY.includes(type)) constants.SUPPORTED_SERVER_HOST_KEY.push(type);
  }
}

/** For a client that has been told to connect: certificates of RSA keys are called otherwise than what is asked for. */
export function expectHostCertificates(client: Client): void {
  const protocol = protocolOf(client);
  let exchange = protocol._kex;
  Object.defineProperty(protocol, '_kex', {
    get: () => exchange,
    set: (next: ExchangeParts | undefined) => {
      exchange = next;
      const asked = next?.negotiated.serverHostKey ?? '';
      if (next && /^rsa-sha2-.*-cert/.test(asked)) {
        askedFor.set(next, plainType(asked));
        next.negotiated.serverHostKey = `ssh-rsa${certificateSuffix}`;
      }
    },
  });
}

const askedFor = new WeakMap<ExchangeParts, string>();

/** Called while the server's certificate is judged: from here on the signature is that of the certified key. */
export function useCertifiedKey(client: Client, blob: Buffer): void {
  const exchange = protocolOf(client)._kex;
  if (!exchange || !isCertificateType(keyType(blob))) return;
  const { type, plainKey } = parseCertificate(blob);
  exchange.negotiated.serverHostKey = askedFor.get(exchange) ?? plainType(type);
  const publicKey = exchange.getPublicKey.bind(exchange);
  // It is asked for after the certificate has been hashed, and before the signature is checked.
  exchange.getPublicKey = () => {
    exchange._hostKey = plainKey;
    return publicKey();
  };
}
