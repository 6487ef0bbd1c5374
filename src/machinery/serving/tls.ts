/** `--tls-min-version` and `--tls-cipher-suites` with Go's names, as every component takes them, for Node's servers. */
import type { SecureVersion } from 'node:tls';

const versions: Record<string, SecureVersion> = {
  VersionTLS10: 'TLSv1',
  VersionTLS11: 'TLSv1.1',
  VersionTLS12: 'TLSv1.2',
  VersionTLS13: 'TLSv1.3',
};

/** Those of TLS 1.3 are always on, as in Go. */
const always = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'];

/** Forward secrecy and authenticated encryption; for clients without TLS 1.3. Names of Go and of OpenSSL. */
const strong: Record<string, string> = {
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
};

export const strongSuites: readonly string[] = Object.keys(strong);

const others: Record<string, string> = {
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256: 'ECDHE-ECDSA-AES128-SHA256',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256: 'ECDHE-RSA-AES128-SHA256',
  TLS_RSA_WITH_AES_128_CBC_SHA: 'AES128-SHA',
  TLS_RSA_WITH_AES_256_CBC_SHA: 'AES256-SHA',
  TLS_RSA_WITH_AES_128_CBC_SHA256: 'AES128-SHA256',
  TLS_RSA_WITH_AES_128_GCM_SHA256: 'AES128-GCM-SHA256',
  TLS_RSA_WITH_AES_256_GCM_SHA384: 'AES256-GCM-SHA384',
};

export interface TlsSettings {
  minVersion: SecureVersion;
  /** As OpenSSL writes it. */
  ciphers: string;
}

/**
 * @param minVersion empty: TLS 1.2
 * @param suites empty: those with forward secrecy and authenticated encryption
 * @throws Error for names that Go does not know either
 */
export function tlsSettings(minVersion = '', suites: readonly string[] = []): TlsSettings {
  const version = versions[minVersion || 'VersionTLS12'];
  if (!version)
    throw new Error(
      `--tls-min-version: unknown tls version "${minVersion}"; possible values: ${Object.keys(versions).join(', ')}`,
    );
  const chosen = suites.length ? suites : Object.keys(strong);
  const names = chosen.map((suite) => {
    const name = always.includes(suite) ? suite : (strong[suite] ?? others[suite]);
    if (!name) throw new Error(`--tls-cipher-suites: Cipher suite ${suite} not supported or doesn't exist`);
    return name;
  });
  return { minVersion: version, ciphers: [...new Set([...always, ...names])].join(':') };
}
