/** Mends on a host what can be mended without risk; every change goes through the journal, as in init and join. */
import { presentManifests, settleOwners } from '../control-plane/owners.ts';
import { asKinitError, KinitError } from '../errors.ts';
import { etcdAccess } from '../etcd/access.ts';
import { freeSpace, roomOf } from '../etcd/space.ts';
import { type Changes, createChanges } from '../host/changes.ts';
import { openPorts } from '../host/firewall.ts';
import { type Host, runOrFail } from '../host/host.ts';
import { openJournal } from '../host/journal.ts';
import { lockHost } from '../host/lock.ts';
import { loadModules } from '../host/modules.ts';
import { turnSwapOff } from '../host/swap.ts';
import { applySettings } from '../host/sysctl.ts';
import { portsOf } from './observe-host.ts';
import type { Fixed, FixName, HostObservation, Problem } from './types.ts';

type Fix = (changes: Changes, problem: Problem, host: HostObservation) => Promise<unknown>;

/** Databases of gigabytes take minutes each. */
const etcdSpaceMs = 1_800_000;

const fixes: Record<FixName, Fix> = {
  async service({ host }, { target = '' }) {
    await runOrFail(host, 'systemctl', ['enable', '--now', target], { timeoutMs: 90_000 });
  },
  swap: (changes) => turnSwapOff(changes),
  settings: (changes) => applySettings(changes),
  modules: (changes) => loadModules(changes),
  async modes({ host }, { target = '' }, { fileModes }) {
    const limit = fileModes.find(({ path }) => path === target)?.limit;
    if (!limit) throw new KinitError('Internal', `no limit is known for ${target}`);
    await runOrFail(host, 'chmod', [limit, target]);
  },
  async owners(changes) {
    for (const manifest of await presentManifests(changes.host)) await settleOwners(changes, manifest);
  },
  firewall: async (changes) => openPorts(changes, await portsOf(changes.host)),
  async 'etcd-space'({ host }) {
    const room = await roomOf(host);
    if (!room) throw new KinitError('Internal', 'the quota of an etcd that is elsewhere is not known');
    await freeSpace(await etcdAccess(host), { ...room, signal: AbortSignal.timeout(etcdSpaceMs) });
  },
};

/** @param problems such as have a fix: each is mended in turn; one that fails does not keep the others. */
export async function fixHost(
  host: Host,
  observation: HostObservation,
  problems: readonly Problem[],
): Promise<Fixed[]> {
  const unlock = await lockHost(host);
  try {
    const changes = createChanges(host, await openJournal(host));
    const done: Fixed[] = [];
    const once = new Set<string>();
    for (const problem of problems) {
      const key = `${problem.fix} ${problem.target ?? ''}`;
      // Several problems may have one cure: all sysctls are set together.
      if (once.has(key)) {
        done.push({ problem });
        continue;
      }
      once.add(key);
      try {
        await fixes[problem.fix as FixName](changes, problem, observation);
        done.push({ problem });
      } catch (thrown) {
        const { message, details } = asKinitError(thrown);
        const error = details.seen ? `${message}: ${details.seen}` : message;
        done.push({ problem, error, ...(details.advice ? { advice: details.advice } : {}) });
      }
    }
    return done;
  } finally {
    await unlock();
  }
}
