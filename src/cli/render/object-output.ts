/** `-o` of commands that print a document, as kubeadm has it: text, json, yaml and JSONPath templates. */
import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { KinitError } from '../../installer/errors.ts';

export interface ObjectFlags {
  output: string;
  experimentalOutput?: string;
}

/** Adds `-o` and the flags that go with it. */
export function objectOutputOption(command: Command): Command {
  return command
    .option('-o, --output <format>', 'text, json, yaml, or jsonpath=…, jsonpath-as-json=…, jsonpath-file=…', 'text')
    .addOption(new Option('--experimental-output <format>', 'the older name of --output').hideHelp())
    .option('--allow-missing-template-keys', 'what a template names and is not there is left out; always so')
    .option('--show-managed-fields', 'of no effect: what is printed has no managed fields');
}

export const formatOf = ({ output, experimentalOutput }: ObjectFlags): string => experimentalOutput ?? output;

/** @param text made when the format is text */
export async function formatObject(
  flags: ObjectFlags,
  object: () => object,
  text: () => string | Promise<string>,
): Promise<string> {
  const format = formatOf(flags);
  const [kind = '', template] = format.split(/=(.*)/s);
  if (template === undefined) {
    if (kind === 'text') return text();
    if (kind === 'json') return `${JSON.stringify(object(), null, 4)}\n`;
    if (kind === 'yaml') {
      const { formatYaml } = await import('../../installer/config/format-yaml.ts');
      return formatYaml(object());
    }
  }
  const { evaluateTemplate } = await import('./json-path-template.ts');
  if (kind === 'jsonpath') return evaluateTemplate(template ?? '', object());
  if (kind === 'jsonpath-as-json') return evaluateTemplate(template ?? '', object(), true);
  if (kind === 'jsonpath-file' && template) return evaluateTemplate(await templateFile(template), object());
  if (/^(go-template|template)/.test(kind)) {
    throw new KinitError('Usage', `--output is "${format}": Go templates are not supported`, {
      advice: 'take a JSONPath template: -o jsonpath={.images[*]}, or -o json and jq',
    });
  }
  throw new KinitError(
    'Usage',
    `--output is "${format}"; it takes text, json, yaml, jsonpath=…, jsonpath-as-json=… or jsonpath-file=…`,
  );
}

function templateFile(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new KinitError('Usage', `cannot read the template ${path}: ${error.code}`);
  });
}
