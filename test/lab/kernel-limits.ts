/**
 * What all containers of the machine share: inotify instances. Each systemd, containerd and kubelet takes some, and the kernel's
 * 128 are too few for three labs. Raised while there are labs; the last one that goes puts back what was.
 */
import { existsSync, readdirSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';

const limit = '/proc/sys/fs/inotify/max_user_instances';
/** What it was before, for whichever lab is the last one; gone with the next boot, as the limit is. */
const note = '/run/kinit-lab-inotify-instances';
const needed = 1024;

export async function raiseInotifyLimit(): Promise<void> {
  const current = (await readFile(limit, 'utf8')).trim();
  if (Number(current) >= needed) return;
  if (!existsSync(note)) await writeFile(note, current);
  await writeFile(limit, String(needed));
}

/** To be called when a lab's network is gone. */
export async function restoreInotifyLimit(): Promise<void> {
  if (!existsSync(note) || labsExist()) return;
  await writeFile(limit, await readFile(note, 'utf8'));
  // One that has been made in the meantime found it high enough.
  if (labsExist()) await raiseInotifyLimit();
  else await rm(note, { force: true });
}

/** Each lab, whoever's it is, has a bridge. */
const labsExist = () => readdirSync('/sys/class/net').some((name) => /^kl\d+$/.test(name));
