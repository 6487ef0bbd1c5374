/** Static pods: the manifests of a folder (or one file), watched, and read again now and then in case a change was missed. */
import { type FSWatcher, watch } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '../../../machinery/api/types.ts';
import type { Logger } from '../../../machinery/logging/logger.ts';
import { ManifestError, parseManifest } from './parse.ts';

export interface StaticPodSource {
  /** False until the folder has been read for the first time. */
  readonly ready: boolean;
  pods(): Pod[];
}

export interface StaticPodOptions {
  /** Empty: there are none. */
  path: string;
  nodeName: string;
  pollMs: number;
  onChange(): void;
  log: Logger;
  signal: AbortSignal;
}

/** Editors and installers write a file in several steps. */
const settleMs = 50;

export function watchStaticPods({ path, nodeName, pollMs, onChange, log, signal }: StaticPodOptions): StaticPodSource {
  let current: Pod[] = [];
  let ready = path === '';
  let watcher: FSWatcher | undefined;
  let timer: NodeJS.Timeout | undefined;
  let lastProblems = '';
  const seen = new Map<string, { text: string; pod: Pod | undefined; problem: string | undefined }>();

  const manifests = async (): Promise<string[]> => {
    const info = await stat(path);
    if (!info.isDirectory()) return [path];
    const names = await readdir(path);
    // Hidden files are drafts of editors and of tools that rename them into place.
    return names
      .filter((name) => !name.startsWith('.'))
      .sort()
      .map((name) => join(path, name));
  };

  const readOne = async (file: string) => {
    const info = await stat(file);
    if (!info.isFile()) return undefined;
    const text = await readFile(file, 'utf8');
    const known = seen.get(file);
    if (known?.text === text) return known;
    const fresh: { text: string; pod: Pod | undefined; problem: string | undefined } = {
      text,
      pod: undefined,
      problem: undefined,
    };
    try {
      fresh.pod = parseManifest(text, file, nodeName);
    } catch (error) {
      if (!(error instanceof ManifestError)) throw error;
      fresh.problem = error.message;
    }
    seen.set(file, fresh);
    return fresh;
  };

  const read = async () => {
    const problems: string[] = [];
    const pods: Pod[] = [];
    let files: string[] = [];
    try {
      files = await manifests();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT') throw error;
      problems.push(`${path} does not exist`);
    }
    for (const file of files) {
      try {
        const found = await readOne(file);
        if (found?.pod) pods.push(found.pod);
        if (found?.problem) problems.push(found.problem);
      } catch (error) {
        // A file that went away between listing and reading is no problem; anything else keeps the file out.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') problems.push(`${file}: ${(error as Error).message}`);
      }
    }
    for (const file of seen.keys()) if (!files.includes(file)) seen.delete(file);
    const text = problems.join('; ');
    if (text && text !== lastProblems) log.error({ problems }, 'Unable to read config path');
    lastProblems = text;
    const uids = (list: Pod[]) => list.map((pod) => pod.metadata?.uid).join();
    const changed = !ready || uids(pods) !== uids(current);
    current = pods;
    ready = true;
    if (changed) onChange();
  };

  const openWatch = () => {
    if (watcher) return;
    try {
      watcher = watch(path, () => schedule(settleMs));
      watcher.on('error', closeWatch);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        log.warn(`cannot watch ${path}: ${(error as Error).message}`);
    }
  };
  const closeWatch = () => {
    watcher?.close();
    watcher = undefined;
  };
  let reading = false;
  const schedule = (delayMs: number) => {
    if (signal.aborted) return;
    clearTimeout(timer);
    timer = setTimeout(async () => {
      if (reading) return schedule(settleMs);
      reading = true;
      openWatch();
      try {
        await read();
      } catch (error) {
        log.error(`cannot read ${path}: ${(error as Error).message}`);
      }
      reading = false;
      if (lastProblems.endsWith('does not exist')) closeWatch();
      // A folder that is not there yet, or was replaced, is looked for more often than one that is watched.
      schedule(watcher ? pollMs : Math.min(pollMs, 1000));
    }, delayMs);
  };
  signal.addEventListener('abort', () => {
    clearTimeout(timer);
    closeWatch();
  });
  if (path) schedule(0);
  return {
    get ready() {
      return ready;
    },
    pods: () => current,
  };
}
