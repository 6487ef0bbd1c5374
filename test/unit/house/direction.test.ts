import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../../..');

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => join(folder, path));
}

/** Relative imports of a file, as paths below the repository. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  return [...text.matchAll(/(?:from|import)\s*\(?\s*['"](\.[^'"]+)['"]/g)].map((match) =>
    relative(root, join(root, dirname(file), match[1] as string)),
  );
}

/** `cli`, `installer`, `machinery`, or `components/<name>`. */
function room(path: string): string {
  const [src, wing, name] = path.split('/');
  if (src !== 'src') return path;
  return wing === 'components' ? `components/${name}` : (wing as string);
}

const allowed: Record<string, string[]> = {
  cli: ['cli', 'installer', 'machinery'],
  installer: ['installer', 'machinery'],
  machinery: ['machinery'],
};

function forbiddenImports(files: string[]): string[] {
  return files.flatMap((file) => {
    const from = room(file);
    const targets = allowed[from] ?? [from, 'machinery'];
    return importsOf(file)
      .filter((target) => !targets.includes(room(target)))
      .map((target) => `${file} imports ${target}`);
  });
}

describe('the direction of imports', () => {
  const files = sources('src');

  it('looks at every source file', () => {
    expect(files.length).toBeGreaterThan(50);
  });

  it('goes cli → installer → machinery and components → machinery, never elsewhere', () => {
    expect(forbiddenImports(files)).toEqual([]);
  });

  it('only types of @kubernetes/client-node are used, nothing of it at run time', () => {
    const loaded = files.filter((file) =>
      /^import (?!type)[^;]*from '@kubernetes\/client-node'/m.test(readFileSync(join(root, file), 'utf8')),
    );
    expect(loaded).toEqual([]);
  });
});
