/** A scratch root that stands for a host, and what lies in it as plain data. */
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { CommandResult, Host } from '../../../src/installer/host/host.ts';
import { localHost } from '../../../src/installer/host/host.ts';

export function scratchRoot(files: Record<string, string> = {}): string {
  const root = mkdtempSync(join(tmpdir(), 'kinit-host-'));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

/** Path → type, mode and content of everything below a root. */
export function snapshot(root: string, below = ''): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(join(root, below))) {
    const path = `${below}/${name}`;
    const facts = lstatSync(join(root, path));
    const mode = (facts.mode & 0o7777).toString(8);
    if (facts.isDirectory()) {
      found[path] = 'directory';
      Object.assign(found, snapshot(root, path));
    } else if (facts.isSymbolicLink()) found[path] = `-> ${readlinkSync(join(root, path))}`;
    else found[path] = `${mode} ${readFileSync(join(root, path), 'utf8')}`;
  }
  return found;
}

/** A scratch host whose commands are answered by a function instead of being run. */
export function scratchHost(
  root: string,
  run: (command: string, args: readonly string[]) => Partial<CommandResult> = () => ({}),
): Host {
  return {
    ...localHost(root),
    run: async (command, args) => ({ exitCode: 0, stdout: '', stderr: '', ...run(command, args) }),
  };
}
