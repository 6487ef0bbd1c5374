/** A server takes up renewed files soon, also when they are not all there at first. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { listenHttps } from '../../../src/components/apiserver/server/https-server.ts';
import { onRenewal } from '../../../src/machinery/serving/renewed-files.ts';
import { selfSignedCertificate } from '../../../src/machinery/serving/self-signed.ts';
import { startServing } from '../../../src/machinery/serving/server.ts';

let folder: string;
let told: ReturnType<typeof vi.spyOn>;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kinit-renewed-'));
  told = vi.spyOn(process, 'emitWarning').mockReturnValue(undefined);
});
afterEach(() => {
  told.mockRestore();
  rmSync(folder, { recursive: true, force: true });
});

/** As all files of kinit are written. */
const replace = (file: string, content: string) => {
  writeFileSync(`${file}.draft`, content);
  renameSync(`${file}.draft`, file);
};

describe('a server with certificates', () => {
  const files = () => ({ certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') });
  const renew = (name: string) => {
    const { cert, key } = selfSignedCertificate(name, ['localhost']);
    replace(files().certFile, cert);
    replace(files().keyFile, key);
  };
  const nameAt = (port: number) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.destroy();
      });
      socket.on('error', reject);
    });
  const end = (server: Server) => new Promise((resolve) => server.close(resolve));

  it.each<[string, () => Promise<{ port: number; close(): Promise<unknown> }>]>([
    ['of a component', () => startServing({ ...files(), bindAddress: '127.0.0.1', port: 0, checks: {} })],
    [
      'of the API server',
      async () => {
        const own = { bindAddress: '127.0.0.1', port: 0, clientCaFiles: [], minVersion: '', ciphers: [], names: [] };
        const server = await listenHttps({ ...files(), ...own }, { onRequest: vi.fn(), onUpgrade: vi.fn() } as never);
        return { port: (server.address() as AddressInfo).port, close: () => end(server) };
      },
    ],
  ])('%s shows a renewed one within seconds', async (_, start) => {
    renew('old');
    const { port, close } = await start();
    try {
      expect(await nameAt(port)).toBe('old');
      for (const name of ['new', 'newer']) {
        renew(name);
        await vi.waitFor(async () => expect(await nameAt(port)).toBe(name), { timeout: 4_000, interval: 50 });
      }
    } finally {
      await close();
    }
  });
});

describe('renewed files', () => {
  const hour = 3_600_000;
  let file: string;
  let taken: string;
  const take = () => {
    taken = readFileSync(file, 'utf8');
  };
  const toBe = (content: string) => vi.waitFor(() => expect(taken).toBe(content), 4_000);
  beforeEach(() => {
    file = join(folder, 'pki', 'tls.crt');
    mkdirSync(join(folder, 'pki'));
    writeFileSync(file, 'old');
    taken = 'old';
  });

  it.each([
    ['which are watched', { intervalMs: hour, retryMs: 20 }],
    ['which are only looked at', { intervalMs: 20, retryMs: 20 }],
  ])('%s are taken up as soon as they fit', async (_, times) => {
    const end = onRenewal([file], take, times);
    try {
      rmSync(file);
      await vi.waitFor(() => expect(told).toHaveBeenCalledWith(expect.stringContaining('cannot be used yet')), 4_000);
      expect(taken).toBe('old');
      writeFileSync(file, 'new');
      await toBe('new');
    } finally {
      end();
    }
  });

  it('are watched on when they, or their folder, are others', async () => {
    const end = onRenewal([file], take, { intervalMs: hour, retryMs: 20 });
    try {
      renameSync(join(folder, 'pki'), join(folder, 'before'));
      mkdirSync(join(folder, 'pki'));
      writeFileSync(file, 'new');
      rmSync(join(folder, 'before'), { recursive: true });
      await toBe('new');
      for (const content of ['newer', 'newest']) {
        replace(file, content);
        await toBe(content);
      }
    } finally {
      end();
    }
  });

  it('do not keep a process alive', () => {
    const module = join(import.meta.dirname, '../../../src/machinery/serving/renewed-files.ts');
    const script = `import { onRenewal } from '${module}'; onRenewal(['${file}'], () => undefined);`;
    const { status, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { timeout: 8_000 });
    expect([status, signal]).toEqual([0, null]);
  });

  it('may be missing at first, and what happens beside them is not theirs', async () => {
    const apply = vi.fn();
    const end = onRenewal([file], apply, { intervalMs: hour });
    const other = join(folder, 'pki', 'other.crt');
    const takeOther = vi.fn();
    const endOther = onRenewal([other], takeOther, { intervalMs: 20 });
    try {
      writeFileSync(other, 'x');
      await vi.waitFor(() => expect(takeOther).toHaveBeenCalled(), 4_000);
      expect(apply).not.toHaveBeenCalled();
    } finally {
      end();
      endOther();
    }
  });
});
