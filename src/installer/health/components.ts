/** The parts of Kubernetes on a host: asked for their health where their probes ask them. */
import { load } from 'js-yaml';
import type { Pod, Probe } from '../../machinery/api/types.ts';
import { joinHostPort } from '../config/cidr.ts';
import { loopback } from '../config/local-endpoint.ts';
import { manifestsDir } from '../config/paths.ts';
import { knownBalancer } from '../endpoint/balancer.ts';
import { KinitError } from '../errors.ts';
import { type Host, readText } from '../host/host.ts';
import { fetchOverTls } from '../tokens/fetch.ts';
import type { Component } from './types.ts';

const timeoutMs = 5_000;
const podLogs = '/var/log/pods';
export const lastLineCount = 10;

/** One question: `200` is healthy. */
export async function ask(url: string): Promise<{ healthy: boolean; seen: string }> {
  const short = (body: string) => body.trim().split('\n').slice(-5).join('\n').slice(0, 600);
  try {
    if (url.startsWith('https:')) {
      // Loopback, and no secret is sent: who answers need not prove it.
      const { status, body } = await fetchOverTls(url, { timeoutMs });
      return { healthy: status === 200, seen: `HTTP ${status}: ${short(body)}` };
    }
    const answer = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    return { healthy: answer.status === 200, seen: `HTTP ${answer.status}: ${short(await answer.text())}` };
  } catch (error) {
    return { healthy: false, seen: `${url}: ${reasonOf(error)}` };
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof KinitError) return error.details.seen ?? error.message;
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? error.cause.message : '';
  return error.name === 'TimeoutError' ? `no answer within ${timeoutMs / 1000} s` : cause || error.message;
}

/** Where a probe asks. */
export function probeUrl(probe: Probe | undefined, ports: { name?: string; containerPort: number }[] = []) {
  const get = probe?.httpGet;
  if (!get) return undefined;
  const { host = '127.0.0.1', path = '/', scheme = 'HTTP', port } = get;
  const number = typeof port === 'number' ? port : ports.find(({ name }) => name === String(port))?.containerPort;
  if (number === undefined) return undefined;
  return `${scheme.toLowerCase()}://${joinHostPort(host, number)}${path}`;
}

/** The newest log of a pod's first container, and how many there were before it. */
async function podLog(host: Host, podName: string, container: string) {
  const folders = (await host.list(podLogs)).filter((name) => name.startsWith(`kube-system_${podName}_`));
  let newest = { path: '', number: -1 };
  for (const folder of folders) {
    const home = `${podLogs}/${folder}/${container}`;
    for (const name of await host.list(home)) {
      const number = Number(/^(\d+)\.log$/.exec(name)?.[1] ?? -1);
      if (number > newest.number) newest = { path: `${home}/${name}`, number };
    }
  }
  return newest;
}

/** The last lines of a log for people: without the runtime's time stamp and stream, and components' JSON in words. */
export const plainLines = (text: string, count = lastLineCount): string[] =>
  text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-count)
    .map((line) => inWords(line.replace(/^\S+ (?:stdout|stderr) [FP] /, '')).slice(0, 500));

function inWords(line: string): string {
  if (!line.startsWith('{')) return line;
  try {
    const { level, msg, time, ts, object, error } = JSON.parse(line) as Record<string, unknown>;
    const why = typeof error === 'string' ? error : undefined;
    return typeof msg === 'string' ? [time ?? ts, level, object, msg, why].filter(Boolean).join(' ') : line;
  } catch (error) {
    // A line that the log's end cut off.
    if (error instanceof SyntaxError) return line;
    throw error;
  }
}

async function lastLines(host: Host, path: string): Promise<string[]> {
  if (!path) return [];
  const { stdout } = await host.run('tail', ['-n', String(lastLineCount), path], { observe: true });
  return plainLines(stdout);
}

async function staticPod(host: Host, manifest: string, nodeName: string): Promise<Component | undefined> {
  const text = (await readText(host, `${manifestsDir}/${manifest}`)) ?? '';
  let pod: Pod;
  try {
    pod = (load(text) ?? {}) as Pod;
  } catch (error) {
    const seen = error instanceof Error ? error.message : String(error);
    return { name: manifest, healthy: false, seen, restarts: 0, lastLines: [] };
  }
  const container = pod.spec?.containers?.[0];
  const url = probeUrl(container?.livenessProbe ?? container?.readinessProbe, container?.ports);
  if (!container || !url) return undefined;
  const name = pod.metadata?.name ?? container.name;
  const [answer, log] = await Promise.all([ask(url), podLog(host, `${name}-${nodeName}`, container.name)]);
  return {
    name,
    ...answer,
    restarts: Math.max(0, log.number),
    lastLines: answer.healthy ? [] : await lastLines(host, log.path),
  };
}

async function plain(name: string, url: string): Promise<Component> {
  return { name, ...(await ask(url)), restarts: 0, lastLines: [] };
}

/** Whether the node's own way to the API servers leads to one of them; how that one is it says itself. */
async function balancer(host: Host): Promise<Component | undefined> {
  const { port } = (await knownBalancer(host))?.endpoint ?? {};
  if (port === undefined) return undefined;
  const component = await plain('kinit-balancer', `https://${joinHostPort(loopback, port)}/livez`);
  return { ...component, healthy: component.seen.startsWith('HTTP ') };
}

/** Static pods that have an HTTP probe, kubelet, kube-proxy and the balancer. */
export async function observeComponents(host: Host, nodeName: string): Promise<Component[]> {
  const manifests = (await host.list(manifestsDir)).filter((name) => /^[^.].*\.(ya?ml|json)$/.test(name));
  const found = await Promise.all([
    plain('kubelet', 'http://127.0.0.1:10248/healthz'),
    ...manifests.map((manifest) => staticPod(host, manifest, nodeName)),
    plain('kube-proxy', 'http://127.0.0.1:10256/healthz'),
    balancer(host),
  ]);
  return found.filter((component) => component !== undefined);
}
