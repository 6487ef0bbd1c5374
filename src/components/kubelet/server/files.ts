/** Files of a directory over HTTP, and lists of its folders: /logs/. */
import { createReadStream } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join, normalize } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { RequestError } from './streaming.ts';

/** @param path as in the URL, below the root */
export async function serveFiles(root: string, path: string, req: IncomingMessage, res: ServerResponse): Promise<void> {
  if (req.method !== 'GET' && req.method !== 'HEAD') throw new RequestError(405, 'method not allowed\n');
  const wanted = join(root, normalize(`/${decodeURIComponent(path)}`));
  try {
    const file = await realpath(wanted);
    const facts = await stat(file);
    if (facts.isDirectory()) {
      const entries = await readdir(file, { withFileTypes: true });
      const names = entries.map((entry) => entry.name + (entry.isDirectory() ? '/' : '')).sort();
      const lines = names.map((name) => `<a href="${encodeURI(name)}">${escapeHtml(name)}</a>\n`);
      const head = '<!doctype html>\n<meta name="viewport" content="width=device-width">\n';
      res.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
      res.end(`${head}<pre>\n${lines.join('')}</pre>\n`);
      return;
    }
    res.writeHead(200, { 'content-type': 'text/plain; charset=utf-8', 'content-length': facts.size });
    if (req.method === 'HEAD') res.end();
    // Not more than was announced: logs grow.
    else if (facts.size === 0) res.end();
    else await pipeline(createReadStream(file, { end: facts.size - 1 }), res);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new RequestError(404, '404 page not found\n');
    throw error;
  }
}

const escapeHtml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&#34;');
