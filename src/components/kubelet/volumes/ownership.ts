/** fsGroup: gives a volume's files to the pod's group, with the bits for it; new files in its directories inherit the group. */
import { chmod, lchown, lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

const readWrite = 0o660;
const readOnly = 0o440;
const setGid = 0o2000;
const search = 0o110;

export async function applyFsGroup(path: string, gid: number | undefined, isReadOnly: boolean): Promise<void> {
  if (gid === undefined) return;
  const { mode, uid } = await lstat(path);
  const isDirectory = (mode & 0o170000) === 0o040000;
  if (isDirectory) for (const name of await readdir(path)) await applyFsGroup(join(path, name), gid, isReadOnly);
  await lchown(path, uid, gid);
  if ((mode & 0o170000) === 0o120000) return;
  await chmod(path, (mode & 0o7777) | (isReadOnly ? readOnly : readWrite) | (isDirectory ? setGid | search : 0));
}

/** Whether a volume's root looks as after applyFsGroup: what fsGroupChangePolicy OnRootMismatch goes by. */
export async function belongsToGroup(path: string, gid: number | undefined): Promise<boolean> {
  const { mode, gid: owner } = await lstat(path);
  const wanted = readWrite | setGid | search;
  return owner === gid && (mode & wanted) === wanted;
}
