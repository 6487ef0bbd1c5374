/** The gRPC health probe (grpc.health.v1.Health/Check). The gRPC library is loaded with the first such probe. */
import type { ProbeOutcome } from './run-probe.ts';

const statusNames = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];

export async function grpcProbe(address: string, service: string, timeoutMs: number): Promise<ProbeOutcome> {
  const grpc = await import('@grpc/grpc-js');
  const client = new grpc.Client(address, grpc.credentials.createInsecure(), {
    'grpc.primary_user_agent': 'kube-probe/1.36',
    'grpc.enable_retries': 0,
  });
  const seconds = `${timeoutMs / 1000}s`;
  const deadline = Date.now() + timeoutMs;
  try {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    client.makeUnaryRequest(
      '/grpc.health.v1.Health/Check',
      (request: Buffer) => request,
      (answer: Buffer) => answer,
      encodeRequest(service),
      new grpc.Metadata(),
      { deadline },
      (error, answer) => (error ? reject(error) : resolve(answer ?? Buffer.alloc(0))),
    );
    const status = decodeStatus(await promise);
    const name = statusNames[status] ?? String(status);
    if (name === 'SERVING') return { result: 'success', message: 'service healthy' };
    return { result: 'failure', message: `service unhealthy (responded with ${JSON.stringify(name)})` };
  } catch (error) {
    const { code, details } = error as { code?: number; details?: string };
    const said = details ?? (error as Error).message;
    if (code === grpc.status.UNIMPLEMENTED)
      return {
        result: 'failure',
        message: `error: this server does not implement the grpc health protocol (grpc.health.v1.Health): ${said}`,
      };
    if (code === grpc.status.DEADLINE_EXCEEDED)
      return {
        result: 'failure',
        message: `timeout: failed to connect service ${JSON.stringify(address)} within ${seconds}: context deadline exceeded`,
      };
    return { result: 'failure', message: `error: health rpc failed: ${said}` };
  } finally {
    client.close();
  }
}

/** HealthCheckRequest: field 1, the service's name. */
function encodeRequest(service: string): Buffer {
  const name = Buffer.from(service);
  return name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a]), varint(name.length), name]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left > 0x7f; left >>>= 7) bytes.push((left & 0x7f) | 0x80);
  return Buffer.from([...bytes, left]);
}

/** HealthCheckResponse: field 1, an enum. */
const decodeStatus = (answer: Buffer): number => (answer[0] === 0x08 ? (answer[1] ?? 0) : 0);
