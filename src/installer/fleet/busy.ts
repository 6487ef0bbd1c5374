/** Hosts on which kinit is at work already: what a workstation has started there goes on when the workstation goes away. */
import type { Connection } from './connection.ts';

/** What is at work: kinit with its arguments, or a bundle that unpacks itself, from its file or from its parts. */
const atWork = `at_work() {
  p='' began=''
  { read -r p; read -r began; } 2>/dev/null < /run/kinit.lock
  [ -z "$began" ] || [ "$(cut -d' ' -f22 "/proc/$p/stat" 2>/dev/null)" = "$began" ] || p=''
  [ "$p" ] && tr '\\0' ' ' < "/proc/$p/cmdline" 2>/dev/null | grep kinit && return
  for at in $(grep -lasE '^sh.([^ ]*/kinit-v[^ ]*[.]run.--quiet|-s.--.--quiet.--parts)' /proc/[0-9]*/cmdline); do tr '\\0' ' ' < "$at"; echo; done
}`;

/** @param told called once when there is something to wait for */
export async function waitWhileBusy(
  connection: Connection,
  signal: AbortSignal,
  told: (what: string) => void,
): Promise<void> {
  const { stdout } = await connection.root(`${atWork}\nat_work 2>/dev/null | head -n 1`, { signal });
  const what = stdout.trim();
  if (!what) return;
  told(what);
  await connection.root(`${atWork}\nwhile [ -n "$(at_work 2>/dev/null)" ]; do sleep 0.2; done`, {
    signal,
    timeoutMs: 0,
  });
}
