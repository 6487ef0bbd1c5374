/** The line that a user copies to another host. */
import { X509Certificate } from 'node:crypto';
import { publicKeyPin } from '../pki/x509.ts';

/** @param server `https://host:port` */
export function joinCommand(server: string, token: string, caPem: string | Buffer): string {
  const pin = publicKeyPin(new X509Certificate(caPem));
  return `kinit join ${server.replace('https://', '')} --token ${token} --discovery-token-ca-cert-hash ${pin}`;
}
