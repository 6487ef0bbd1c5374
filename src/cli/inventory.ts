/** `kinit inventory list | validate | import` */
import { existsSync } from 'node:fs';
import { text as readText } from 'node:stream/consumers';
import type { Command } from 'commander';
import { KinitError } from '../installer/errors.ts';
import type { ImportFormat } from '../installer/inventory/import/types.ts';
import type { Inventory, InventoryHost, SshTarget } from '../installer/inventory/types.ts';
import { list } from './session.ts';
import { formatTable } from './table.ts';

export function addInventoryCommand(program: Command): void {
  const inventory = program.command('inventory').description('files that say which machines make a cluster');
  inventory
    .command('list')
    .description('the hosts, with everything that defaults, groups, environment and ~/.ssh/config say of them')
    .requiredOption('-i, --inventory <file>', 'the hosts')
    .option('--limit <hosts>', 'only these hosts, roles or groups', list)
    .option('-o, --output <format>', 'text or json', 'text')
    .action(runList);
  inventory
    .command('validate')
    .description('check an inventory; no host is reached')
    .requiredOption('-i, --inventory <file>', 'the hosts')
    .action(runValidate);
  inventory
    .command('import')
    .description('write an inventory from the files of another tool')
    .argument('<files...>', 'files, or a folder of them; - is standard input')
    .option('--from <tool>', 'vagrant, ansible, terraform, cloud-init or hosts (default: judged by the files)')
    .option('--out <file>', 'the inventory to write; - is standard output', 'inventory.yaml')
    .option('--control-plane <hosts>', 'names of control-plane hosts (default: guessed by groups and names)', list)
    .option('--force', 'replace an inventory that is there already')
    .addHelpText('after', examples)
    .action(runImport);
}

const examples = `
Examples:
  vagrant ssh-config | kinit inventory import - --from vagrant
  kinit inventory import hosts.ini                      Ansible: INI, YAML, or ansible-inventory --list
  kinit inventory import terraform.tfstate              AWS, GCP, Azure, Hetzner, DigitalOcean, OpenStack, libvirt
  terraform output -json | kinit inventory import -
  kinit inventory import seeds/                         cloud-init: user-data and meta-data, one folder per machine
  kinit inventory import hosts.txt                      lines of "address name", or one host each
`;

async function read(path: string): Promise<Inventory> {
  const { readInventory } = await import('../installer/inventory/read-inventory.ts');
  const { userSshConfig } = await import('../installer/fleet/ssh/user-config.ts');
  return readInventory(path, process.env, await userSshConfig());
}

/** `user@address:port`, as it stands in --via. */
const loginText = ({ user, address, port }: SshTarget) =>
  `${user}@${address.includes(':') ? `[${address}]` : address}${port === 22 ? '' : `:${port}`}`;

/** The machines on the way, the first one first. */
function wayTo(target: SshTarget): string[] {
  return target.bastion ? [...wayTo(target.bastion), loginText(target.bastion)] : [];
}

export function inventoryTable(hosts: readonly InventoryHost[]): string {
  const rows = hosts.map((host) => [
    host.name,
    host.roles.join(','),
    host.connection === 'local' ? 'this machine' : loginText(host),
    wayTo(host).join(' ') || '<none>',
    host.groups.join(',') || '<none>',
    host.nodeName,
  ]);
  return formatTable(['NAME', 'ROLES', 'LOGIN', 'VIA', 'GROUPS', 'NODE'], rows);
}

async function runList(flags: { inventory: string; limit?: string[]; output: string }): Promise<void> {
  if (flags.output !== 'text' && flags.output !== 'json')
    throw new KinitError('Usage', `--output is "${flags.output}"; it takes text or json`);
  const { limitHosts } = await import('../installer/inventory/read-inventory.ts');
  const hosts = limitHosts(await read(flags.inventory), flags.limit);
  process.stdout.write(flags.output === 'json' ? `${JSON.stringify(hosts, null, 2)}\n` : inventoryTable(hosts));
}

async function runValidate({ inventory: path }: { inventory: string }): Promise<void> {
  const inventory = await read(path);
  const { hosts } = inventory;
  const { inventoryWarnings } = await import('../installer/inventory/warnings.ts');
  const warnings = inventoryWarnings(inventory, process.env, existsSync);
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
  const count = (number: number, what: string) => `${number} ${what}${number === 1 ? '' : 's'}`;
  const controlPlanes = hosts.filter(({ roles }) => roles.includes('control-plane'));
  const workers = hosts.filter(({ roles }) => roles.includes('worker')).length;
  process.stdout.write(
    `${path}: ${count(hosts.length, 'host')} (${count(controlPlanes.length, 'control plane')}, ${count(workers, 'worker')}), no mistakes\n`,
  );
}

interface ImportFlags {
  from?: string;
  out: string;
  controlPlane?: string[];
  force?: boolean;
}

async function runImport(sources: string[], flags: ImportFlags): Promise<void> {
  const { importFormats } = await import('../installer/inventory/import/types.ts');
  const { importInventory } = await import('../installer/inventory/import/import.ts');
  const known = (name: string): name is ImportFormat => importFormats.some((format) => format === name);
  const { from } = flags;
  if (from !== undefined && !known(from))
    throw new KinitError('Usage', `--from is "${from}"; it takes ${importFormats.join(', ')}`);
  const result = await importInventory(sources, {
    out: flags.out,
    force: flags.force ?? false,
    stdin: () => readText(process.stdin),
    ...(from ? { format: from } : {}),
    ...(flags.controlPlane ? { controlPlane: flags.controlPlane } : {}),
  });
  const say = (line: string) => process.stderr.write(`${line}\n`);
  for (const note of result.notes) say(`note: ${note}`);
  for (const mistake of result.mistakes) say(`to be corrected: ${mistake}`);
  if (flags.out === '-') process.stdout.write(result.text);
  else {
    say(`${result.path}: ${result.nodes === 1 ? '1 host' : `${result.nodes} hosts`} written (${result.format}).`);
    say(`Look at the roles, then: kinit up -i ${result.path}`);
  }
}
