/** Forwarding between pods and the network. kinit turns it on; what is looked for is what would keep it from that, or undo it. */
import { isIP } from 'node:net';
import { type Host, readText } from '../host/host.ts';
import { settingsPath } from '../host/sysctl.ts';
import { type Check, error, type Finding, warning } from './check.ts';

/** Of two files with the same name the one in the earlier folder counts. */
const folders = ['/etc/sysctl.d', '/run/sysctl.d', '/usr/local/lib/sysctl.d', '/usr/lib/sysctl.d', '/lib/sysctl.d'];

export interface SettingsFile {
  path: string;
  text: string;
}

const nameOf = (path: string) => path.slice(path.lastIndexOf('/') + 1);

/** The file that sets the key to 0 after kinit's own file, in systemd-sysctl's order of file names. */
export function turnedOffBy(files: readonly SettingsFile[], key: string): string | undefined {
  const wanted = new RegExp(`^\\s*-?\\s*${key.replaceAll('.', '[./]')}\\s*=\\s*(\\S+)`, 'gm');
  const last = files
    .filter(({ path }) => nameOf(path) > nameOf(settingsPath))
    .sort((a, b) => (nameOf(a.path) < nameOf(b.path) ? -1 : 1))
    .flatMap(({ path, text }) => [...text.matchAll(wanted)].map(([, value]) => ({ path, value })))
    .at(-1);
  return last?.value === '0' ? last.path : undefined;
}

async function settingsFiles(host: Host): Promise<SettingsFile[]> {
  const files = new Map<string, SettingsFile>();
  for (const folder of folders) {
    for (const name of await host.list(folder)) {
      if (!name.endsWith('.conf') || files.has(name)) continue;
      files.set(name, { path: `${folder}/${name}`, text: (await readText(host, `${folder}/${name}`)) ?? '' });
    }
  }
  return [...files.values()];
}

export const forwarding: Check = async ({ host, endpoint, podSubnet, serviceSubnet }) => {
  const findings: Finding[] = [];
  const networks = `${podSubnet},${serviceSubnet},${isIP(endpoint.host) ? endpoint.host : ''}`;
  const wanted = [
    { key: 'net.ipv4.ip_forward', used: /\d\./.test(networks) || !networks.includes(':') },
    { key: 'net.ipv6.conf.default.forwarding', used: networks.includes(':') },
  ];
  const readOnly = /^\S+ \/proc\/sys \S+ (?:\S+,)?ro[, ]/m.test((await readText(host, '/proc/mounts')) ?? '');
  const files = await settingsFiles(host);
  for (const { key, used } of wanted) {
    if (!used) continue;
    const path = `/proc/sys/${key.replaceAll('.', '/')}`;
    const check = `FileContent-${path.replaceAll('/', '-')}`;
    const content = (await readText(host, path))?.trim();
    if (content === undefined)
      findings.push(error(check, `${path} does not exist`, 'boot a kernel with this protocol'));
    else if (content !== '1' && readOnly) {
      const advice = `run on the machine around this container: sysctl -w ${key}=1`;
      findings.push(error(check, `${path} contents are not set to 1, and /proc/sys is mounted read-only`, advice));
    }
    const file = turnedOffBy(files, key);
    if (file) {
      const message = `${file} sets ${key} to 0 after ${settingsPath}: pods lose their network at the next boot`;
      findings.push(warning(check, message, `remove that line from ${file}`));
    }
  }
  return findings;
};
