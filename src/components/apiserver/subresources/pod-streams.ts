/**
 * `pods/exec`, `pods/attach`, `pods/portforward`. SPDY goes to the kubelet byte by byte; WebSocket clients of today's protocols are
 * translated (exec, attach) or carry SPDY inside (portforward); any other upgrade goes through untouched.
 */

import type { Pod } from '../../../machinery/api/types.ts';
import { connectSpdy, requestUpgrade, UpgradeRefused } from '../../../machinery/spdy/upgrade.ts';
import { badRequest } from '../errors.ts';
import type { RequestContext, SubresourceHandler } from '../types.ts';
import { admitConnect, type ConnectDeps, podOfRequest } from './connect.ts';
import { portForwardPath, streamOptions, streamPath } from './pod-location.ts';
import { portForwardProtocol, tunnel, tunnelProtocol } from './port-forward-tunnel.ts';
import { kubeletProtocols, remoteCommandProtocols, translateRemoteCommand } from './remote-command.ts';
import { forwardedHeaders, passUpgrade } from './reverse-proxy.ts';
import { connectionError, kubeletAnswerError } from './upstream-error.ts';
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

async function translate(deps: ConnectDeps, ctx: RequestContext, url: URL, protocol: string): Promise<void> {
  const { req, socket, head, info } = ctx;
  if (!socket) return;
  const { connection } = await connectSpdy(url, kubeletProtocols, { ...deps.kubelet.tls(), signal: ctx.signal }).catch(
    (error: unknown) => {
      throw refusal(error, url, `pods/${info.subresource}`, info.name);
    },
  );
  const client = await acceptWebSocket(req, socket, head ?? Buffer.alloc(0), protocol);
  await translateRemoteCommand(client, connection, streamOptions(ctx.url.searchParams));
}

async function tunnelPortForward(deps: ConnectDeps, ctx: RequestContext, url: URL): Promise<void> {
  const { req, socket, head, info } = ctx;
  if (!socket) return;
  const upgraded = await requestUpgrade(url, [portForwardProtocol], {
    ...deps.kubelet.tls(),
    signal: ctx.signal,
  }).catch((error: unknown) => {
    throw refusal(error, url, 'pods/portforward', info.name);
  });
  const client = await acceptWebSocket(req, socket, head ?? Buffer.alloc(0), tunnelProtocol);
  await tunnel(client, upgraded.socket, upgraded.head);
}

const refusal = (error: unknown, url: URL, resource: string, name: string) =>
  error instanceof UpgradeRefused
    ? kubeletAnswerError(error.statusCode, error.body, resource, name)
    : connectionError('POST', url, error);
