/** What passes between the plugins of a server block: a question goes down the chain until one answers it. */

export type ResponseCode = 'NOERROR' | 'FORMERR' | 'SERVFAIL' | 'NXDOMAIN' | 'NOTIMP' | 'REFUSED';

/** A resource record as dns-packet encodes it; `data` depends on the type. */
export interface DnsRecord {
  name: string;
  type: string;
  ttl: number;
  data: unknown;
}

export interface Query {
  /** Lower case, with a final dot. */
  name: string;
  /** `A`, `AAAA`, `SRV`, … */
  type: string;
  /** The client's address, for logs. */
  client: string;
  /** Recursion was asked for. */
  recursionDesired: boolean;
}

export interface Answer {
  code: ResponseCode;
  answers: DnsRecord[];
  authorities: DnsRecord[];
  additionals: DnsRecord[];
  authoritative: boolean;
}

export type Next = (query: Query) => Promise<Answer>;
export type Handler = (query: Query, next: Next) => Promise<Answer>;

export const emptyAnswer = (code: ResponseCode): Answer => ({
  code,
  answers: [],
  authorities: [],
  additionals: [],
  authoritative: false,
});

/** The handlers as one function; what nobody answers is refused. */
export function chain(handlers: Handler[]): Next {
  return handlers.reduceRight<Next>(
    (next, handler) => (query) => handler(query, next),
    async () => emptyAnswer('REFUSED'),
  );
}
