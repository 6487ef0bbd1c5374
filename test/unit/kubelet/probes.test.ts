import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { runLifecycleHook } from '../../../src/components/kubelet/probes/lifecycle.ts';
import { createProber } from '../../../src/components/kubelet/probes/prober.ts';
import { runProbe } from '../../../src/components/kubelet/probes/run-probe.ts';
import type { Prober, ProbeTarget } from '../../../src/components/kubelet/types.ts';
import type { Container, Probe } from '../../../src/machinery/api/types.ts';
import { RuntimeError } from '../../../src/machinery/cri/wire.ts';
import { selfSignedCertificate } from '../../../src/machinery/serving/self-signed.ts';

const ending: (() => void)[] = [];
afterEach(() => {
  for (const end of ending.splice(0)) end();
});

const listen = async (server: Server): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ending.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
};
const serve = (listener: RequestListener) => listen(createServer(listener));

const target = (fields: Partial<Container> = {}): ProbeTarget => ({
  pod: { metadata: { name: 'p', namespace: 'ns', uid: 'u' }, spec: { containers: [] } },
  container: { name: 'c', ...fields },
  containerId: 'id1',
  podIp: '127.0.0.1',
  startedAt: new Date(),
});
const exits = (exitCode: number, stdout = '') => ({
  execSync: async () => ({ stdout: Buffer.from(stdout), stderr: Buffer.alloc(0), exitCode }),
});
const once = (probe: Probe, runtime = exits(0), fields: Partial<Container> = {}) =>
  runProbe(probe, target(fields), runtime);

describe('an HTTP probe', () => {
  it('takes 200 to 399 for well and follows redirects on the same host only', async () => {
    const seen: string[] = [];
    const port = await serve((req, res) => {
      seen.push(`${req.url} ${req.headers['user-agent']} ${req.headers.host} ${req.headers['x-a']}`);
      if (req.url === '/moved') res.writeHead(302, { location: '/' });
      else if (req.url === '/away') res.writeHead(302, { location: 'http://elsewhere.example/' });
      else res.statusCode = Number(req.url?.slice(1) || 200);
      res.end('body');
    });
    const get = (path: string) =>
      once(
        {
          httpGet: {
            path,
            port: 'web',
            httpHeaders: [
              { name: 'Host', value: 'h' },
              { name: 'X-A', value: '1' },
            ],
          },
        },
        exits(0),
        {
          ports: [{ name: 'web', containerPort: port }],
        },
      );
    expect(await get('/')).toEqual({ result: 'success', message: 'body' });
    expect(seen[0]).toBe('/ kube-probe/1.36 h 1');
    expect(await get('moved')).toEqual({ result: 'success', message: 'body' });
    expect(await get('/away')).toMatchObject({ result: 'warning' });
    expect(await get('/304')).toMatchObject({ result: 'warning' });
    expect(await get('/500')).toEqual({ result: 'failure', message: 'HTTP probe failed with statuscode: 500' });
    expect(await get('/404')).toEqual({ result: 'failure', message: 'HTTP probe failed with statuscode: 404' });
  });

  it('does not verify certificates', async () => {
    const port = await listen(createTlsServer(selfSignedCertificate('x', ['x']), (_, res) => res.end('ok')));
    expect(await once({ httpGet: { path: '/', port, scheme: 'HTTPS' } })).toEqual({ result: 'success', message: 'ok' });
  });

  it('says what went wrong as Go does', async () => {
    const hangs = await serve(() => undefined);
    const ends = await serve((req) => req.socket.destroy());
    const free = await serve(() => undefined);
    for (const end of ending.splice(-1)) end();
    const said = async (port: number, timeoutSeconds = 5, scheme = 'HTTP') =>
      (await once({ httpGet: { path: '/x', port, scheme }, timeoutSeconds })).message;
    expect(await said(free)).toBe(
      `Get "http://127.0.0.1:${free}/x": dial tcp 127.0.0.1:${free}: connect: connection refused`,
    );
    expect(await said(ends)).toBe(`Get "http://127.0.0.1:${ends}/x": EOF`);
    expect(await said(hangs, 0.05)).toBe(
      `Get "http://127.0.0.1:${hangs}/x": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`,
    );
    expect(await said(hangs, 5, 'HTTPS')).toContain('http: server gave HTTP response to HTTPS client');
  });
});

