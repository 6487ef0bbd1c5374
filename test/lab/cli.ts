/**
 * Labs by hand: `npm run lab -- up [count] [--flavour debian|ubuntu|centos] [--vm] [--name NAME]`, `ssh HOST`, `console HOST`, `reboot HOST`,
 * `kill HOST`, `start HOST`, `cut HOST`, `heal HOST`, `list`, `down [--all]`; `roots` makes the root file systems beforehand,
 * with `--vm` also that of the tests' virtual machine.
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { createLab, type LabHost, openLab, removeLab, sshArguments, sweepLabs } from './lab.ts';
import { type Flavour, flavourLayers, flavours } from './roots.ts';
import { type HostKind, listStates } from './state.ts';
import { installQemu } from './vm-host.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    name: { type: 'string', default: 'default' },
    flavour: { type: 'string' },
    vm: { type: 'boolean', default: false },
    all: { type: 'boolean', default: false },
  },
});
const [verb, argument, ...rest] = positionals;
const say = (line: string) => process.stdout.write(`${line}\n`);

/** Host names of a lab made by hand: a control plane and workers, flavours in turn unless one is named. */
function hostSpecs(count: number, flavour: string | undefined, kind: HostKind) {
  if (flavour && !flavours.includes(flavour as Flavour))
    throw new Error(`--flavour ${flavour}: there are ${flavours.join(', ')}`);
  return Array.from({ length: count }, (_, i) => ({
    name: i === 0 ? 'cp1' : `w${i}`,
    kind,
    flavour: (flavour as Flavour | undefined) ?? (flavours[i % flavours.length] as Flavour),
  }));
}

function hostNamed(name: string | undefined): LabHost {
  const lab = openLab(values.name);
  if (!lab) throw new Error(`there is no lab named ${values.name}; make one with: npm run lab -- up 3`);
  if (!name) throw new Error(`which host? There are: ${lab.hosts.map((host) => host.name).join(', ')}`);
  return lab.host(name);
}

async function main(): Promise<void> {
  switch (verb) {
    case 'up': {
      const count = Number(argument ?? 3);
      if (!Number.isInteger(count) || count < 1 || count > 100)
        throw new Error(`"${argument}" is not a number of hosts`);
      const started = performance.now();
      const lab = await createLab({
        name: values.name,
        hosts: hostSpecs(count, values.flavour, values.vm ? 'vm' : 'container'),
        keep: true,
        log: say,
      });
      for (const host of lab.hosts)
        say(`${host.name.padEnd(6)} ${host.ip.padEnd(14)} ${host.flavour}${host.kind === 'vm' ? ' vm' : ''}`);
      say(
        `${count} hosts in ${((performance.now() - started) / 1000).toFixed(1)} s; npm run lab -- ssh ${lab.hosts[0]?.name}`,
      );
      return;
    }
    case 'list':
      for (const state of listStates())
        for (const host of state.hosts)
          say(`${state.name.padEnd(12)} ${host.name.padEnd(6)} ${host.address.padEnd(14)} ${host.flavour}`);
      return;
    case 'ssh': {
      const host = hostNamed(argument);
      const state = openLab(values.name)?.state;
      const hostState = state?.hosts.find((h) => h.name === host.name);
      if (!state || !hostState) throw new Error(`no host ${argument}`);
      process.exitCode =
        spawnSync('ssh', [...sshArguments(state, hostState), ...rest], { stdio: 'inherit' }).status ?? 1;
      return;
    }
    case 'console':
      process.exitCode =
        spawnSync('tail', ['-n', '100', '-f', hostNamed(argument).consoleLog], { stdio: 'inherit' }).status ?? 0;
      return;
    case 'reboot':
    case 'kill':
    case 'start':
    case 'cut':
    case 'heal':
      await hostNamed(argument)[verb]();
      return;
    case 'roots':
      for (const flavour of flavours) await flavourLayers(flavour, 'container', say);
      if (values.vm) {
        await installQemu(say);
        await flavourLayers('centos', 'vm', say);
      }
      return;
    case 'down': {
      const names = values.all ? listStates().map((state) => state.name) : [values.name];
      for (const name of names) say((await removeLab(name)) ? `lab ${name} is gone` : `there was no lab ${name}`);
      for (const name of await sweepLabs()) say(`lab ${name}, left over from a crash, is gone`);
      return;
    }
    default:
      throw new Error(
        'usage: npm run lab -- up [count] [--flavour F] [--vm] | ssh|console|reboot|kill|start|cut|heal HOST | list | down [--all]',
      );
  }
}

main().catch((error: Error) => {
  process.stderr.write(`lab: ${error.message}\n`);
  process.exitCode = 1;
});
