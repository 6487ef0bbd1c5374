import { Resolver } from 'node:dns/promises';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import packet from 'dns-packet';
import { execa, type ResultPromise } from 'execa';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { freePort } from '../../parts/free-port.ts';

const root = join(import.meta.dirname, '../../..');
const node = join(root, 'node_modules/.bin/node');
const running: ResultPromise[] = [];
let folder: string;
let port: number;

async function start(name: string, corefile: string): Promise<{ said: () => string; ended: () => boolean }> {
  const path = join(folder, name);
  await writeFile(path, corefile);
  const child = execa(node, [join(root, 'src/components/dns/main.ts'), '--conf', path], { reject: false, all: true });
  running.push(child);
  let seen = '';
  await new Promise<void>((resolve, reject) => {
    child.all.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
      if (seen.includes('"started"')) resolve();
    });
    child.then(() => reject(new Error(`the server ended: ${seen}`)));
  });
  return { said: () => seen, ended: () => child.exitCode !== null };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kinit-dns-'));
  const upstreamPort = await freePort();
  port = await freePort();
  const many = Array.from({ length: 60 }, (_, i) => `    10.1.1.${i + 1} many.test`).join('\n');
  await start('upstream', `.:${upstreamPort} {\n  hosts {\n    192.0.2.7 outside.example\n${many}\n  }\n}\n`);
  await start(
    'front',
    `.:${port} {\n  errors\n  cache 30\n  hosts {\n    10.9.9.9 inside.test\n    fallthrough\n  }\n  forward . 127.0.0.1:${upstreamPort}\n}\n`,
  );
});
afterAll(async () => {
  for (const child of running) child.kill();
  await Promise.all(running);
  await rm(folder, { recursive: true, force: true });
});

const resolver = () => {
  const made = new Resolver({ timeout: 2000, tries: 2 });
  made.setServers([`127.0.0.1:${port}`]);
  return made;
};

describe('the DNS server', () => {
  it('answers what it knows itself', async () => {
    expect(await resolver().resolve4('inside.test')).toEqual(['10.9.9.9']);
  });

  it('forwards other names and passes on that a name does not exist', async () => {
    expect(await resolver().resolve4('outside.example')).toEqual(['192.0.2.7']);
    await expect(resolver().resolve4('nowhere.example')).rejects.toMatchObject({ code: 'ENOTFOUND' });
  });

  it('has no such record for a name that exists', async () => {
    await expect(resolver().resolve6('inside.test')).rejects.toMatchObject({ code: 'ENODATA' });
  });

  it('cuts a large UDP answer short, and gives the whole one over TCP', async () => {
    expect(await resolver().resolve4('many.test')).toHaveLength(60);
  });

  it('answers FORMERR to what it cannot read, and goes on', async () => {
    const broken = Buffer.concat([
      Buffer.from([0, 40]),
      Buffer.from('1234'),
      Buffer.from([0, 9]),
      Buffer.alloc(34, 0xff),
    ]);
    const reply = await new Promise<Buffer>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(broken)).on('error', reject);
      socket.once('data', (data) => {
        socket.destroy();
        resolve(data);
      });
    });
    expect(packet.decode(reply.subarray(2))).toMatchObject({ type: 'response', rcode: 'FORMERR' });
    expect(await resolver().resolve4('inside.test')).toEqual(['10.9.9.9']);
  });

  it('goes on with a changed Corefile, and with the one before when that cannot be read', async () => {
    const own = await freePort();
    const hosts = (address: string) => `.:${own} {\n  reload\n  hosts {\n    ${address} moving.test\n  }\n}\n`;
    const moving = await start('moving', hosts('10.0.0.1'));
    const path = join(folder, 'moving');
    const asking = new Resolver({ timeout: 1000, tries: 2 });
    asking.setServers([`127.0.0.1:${own}`]);
    expect(await asking.resolve4('moving.test')).toEqual(['10.0.0.1']);
    await writeFile(`${path}.new`, hosts('10.0.0.2'));
    await rename(`${path}.new`, path);
    await vi.waitFor(async () => expect(await asking.resolve4('moving.test')).toEqual(['10.0.0.2']), 5000);
    await writeFile(path, '.:53 {\n  nonsense\n}\n');
    await vi.waitFor(() => expect(moving.said()).toContain('the changed Corefile is not used'), 5000);
    expect(await asking.resolve4('moving.test')).toEqual(['10.0.0.2']);
    expect(moving.ended()).toBe(false);
  });
});
