/** `-v`: how much is told beside the result, on the standard error. */
import { subscribe } from 'node:diagnostics_channel';
import { KinitError } from '../installer/errors.ts';
import { type CommandTrace, commandTraces } from '../installer/host/host.ts';

const commandsFrom = 4;
const stacksFrom = 5;

let verbosity = process.env['KINIT_DEBUG'] ? stacksFrom : 0;

/** @param text of the flag; absent: as KINIT_DEBUG says */
export function setVerbosity(text: string | undefined): void {
  if (text === undefined) return;
  if (!/^\d{1,2}$/.test(text)) throw new KinitError('Usage', `-v is "${text}"; it takes a number from 0 to 10`);
  verbosity = Number(text);
  if (tellsCommands()) subscribe(commandTraces, (message) => tell(message as CommandTrace));
}

/** Lines between those of a list that is drawn again and again would spoil it. */
export const tellsCommands = (): boolean => verbosity >= commandsFrom;
export const showsStacks = (): boolean => verbosity >= stacksFrom;

function tell({ command, args, exitCode, ms }: CommandTrace): void {
  process.stderr.write(`[command] ${[command, ...args].join(' ')}: exit code ${exitCode} (${ms} ms)\n`);
}
