/** The line that a user copies to another host. */
import { X509Certificate } from 'node:crypto';
import { publicKeyPin } from '../pki/x509.ts';

/**
 * @param server `https://host:port`
 * @param certificateKey given: the line for a control plane
 */
export function joinCommand(server: string, token: string, caPem: string | Buffer, certificateKey?: string): string {
  const pin = publicKeyPin(new X509Certificate(caPem));
  const line = `kinit join ${server.replace('https://', '')} --token ${token} --discovery-token-ca-cert-hash ${pin}`;
  return certificateKey ? `${line} --control-plane --certificate-key ${certificateKey}` : line;
}
