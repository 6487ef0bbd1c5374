/** A real private registry (Debian's docker-registry) over TLS with a user and a password, for as long as a test runs. */
import { spawn } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { packageFile } from '../lab/packages.ts';
import { freePort } from './free-port.ts';

export const registryUser = 'ada';
export const registryPassword = 'correct horse';
/** bcrypt of the password. */
const passwordHash = '$2b$04$NNnkGR8q4DMjMp410dAEXeLquniZwncLSBLumSqC78oxg8DpwikRK';

export interface TestRegistry {
  /** `10.77.110.1:41234` */
  host: string;
  /** PEM of its authority. */
  ca: string;
  /** What it has answered so far, one line for each request. */
  log(): Promise<string>;
  stop(): Promise<void>;
}

/** Of a GET; undefined when nobody answers. */
const statusOf = (url: string, ca: string): Promise<number | undefined> =>
  new Promise((resolve) => {
    get(url, { ca }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    }).on('error', () => resolve(undefined));
  });

/**
 * @param folder for what it stores and logs
 * @param repository with the package docker-registry
 */
export async function startRegistry(folder: string, repository: string, address: string): Promise<TestRegistry> {
  const at = (name: string) => join(folder, name);
  await mkdir(at('data'), { recursive: true });
  await execa('dpkg-deb', ['--extract', await packageFile(repository, 'docker-registry'), at('program')]);
  const subject = ['-subj', `/CN=${address}`, '-addext', `subjectAltName=IP:${address}`];
  const files = ['-keyout', at('key.pem'), '-out', at('cert.pem')];
  await execa('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject, ...files]);
  await writeFile(at('htpasswd'), `${registryUser}:${passwordHash}\n`, { mode: 0o600 });
  const port = await freePort(address);
  const config = {
    version: 0.1,
    log: { accesslog: { disabled: false }, level: 'info' },
    storage: { filesystem: { rootdirectory: at('data') } },
    http: { addr: `${address}:${port}`, tls: { certificate: at('cert.pem'), key: at('key.pem') } },
    auth: { htpasswd: { realm: 'lab', path: at('htpasswd') } },
  };
  await writeFile(at('config.yml'), JSON.stringify(config));
  const shell = 'exec "$1" serve "$2" > "$3" 2>&1';
  const program = at('program/usr/bin/docker-registry');
  const child = spawn('sh', ['-c', shell, 'sh', program, at('config.yml'), at('log')], { stdio: 'ignore' });
  const log = () => readFile(at('log'), 'utf8').catch(() => '');
  const stop = async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode === null && child.kill('SIGTERM')) await ended;
    await rm(folder, { recursive: true, force: true });
  };
  const ca = await readFile(at('cert.pem'), 'utf8');
  for (const deadline = Date.now() + 20_000; ; await delay(50)) {
    if ((await statusOf(`https://${address}:${port}/v2/`, ca)) === 401)
      return { host: `${address}:${port}`, ca, log, stop };
    if (child.exitCode !== null || Date.now() > deadline) {
      const seen = await log();
      await stop();
      throw new Error(`the registry does not answer at ${address}:${port}: ${seen}`);
    }
  }
}
