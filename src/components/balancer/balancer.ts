/** The balancer of a node: a port of loopback that leads to an API server that lives. */
import { networkInterfaces } from 'node:os';
import { endpointSlices } from '../../machinery/client/resources.ts';
import { createInformerFactory } from '../../machinery/informer/factory.ts';
import type { Logger } from '../../machinery/logging/logger.ts';
import { aborted, pause } from '../../machinery/process/pause.ts';
import { Access, type AccessFiles } from './access.ts';
import { Forwarder } from './forward.ts';
import { Watch } from './health.ts';
import { inOrder, learn, type Member, serversOf } from './members.ts';
import { recall, remember } from './remembered.ts';

export interface BalancerOptions extends AccessFiles {
  listen: { host: string; port: number };
  /** Servers to begin with, `host:port`; never forgotten. */
  servers: readonly string[];
  /** Where the list is kept. */
  state: string;
  nodeName: string;
  /** How long an answer of /readyz may take. */
  probeTimeoutMs: number;
  log: Logger;
}

const credentialsMs = 2_000;
/** So many times longer an answer is waited for that has been missed once. */
const patience = 3;

/** Runs until the signal fires. @throws Error when the port is taken */
export async function runBalancer(options: BalancerOptions, signal: AbortSignal): Promise<void> {
  const { listen, servers, nodeName, probeTimeoutMs, log } = options;
  const access = new Access(options, listen.host);
  let members = await recallOr(options);
  const forwarder = new Forwarder({
    servers: () => inOrder(members, (server) => watch.stateOf(server), nodeName, isOwn),
    failed: (server) => watch.doubt(server),
    refused: (error) => log.error(error.message),
  });
  const watch = new Watch({
    probe: (server, state, stop) => access.probe(server, probeTimeoutMs * (state === 'suspect' ? patience : 1), stop),
    isUsed: (server) => forwarder.carries(server) > 0,
    received: (server) => forwarder.received(server),
    changed: (server, state, seen) => {
      log.info({ server, state, seen }, 'health of an API server changed');
    },
    judged: () => cutDead(),
  });
  /** Only when there is somewhere better to go: all of them silent is more likely this host's own trouble. */
  const cutDead = () => {
    for (const server of forwarder.used()) {
      if (watch.stateOf(server) !== 'down' || !watch.hasBetterThan(server)) continue;
      log.warn({ server, connections: forwarder.carries(server) }, 'ended the connections to a dead API server');
      forwarder.cut(server);
    }
  };
  const follow = (next: Member[]) => {
    const known = new Set(next.map(({ server }) => server));
    for (const { server } of members) if (!known.has(server)) access.forget(server);
    members = next;
    watch.follow([...known], signal);
  };

  await access.refresh().catch((error: Error) => log.warn(error.message));
  await forwarder.listen(listen.host, listen.port);
  log.info({ ...listen, servers: members.map(({ server }) => server) }, 'listening');
  follow(members);
  const told = (listed: string[]) => {
    const learnt = withSeeds(learn(members, listed, Date.now()), servers);
    if (JSON.stringify(learnt) === JSON.stringify(members)) return;
    log.info({ servers: learnt }, 'API servers changed');
    follow(learnt);
    remember(options.state, learnt).catch((error: Error) => log.error(`${options.state}: ${error.message}`));
  };
  await learnForEver(options, access, told, signal);
  forwarder.close();
  access.close();
}

async function recallOr({ state, servers, log }: BalancerOptions): Promise<Member[]> {
  const remembered = await recall(state).catch((error: Error) => {
    log.error(`${error.message}; beginning with --servers`);
    return [];
  });
  return remembered.length ? withSeeds(remembered, servers) : servers.map((server) => ({ server }));
}

/** Those of the command line are a last resort when the cluster does not list them. */
function withSeeds(members: Member[], servers: readonly string[]): Member[] {
  const missing = servers.filter((server) => !members.some((member) => member.server === server));
  return [...members, ...missing.map((server) => ({ server, goneSince: 0 }))];
}

/** Watches the cluster's own list through the balancer's port, so that this, too, goes on when a server is lost. */
async function learnForEver(
  { listen, log }: BalancerOptions,
  access: Access,
  told: (servers: string[]) => void,
  signal: AbortSignal,
): Promise<void> {
  let stop = new AbortController();
  let watching = 0;
  while (!signal.aborted) {
    await access.refresh().catch((error: Error) => log.warn(error.message));
    if (access.version !== watching) {
      stop.abort();
      stop = new AbortController();
      watching = access.version;
      if (watching)
        watchSlices(access, `${listen.host}:${listen.port}`, log, told, AbortSignal.any([signal, stop.signal]));
    }
    await pause(credentialsMs, signal);
  }
  await aborted(signal);
}

function watchSlices(
  access: Access,
  server: string,
  log: Logger,
  told: (servers: string[]) => void,
  signal: AbortSignal,
): void {
  const factory = createInformerFactory(access.client(server), (message) => log.warn(message));
  const informer = factory.informer(endpointSlices, {
    namespace: 'default',
    fieldSelector: 'metadata.name=kubernetes',
  });
  const tell = () => told(serversOf(informer.store.list()));
  informer.addHandler({ onAdd: tell, onUpdate: tell, onDelete: tell });
  factory.start(signal);
}

let own: { hosts: Set<string>; at: number } | undefined;

/** Whether an address is this host's: a control plane prefers its own API server. */
function isOwn(host: string): boolean {
  if (!own || Date.now() - own.at > 10_000) {
    const hosts = Object.values(networkInterfaces()).flatMap(
      (addresses) => addresses?.map(({ address }) => address) ?? [],
    );
    own = { hosts: new Set(hosts), at: Date.now() };
  }
  return own.hosts.has(host);
}
