/** The way of every request: who asks, what for, may they, and then the handler; errors become Status answers. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ServerResponse as PlainResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from '../../../machinery/logging/logger.ts';
import type { Auditor } from '../audit/auditor.ts';
import { impersonate } from '../authentication/impersonation.ts';
import { authorizationAttributes, forbiddenError } from '../authorization/attributes.ts';
import { internalError, StatusError, serviceUnavailable, unauthorized, unknownPath } from '../errors.ts';
import { EtcdUnavailableError } from '../storage/etcd-client.ts';
import type { AuditTrail, Authenticator, Authorizer, RequestContext, UserInfo } from '../types.ts';
import { requestInfo } from './request-info.ts';
import { isLongRunning, type RequestMetrics } from './request-metrics.ts';
import { writeStatus } from './respond.ts';

export interface PipelineDeps {
  authenticator: Authenticator;
  authorizer: Authorizer;
  /** Answers requests for groups of aggregated servers; false: not one of them. */
  aggregated(ctx: RequestContext): Promise<boolean>;
  /** Serves `/api…` and `/apis/…` resources. */
  resources(ctx: RequestContext): Promise<void>;
  /** Serves other paths; false: unknown. */
  paths(ctx: RequestContext): Promise<boolean>;
  metrics: RequestMetrics;
  /** Absent: there is no audit log. */
  auditor?: Auditor | undefined;
  log: Logger;
}

export interface Pipeline {
  onRequest(req: IncomingMessage, res: ServerResponse): void;
  onUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
}

export function createPipeline(deps: PipelineDeps): Pipeline {
  const serve = async (req: IncomingMessage, answer: { res: ServerResponse } | { socket: Duplex; head: Buffer }) => {
    const url = new URL(req.url ?? '/', 'https://localhost');
    const gone = new AbortController();
    const stream = 'res' in answer ? answer.res : answer.socket;
    stream.once('close', () => gone.abort());
    const info = requestInfo(req.method ?? 'GET', url);
    const ctx: RequestContext = {
      req,
      ...answer,
      url,
      info,
      user: { name: '', groups: [] },
      signal: gone.signal,
      warn: warner(answer),
      auditId: auditIdOf(req),
    };
    if ('res' in answer) answer.res.setHeader('audit-id', ctx.auditId);
    const done = deps.metrics.started(ctx);
    try {
      await authorize(deps, ctx);
      if (ctx.audit) tellStart(ctx, ctx.audit);
      const elsewhere = await deps.aggregated(ctx);
      if (!elsewhere && info.isResourceRequest) await deps.resources(ctx);
      else if (!elsewhere && !(await deps.paths(ctx))) throw unknownPath();
      const code = 'res' in answer ? answer.res.statusCode : 101;
      done(code);
      ctx.audit?.completed(code);
    } catch (error) {
      const status = asStatus(error, deps.log, ctx);
      done(status.code);
      ctx.audit?.completed(status.code, status.status);
      if (!gone.signal.aborted) await writeError(ctx, status);
    }
  };
  const fail = (stream: { destroy(): unknown }) => (error: Error) => {
    deps.log.error({ problem: error.message }, 'an answer could not be written');
    stream.destroy();
  };
  return {
    onRequest: (req, res) => void serve(req, { res }).catch(fail(res)),
    onUpgrade: (req, socket, head) => void serve(req, { socket, head }).catch(fail(socket)),
  };
}

async function authorize(deps: PipelineDeps, ctx: RequestContext): Promise<void> {
  const { authorizer } = deps;
  const user = await authenticate(deps, ctx);
  const trail = deps.auditor?.begin(ctx, user);
  if (trail) ctx.audit = trail;
  ctx.user = await impersonate(ctx.req, user, authorizer);
  if (ctx.user !== user) trail?.impersonated(ctx.user);
  const attributes = authorizationAttributes(ctx.info, ctx.user, ctx.url.searchParams);
  const { decision, reason } = await authorizer.authorize(attributes);
  trail?.decided(decision === 'allow', reason ?? '');
  if (decision !== 'allow') throw forbiddenError(attributes, reason);
}

/** Throws 401; that nobody was let in is written down as well. */
async function authenticate({ authenticator, auditor }: PipelineDeps, ctx: RequestContext): Promise<UserInfo> {
  try {
    const user = await authenticator.authenticate(ctx.req);
    if (user) return user;
    throw unauthorized();
  } catch (error) {
    const trail = auditor?.begin(ctx, undefined);
    if (trail) ctx.audit = trail;
    throw error;
  }
}

/** The client's own, if it names one, so that it is found again behind proxies. */
function auditIdOf({ headers }: IncomingMessage): string {
  const given = headers['audit-id'];
  return typeof given === 'string' && /^[\w.-]{1,64}$/.test(given) ? given : randomUUID();
}

/** Answers that go on for long are written down when they begin. */
function tellStart({ res, info }: RequestContext, trail: AuditTrail): void {
  if (!isLongRunning(info)) return;
  if (!res) {
    trail.started(101);
    return;
  }
  const writeHead = res.writeHead.bind(res) as (...args: unknown[]) => ServerResponse;
  res.writeHead = ((code: number, ...rest: unknown[]) => {
    trail.started(code);
    return writeHead(code, ...rest);
  }) as never;
}

/** Upstream truncates at 256 characters each and 4 KiB in all; ours are short. */
function warner(answer: { res: ServerResponse } | { socket: Duplex }): (text: string) => void {
  const given = new Set<string>();
  return (text) => {
    if (!('res' in answer) || answer.res.headersSent || given.has(text)) return;
    given.add(text);
    answer.res.appendHeader('Warning', `299 - ${JSON.stringify(text.replace(/[\r\n]+/g, ' '))}`);
  };
}

function asStatus(error: unknown, log: Logger, { info, user }: RequestContext): StatusError {
  if (error instanceof StatusError) return error;
  const { message, stack } = error as Error;
  if (error instanceof EtcdUnavailableError) return serviceUnavailable(`etcdserver: ${message}`);
  log.error({ path: info.path, verb: info.verb, user: user.name, problem: stack ?? message }, 'a request failed');
  return internalError(message);
}

async function writeError(ctx: RequestContext, error: StatusError): Promise<void> {
  if (ctx.res) {
    if (ctx.res.headersSent) ctx.res.destroy();
    else await writeStatus(ctx.req, ctx.res, ctx.url, error);
    return;
  }
  // A refused upgrade is answered like any request, on the bare connection.
  if (!ctx.socket?.writable) return;
  const res = new PlainResponse(ctx.req);
  res.shouldKeepAlive = false;
  res.assignSocket(ctx.socket as never);
  await writeStatus(ctx.req, res, ctx.url, error);
  res.once('finish', () => ctx.socket?.end());
}
