/**
 * Bundles the installer and each component into `dist/<name>/main.mjs`, minified, with its assets beside it.
 *
 * `npm run build` builds all; `npm run build -- apiserver kinit` only those named.
 */

import { existsSync, readdirSync } from 'node:fs';
import { chmod, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');

const cri = join(root, 'src/machinery/cri/assets');

/** Every program that is shipped: name → entry point and asset folders it reads. */
function programs(): Map<string, { entry: string; assets: Record<string, string> }> {
  const found = new Map<string, { entry: string; assets: Record<string, string> }>();
  for (const name of readdirSync(join(root, 'src/components'))) {
    const entry = join(root, 'src/components', name, 'main.ts');
    if (!existsSync(entry)) continue;
    const assets = { [name]: join(root, 'src/components', name, 'assets') };
    found.set(name, { entry, assets: name === 'kubelet' ? { ...assets, cri } : assets });
  }
  const cli = join(root, 'src/cli/main.ts');
  if (existsSync(cli)) found.set('kinit', { entry: cli, assets: { templates: join(root, 'templates'), cri } });
  return found;
}

// CommonJS dependencies inside an ES module bundle expect these three. `__dirname` is the assets folder, so that
// what a library reads from `<its folder>/../x` lies beside main.mjs.
const banner = `#!/usr/local/bin/node
import{createRequire as __kinitRequire}from'node:module';import{fileURLToPath as __kinitPath}from'node:url';import{dirname as __kinitDirname}from'node:path';
const require=__kinitRequire(import.meta.url),__filename=__kinitPath(import.meta.url),__dirname=__kinitDirname(__filename)+'/assets';`;

/**
 * Node's own modules by `require`: an `import` reads every property that a module exports, and one of http's loads all of
 * fetch, which costs each program 13 MB and 40 ms.
 */
const requiredBuiltins: Plugin = {
  name: 'required-builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(node:)?[a-z_0-9/]+$/ }, ({ path, kind }) =>
      kind === 'import-statement' && isBuiltin(path) ? { path, namespace: 'builtin' } : undefined,
    );
    onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)})`,
      loader: 'js',
    }));
  },
};

/** A single character beyond Latin-1 makes V8 keep the whole program with two bytes per character. */
async function escapeNonAscii(path: string): Promise<void> {
  const text = await readFile(path, 'utf8');
  const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  await writeFile(path, text.replaceAll(/[\u0080-\uffff]/g, escaped));
}

async function buildProgram(name: string, entry: string, assets: Record<string, string>): Promise<void> {
  const out = join(dist, name);
  await rm(out, { recursive: true, force: true });
  await mkdir(join(out, 'assets'), { recursive: true });
  const result = await build({
    entryPoints: [entry],
    outfile: join(out, 'main.mjs'),
    bundle: true,
    minify: true,
    keepNames: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    banner: { js: banner },
    define: { 'process.env.KINIT_BUNDLED': '"1"' },
    external: ['cpu-features', '*.node'],
    legalComments: 'none',
    metafile: true,
    plugins: [requiredBuiltins],
    logLevel: 'warning',
  });
  await escapeNonAscii(join(out, 'main.mjs'));
  await chmod(join(out, 'main.mjs'), 0o755);
  for (const [owner, folder] of Object.entries(assets)) {
    if (existsSync(folder)) await cp(folder, join(out, 'assets', owner), { recursive: true });
  }
  // etcd3 reads its .proto files from `<folder of its code>/../proto` at run time.
  if (Object.keys(result.metafile.inputs).some((path) => path.includes('node_modules/etcd3/'))) {
    await cp(join(root, 'node_modules/etcd3/proto'), join(out, 'proto'), { recursive: true });
  }
  await writeFile(join(out, 'package.json'), '{"type":"module"}\n');
}

const wanted = process.argv.slice(2);
const all = programs();
for (const name of wanted)
  if (!all.has(name)) throw new Error(`no program named ${name}; there are: ${[...all.keys()].join(', ')}`);
for (const [name, { entry, assets }] of all) {
  if (wanted.length && !wanted.includes(name)) continue;
  const started = performance.now();
  await buildProgram(name, entry, assets);
  process.stdout.write(`built ${name} in ${Math.round(performance.now() - started)} ms\n`);
}
