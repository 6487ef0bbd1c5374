/** Encryption at rest: seals what is written and opens what is read, by the resource that a key in etcd belongs to. */
import { createHash } from 'node:crypto';
import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { hostname } from 'node:os';
import type { Logger } from '../../../../machinery/logging/logger.ts';
import type { MetricsRegistry } from '../../../../machinery/serving/metrics.ts';
import type { GroupResource } from '../../types.ts';
import { parseEncryptionConfiguration, type ResourceProviders } from './config.ts';
import { identity, type Opened, openWith, type Provider, sealWith, writerPrefix } from './providers.ts';

/** How soon a changed file is seen. */
const lookMs = 1_000;
const unencrypted = [identity];

export interface EncryptionOptions {
  /** `--encryption-provider-config`; empty: nothing is encrypted. */
  file: string;
  /** `--encryption-provider-config-automatic-reload`. */
  reload: boolean;
  resourceOf(key: string): GroupResource | undefined;
  metrics: MetricsRegistry;
  log: Logger;
  /** After another configuration has been taken up. */
  onReload(): void;
}

export class Encryption {
  readonly #options: EncryptionOptions;
  readonly #operations: (type: string, prefix: string, status: string) => void;
  #entries: ResourceProviders[] = [];
  /** By resource: what the first entry that names it has. */
  #chosen = new Map<string, Provider[]>();
  #hash = '';

  /** @throws Error when the file cannot be used */
  constructor(options: EncryptionOptions) {
    this.#options = options;
    const operations = options.metrics.counter(
      'apiserver_storage_transformation_operations_total',
      'Values that were sealed for etcd or opened from it.',
    );
    this.#operations = (type, prefix, status) =>
      operations.inc({ transformation_type: type, transformer_prefix: prefix, status });
    if (!options.file) return;
    this.#read();
    const apiserver_id_hash = `sha256:${createHash('sha256').update(hostname()).digest('hex')}`;
    options.metrics.gauge(
      'apiserver_encryption_config_controller_last_config_info',
      'The hash of the encryption configuration that is in use.',
      (set) => set(1, { apiserver_id_hash, hash: this.#hash }),
    );
    if (options.reload) this.#watch(apiserver_id_hash);
  }

  close(): void {
    if (this.#options.file) unwatchFile(this.#options.file);
  }

  /** What etcd gets to keep. */
  seal(path: string, value: string): string | Buffer {
    const providers = this.#providersOf(path);
    const prefix = providers[0]?.prefix;
    if (!prefix) return value;
    const sealed = sealWith(providers, Buffer.from(value), path);
    this.#operations('to_storage', prefix, 'OK');
    return sealed;
  }

  /** @throws Error why the value cannot be read */
  open(path: string, value: Buffer): Opened {
    // Nothing that is sealed begins like JSON.
    if (value[0] === 0x7b) return this.#plain(path, value);
    try {
      const opened = openWith(this.#providersOf(path), value, path);
      this.#operations('from_storage', opened.sealedBy.replace(/[^:]*:$/, ''), 'OK');
      return opened;
    } catch (error) {
      this.#operations('from_storage', 'unknown', 'Internal');
      throw error;
    }
  }

  /** Whether a value would be written in another way now: then writing it again is no idle change. */
  isStale(path: string, sealedBy: string): boolean {
    return writerPrefix(this.#providersOf(path)) !== sealedBy;
  }

  /** Without identity among the providers nothing is read that anybody could have put there. */
  #plain(path: string, value: Buffer): Opened {
    const providers = this.#providersOf(path);
    if (!providers.includes(identity)) throw new Error('no matching prefix found');
    return { plain: value, sealedBy: '' };
  }

  #providersOf(path: string): Provider[] {
    if (!this.#entries.length) return unencrypted;
    const resource = this.#options.resourceOf(path);
    if (!resource) return unencrypted;
    const name = `${resource.resource}.${resource.group}`;
    let found = this.#chosen.get(name);
    if (!found) {
      found = this.#entries.find(({ resources }) => resources.some((each) => covers(each, resource)))?.providers;
      found ??= unencrypted;
      this.#chosen.set(name, found);
    }
    return found;
  }

  #read(): void {
    const { file } = this.#options;
    try {
      const text = readFileSync(file, 'utf8');
      this.#entries = parseEncryptionConfiguration(text);
      this.#hash = `sha256:${createHash('sha256').update(text).digest('hex')}`;
    } catch (error) {
      throw new Error(`--encryption-provider-config ${file}: ${(error as Error).message}`, { cause: error });
    }
    this.#chosen = new Map();
  }

  #watch(apiserver_id_hash: string): void {
    const { file, log, metrics, onReload } = this.#options;
    const reloads = metrics.counter(
      'apiserver_encryption_config_controller_automatic_reloads_total',
      'How often a changed encryption configuration was taken up, or could not be.',
    );
    const last = metrics.gauge(
      'apiserver_encryption_config_controller_automatic_reload_last_timestamp_seconds',
      'When that was the last time.',
    );
    watchFile(file, { interval: lookMs, persistent: false }, (now) => {
      // In the middle of being replaced.
      if (!now.mtimeMs) return;
      let status = 'success';
      const before = this.#hash;
      try {
        this.#read();
        if (this.#hash === before) return;
        log.info({ file, hash: this.#hash }, 'the encryption configuration has changed');
        onReload();
      } catch (error) {
        status = 'failure';
        log.error({ problem: (error as Error).message }, 'the encryption configuration stays as it was');
      }
      reloads.inc({ status, apiserver_id_hash });
      last.set(Date.now() / 1000, { status, apiserver_id_hash });
    });
  }
}

const covers = (named: GroupResource, { group, resource }: GroupResource): boolean =>
  (named.group === '*' || named.group === group) && (named.resource === '*' || named.resource === resource);
