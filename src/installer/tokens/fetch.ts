/** One HTTPS request where trust is decided by the caller: not at all, or by one CA. */
import { request } from 'node:https';
import { KinitError } from '../errors.ts';

export interface TlsRequest {
  /** Absent: the server's certificate is not checked. */
  caPem?: string;
  certPem?: string;
  keyPem?: string;
  /** Bearer token; only with `caPem`, so that nobody else gets it. */
  token?: string;
  signal?: AbortSignal;
  timeoutMs: number;
}

export interface TlsAnswer {
  status: number;
  body: string;
  /** This host's address in the connection. */
  localAddress?: string;
}

const reasons: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'the name does not resolve',
  EAI_AGAIN: 'the name does not resolve',
  EHOSTUNREACH: 'there is no route to it',
  ENETUNREACH: 'there is no route to it',
  ETIMEDOUT: 'timeout',
  ECONNRESET: 'the connection was reset',
  EPROTO: 'it does not speak TLS',
};

export function fetchOverTls(url: string, options: TlsRequest): Promise<TlsAnswer> {
  const { caPem, certPem, keyPem, token, signal, timeoutMs } = options;
  const headers = token && caPem ? { authorization: `Bearer ${token}` } : {};
  return new Promise((resolve, reject) => {
    const call = request(
      url,
      { ca: caPem, cert: certPem, key: keyPem, rejectUnauthorized: caPem !== undefined, signal, agent: false, headers },
      (response) => {
        const chunks: Buffer[] = [];
        const localAddress = response.socket.localAddress;
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString(), localAddress }),
        );
      },
    );
    call.setTimeout(timeoutMs, () => call.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })));
    call.on('error', (error: NodeJS.ErrnoException) => {
      const { host } = new URL(url);
      if (signal?.aborted) return reject(signal.reason as Error);
      const seen = reasons[error.code ?? ''] ?? error.message;
      reject(
        new KinitError('Connection', `cannot reach the API server at ${host}`, {
          seen,
          advice: `check the endpoint, and that a firewall lets TCP to ${host} through; if it is just starting, run the same command again`,
          cause: error,
        }),
      );
    });
    call.end();
  });
}
