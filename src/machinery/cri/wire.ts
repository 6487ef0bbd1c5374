/** gRPC calls to a container runtime over its unix socket: messages are encoded from the facts in assets/cri.json. */
import { readFileSync } from 'node:fs';
import {
  Client,
  type ClientReadableStream,
  credentials,
  type Deadline,
  status as grpcStatus,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import protobuf from 'protobufjs/light.js';
import { assetPath } from '../assets.ts';

const conversion = { longs: Number, enums: String, defaults: true, arrays: true, objects: true } as const;

/** What the runtime answered instead of doing what was asked; `message` reads as upstream's (`rpc error: code = … desc = …`). */
export class RuntimeError extends Error {
  readonly code: number;
  readonly details: string;
  constructor(error: ServiceError) {
    super(`rpc error: code = ${codeName(error.code)} desc = ${error.details}`);
    this.name = 'RuntimeError';
    this.code = error.code;
    this.details = error.details;
  }
}

/** `DEADLINE_EXCEEDED` → `DeadlineExceeded`, as Go prints it. */
function codeName(code: number): string {
  const name = grpcStatus[code] ?? 'UNKNOWN';
  if (name === 'CANCELLED') return 'Canceled';
  return name
    .split('_')
    .map((word) => word[0] + word.slice(1).toLowerCase())
    .join('');
}

export const isRuntimeNotFound = (error: unknown): boolean =>
  error instanceof RuntimeError && error.code === grpcStatus.NOT_FOUND;
export const isRuntimeUnavailable = (error: unknown): boolean =>
  error instanceof RuntimeError && error.code === grpcStatus.UNAVAILABLE;
export const isUnimplemented = (error: unknown): boolean =>
  error instanceof RuntimeError && error.code === grpcStatus.UNIMPLEMENTED;
export const isDeadlineExceeded = (error: unknown): boolean =>
  error instanceof RuntimeError && error.code === grpcStatus.DEADLINE_EXCEEDED;

export interface WireCallOptions {
  timeoutMs: number;
  signal?: AbortSignal;
}

export interface Wire {
  unary<R>(service: string, method: string, request: object, options: WireCallOptions): Promise<R>;
  stream<R>(service: string, method: string, request: object, signal: AbortSignal): AsyncIterable<R>;
  close(): void;
}

/** @param endpoint for example `unix:///run/containerd/containerd.sock` or a plain path */
export function openWire(endpoint: string): Wire {
  const root = protobuf.Root.fromJSON(JSON.parse(readFileSync(assetPath('cri', 'cri.json'), 'utf8')));
  const client = new Client(socketAddress(endpoint), credentials.createInsecure(), {
    'grpc.max_receive_message_length': 16 << 20,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 1000,
    'grpc.default_authority': 'localhost',
    'grpc.enable_http_proxy': 0,
    'grpc.enable_retries': 0,
    'grpc.enable_channelz': 0,
  });
  const codecs = new Map<string, { serialize(value: object): Buffer; deserialize(bytes: Buffer): object }>();
  const codecOf = (service: string, method: string) => {
    const known = codecs.get(method);
    if (known) return known;
    const { requestType, responseType } = root.lookupService(`runtime.v1.${service}`).methods[method]!;
    const request = root.lookupType(`runtime.v1.${requestType}`);
    const response = root.lookupType(`runtime.v1.${responseType}`);
    const codec = {
      serialize: (value: object) => Buffer.from(request.encode(request.fromObject(value)).finish()),
      deserialize: (bytes: Buffer) => response.toObject(response.decode(bytes), conversion),
    };
    codecs.set(method, codec);
    return codec;
  };
  return {
    unary: <R>(service: string, method: string, request: object, { timeoutMs, signal }: WireCallOptions) => {
      const { serialize, deserialize } = codecOf(service, method);
      const deadline: Deadline = timeoutMs > 0 ? Date.now() + timeoutMs : Number.POSITIVE_INFINITY;
      return new Promise<R>((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const onAbort = () => call.cancel();
        const call = client.makeUnaryRequest(
          `/runtime.v1.${service}/${method}`,
          serialize,
          deserialize,
          request,
          new Metadata(),
          { deadline },
          (error, answer) => {
            signal?.removeEventListener('abort', onAbort);
            if (error) reject(signal?.aborted ? signal.reason : new RuntimeError(error));
            else resolve(answer as R);
          },
        );
        signal?.addEventListener('abort', onAbort, { once: true });
      });
    },
    async *stream<R>(service: string, method: string, request: object, signal: AbortSignal) {
      const { serialize, deserialize } = codecOf(service, method);
      const call: ClientReadableStream<object> = client.makeServerStreamRequest(
        `/runtime.v1.${service}/${method}`,
        serialize,
        deserialize,
        request,
      );
      const onAbort = () => call.cancel();
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        for await (const message of call) yield message as R;
      } catch (error) {
        throw isServiceError(error) ? new RuntimeError(error) : error;
      } finally {
        signal.removeEventListener('abort', onAbort);
        call.cancel();
      }
    },
    close: () => client.close(),
  };
}

const isServiceError = (error: unknown): error is ServiceError =>
  error instanceof Error && 'code' in error && 'details' in error;

export function socketAddress(endpoint: string): string {
  if (endpoint.startsWith('unix://')) return endpoint;
  return endpoint.startsWith('/') ? `unix://${endpoint}` : endpoint;
}
