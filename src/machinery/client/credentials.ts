/** Certificates, keys and tokens of a RestConfig; those given by file are read again when the file has changed. */
import { readFileSync, statSync } from 'node:fs';
import type { RestConfig } from './types.ts';

export interface TlsMaterial {
  ca?: string;
  cert?: string;
  key?: string;
}

interface CachedFile {
  mtimeMs: number;
  checkedAt: number;
  content: string;
}

/** How long a file is believed unchanged, in milliseconds. */
const recheckMs = 5_000;

export class Credentials {
  readonly #config: RestConfig;
  readonly #files = new Map<string, CachedFile>();
  constructor(config: RestConfig) {
    this.#config = config;
  }

  tls(): TlsMaterial {
    const { caData, caFile, certData, certFile, keyData, keyFile } = this.#config;
    return {
      ...this.#part('ca', caData, caFile),
      ...this.#part('cert', certData, certFile),
      ...this.#part('key', keyData, keyFile),
    };
  }

  token(): string | undefined {
    const { token, tokenFile } = this.#config;
    return tokenFile ? this.#read(tokenFile).trim() : token;
  }

  #part(name: keyof TlsMaterial, data: string | undefined, file: string | undefined): TlsMaterial {
    if (data) return { [name]: data };
    return file ? { [name]: this.#read(file) } : {};
  }

  #read(path: string): string {
    const cached = this.#files.get(path);
    const now = Date.now();
    if (cached && now - cached.checkedAt < recheckMs) return cached.content;
    const { mtimeMs } = statSync(path);
    if (cached && cached.mtimeMs === mtimeMs) {
      cached.checkedAt = now;
      return cached.content;
    }
    const content = readFileSync(path, 'utf8');
    this.#files.set(path, { mtimeMs, checkedAt: now, content });
    return content;
  }
}
