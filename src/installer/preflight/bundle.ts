/** The unpacked bundle. */
import { bundlePaths } from '../config/paths.ts';
import { exists } from '../host/host.ts';
import { type Check, error } from './check.ts';

/** Everything that will be installed has to be there. */
export const bundle: Check = async ({ host }) => {
  const missing = [];
  for (const path of [`${bundlePaths.current}/manifest.json`, `${bundlePaths.bin}/kubelet`, bundlePaths.images]) {
    if (!(await exists(host, path))) missing.push(path);
  }
  return missing.length
    ? [
        error(
          'Bundle',
          `the bundle is not unpacked: ${missing.join(', ')} missing`,
          'run: sh kinit-<version>-linux-amd64.run',
        ),
      ]
    : [];
};
