/** What a runtime that is there already gets: links to CNI plugins that it lacks. Its own configuration stays as it is. */
import { bundlePaths } from '../config/paths.ts';
import type { Changes } from '../host/changes.ts';
import { exists } from '../host/host.ts';
import { prepareRuntimeFolders } from './containerd.ts';
import type { ExistingRuntime } from './existing.ts';

export async function useExisting(changes: Changes, { socket, cniBin }: ExistingRuntime): Promise<boolean> {
  const { host } = changes;
  let changed = await prepareRuntimeFolders(changes, socket);
  const [folder] = cniBin;
  if (folder === undefined || folder === bundlePaths.cniBin) return changed;
  for (const plugin of await host.list(bundlePaths.cniBin)) {
    const present = await Promise.all(cniBin.map((path) => exists(host, `${path}/${plugin}`)));
    const target = `${bundlePaths.cniBin}/${plugin}`;
    const own = (await host.stat(`${folder}/${plugin}`))?.target === target;
    if (present.some(Boolean) && !own) continue;
    if (await changes.link(`${folder}/${plugin}`, target)) changed = true;
  }
  return changed;
}
