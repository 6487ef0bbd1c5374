/** What a static pod of this host wrote last, for when its API cannot be asked. */
import { type Host, readText } from '../host/host.ts';
import { isFull, noRoom } from '../host/no-room.ts';

const logs = '/var/log/pods';

/** @returns lines without what the runtime puts before them, oldest first; none when it has not run */
export async function lastWords(host: Host, component: string, since: Date, lines = 5): Promise<string[]> {
  const pods = (await host.list(logs)).filter((name) => name.startsWith(`kube-system_${component}-`));
  const words: { time: string; line: string }[] = [];
  for (const pod of pods) {
    const folder = `${logs}/${pod}/${component}`;
    const numbers = (await host.list(folder)).flatMap((name) =>
      /^\d+[.]log$/.test(name) ? [Number.parseInt(name, 10)] : [],
    );
    if (!numbers.length) continue;
    const text = (await readText(host, `${folder}/${Math.max(...numbers)}.log`)) ?? '';
    for (const row of text.trimEnd().split('\n').slice(-lines)) {
      const [time = '', , , ...rest] = row.split(' ');
      if (time >= since.toISOString()) words.push({ time, line: rest.join(' ') });
    }
  }
  return words.sort((a, b) => (a.time < b.time ? -1 : 1)).map(({ line }) => line);
}

/** @throws KinitError when etcd has told since then that its disk is full */
export async function failWhenFull(host: Host, dataDir: string, since: Date): Promise<void> {
  // A program that panics tells its whole stack after that.
  const told = (await lastWords(host, 'etcd', since, 40)).findLast(isFull);
  if (told === undefined) return;
  const error = await noRoom(dataDir);
  error.details.seen = `${error.details.seen}\netcd: ${told}`;
  throw error;
}