it('a TCP probe only opens a connection', async () => {
  const server = createTcpServer((socket) => socket.end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  expect(await once({ tcpSocket: { port } })).toMatchObject({ result: 'success' });
  await new Promise((resolve) => server.close(resolve));
  expect(await once({ tcpSocket: { port } })).toEqual({
    result: 'failure',
    message: `dial tcp 127.0.0.1:${port}: connect: connection refused`,
  });
});

it('a gRPC probe asks for the health of a service', async () => {
  const grpc = await import('@grpc/grpc-js');
  const server = new grpc.Server();
  const raw = (bytes: Buffer) => bytes;
  server.addService(
    {
      Check: {
        path: '/grpc.health.v1.Health/Check',
        requestStream: false,
        responseStream: false,
        requestSerialize: raw,
        requestDeserialize: raw,
        responseSerialize: raw,
        responseDeserialize: raw,
      },
    },
    {
      Check: (call: { request: Buffer }, answer: (error: null, reply: Buffer) => void) =>
        answer(null, Buffer.from([8, call.request.subarray(2).toString() === 'good' ? 1 : 2])),
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  const ask = (service: string, at = port) => once({ grpc: { port: at, service }, timeoutSeconds: 2 });
  expect(await ask('good')).toEqual({ result: 'success', message: 'service healthy' });
  expect(await ask('bad')).toEqual({ result: 'failure', message: 'service unhealthy (responded with "NOT_SERVING")' });
  server.forceShutdown();
  expect((await ask('good')).result).toBe('failure');
});

describe('an exec probe', () => {
  it('goes by the exit code', async () => {
    expect(await once({ exec: { command: ['x'] } }, exits(0, 'fine'))).toEqual({ result: 'success', message: 'fine' });
    expect(await once({ exec: { command: ['x'] } }, exits(3, 'bad'))).toEqual({ result: 'failure', message: 'bad' });
  });
  it('fails when it takes too long', async () => {
    const slow = {
      execSync: async () => {
        throw new RuntimeError(Object.assign(new Error(), { code: 4, details: 'timeout 1s exceeded' }) as never);
      },
    };
    expect(await once({ exec: { command: ['sleep', '9'] } }, slow)).toEqual({
      result: 'failure',
      message: 'command timed out: "sleep 9" timed out after 1s',
    });
  });
});

describe('the prober', () => {
  const start = (exitCodes: (command: string) => number) => {
    const changes: string[] = [];
    const events: string[] = [];
    const prober: Prober = createProber({
      runtime: {
        execSync: async (_, [command = '']) => ({
          stdout: Buffer.from('said'),
          stderr: Buffer.alloc(0),
          exitCode: exitCodes(command),
        }),
      },
      onChange: ({ kind, result }) => changes.push(`${kind} ${result}`),
      recordEvent: (_, container, type, reason, message) => events.push(`${container} ${type} ${reason} ${message}`),
    });
    ending.push(() => prober.stop());
    return { prober, changes, events };
  };
  const probe = (command: string, fields: Partial<Probe> = {}): Probe => ({
    exec: { command: [command] },
    periodSeconds: 0.02,
    ...fields,
  });

  it('holds back the others until the container has started, then tells readiness', async () => {
    let startupRuns = 0;
    let early = 0;
    const { prober, changes } = start((command) => {
      if (command === 'startup') startupRuns += 1;
      else if (startupRuns < 3) early += 1;
      if (command === 'startup' && startupRuns < 3) return 1;
      return 0;
    });
    prober.track(
      target({
        startupProbe: probe('startup', { failureThreshold: 10 }),
        readinessProbe: probe('ready'),
        livenessProbe: probe('live'),
      }),
    );
    expect(prober.result('id1', 'readiness')).toBe('unknown');
    await vi.waitFor(() => expect(prober.result('id1', 'readiness')).toBe('success'), { timeout: 5000 });
    expect(changes).toEqual(['startup success', 'readiness success']);
    expect([startupRuns, early]).toEqual([3, 0]);
    expect(prober.metrics()).toContain('probe_type="Startup",result="failed"} 2');
  });

  it('ends a container after the threshold, once, and sends an event for each failure', async () => {
    let healthy = true;
    const { prober, changes, events } = start(() => (healthy ? 0 : 1));
    prober.track(target({ livenessProbe: probe('live', { failureThreshold: 3 }) }));
    expect(prober.result('id1', 'liveness')).toBe('success');
    healthy = false;
    await vi.waitFor(() => expect(changes).toEqual(['liveness failure']), { timeout: 5000 });
    expect(events).toEqual(Array(3).fill('c Warning Unhealthy Liveness probe failed: said'));
    prober.untrack('id1');
    expect(prober.result('id1', 'liveness')).toBeUndefined();
  });

  it('takes a container that was started and ready before as such, but no new one', () => {
    const { prober } = start(() => 1);
    const given = target({ startupProbe: probe('s'), readinessProbe: probe('r') });
    const status = { name: 'c', image: '', imageID: '', restartCount: 0, ready: true, started: true };
    const pod = { ...given.pod, status: { containerStatuses: [{ ...status, containerID: 'containerd://id1' }] } };
    prober.track({ ...given, pod });
    prober.track({ ...given, pod, containerId: 'id2' });
    expect(prober.result('id2', 'readiness')).toBe('unknown');
    expect(prober.result('id1', 'startup')).toBe('success');
    expect(prober.result('id1', 'readiness')).toBe('success');
  });
});

describe('a lifecycle hook', () => {
  const hook = (given: object, runtime = exits(0)) => runLifecycleHook({ ...target(), runtime, hook: given });
  it('fails with the exit of its command', async () => {
    await hook({ exec: { command: ['true'] } });
    await expect(hook({ exec: { command: ['false', 'x'] } }, exits(1, 'no'))).rejects.toThrow(
      'Exec lifecycle hook ([false x]) for Container "c" in Pod "p_ns(u)" failed - error: command \'false x\' exited with 1: no, message: "no"',
    );
  });
  it('only wants an answer over HTTP, whatever its status', async () => {
    const port = await serve((_, res) => res.writeHead(500).end());
    await hook({ httpGet: { port, path: '/stop' } });
    await hook({ httpGet: { port, path: '/stop', scheme: 'HTTPS' } });
    for (const end of ending.splice(0)) end();
    await expect(hook({ httpGet: { port, path: '/stop' } })).rejects.toThrow(
      /^HTTP lifecycle hook \(\/stop\) .*connection refused/,
    );
  });
});
