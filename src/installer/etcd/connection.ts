/** One connection to one member of etcd, for as long as a call takes. */
import type { ConnectionPool } from 'etcd3/lib/connection-pool.js';
import type { ClusterClient, KVClient, MaintenanceClient } from 'etcd3/lib/rpc.js';

export interface EtcdCredentials {
  rootCertificate: Buffer;
  privateKey?: Buffer;
  certChain?: Buffer;
}

export interface EtcdTarget {
  /** A client URL. */
  endpoint: string;
  /** Absent: an etcd without TLS. */
  credentials?: EtcdCredentials;
  /** The name that the member's certificate must be valid for, instead of the endpoint's host. */
  serverName?: string;
}

export interface EtcdClients {
  cluster: ClusterClient;
  maintenance: MaintenanceClient;
  kv: KVClient;
}

const passThrough = { execute: async <T>(call: (context: never) => T | PromiseLike<T>) => call(undefined as never) };

/** etcd's own words, without gRPC's number in front. */
export const etcdMessage = (error: unknown): string =>
  error instanceof Error ? error.message.replace(/^\d+ [A-Z_]+: /, '') : String(error);

/** Nothing is retried: the caller knows what may be done twice. */
export async function withEtcd<T>(
  { endpoint, credentials, serverName }: EtcdTarget,
  call: (clients: EtcdClients) => Promise<T>,
): Promise<T> {
  // grpc-js names an endpoint's address as TLS server name, which Node would warn of in the midst of what is printed.
  process.noDeprecation = true;
  // Loaded only here: most commands never talk to etcd.
  const { ConnectionPool: Pool } = await import('etcd3/lib/connection-pool.js');
  const rpc = await import('etcd3/lib/rpc.js');
  const pool: ConnectionPool = new Pool({
    hosts: [endpoint],
    ...(credentials ? { credentials } : {}),
    ...(serverName ? { grpcOptions: { 'grpc.ssl_target_name_override': serverName } } : {}),
    faultHandling: { global: passThrough as never, host: () => passThrough as never },
  });
  try {
    return await call({
      cluster: new rpc.ClusterClient(pool as never),
      maintenance: new rpc.MaintenanceClient(pool as never),
      kv: new rpc.KVClient(pool as never),
    });
  } finally {
    pool.close();
  }
}
