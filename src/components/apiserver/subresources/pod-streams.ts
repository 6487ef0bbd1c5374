/**
 * `pods/exec`, `pods/attach`, `pods/portforward`. SPDY goes to the kubelet byte by byte; WebSocket clients of today's protocols are
 * translated (exec, attach) or carry SPDY inside (portforward); any other upgrade goes through untouched.
 */

import type { Pod } from '../../../machinery/api/types.ts';
import { connectSpdy, requestUpgrade, UpgradeRefused } from '../../../machinery/spdy/upgrade.ts';
import { badRequest, internalError } from '../errors.ts';
import type { RequestContext, SubresourceHandler } from '../types.ts';
import { admitConnect, type ConnectDeps, podOfRequest } from './connect.ts';
import { portForwardPath, streamOptions, streamPath } from './pod-location.ts';
import { portForwardProtocol, tunnel, tunnelProtocol } from './port-forward-tunnel.ts';
import { kubeletProtocols, remoteCommandProtocols, sendFailure, translateRemoteCommand } from './remote-command.ts';
import { forwardedHeaders, passUpgrade } from './reverse-proxy.ts';
import { connectionError, dialError, kubeletAnswerError } from './upstream-error.ts';
import { acceptWebSocket, asksForWebSocket, offeredSubprotocols } from './web-socket.ts';

const optionKinds = {
  exec: 'PodExecOptions',
  attach: 'PodAttachOptions',
  portforward: 'PodPortForwardOptions',
} as const;
type StreamSubresource = keyof typeof optionKinds;

export function podStreams(deps: ConnectDeps): SubresourceHandler[] {
  return (Object.keys(optionKinds) as StreamSubresource[]).map((subresource) => ({
    resource: { group: '', resource: 'pods' },
    subresource,
    async handle(ctx) {
      const pod = await podOfRequest(deps, ctx);
      await admitConnect(deps, ctx, optionKinds[subresource]);
      const query = ctx.url.searchParams;
      const path = subresource === 'portforward' ? portForwardPath(pod, query) : streamPath(subresource, pod, query);
      if (!ctx.socket) throw badRequest('Upgrade request required');
      const url = new URL(path, kubeletUrl(deps, pod));
      if (!asksForWebSocket(ctx.req)) return proxyUpgrade(deps, ctx, url);
      const offered = offeredSubprotocols(ctx.req);
      if (subresource === 'portforward')
        return offered.includes(tunnelProtocol) ? tunnelPortForward(deps, ctx, url) : proxyUpgrade(deps, ctx, url);
      const protocol = remoteCommandProtocols.find((name) => offered.includes(name));
      return protocol ? translate(deps, ctx, url, protocol) : proxyUpgrade(deps, ctx, url);
    },
  }));
}

const kubeletUrl = (deps: ConnectDeps, pod: Pod) => deps.kubelet.baseUrl(pod.spec?.nodeName ?? '');

/** The client's own handshake, to the kubelet and back, then bytes. */
function proxyUpgrade(deps: ConnectDeps, ctx: RequestContext, url: URL): Promise<void> {
  return passUpgrade(ctx, {
    url,
    method: ctx.req.method ?? 'POST',
    headers: forwardedHeaders(ctx.req.headers, true),
    tls: deps.kubelet.tls(),
    timeoutMs: deps.kubelet.timeoutMs,
  });
}

/** As upstream: the client is let in first, and hears through the error channel that there is no way to the kubelet. */
async function translate(deps: ConnectDeps, ctx: RequestContext, url: URL, protocol: string): Promise<void> {
  const { req, socket, head } = ctx;
  if (!socket) return;
  const client = await acceptWebSocket(req, socket, head ?? Buffer.alloc(0), protocol);
  // What the client already sends waits until somebody listens.
  client.pause();
  const deadline = connectDeadline(deps, ctx);
  try {
    const { connection } = await connectSpdy(url, kubeletProtocols, { ...deps.kubelet.tls(), signal: deadline.signal });
    deadline.clear();
    await translateRemoteCommand(client, connection, streamOptions(ctx.url.searchParams));
  } catch (error) {
    await sendFailure(client, internalError(failureText(error, url)).status);
  } finally {
    deadline.clear();
  }
}

function failureText(error: unknown, url: URL): string {
  if (error instanceof UpgradeRefused) return error.message;
  return `error sending request: ${connectionError('POST', url, error).message}`;
}

async function tunnelPortForward(deps: ConnectDeps, ctx: RequestContext, url: URL): Promise<void> {
  const { req, socket, head, info } = ctx;
  if (!socket) return;
  const deadline = connectDeadline(deps, ctx);
  const upgraded = await requestUpgrade(url, [portForwardProtocol], { ...deps.kubelet.tls(), signal: deadline.signal })
    .catch((error: unknown) => {
      throw error instanceof UpgradeRefused
        ? kubeletAnswerError(error.statusCode, error.body, 'pods/portforward', info.name)
        : dialError(url, error);
    })
    .finally(deadline.clear);
  const client = await acceptWebSocket(req, socket, head ?? Buffer.alloc(0), tunnelProtocol);
  await tunnel(client, upgraded.socket, upgraded.head);
}

/** Ends the attempt when the client goes or the kubelet does not answer in time; once cleared it ends nothing. */
function connectDeadline({ kubelet }: ConnectDeps, { signal }: RequestContext) {
  const controller = new AbortController();
  const late = Object.assign(new Error('i/o timeout'), { code: 'ETIMEDOUT' });
  const timer = setTimeout(() => controller.abort(late), kubelet.timeoutMs);
  const gone = () => controller.abort();
  signal.addEventListener('abort', gone, { once: true });
  return {
    signal: controller.signal,
    clear: () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', gone);
    },
  };
}
