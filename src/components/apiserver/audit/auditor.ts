/** The audit log of requests: audit.k8s.io/v1 Events, one JSON line per stage that the policy wants. */
import { readFileSync } from 'node:fs';
import type { Status, UnknownObject } from '../../../machinery/api/types.ts';
import type { Logger } from '../../../machinery/logging/logger.ts';
import type { MetricsRegistry } from '../../../machinery/serving/metrics.ts';
import { isLongRunning } from '../server/request-metrics.ts';
import type { AuditTrail, RequestContext, UserInfo } from '../types.ts';
import { LogFile } from './log-file.ts';
import { type Decision, decide, levels, type Policy, parsePolicy, type Stage } from './policy.ts';

export interface AuditOptions {
  policyFile: string;
  path: string;
  /** Days, number and megabytes, as upstream's flags. */
  maxAge: number;
  maxBackup: number;
  maxSize: number;
  format: string;
  metrics: MetricsRegistry;
  log: Logger;
}

export interface Auditor {
  /** undefined: nothing of this request is written down. `user` is who was authenticated, before impersonation. */
  begin(ctx: RequestContext, user: UserInfo | undefined): AuditTrail | undefined;
  close(): Promise<void>;
}

const defaultMaxSize = 100;

/** @throws Error when the policy or the log cannot be used */
export async function createAuditor(options: AuditOptions): Promise<Auditor> {
  const policy = readPolicy(options.policyFile);
  const { metrics, log } = options;
  const events = metrics.counter('apiserver_audit_event_total', 'Audit events that were written.');
  const perLevel = metrics.counter('apiserver_audit_level_total', 'Audit levels of requests.');
  const errors = metrics.counter('apiserver_audit_error_total', 'Audit events that were lost.');
  let told = 0;
  const file = new LogFile({
    path: options.path,
    maxBytes: (options.maxSize || defaultMaxSize) << 20,
    maxBackups: options.maxBackup,
    maxAgeMs: options.maxAge * 86_400_000,
    onError: (lost, error) => {
      errors.inc({ plugin: 'log' }, lost);
      if (Date.now() - told < 60_000) return;
      told = Date.now();
      log.error({ path: options.path, problem: error.message }, 'audit events are lost');
    },
  });
  await file.start();
  const write = (event: AuditEvent) => {
    events.inc();
    file.append(options.format === 'legacy' ? legacyLine(event) : JSON.stringify(event));
  };
  return {
    begin(ctx, user) {
      const decision = decide(policy, ctx.info, user);
      perLevel.inc({ level: decision.level });
      return decision.level === 'None' ? undefined : new Trail(ctx, user, decision, write);
    },
    close: () => file.close(),
  };
}

