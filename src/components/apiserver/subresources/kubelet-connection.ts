/** Where a node's kubelet listens and how to speak TLS with it. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { Node } from '../../../machinery/api/types.ts';
import { reloadingFile } from '../authentication/reloading-file.ts';
import { badRequest, internalError, notFound } from '../errors.ts';
import type { KubeletConnectionOptions } from './handlers.ts';

export interface TlsIdentity {
  cert?: Buffer;
  key?: Buffer;
  ca?: Buffer;
  rejectUnauthorized: boolean;
}

export interface KubeletConnection {
  /** `https://10.0.0.12:10250`. Throws for a node that does not exist or has no address. `known` saves looking it up. */
  baseUrl(nodeName: string, known?: Node): string;
  tls(): TlsIdentity;
  timeoutMs: number;
}

const usualPort = 10250;

export function createKubeletConnection(
  options: KubeletConnectionOptions,
  findNode: (name: string) => Node | undefined,
): KubeletConnection {
  let identity: (() => TlsIdentity) | undefined;
  return {
    timeoutMs: options.timeoutMs ?? 5_000,
    baseUrl(nodeName, known) {
      const node = known ?? findNode(nodeName);
      if (!node) throw notFound('', 'nodes', nodeName);
      const host = preferredAddress(node, options.preferredAddressTypes);
      const port = node.status?.daemonEndpoints?.kubeletEndpoint?.Port || options.port || usualPort;
      return `https://${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
    },
    tls() {
      identity ??= tlsIdentity(options);
      return identity();
    },
  };
}

function preferredAddress(node: Node, types: string[]): string {
  const addresses = node.status?.addresses ?? [];
  for (const type of types) {
    const found = addresses.find((address) => address.type === type);
    if (found) return found.address;
  }
  const known = addresses.map(({ address, type }) => `{${type} ${address}}`).join(' ');
  throw internalError(`no preferred addresses found; known addresses: [${known}]`);
}

function tlsIdentity(options: KubeletConnectionOptions): () => TlsIdentity {
  const { clientCertificateFile, clientKeyFile, certificateAuthorityFile } = options;
  const ca = certificateAuthorityFile ? { ca: readFileSync(certificateAuthorityFile) } : {};
  const checked = { ...ca, rejectUnauthorized: certificateAuthorityFile !== undefined };
  if (!clientCertificateFile || !clientKeyFile) return () => checked;
  const cert = reloadingFile(clientCertificateFile, (content) => content);
  const key = reloadingFile(clientKeyFile, (content) => content);
  return () => ({ ...checked, cert: cert(), key: key() });
}

/** `[scheme:]name[:port]`, as proxy paths name their target. */
export function splitSchemeNamePort(id: string): { scheme: string; name: string; port: string } {
  const parts = id.split(':');
  if (parts.length === 1) return { scheme: '', name: id, port: '' };
  if (parts.length === 2 && parts[0] && parts[1]) return { scheme: '', name: parts[0], port: parts[1] };
  if (parts.length === 3 && ['http', 'https', ''].includes(parts[0] ?? '') && parts[1])
    return { scheme: parts[0] ?? '', name: parts[1], port: parts[2] ?? '' };
  throw badRequest(`invalid name format: ${JSON.stringify(id)}`);
}
