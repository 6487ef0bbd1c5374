/** Server blocks of a Corefile as chains of handlers: what can be made anew while the servers go on. */
import type { Logger } from '../../machinery/logging/logger.ts';
import { chain, type Handler, type Next } from './chain.ts';
import { absolute, type Directive, pluginOrder, type ServerBlock } from './corefile.ts';
import { cacheHandler, cacheOptions } from './plugins/cache.ts';
import { forwardHandler, upstreamsOf } from './plugins/forward.ts';
import { hostsHandler } from './plugins/hosts.ts';
import { loadbalanceHandler } from './plugins/loadbalance.ts';

export interface Serving {
  zone: string;
  answer: Next;
  /** Queries are logged. */
  logs: boolean;
}

const named = (block: ServerBlock, name: string): Directive[] => block.directives.filter((d) => d.name === name);

/** @param kubernetes makes the handler of the plugin `kubernetes` */
export async function servingOf(
  block: ServerBlock,
  log: Logger,
  kubernetes: (directive: Directive) => Handler,
): Promise<Serving> {
  const handlers: Handler[] = [];
  const onError = (message: string) => (named(block, 'errors').length ? log.warn(`forward: ${message}`) : undefined);
  for (const directive of pluginOrder.flatMap((name) => named(block, name))) {
    if (directive.name === 'loadbalance') handlers.push(loadbalanceHandler());
    else if (directive.name === 'cache') handlers.push(cacheHandler(cacheOptions(directive)));
    else if (directive.name === 'hosts') handlers.push(await hostsHandler(directive));
    else if (directive.name === 'kubernetes') handlers.push(kubernetes(directive));
    else if (directive.name === 'forward')
      handlers.push(forwardHandler(absolute(directive.args[0] ?? '.'), await upstreamsOf(directive), onError));
  }
  return { zone: block.zones[0] ?? '.', answer: chain(handlers), logs: named(block, 'log').length > 0 };
}

/** What is listened on, and whether the cluster is watched: a process keeps these as they were when it started. */
export function layoutOf(blocks: readonly ServerBlock[]): string {
  return JSON.stringify(
    blocks.map((block) => [
      block.port,
      ...['health', 'ready', 'prometheus'].map((name) => named(block, name).map(({ args }) => args)),
      named(block, 'kubernetes').length > 0,
    ]),
  );
}
