/**
 * Where files that a component reads at run time lie: beside the bundle once bundled, in the source tree otherwise.
 *
 * `templates/…` is the repository's templates/ folder, `cri/…` lies beside its code in src/machinery; any other first segment is a
 * component's own `src/components/<name>/assets/` folder. The build copies them to `assets/` beside each `main.mjs`.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Absolute path of an asset, for example `assetPath('templates', 'static-pods', 'etcd.yaml')` or `assetPath('apiserver', 'openapi-v2.json.gz')`. */
export function assetPath(owner: string, ...segments: string[]): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const bundled = join(here, 'assets');
  if (existsSync(bundled)) return join(bundled, owner, ...segments);
  const root = join(here, '..', '..');
  if (owner === 'templates') return join(root, 'templates', ...segments);
  if (owner === 'cri') return join(root, 'src/machinery/cri/assets', ...segments);
  return join(root, 'src', 'components', owner, 'assets', ...segments);
}
