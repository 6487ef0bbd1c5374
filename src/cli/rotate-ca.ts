/** `kinit certs rotate-ca [name] | rotate-ca status | rotate-node` */
import { hostname } from 'node:os';
import { type Command, Option } from 'commander';
import { defaultCertificatesDir } from '../installer/config/paths.ts';
import { KinitError } from '../installer/errors.ts';
import type { FleetResult } from '../installer/fleet/commands.ts';
import type { HostRotation } from '../installer/fleet/rotation-status.ts';
import { localHost } from '../installer/host/host.ts';
import { namesOf, type RotationStep, rotatedNames, rotationSteps } from '../installer/rotation/authorities.ts';
import { drawEvents, type HostKeyFlags, hostKeyChecking } from './fleet-session.ts';
import { hostKeyCheckingOption } from './node-options.ts';
import { askPassphrase } from './passphrase.ts';
import { drawSession, interruptSignal, type OutputFlags, outputOption } from './session.ts';
import { formatTable } from './table.ts';

interface Flags extends HostKeyFlags {
  inventory?: string;
  step?: RotationStep;
  maxUnavailable: string;
  dryRun?: boolean;
  output: string;
}

const write = (text: string) => void process.stdout.write(text);

export function addRotateCommands(certs: Command): void {
  const rotate = certs
    .command('rotate-ca')
    .argument('[name]', `all, or one of ${rotatedNames.join(', ')} (default: all, or what is under way)`)
    .description('new authorities and service account keys for the whole cluster, without an interruption')
    .addOption(new Option('--step <step>', 'only this one (default: all that are left)').choices(rotationSteps))
    .option('--max-unavailable <number|percent>', 'so many kubelets of workers at once', '25%')
    .option('--dry-run', 'print the steps, and change nothing');
  outputOption(sourceOptions(rotate)).action(rotateAuthorities);
  rotate.registeredArguments[0]!.argChoices = ['all', ...rotatedNames];
  sourceOptions(rotate.command('status'))
    .description('whom each host believes, who signs, and what is still signed by somebody else')
    .option('-o, --output <format>', 'text or json', 'text')
    .action((_flags: unknown, command: Command) => status(command.optsWithGlobals()));
  outputOption(certs.command('rotate-node', { hidden: true }))
    .description('one part of a rotation on this host')
    .requiredOption('--config <file>', 'what kinit certs rotate-ca asks of this host')
    .action(rotateNode);
}

const sourceOptions = (command: Command): Command =>
  command
    .option('-i, --inventory <file>', 'the hosts of the cluster, over SSH (default: this host is the whole cluster)')
    .option('--accept-host-keys', 'with --inventory: accept the host keys of hosts that are not known yet')
    .addOption(hostKeyCheckingOption());

async function rotateAuthorities(name: string | undefined, flags: Flags): Promise<void> {
  const names = namesOf(name);
  const { inventory, step, maxUnavailable, dryRun = false, output } = flags;
  const { rotateFleet } = await import('../installer/fleet/rotate-ca.ts');
  const { localPlan } = await import('../installer/fleet/local-plan.ts');
  const { nodeIdentity } = await import('../installer/upgrade/configuration.ts');
  const own = hostname();
  const plan = inventory ? undefined : localPlan(own, (await nodeIdentity(localHost(), own)).nodeName);
  const result = await drawEvents(output, (events) =>
    rotateFleet(
      {
        inventoryPath: inventory ?? '',
        ...hostKeyChecking(flags),
        askPassphrase,
        ...(names ? { names } : {}),
        ...(step ? { step } : {}),
        maxUnavailable,
        dryRun,
        signal: interruptSignal(),
        events,
      },
      plan,
    ),
  );
  if (output !== 'json' && result.step) write(closingWords(result, result.step, inventory));
}

/** What is left to the user: what kinit does not know of. */
function closingWords(
  { names }: FleetResult & { names: readonly string[] },
  step: RotationStep,
  inventory?: string,
): string {
  const list = names.join(', ');
  const again = `kinit certs rotate-ca${inventory ? ` --inventory ${inventory}` : ''}`;
  const clients = names.includes('ca')
    ? 'Kubeconfigs elsewhere (~/.kube/config, kubeconfigs of users) have to be fetched anew'
    : '';
  const texts: Record<RotationStep, string[]> = {
    trust: [`All hosts believe the old and the new authority (${list}).`, `Next: ${again} --step issue`],
    issue: [
      `The new authority signs (${list}).`,
      ...(clients ? [`${clients} before the last step.`] : []),
      `Next: ${again} --step finish`,
    ],
    finish: [`The old authority is believed no more (${list}).`, ...(clients ? [`${clients}.`] : [])],
  };
  return `\n${texts[step].join('\n')}\n`;
}

async function status(flags: Flags): Promise<void> {
  if (!['text', 'json'].includes(flags.output))
    throw new KinitError('Usage', `--output is "${flags.output}"; it takes text or json`);
  const { rotationStatus } = await import('../installer/rotation/status.ts');
  const { inventory } = flags;
  let found: HostRotation[];
  if (inventory) {
    const { rotationOf } = await import('../installer/fleet/rotation-status.ts');
    found = await rotationOf({ inventory, askPassphrase, ...hostKeyChecking(flags) }, interruptSignal());
  } else found = [{ host: hostname(), status: await rotationStatus(localHost(), defaultCertificatesDir) }];
  write(flags.output === 'json' ? `${JSON.stringify(found, undefined, 2)}\n` : statusText(found));
}

export function statusText(hosts: readonly HostRotation[]): string {
  const rotation = hosts.flatMap(({ host, status: known }) =>
    known?.rotation ? [{ host, ...known.rotation }] : [],
  )[0];
  const head = rotation
    ? `Under way: ${rotation.names.join(', ')}, since ${rotation.started}; ${rotation.step} is ${rotation.done ? 'done' : 'not through on all hosts'}; begun on ${rotation.host}\n`
    : 'No rotation is under way.\n';
  const rows = hosts.flatMap(({ host, status: known, problem }) =>
    known
      ? known.authorities.map(({ name, trusted, signs, others }) => [
          host,
          name,
          trusted.join(' '),
          signs ?? '-',
          others.join(' ') || '-',
        ])
      : [[host, '-', problem ?? '', '-', '-']],
  );
  return `${head}\n${formatTable(['HOST', 'AUTHORITY', 'BELIEVED', 'SIGNS HERE', 'SIGNED BY ANOTHER'], rows)}`;
}

async function rotateNode(flags: OutputFlags & { config: string }): Promise<void> {
  const { runRotation } = await import('../installer/rotation/run.ts');
  await drawSession(flags, (options) => runRotation(flags.config, options));
}
