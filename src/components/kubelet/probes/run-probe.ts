/** One run of one probe. */
import { isIPv6 } from 'node:net';
import type { Probe } from '../../../machinery/api/types.ts';
import type { ProberOptions, ProbeTarget } from '../types.ts';
import { grpcProbe } from './grpc.ts';
import { httpProbe, httpTarget, portNumber } from './http.ts';
import { tcpProbe } from './tcp.ts';

/** A warning counts as a success. */
export interface ProbeOutcome {
  result: 'success' | 'warning' | 'failure';
  message: string;
}

const longestOutput = 10 * 1024;

/** @throws when the probe could not be made; such a run does not count */
export async function runProbe(
  probe: Probe,
  { container, containerId, podIp }: ProbeTarget,
  runtime: ProberOptions['runtime'],
): Promise<ProbeOutcome> {
  const timeoutMs = (probe.timeoutSeconds || 1) * 1000;
  if (probe.exec) return execProbe(probe.exec.command ?? [], containerId, timeoutMs, runtime);
  if (probe.httpGet) {
    const answer = await httpProbe(httpTarget(probe.httpGet, container, podIp), timeoutMs);
    if (answer.error !== undefined) return { result: 'failure', message: answer.error };
    if (answer.status >= 300 && answer.status < 400)
      return { result: 'warning', message: `Probe terminated redirects, Response body: ${answer.body}` };
    if (answer.status >= 200 && answer.status < 300) return { result: 'success', message: answer.body };
    return { result: 'failure', message: `HTTP probe failed with statuscode: ${answer.status}` };
  }
  if (probe.tcpSocket) {
    const port = portNumber(probe.tcpSocket.port as number | string, container);
    return tcpProbe(probe.tcpSocket.host || podIp, port, timeoutMs);
  }
  if (probe.grpc) {
    const host = isIPv6(podIp) ? `[${podIp}]` : podIp;
    return grpcProbe(`${host}:${probe.grpc.port}`, probe.grpc.service ?? '', timeoutMs);
  }
  throw new Error(`missing probe handler for ${container.name}`);
}

async function execProbe(
  command: string[],
  containerId: string,
  timeoutMs: number,
  runtime: ProberOptions['runtime'],
): Promise<ProbeOutcome> {
  try {
    const { stdout, stderr, exitCode } = await runtime.execSync(containerId, command, timeoutMs);
    const output = Buffer.concat([stdout, stderr]).subarray(0, longestOutput).toString();
    return { result: exitCode === 0 ? 'success' : 'failure', message: output };
  } catch (error) {
    if (!isDeadline(error)) throw error;
    const seconds = `${timeoutMs / 1000}s`;
    return { result: 'failure', message: `command timed out: "${command.join(' ')}" timed out after ${seconds}` };
  }
}

/** gRPC's DeadlineExceeded, of the runtime or of the call itself. */
function isDeadline(error: unknown): boolean {
  const { code, message = '' } = error as { code?: number; message?: string };
  return code === 4 || /deadline exceeded|timeout .* exceeded/i.test(message);
}
