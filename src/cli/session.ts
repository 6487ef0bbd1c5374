/** Runs a command of the installer for the command line: signals, drawing, exit. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { KinitError } from '../installer/errors.ts';
import { type Host, localHost } from '../installer/host/host.ts';
import type { PhaseEvent } from '../installer/phases/events.ts';
import type { SessionOptions, SessionResult } from '../installer/phases/session.ts';
import { createRenderer } from './render/renderer.ts';
import { tellsCommands } from './verbosity.ts';

export interface OutputFlags {
  output: string;
  dryRun?: boolean;
  prune?: boolean;
  dryRunDir?: string;
}

export type EndedEvent = Extract<PhaseEvent, { type: 'ended' }>;

/** `a,b` and repeated flags alike. */
export const list = (value: string, before: string[] | undefined): string[] => [
  ...(before ?? []),
  ...value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
];

export function outputOption(command: Command): Command {
  return command.option(
    '-o, --output <format>',
    'text, plain (no cursor movements) or json (one event per line)',
    'text',
  );
}

/** Aborts on Ctrl-C and SIGTERM; a second Ctrl-C ends at once. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = (name: string) => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort(
      new KinitError('Interrupted', `interrupted by ${name}`, {
        advice: 'run the same command again to go on, or kinit reset',
      }),
    );
  };
  // Not `once`: execa ends the process when it finds no other listener left while a command runs.
  process.on('SIGINT', () => stop('SIGINT'));
  process.on('SIGTERM', () => stop('SIGTERM'));
  return controller.signal;
}

/** @returns the last event, for what is printed below the list */
export async function drawSession(
  flags: OutputFlags,
  run: (options: SessionOptions) => Promise<SessionResult>,
  host: Host = localHost(),
): Promise<EndedEvent | undefined> {
  if (!['text', 'plain', 'json'].includes(flags.output)) {
    throw new KinitError('Usage', `--output is "${flags.output}"; it takes text, plain or json`);
  }
  const renderer = await createRenderer(flags.output === 'text' && tellsCommands() ? 'plain' : flags.output);
  let ended: EndedEvent | undefined;
  try {
    await run({
      host,
      dryRun: flags.dryRun === true || flags.dryRunDir !== undefined,
      ...(flags.dryRunDir ? { dryRunFolder: resolve(flags.dryRunDir) } : {}),
      prune: flags.prune ?? false,
      signal: interruptSignal(),
      events: (event) => {
        if (event.type === 'ended') ended = event;
        renderer.sink(event);
      },
    });
  } finally {
    await renderer.finish();
  }
  if (flags.dryRunDir && ended?.ok && flags.output !== 'json') {
    process.stdout.write(`The files that would be written are in ${resolve(flags.dryRunDir)}\n`);
  }
  return ended;
}
