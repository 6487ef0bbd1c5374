/** Holds the virtual address as long as this control plane holds the Lease for it, by its own API server. */
import { isDeepStrictEqual } from 'node:util';
import { createClient } from '../../machinery/client/client.ts';
import type { RestConfig } from '../../machinery/client/types.ts';
import { createElector } from '../../machinery/leaderelection/elector.ts';
import type { Logger } from '../../machinery/logging/logger.ts';
import { pause } from '../../machinery/process/pause.ts';
import { announce, hold, interfaceFor, letGo } from './address.ts';

export interface HolderOptions {
  address: string;
  /** Absent: the one whose network the address is of. */
  device?: string;
  nodeName: string;
  /** Read anew for each election: certificates are renewed. */
  access(): Promise<RestConfig>;
  log: Logger;
}

export const leaseName = 'kinit-virtual-ip';
/** Who is silent for so long has lost the address; who cannot renew gives it up two seconds earlier. Busy servers get some time. */
const leaseDurationMs = 5_000;
const renewDeadlineMs = 3_000;
const retryPeriodMs = 1_000;
/** The kernel's own time limit: a process that hangs has lost the address before another one takes it. */
const lifeSeconds = 3;
const refreshMs = 500;

/** Runs until the signal fires. */
export async function holdAddress(options: HolderOptions, signal: AbortSignal): Promise<void> {
  const { address, nodeName, log } = options;
  if (await letGo(address)) log.warn({ address }, 'removed the address that an earlier run has left');
  const device = options.device ?? (await interfaceFor(address));
  while (!signal.aborted) {
    try {
      await oneTerm(options, device, signal);
    } catch (error) {
      log.warn({ address, reason: (error as Error).message }, 'gave the address up');
    } finally {
      await letGo(address).catch((error: Error) =>
        log.error(`${address} stays for ${lifeSeconds} s: ${error.message}`),
      );
    }
    await pause(retryPeriodMs, signal);
  }
  log.info({ address, nodeName }, 'stopped');
}

/** Ends when the signal fires, when the Lease is lost, and when the way to the API server is another one than at its beginning. */
async function oneTerm({ address, nodeName, access, log }: HolderOptions, device: string, signal: AbortSignal) {
  const way = await access();
  const client = createClient(way);
  const outdated = new AbortController();
  let told = '';
  const elector = createElector({
    client,
    name: leaseName,
    identity: nodeName,
    leaseDurationMs,
    renewDeadlineMs,
    retryPeriodMs,
    onNewLeader: (holder) => log.info({ address, holder }, 'the address has a holder'),
    onError: ({ message }) => {
      if (message !== told) log.warn(message);
      told = message;
      // Who only waits for the Lease would go on with what it has read: new authorities make that worthless.
      access().then(
        (now) => {
          if (!isDeepStrictEqual(now, way)) outdated.abort();
        },
        (error: Error) => log.warn(`the way to the API server cannot be read: ${error.message}`),
      );
    },
  });
  try {
    await elector.run(AbortSignal.any([signal, outdated.signal]), async (leading) => {
      await hold(address, device, lifeSeconds);
      log.info({ address, device }, 'took the address');
      announce(address, device, leading).catch((error: Error) => log.error(`announcing: ${error.message}`));
      for (let held = Date.now(); !leading.aborted; held = Date.now()) {
        await pause(refreshMs, leading);
        if (leading.aborted) break;
        // Stopped for so long, this process does not know yet that another host may have the address.
        const silentMs = Date.now() - held;
        if (silentMs > renewDeadlineMs) throw new Error(`this process has done nothing for ${silentMs} ms`);
        await hold(address, device, lifeSeconds);
      }
      // At once: somebody else may take it as soon as the Lease is free.
      await letGo(address);
    });
  } finally {
    client.close();
  }
}
