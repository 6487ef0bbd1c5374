/** `pods/log`: what the kubelet says, passed on as it comes. */
import { pipeline } from 'node:stream/promises';
import type { SubresourceHandler } from '../types.ts';
import { type ConnectDeps, podOfRequest } from './connect.ts';
import { logPath } from './pod-location.ts';
import { sendRequest } from './reverse-proxy.ts';
import { kubeletAnswerError, readErrorBody } from './upstream-error.ts';

export function podLog(deps: ConnectDeps): SubresourceHandler {
  return {
    resource: { group: '', resource: 'pods' },
    subresource: 'log',
    async handle(ctx) {
      const { res, url, info } = ctx;
      if (!res) return;
      const pod = await podOfRequest(deps, ctx);
      const path = logPath(pod, url.searchParams);
      if (path === undefined) {
        // No node yet: there is no log.
        res.writeHead(204).end();
        return;
      }
      const insecure = url.searchParams.get('insecureSkipTLSVerifyBackend') === 'true';
      const answer = await sendRequest(ctx, {
        url: new URL(path, deps.kubelet.baseUrl(pod.spec?.nodeName ?? '')),
        method: 'GET',
        headers: {},
        tls: { ...deps.kubelet.tls(), ...(insecure ? { rejectUnauthorized: false } : {}) },
        timeoutMs: deps.kubelet.timeoutMs,
        body: 'none',
      });
      const status = answer.statusCode ?? 0;
      if (status < 200 || status > 206)
        throw kubeletAnswerError(status, await readErrorBody(answer), 'pods/log', info.name);
      res.writeHead(200, {
        'cache-control': 'no-cache, private',
        'content-type': answer.headers['content-type'] ?? 'text/plain',
      });
      // A client that follows sees the head at once.
      res.flushHeaders();
      await pipeline(answer, res).catch((error: Error) => {
        // The status line is out: breaking the connection is all that can tell the client.
        res.destroy(error);
      });
    },
  };
}
