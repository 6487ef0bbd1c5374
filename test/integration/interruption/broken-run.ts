/** kinit on a lab host that is killed as soon as it tells a given event. */
import { execaSync } from 'execa';
import type { PhaseEvent } from '../../../src/installer/phases/events.ts';
import type { LabHost } from '../../lab/lab.ts';

export const kinit = '/usr/local/bin/kinit';
const events = '/root/events.jsonl';
/** What these runs write on the host beside what kinit writes. */
export const ownFiles = [new RegExp(`^(file|content) ${events}`)];

export interface Moment {
  phase: string;
  at: 'start' | 'end';
  /** So much later. */
  afterMs: number;
  /** What is killed: kinit alone, as by the kernel when memory runs out, or with all that it has started. */
  victim: 'process' | 'group';
}

export type Told = Pick<PhaseEvent, 'type'> & { phase?: string; outcome?: string; ok?: boolean };

/**
 * The names of the tests tell it. Each commit has its own, so that what fails can be made to fail again, and another commit
 * meets other moments; KINIT_TEST_SEED gives any.
 */
export const seed = Number(process.env['KINIT_TEST_SEED'] ?? seedOfCommit());

function seedOfCommit(): number {
  const { stdout, failed } = execaSync('git', ['rev-parse', 'HEAD'], { cwd: import.meta.dirname, reject: false });
  return failed ? Date.now() % 100_000 : Number.parseInt(stdout.slice(0, 5), 16);
}

/** Numbers from 0 to 1, the same for the same seed. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Runs kinit to its end. */
export async function finish(host: LabHost, command: string): Promise<Told> {
  const { code, stdout, stderr } = await host.exec(`${kinit} ${command} --output json`, { timeoutMs: 300_000 });
  if (code !== 0) throw new Error(`${host.name}: kinit ${command} exited ${code}:\n${stdout}\n${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '{}') as Told;
}

/**
 * Runs kinit in a group of its own and kills it with -9. A run that ends before that must have ended well.
 * @returns the events that it has told; nothing is started when it has told none
 */
export async function killAt(host: LabHost, command: string, moment: Moment): Promise<Told[]> {
  const { phase, at, afterMs, victim } = moment;
  // A phase that is skipped has no start.
  const pattern = `"type":"phase-${at === 'start' ? '(started|ended)' : 'ended'}","phase":"${phase}"`;
  const script = `cd /root
rm -f pipe && mkfifo pipe
setsid ${kinit} ${command} --output json > pipe 2> errors.txt &
pid=$!
tee ${events} < pipe | { grep -m 1 -E '${pattern}' > /dev/null && sleep ${(afterMs / 1000).toFixed(3)} && kill -9 -- ${victim === 'group' ? '-' : ''}$pid 2>/dev/null; cat > /dev/null; } &
wait $pid
code=$?
wait
cat ${events} errors.txt
rm -f pipe errors.txt ${events}
[ $code = 137 ] || [ $code = 0 ]`;
  const { code, stdout, stderr } = await host.exec(script, { timeoutMs: 300_000 });
  if (code !== 0) throw new Error(`kinit ${command}, to be killed at ${JSON.stringify(moment)}:\n${stdout}\n${stderr}`);
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Told);
}

/** Pulls the host's plug when kinit begins a phase, and puts it in again. */
export async function unplugAt(host: LabHost, command: string, phase: string): Promise<void> {
  const script = `nohup setsid ${kinit} ${command} --output json > ${events} 2>&1 < /dev/null &
pid=$!
until grep -q '"phase-started","phase":"${phase}"' ${events}; do kill -0 $pid || { cat ${events}; exit 1; }; sleep 0.02; done`;
  await host.must(script, { timeoutMs: 300_000 });
  await host.kill();
  await host.start();
  await host.must(`rm -f ${events}`);
}
