/** emptyDir: a directory on disk, memory or huge pages; also the ground on which configMap, secret and other volumes stand. */
import { chmod, mkdir } from 'node:fs/promises';
import { podLimits } from '../../../machinery/api/pod-resources.ts';
import { parseQuantity, quantityValue } from '../../../machinery/api/quantity.ts';
import type { Pod } from '../../../machinery/api/types.ts';
import { isMounted, mountHugetlbfs, mountTmpfs } from './mount-table.ts';

export interface EmptyDir {
  medium?: string;
  sizeLimit?: string;
}

const openToAll = 0o777;

export async function makeEmptyDir(
  path: string,
  { medium = '', sizeLimit }: EmptyDir,
  pod: Pod,
  nodeAllocatable: Record<string, string>,
): Promise<void> {
  const created = await mkdir(path, { recursive: true, mode: 0o750 });
  const mounted = medium !== '' && !(await isMounted(path));
  if (mounted) {
    if (medium === 'Memory') await mountTmpfs(path, memorySize(sizeLimit, pod, nodeAllocatable));
    else if (medium.startsWith('HugePages')) await mountHugetlbfs(path, pageSize(medium, pod));
    else throw new Error(`unknown storage medium "${medium}"`);
  }
  // Later on the directory may have been given to a group.
  if (created !== undefined || mounted) await chmod(path, openToAll);
}

/** The smallest of the node's memory, the pod's limit (when each container has one), and the volume's own. */
export function memorySize(
  sizeLimit: string | undefined,
  pod: Pod,
  nodeAllocatable: Record<string, string>,
): number | undefined {
  const sizes = [quantityValue(parseQuantity(nodeAllocatable['memory'] ?? '0'))];
  const everyLimited = (pod.spec?.containers ?? []).every(({ resources }) => resources?.limits?.['memory']);
  const limit = podLimits(pod)['memory'];
  if (limit && everyLimited) sizes.push(quantityValue(limit));
  if (sizeLimit) sizes.push(quantityValue(parseQuantity(sizeLimit)));
  const known = sizes.filter((size) => size > 0);
  return known.length > 0 ? Math.min(...known) : undefined;
}

function pageSize(medium: string, pod: Pod): string {
  if (medium.startsWith('HugePages-')) return medium.slice('HugePages-'.length).replace(/i$/, '');
  const names = new Set(
    (pod.spec?.containers ?? [])
      .flatMap(({ resources }) => Object.keys(resources?.requests ?? {}))
      .filter((name) => name.startsWith('hugepages-')),
  );
  const [name] = names;
  if (names.size !== 1 || !name)
    throw new Error('medium HugePages can be used only if exactly one huge page size is requested');
  return name.slice('hugepages-'.length).replace(/i$/, '');
}
