/** How this server shows itself to aggregated ones: its front-proxy certificate, and headers that name the user. */

import type { OutgoingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { reloadingFile } from '../authentication/reloading-file.ts';
import type { TlsIdentity } from '../subresources/kubelet-connection.ts';
import type { UserInfo } from '../types.ts';
import type { ApiService } from './api-service.ts';
import type { Destination } from './destination.ts';

export interface FrontProxyOptions {
  /** `--proxy-client-cert-file`. */
  certFile?: string | undefined;
  /** `--proxy-client-key-file`. */
  keyFile?: string | undefined;
}

export interface ServerIdentity extends TlsIdentity {
  servername: string;
}

/** TLS towards the server of an APIService: it has to have a certificate for `<service>.<namespace>.svc`. */
export function frontProxyTls({ certFile, keyFile }: FrontProxyOptions): (service: ApiService) => ServerIdentity {
  const cert = certFile && keyFile ? reloadingFile(certFile, (content) => content) : undefined;
  const key = certFile && keyFile ? reloadingFile(keyFile, (content) => content) : undefined;
  return ({ spec }) => ({
    ...(cert && key ? { cert: cert(), key: key() } : {}),
    ...(spec?.caBundle ? { ca: Buffer.from(spec.caBundle, 'base64') } : {}),
    rejectUnauthorized: !spec?.insecureSkipTLSVerify,
    servername: `${spec?.service?.name}.${spec?.service?.namespace}.svc`,
  });
}

/** `https://10.96.0.12:443`, with the path. */
export const remoteUrl = ({ host, port }: Destination, path: string): URL =>
  new URL(path, `https://${isIP(host) === 6 ? `[${host}]` : host}:${port}`);

/** Node writes headers as Latin-1: this way UTF-8 goes out. */
const utf8 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

/** Whatever no header name may have, as `%2f`. */
const headerName = (key: string): string =>
  utf8(key).replace(
    /[^!#$&'*+.^_`|~0-9a-z-]/gi,
    (character) => `%${character.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`,
  );

/** `X-Remote-User`, `X-Remote-Group`, `X-Remote-Uid` and `X-Remote-Extra-…`. */
export function remoteUserHeaders({ name, uid, groups, extra = {} }: UserInfo): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = { 'x-remote-user': utf8(name) };
  if (uid) headers['x-remote-uid'] = utf8(uid);
  if (groups.length) headers['x-remote-group'] = groups.map(utf8);
  for (const [key, values] of Object.entries(extra)) headers[`x-remote-extra-${headerName(key)}`] = values.map(utf8);
  return headers;
}

/** What a client says about itself in these headers is no news for anybody. */
export const withoutRemoteUser = (headers: OutgoingHttpHeaders): OutgoingHttpHeaders =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith('x-remote-')));
