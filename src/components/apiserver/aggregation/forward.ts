/** Passes a request on to the server that answers for its group and version: watches and upgrades stream through. */
import { pipeline } from 'node:stream/promises';
import { serviceUnavailable } from '../errors.ts';
import { forwardedHeaders, passUpgrade, sendRequest } from '../subresources/reverse-proxy.ts';
import type { RequestContext } from '../types.ts';
import type { Destination } from './destination.ts';
import { remoteUrl, remoteUserHeaders, type ServerIdentity, withoutRemoteUser } from './front-proxy.ts';

/** To connect. */
const timeoutMs = 10_000;

export async function forward(ctx: RequestContext, destination: Destination, tls: ServerIdentity): Promise<void> {
  const { req, res, url, user } = ctx;
  const target = {
    url: remoteUrl(destination, `${url.pathname}${url.search}`),
    method: req.method ?? 'GET',
    headers: {
      ...withoutRemoteUser(forwardedHeaders(req.headers, ctx.socket !== undefined)),
      ...remoteUserHeaders(user),
      'x-forwarded-for': req.socket.remoteAddress ?? '',
      'x-forwarded-uri': url.pathname,
      'x-forwarded-host': req.headers.host ?? '',
      'x-forwarded-proto': 'https',
      'audit-id': ctx.auditId,
    },
    tls,
    timeoutMs,
    failure: (why: string) => serviceUnavailable(`error trying to reach service: ${why}`),
  };
  if (ctx.socket) return passUpgrade(ctx, target);
  if (!res) return;
  const answer = await sendRequest(ctx, target);
  res.writeHead(answer.statusCode ?? 502, answer.statusMessage, forwardedHeaders(answer.headers));
  res.flushHeaders();
  await pipeline(answer, res).catch((error: Error) => {
    res.destroy(error);
  });
}
