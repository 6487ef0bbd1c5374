/** The `cache` plugin: keeps answers for as long as their records live, at most as long as the Corefile allows. */
import type { Answer, DnsRecord, Handler } from '../chain.ts';
import { type Directive, seconds } from '../corefile.ts';

export interface CacheOptions {
  maxTtl: number;
  maxNegativeTtl: number;
  capacity: number;
}

export function cacheOptions(directive: Directive): CacheOptions {
  const success = directive.properties.find((p) => p.name === 'success');
  const denial = directive.properties.find((p) => p.name === 'denial');
  const base = seconds(directive.args[0], 3600);
  return {
    maxTtl: seconds(success?.args[1], base),
    maxNegativeTtl: seconds(denial?.args[1], Math.min(base, 1800)),
    capacity: Number(success?.args[0] ?? 9984) || 9984,
  };
}

interface Entry {
  answer: Answer;
  storedAt: number;
  expiresAt: number;
}

export function cacheHandler(options: CacheOptions, now: () => number = Date.now): Handler {
  const entries = new Map<string, Entry>();
  return async (query, next) => {
    const key = `${query.type} ${query.name}`;
    const hit = entries.get(key);
    if (hit && hit.expiresAt > now()) return aged(hit.answer, Math.floor((now() - hit.storedAt) / 1000));
    entries.delete(key);
    const answer = await next(query);
    const ttl = ttlOf(answer, options);
    if (ttl > 0) {
      if (entries.size >= options.capacity) entries.delete(entries.keys().next().value as string);
      entries.set(key, { answer, storedAt: now(), expiresAt: now() + ttl * 1000 });
    }
    return answer;
  };
}

/** How long an answer may be kept, in seconds; 0: not at all. */
export function ttlOf(answer: Answer, options: CacheOptions): number {
  if (answer.code !== 'NOERROR' && answer.code !== 'NXDOMAIN') return 0;
  const negative = answer.code === 'NXDOMAIN' || answer.answers.length === 0;
  const records = negative ? answer.authorities : answer.answers;
  if (!records.length) return 0;
  return Math.min(negative ? options.maxNegativeTtl : options.maxTtl, ...records.map((record) => record.ttl));
}

function aged(answer: Answer, seconds: number): Answer {
  const older = (records: DnsRecord[]) =>
    records.map((record) => ({ ...record, ttl: Math.max(0, record.ttl - seconds) }));
  return {
    ...answer,
    answers: older(answer.answers),
    authorities: older(answer.authorities),
    additionals: older(answer.additionals),
  };
}