function readPolicy(path: string): Policy {
  try {
    return parsePolicy(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Error(`--audit-policy-file ${path}: ${(error as Error).message}`, { cause: error });
  }
}

interface ObjectReference {
  resource: string;
  namespace?: string;
  name?: string;
  uid?: string;
  apiGroup?: string;
  apiVersion?: string;
  resourceVersion?: string;
  subresource?: string;
}

interface AuditUser {
  username?: string;
  uid?: string;
  groups?: string[];
  extra?: Record<string, string[]>;
}

/** Fields in upstream's order. */
interface AuditEvent {
  kind: 'Event';
  apiVersion: 'audit.k8s.io/v1';
  level: string;
  auditID: string;
  stage: Stage;
  requestURI: string;
  verb: string;
  user: AuditUser;
  impersonatedUser?: AuditUser | undefined;
  sourceIPs: string[];
  userAgent?: string | undefined;
  objectRef?: ObjectReference | undefined;
  responseStatus?: object | undefined;
  requestObject?: unknown;
  responseObject?: unknown;
  requestReceivedTimestamp: string;
  stageTimestamp: string;
  annotations?: Record<string, string> | undefined;
}

const auditUser = ({ name, uid, groups, extra }: UserInfo): AuditUser => ({
  username: name,
  ...(uid ? { uid } : {}),
  groups,
  ...(extra && Object.keys(extra).length ? { extra } : {}),
});

const microTime = () => new Date().toISOString().replace('Z', '000Z');

class Trail implements AuditTrail {
  readonly wantsRequest: boolean;
  readonly wantsResponse: boolean;
  readonly #ctx: RequestContext;
  readonly #decision: Decision;
  readonly #write: (event: AuditEvent) => void;
  readonly #received = microTime();
  readonly #user: AuditUser;
  #impersonated: AuditUser | undefined;
  #reference: ObjectReference | undefined;
  #annotations: Record<string, string> | undefined;
  #requestObject: unknown;
  #responseObject: unknown;
  #status: object | undefined;
  #ended = false;

  constructor(ctx: RequestContext, user: UserInfo | undefined, decision: Decision, write: (event: AuditEvent) => void) {
    this.#ctx = ctx;
    this.#decision = decision;
    this.#write = write;
    this.#user = user ? auditUser(user) : {};
    this.#reference = referenceOf(ctx);
    const rank = levels.indexOf(decision.level);
    this.wantsRequest = rank >= levels.indexOf('Request');
    this.wantsResponse = rank >= levels.indexOf('RequestResponse');
    this.#stage('RequestReceived');
  }

  impersonated(user: UserInfo): void {
    this.#impersonated = auditUser(user);
  }

  decided(allowed: boolean, reason: string): void {
    this.#annotations = {
      'authorization.k8s.io/decision': allowed ? 'allow' : 'forbid',
      'authorization.k8s.io/reason': reason,
    };
  }

  requested(body: unknown): void {
    const { name, namespace, uid, resourceVersion } = (body as UnknownObject | undefined)?.metadata ?? {};
    if (this.#reference) {
      const given = { name, namespace, uid, resourceVersion };
      for (const [field, value] of Object.entries(given) as [keyof typeof given, string | undefined][])
        if (value && !this.#reference[field]) this.#reference[field] = value;
    }
    if (this.wantsRequest) this.#requestObject = this.#trimmed(body);
  }

  responded(object: unknown): void {
    if (this.wantsResponse) this.#responseObject = this.#trimmed(object);
  }

  started(code: number): void {
    if (!isLongRunning(this.#ctx.info)) return;
    this.#status = { metadata: {}, code };
    this.#stage('ResponseStarted');
  }

  completed(code: number, status?: Status): void {
    if (this.#ended) return;
    this.#ended = true;
    const { message, reason, details } = status ?? {};
    this.#status = {
      metadata: {},
      ...(status?.status ? { status: status.status } : {}),
      ...(message ? { message } : {}),
      ...(reason ? { reason } : {}),
      ...(details && Object.keys(details).length ? { details } : {}),
      code,
    };
    if (status && this.wantsResponse) this.#responseObject = status;
    this.#stage('ResponseComplete');
  }

  #stage(stage: Stage): void {
    if (this.#decision.omitStages.has(stage)) return;
    const { req, url, info, auditId } = this.#ctx;
    this.#write({
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: this.#decision.level,
      auditID: auditId,
      stage,
      requestURI: `${url.pathname}${url.search}`,
      verb: info.verb,
      user: this.#user,
      impersonatedUser: this.#impersonated,
      sourceIPs: sourceAddresses(req),
      userAgent: req.headers['user-agent'],
      objectRef: this.#reference,
      responseStatus: this.#status,
      requestObject: this.#requestObject,
      responseObject: this.#responseObject,
      requestReceivedTimestamp: this.#received,
      stageTimestamp: stage === 'RequestReceived' ? this.#received : microTime(),
      annotations: this.#annotations,
    });
  }

  #trimmed(value: unknown): unknown {
    return this.#decision.omitManagedFields ? withoutManagedFields(value) : value;
  }
}

function referenceOf({ info }: RequestContext): ObjectReference | undefined {
  if (!info.isResourceRequest) return undefined;
  return {
    resource: info.resource,
    ...(info.namespace ? { namespace: info.namespace } : {}),
    ...(info.name ? { name: info.name } : {}),
    ...(info.apiGroup ? { apiGroup: info.apiGroup } : {}),
    ...(info.apiVersion ? { apiVersion: info.apiVersion } : {}),
    ...(info.subresource ? { subresource: info.subresource } : {}),
  };
}

/** The client, and before it whom proxies name. */
function sourceAddresses({ headers, socket }: RequestContext['req']): string[] {
  const forwarded = `${headers['x-forwarded-for'] ?? headers['x-real-ip'] ?? ''}`
    .split(',')
    .map((address) => address.trim())
    .filter(Boolean);
  const peer = socket.remoteAddress?.replace(/^::ffff:/, '');
  return [...new Set([...forwarded, ...(peer ? [peer] : [])])];
}

export function withoutManagedFields(value: unknown): unknown {
  const object = value as (UnknownObject & { items?: unknown[] }) | undefined;
  if (typeof object !== 'object' || object === null || Array.isArray(object)) return value;
  const { metadata, items } = object;
  const trimmed: Record<string, unknown> = { ...object };
  if (metadata?.managedFields) {
    const { managedFields: _, ...rest } = metadata;
    trimmed['metadata'] = rest;
  }
  if (Array.isArray(items)) trimmed['items'] = items.map(withoutManagedFields);
  return trimmed;
}

function legacyLine(event: AuditEvent): string {
  const { user, impersonatedUser, objectRef, responseStatus } = event;
  const quoted = (text: string | undefined) => JSON.stringify(text ?? '');
  const groups = (list: string[] | undefined) => quoted(list?.length ? list.map(quoted).join(',') : '<none>');
  const code = (responseStatus as { code?: number } | undefined)?.code ?? '<deferred>';
  return `${event.requestReceivedTimestamp} AUDIT: id=${quoted(event.auditID)} stage=${quoted(event.stage)} ip=${quoted(event.sourceIPs[0])} method=${quoted(event.verb)} user=${quoted(user.username)} groups=${groups(user.groups)} as=${quoted(impersonatedUser?.username ?? '<self>')} asgroups=${impersonatedUser ? groups(impersonatedUser.groups) : quoted('<lookup>')} user-agent=${quoted(event.userAgent)} namespace=${quoted(objectRef?.namespace ?? '<none>')} uri=${quoted(event.requestURI)} response="${code}"`;
}
