/**
 * `--patches <dir>`: files that change what kinit writes, named as kubeadm names them:
 * `<target><suffix>+<patch type>.<json|yaml>`; suffix (the order) and patch type (default strategic) may be missing.
 */
import { load, loadAll, YAMLException } from 'js-yaml';
import { applyJsonPatch, PatchError } from '../../machinery/api/patch/json-patch.ts';
import { applyMergePatch } from '../../machinery/api/patch/merge-patch.ts';
import { applyStrategicMergePatch } from '../../machinery/api/patch/strategic-merge.ts';
import type { TypeSchema } from '../../machinery/api/schema/types.ts';
import { formatYaml } from '../config/format-yaml.ts';
import { nearestName } from '../config/nearest.ts';
import { KinitError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { deploymentSchema, plainSchema, podSchema } from './pod-schema.ts';

const schemas = {
  etcd: podSchema,
  'kube-apiserver': podSchema,
  'kube-controller-manager': podSchema,
  'kube-scheduler': podSchema,
  kubeletconfiguration: plainSchema,
  corednsdeployment: deploymentSchema,
} satisfies Record<string, TypeSchema>;

export type PatchTarget = keyof typeof schemas;
export const patchTargets = Object.keys(schemas) as PatchTarget[];

const patchTypes = ['strategic', 'merge', 'json'] as const;
export type PatchType = (typeof patchTypes)[number];

export interface PatchFile {
  name: string;
  target: PatchTarget;
  type: PatchType;
  /** Of YAML, several documents: one after the other. */
  patches: unknown[];
}

/** Target and type of a file; undefined: it is no patch. @throws KinitError Validation when it looks like one */
export function parsePatchName(name: string): { target: PatchTarget; type: PatchType } | undefined {
  const match = /^(.+?)(?:\+([^.+]*))?\.(json|yaml)$/.exec(name);
  if (!match) return undefined;
  const [, base = '', typeName = 'strategic'] = match;
  const target = patchTargets.filter((known) => base.startsWith(known)).sort((a, b) => b.length - a.length)[0];
  if (!target) {
    const near = nearestName(base, patchTargets);
    throw new KinitError('Validation', `the patch file "${name}" has no known target`, {
      advice: near ? `did you mean ${near}?` : `a name begins with one of ${patchTargets.join(', ')}`,
    });
  }
  const type = patchTypes.find((known) => known === typeName);
  if (!type) {
    const near = nearestName(typeName, patchTypes);
    throw new KinitError('Validation', `the patch file "${name}" has the unknown patch type "${typeName}"`, {
      advice: near ? `did you mean ${near}?` : `it takes ${patchTypes.join(', ')}`,
    });
  }
  return { target, type };
}

/** All patches of a folder, in the order of their names. */
export async function readPatches(host: Host, folder: string): Promise<PatchFile[]> {
  const facts = await host.stat(folder);
  if (!facts) throw new KinitError('Validation', `there is no folder ${folder}`, { advice: 'check --patches' });
  if (facts.type === 'file') throw new KinitError('Validation', `${folder} is a file; --patches takes a folder`);
  const files: PatchFile[] = [];
  for (const name of await host.list(folder)) {
    const path = `${folder}/${name}`;
    if ((await host.stat(path))?.type === 'directory') continue;
    const parsed = parsePatchName(name);
    if (!parsed) continue;
    files.push({ name, ...parsed, patches: parsePatches((await host.readFile(path))?.toString('utf8') ?? '', path) });
  }
  return files;
}

function parsePatches(text: string, path: string): unknown[] {
  try {
    return loadAll(text, { filename: path }).filter((document) => document !== null && document !== undefined);
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const at = error.mark ? `${path}:${error.mark.line + 1}:${error.mark.column + 1}` : path;
    throw new KinitError('Validation', `${at}: ${error.reason}`);
  }
}

function applyOne(document: unknown, { type, target }: PatchFile, patch: unknown): unknown {
  if (type === 'json') return applyJsonPatch(document, patch);
  return type === 'merge'
    ? applyMergePatch(document, patch)
    : applyStrategicMergePatch(document, patch, schemas[target]);
}

/** The document with the patches of its target. */
export function applyPatches(target: PatchTarget, document: unknown, files: readonly PatchFile[]): unknown {
  let patched = document;
  for (const file of files.filter((one) => one.target === target)) {
    for (const patch of file.patches) {
      try {
        patched = applyOne(patched, file, patch);
      } catch (error) {
        if (!(error instanceof PatchError)) throw error;
        throw new KinitError('Validation', `the patch file "${file.name}" does not fit ${target}: ${error.message}`);
      }
    }
  }
  return patched;
}

/** Text of a manifest with its patches; as it is when there are none. */
export function patchText(target: PatchTarget, text: string, files: readonly PatchFile[] = []): string {
  if (!files.some((file) => file.target === target)) return text;
  return formatYaml(applyPatches(target, load(text), files));
}
