/** `--token-auth-file`: static tokens, one CSV line each: `token,user,uid,"group1,group2"`. */
import type { UserInfo } from '../types.ts';
import { reloadingFile } from './reloading-file.ts';

export function createTokenFileAuthenticator(path: string): (token: string) => UserInfo | undefined {
  const users = reloadingFile(path, parseTokenFile);
  return (token) => users().get(token);
}

export function parseTokenFile(content: Buffer): Map<string, UserInfo> {
  const users = new Map<string, UserInfo>();
  for (const line of content.toString('utf8').split('\n')) {
    if (!line.trim() || line.startsWith('#')) continue;
    const [token = '', name = '', uid = '', groups = ''] = csvFields(line.trim());
    if (!token || !name) throw new Error('token file: a line needs at least a token, a user name and a user uid');
    users.set(token, { name, ...(uid ? { uid } : {}), groups: groups.split(',').filter((group) => group !== '') });
  }
  return users;
}

function csvFields(line: string): string[] {
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) =>
    (quoted?.replaceAll('""', '"') ?? plain ?? '').trim(),
  );
}
