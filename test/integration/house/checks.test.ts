import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../../..');

async function output(command: string, args: string[]): Promise<string> {
  try {
    await run(join(root, 'node_modules/.bin', command), args, { cwd: root, maxBuffer: 16 << 20 });
    return '';
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    return `${stdout}${stderr}`;
  }
}

describe('the code of the repository', { timeout: 120_000 }, () => {
  it('passes the type checker', async () => {
    expect(await output('tsc', [])).toBe('');
  });

  it('passes the linter and is formatted', async () => {
    expect(
      await output('biome', ['check', '--error-on-warnings', 'src', 'test', 'scripts', 'bench', 'vitest.config.ts']),
    ).toBe('');
  });
});
