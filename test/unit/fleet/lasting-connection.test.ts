/** A connection that is made anew under whoever uses it: when that happens, how often it is told, and when it is not. */
import { expect, it } from 'vitest';
import { KinitError } from '../../../src/installer/errors.ts';
import type { Connection } from '../../../src/installer/fleet/connection.ts';
import { connectionLost, lastingConnection } from '../../../src/installer/fleet/lasting-connection.ts';

type Fate = 'answers' | 'breaks' | 'refuses';

/** Answers with its number; `breaks`: lost during the command, `refuses`: it says Connection and stays open. */
function connection(number: number, fate: Fate = 'answers') {
  let open = true;
  const root = async () => {
    if (!open) throw connectionLost('h');
    if (fate === 'answers') return { code: 0, stdout: String(number), stderr: '' };
    if (fate === 'breaks') open = false;
    throw fate === 'breaks' ? connectionLost('h') : new KinitError('Connection', 'no such port');
  };
  const close = () => {
    open = false;
  };
  return { host: 'h', local: false, isOpen: () => open, close, root } as unknown as Connection;
}

function lasting(...fates: (Fate | 'unreachable')[]) {
  const [first = 'answers', ...next] = fates;
  const seen = { told: 0, made: [connection(1, first as Fate)] };
  const connect = async () => {
    const fate = next.shift() ?? 'answers';
    if (fate === 'unreachable') throw new KinitError('Connection', 'cannot reach h');
    const made = connection(seen.made.length + 1, fate);
    seen.made.push(made);
    return made;
  };
  const stop = new AbortController();
  const lost = () => void seen.told++;
  const made = lastingConnection(seen.made[0]!, { connect, lost, signal: stop.signal, patienceMs: 5000 });
  return { ...seen, seen, connection: made, stop };
}

it('a command goes over a new connection when the one before is lost already, and that is told once', async () => {
  const { connection, made, seen } = lasting();
  made[0]!.close();
  const answers = await Promise.all([connection.root('a'), connection.root('b')]);
  expect(answers.map(({ stdout }) => stdout)).toEqual(['2', '2']);
  expect(seen.told).toBe(1);
  expect(connection.generation()).toBe(2);
});

it('a host that is away for a moment is tried again', async () => {
  const { connection, made } = lasting('answers', 'unreachable', 'answers');
  made[0]!.close();
  expect((await connection.root('a')).stdout).toBe('2');
});

it('a command that is under way is run again only when it may be', async () => {
  const { connection } = lasting('breaks', 'breaks', 'answers');
  await expect(connection.root('a')).rejects.toThrow('the connection was lost');
  expect((await connection.root('a', { again: true })).stdout).toBe('3');
});

it('a refusal over a connection that is open is told', async () => {
  const { connection, seen } = lasting('refuses');
  await expect(connection.root('a', { again: true })).rejects.toThrow('no such port');
  expect(seen.made).toHaveLength(1);
});

it('a caller that has waited long enough gets its reason, and the end of the run ends the tries', async () => {
  const away = Array.from({ length: 20 }, () => 'unreachable' as const);
  const { connection, made, stop } = lasting('answers', ...away);
  made[0]!.close();
  const late = connection.root('a', { signal: AbortSignal.timeout(50) });
  const patient = connection.root('b');
  await expect(late).rejects.toThrow(/timeout/i);
  stop.abort(new Error('stopped'));
  await expect(patient).rejects.toThrow('stopped');
});

it('one that was closed stays so, also when a new one was just on its way', async () => {
  const { connection, made, seen } = lasting();
  const renewing = connection.renew();
  connection.close();
  await renewing.catch(() => undefined);
  await expect(connection.root('a')).rejects.toThrow('the connection was lost');
  expect([...made, ...seen.made].every((each) => !each.isOpen())).toBe(true);
});

it('a generation that has an open successor is not replaced again', async () => {
  const { connection, seen } = lasting();
  const of = connection.generation();
  await connection.renew(of);
  await connection.renew(of);
  expect(seen.made).toHaveLength(2);
  await connection.renew();
  expect(seen.made).toHaveLength(3);
});
