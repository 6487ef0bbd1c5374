/** Renders the files of templates/ with Handlebars. */
import { readFileSync } from 'node:fs';
import Handlebars from 'handlebars';
import { dump, loadAll } from 'js-yaml';
import type { UnknownObject } from '../../machinery/api/types.ts';
import { assetPath } from '../../machinery/assets.ts';

const engine = Handlebars.create();

const toYaml = (value: unknown) => dump(value, { lineWidth: -1, seqNoIndent: true }).trimEnd();

/** `{{yaml value 4}}`: a value as YAML, its lines after the first indented by four blanks. */
engine.registerHelper('yaml', (value: unknown, indent: number) =>
  toYaml(value).replaceAll('\n', `\n${' '.repeat(indent)}`),
);
/** `{{scalar value}}`: a string, quoted when YAML would read something else. */
engine.registerHelper('scalar', (value: unknown) => toYaml(value));
/** `{{indent text 4}}`: a text as it is, its lines after the first indented. */
engine.registerHelper('indent', (text: unknown, blanks: number) =>
  String(text)
    .trimEnd()
    .replaceAll('\n', `\n${' '.repeat(blanks)}`),
);

const compiled = new Map<string, HandlebarsTemplateDelegate>();

/** @param name path below templates/, for example `static-pods/etcd.yaml` */
export function renderTemplate(name: string, values: object): string {
  let template = compiled.get(name);
  if (!template) {
    const source = readFileSync(assetPath('templates', ...name.split('/')), 'utf8');
    template = engine.compile(source, { noEscape: true, strict: true, preventIndent: true });
    compiled.set(name, template);
  }
  return template(values);
}

/** Renders a stream of manifests and parses it. */
export function renderObjects(name: string, values: object): UnknownObject[] {
  return loadAll(renderTemplate(name, values), { filename: name }).filter(
    (value): value is UnknownObject => typeof value === 'object' && value !== null,
  );
}
