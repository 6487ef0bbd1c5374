/** `vagrant ssh-config`: one Host block per box. Any other ssh_config with hosts named in full is read as well. */
import { namedHosts, parseConfigLines, valuesFor } from '../../fleet/ssh/config-file.ts';
import { parseJump } from '../ssh-target.ts';
import { type Imported, type ImportedHost, type ImportFile, unreadable } from './types.ts';

export function importVagrant(files: readonly ImportFile[]): Imported {
  const lines = files.flatMap(({ text }) => parseConfigLines(text));
  const names = namedHosts(lines);
  if (!names.length) {
    throw unreadable(files[0]?.name ?? '', 'names no host', 'give it the output of: vagrant ssh-config');
  }
  const hosts = names.map((name): ImportedHost => {
    const values = valuesFor(name, lines);
    const first = (keyword: string) => values.get(keyword)?.[0];
    const [address, port, user, identityFile] = ['hostname', 'port', 'user', 'identityfile'].map(first);
    const jump = first('proxyjump')?.split(',').at(-1);
    const known = first('userknownhostsfile');
    const forgetful = known === '/dev/null';
    return {
      name,
      groups: [],
      ...(address ? { address: address.replaceAll('%h', name) } : {}),
      ...(port && port !== '22' ? { port: Number(port) } : {}),
      ...(user ? { user } : {}),
      ...(identityFile ? { identityFile } : {}),
      ...(jump && jump !== 'none' ? { bastion: parseJump(jump) } : {}),
      ...(known && !forgetful ? { knownHosts: known } : {}),
      // Boxes are made anew often: vagrant remembers no keys at all, kinit remembers them beside the boxes.
      ...(forgetful ? { knownHosts: '.vagrant/known_hosts', acceptHostKeys: true } : {}),
      ...(address?.startsWith('127.')
        ? { notes: ['reached through a forwarded port; the boxes need a network of their own for the cluster'] }
        : {}),
    };
  });
  return { source: 'vagrant ssh-config', hosts, notes: [] };
}
