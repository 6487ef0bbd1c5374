/** The bundle that is measured. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** @param given on the command line; without it the one in dist/ */
export function distBundle(given: string | undefined): string {
  if (given) return given;
  const folder = join(import.meta.dirname, '../dist');
  const name = readdirSync(folder).find((file) => file.endsWith('-amd64.run'));
  if (!name) throw new Error('there is no bundle in dist/; make it with npm run bundle');
  return join(folder, name);
}
