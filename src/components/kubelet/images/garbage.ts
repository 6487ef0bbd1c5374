/** Removes what is no longer needed: containers that ended, sandboxes, logs of pods that are gone, images when the disk fills. */
import { lstat, readdir, readlink, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../../../machinery/logging/logger.ts';
import type { Configuration } from '../config/settings.ts';
import type { Runtime } from '../cri/runtime.ts';
import type { RuntimeImage } from '../cri/types.ts';
import type { PodObserver } from '../pods/observed.ts';
import type { PodTable } from '../pods/pod-table.ts';
import { containerLogLinks } from '../pods/sandbox-config.ts';
import type { EventSink } from '../types.ts';

export interface GarbageOptions {
  runtime: Runtime;
  configuration: Configuration;
  observer: PodObserver;
  table: PodTable;
  events: EventSink;
  log: Logger;
  signal: AbortSignal;
}

export interface GarbageCollection {
  /** Now, whatever the disk's use; for disk pressure. */
  images(): Promise<void>;
}

const containersEveryMs = 60_000;
const imagesEveryMs = 300_000;

export function startGarbageCollection(options: GarbageOptions): GarbageCollection {
  const { runtime, configuration, events, log, signal } = options;
  const firstSeen = new Map<string, number>();
  const guarded = (name: string, work: () => Promise<void>) => () => {
    work().catch((error: Error) => log.warn(`${name}: ${error.message}`));
  };
  const images = async (all = false) => {
    const usage = await imageFsUsage(runtime);
    const present = await runtime.listImages();
    const now = Date.now();
    for (const image of present) if (!firstSeen.has(image.id)) firstSeen.set(image.id, now);
    for (const id of firstSeen.keys()) if (!present.some((image) => image.id === id)) firstSeen.delete(id);
    if (!usage) return;
    const percent = 100 - (usage.available * 100) / usage.capacity;
    if (!all && percent < configuration.imageGCHighThresholdPercent) return;
    const target = all
      ? Number.POSITIVE_INFINITY
      : (usage.capacity * (100 - configuration.imageGCLowThresholdPercent)) / 100 - usage.available;
    const used = new Set(
      (await runtime.listContainers()).flatMap(({ imageRef, imageId, image }) => [imageRef, imageId, image.image]),
    );
    const freed = await removeImages(
      present.filter(({ id, pinned, repoTags }) => !pinned && !used.has(id) && !repoTags.some((tag) => used.has(tag))),
      target,
      now,
    );
    if (!all && freed < target)
      events.node(
        'Warning',
        'FreeDiskSpaceFailed',
        `Failed to garbage collect required amount of images. Attempted to free ${Math.round(target)} bytes, but only found ${freed} bytes eligible to free.`,
      );
  };
  const removeImages = async (candidates: RuntimeImage[], target: number, now: number): Promise<number> => {
    let freed = 0;
    // The one that has been here longest is missed least.
    const order = [...candidates].sort((a, b) => (firstSeen.get(a.id) ?? 0) - (firstSeen.get(b.id) ?? 0));
    for (const { id, size } of order) {
      if (freed >= target || signal.aborted) break;
      if (now - (firstSeen.get(id) ?? now) < configuration.imageMinimumGCAge) continue;
      await runtime.removeImage(id);
      freed += size;
    }
    return freed;
  };
  const timers = [
    setInterval(
      guarded('container garbage collection', () => removeDeadContainers(options)),
      containersEveryMs,
    ),
    setInterval(
      guarded('image garbage collection', () => images()),
      imagesEveryMs,
    ),
  ];
  signal.addEventListener('abort', () => timers.forEach(clearInterval));
  return { images: () => images(true) };
}

/** Of each container of a living pod the last one that ended is kept, for its logs. */
async function removeDeadContainers({ runtime, observer, table, configuration }: GarbageOptions): Promise<void> {
  for (const observed of observer.all()) {
    if (!table.worker(observed.uid)) continue;
    const seen = new Map<string, number>();
    const kept = new Set<string>();
    for (const instance of observed.containers) {
      const count = seen.get(instance.name) ?? 0;
      if (instance.state !== 'CONTAINER_EXITED') {
        kept.add(instance.podSandboxId);
        continue;
      }
      seen.set(instance.name, count + 1);
      if (count >= 1) {
        await runtime.removeContainer(instance.id);
        await rm(instance.logPath, { force: true });
      } else kept.add(instance.podSandboxId);
    }
    for (const sandbox of observed.sandboxes.slice(1))
      if (sandbox.state !== 'SANDBOX_READY' && !kept.has(sandbox.id)) await runtime.removePodSandbox(sandbox.id);
  }
  observer.poke();
  await removeOldLogs(configuration.podLogsDir, (uid) => Boolean(table.worker(uid) ?? observer.get(uid)));
}

async function removeOldLogs(podLogsDir: string, isKnown: (uid: string) => boolean): Promise<void> {
  for (const name of await readdir(podLogsDir).catch(() => [])) {
    const uid = name.split('_')[2];
    if (uid && !isKnown(uid)) await rm(join(podLogsDir, name), { recursive: true, force: true });
  }
  const links = containerLogLinks(podLogsDir);
  for (const name of await readdir(links).catch(() => [])) {
    const path = join(links, name);
    const isLink = await lstat(path).then(
      (info) => info.isSymbolicLink(),
      () => false,
    );
    if (!isLink || !(await readlink(path)).startsWith(podLogsDir)) continue;
    const alive = await stat(path).then(
      () => true,
      () => false,
    );
    if (!alive) await rm(path, { force: true });
  }
}

export async function imageFsUsage(
  runtime: Runtime,
): Promise<{ capacity: number; available: number; inodes: number; inodesFree: number } | undefined> {
  const info = await runtime.imageFsInfo();
  const path = info.imageFilesystems[0]?.fsId?.mountpoint;
  if (!path) return undefined;
  const usage = await statfs(path);
  return {
    capacity: usage.blocks * usage.bsize,
    available: usage.bavail * usage.bsize,
    inodes: usage.files,
    inodesFree: usage.ffree,
  };
}
