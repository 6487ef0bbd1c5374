/** Asks the questions of `kinit init` on a terminal, and writes the file that the answers make. */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { styleText } from 'node:util';
import type { Command } from 'commander';
import { parseConfig } from '../installer/config/read-config.ts';
import { KinitError } from '../installer/errors.ts';
import { parseInventory } from '../installer/inventory/read-inventory.ts';
import { fileOf, nextQuestion, type WizardAnswers, type WizardQuestion } from '../installer/inventory/wizard.ts';

export interface WizardOutcome {
  target: WizardAnswers['target'];
  /** The file that was written. */
  path: string;
  /** The user wants the cluster now. */
  start: boolean;
}

/** Only people at a terminal who gave nothing at all are asked. */
export function wantsWizard(
  command: Command,
  { stdin, stdout, env }: Pick<NodeJS.Process, 'env'> & Record<'stdin' | 'stdout', { isTTY?: boolean }> = process,
): boolean {
  if (!stdin.isTTY || !stdout.isTTY || (env['CI'] && env['CI'] !== 'false')) return false;
  return command.options.every((option) => command.getOptionValueSource(option.attributeName()) !== 'cli');
}

/** What only this machine knows of an answer. */
export function localMistake(name: keyof WizardAnswers, answer: string): string | undefined {
  if (name === 'file' && existsSync(answer)) return `${answer} is there already; give another name`;
  if (name === 'key' && answer && !existsSync(answer.replace(/^~(?=\/)/, homedir())))
    return `there is no file ${answer}`;
  return undefined;
}

export async function runWizard(): Promise<WizardOutcome | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof Error && error.name === 'ExitPromptError')
      throw new KinitError('Interrupted', 'ended by Ctrl-C; nothing was changed');
    throw error;
  }
}

async function ask(): Promise<WizardOutcome | undefined> {
  const { default: inquirer } = await import('inquirer');
  const say = (text: string) => process.stdout.write(`${text}\n`);
  const explain = (text: string) => say(`\n${styleText('dim', text)}`);
  const select = async (message: string, choices: { value: string; name: string }[]): Promise<string> =>
    (await inquirer.prompt<{ value: string }>([{ type: 'select', name: 'value', message, choices }])).value;
  const input = async (question: WizardQuestion, answers: Partial<WizardAnswers>): Promise<string> => {
    const { name, message, mistake, otherwise } = question;
    const usual = otherwise?.(answers);
    const { value } = await inquirer.prompt<{ value: string }>([
      {
        type: 'input',
        name: 'value',
        message,
        ...(usual ? { default: usual } : {}),
        validate: (typed: string) => mistake?.(typed.trim(), answers) ?? localMistake(name, typed.trim()) ?? true,
      },
    ]);
    return value.trim();
  };
  const answers: Partial<WizardAnswers> = {};
  for (let question = nextQuestion(answers); question; question = nextQuestion(answers)) {
    explain(question.explanation);
    const { name, message, choices } = question;
    const answer = choices ? await select(message, choices) : await input(question, answers);
    Object.assign(answers, { [name]: answer });
  }
  const { target = 'here', file = '' } = answers;
  const text = fileOf(answers);
  // What the wizard writes, kinit reads: a mistake that no single answer shows ends it before anything is written.
  if (target === 'fleet') parseInventory(text, file);
  else parseConfig(text, file);
  explain(`This is what goes to ${file}:`);
  say(`\n${text}`);
  const next = await select('Go on?', [
    {
      value: 'start',
      name: target === 'here' ? 'Write it, and make the control plane now' : 'Write it, and make the cluster now',
    },
    { value: 'write', name: 'Write it only' },
    { value: 'nothing', name: 'Neither' },
  ]);
  if (next === 'nothing') {
    say('Nothing was written.');
    return undefined;
  }
  await writeFile(resolve(file), text, { flag: 'wx' });
  const command = target === 'here' ? `kinit init --config ${file}` : `kinit up --inventory ${file}`;
  say(`${file} is written. ${next === 'start' ? 'To do the same again' : 'To go on'}: ${command}\n`);
  return { target, path: file, start: next === 'start' };
}
