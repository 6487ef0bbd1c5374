/** How far a rotation has come: a file on the control plane where the new keys were made. It holds no keys. */
import { z } from 'zod';
import { kubernetesDir } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import type { Changes } from '../host/changes.ts';
import { type Host, readText } from '../host/host.ts';
import { type RotatedName, type RotationStep, rotatedNames, rotationSteps } from './authorities.ts';

/** On each host; on one of them new keys wait here until they sign. */
export const rotationFolder = `${kubernetesDir}/rotation`;
export const recordPath = `${rotationFolder}/rotation.json`;

const recordSchema = z.object({
  names: z.array(z.enum(rotatedNames)).min(1),
  step: z.enum(rotationSteps),
  /** All hosts are through it. */
  done: z.boolean(),
  started: z.string(),
});

export type RotationRecord = z.infer<typeof recordSchema>;

/** @throws KinitError for what is no record */
export function parseRecord(text: string): RotationRecord {
  try {
    return recordSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new KinitError('Validation', `${recordPath} cannot be read`, {
      seen: (cause as Error).message,
      advice: 'put it back as it was; without it nobody knows how far the rotation has come',
      cause,
    });
  }
}

export async function readRecord(host: Host): Promise<RotationRecord | undefined> {
  const text = await readText(host, recordPath);
  return text === undefined ? undefined : parseRecord(text);
}

export async function writeRecord({ folder, file }: Changes, record: RotationRecord): Promise<boolean> {
  await folder(rotationFolder, 0o700);
  return file(recordPath, `${JSON.stringify(record, undefined, 2)}\n`, { mode: 0o600 });
}

export interface Request {
  /** Absent: those of the rotation that is under way, or all. */
  names?: readonly RotatedName[] | undefined;
  /** Absent: all steps that are left. */
  step?: RotationStep | undefined;
}

export interface StepPlan {
  names: readonly RotatedName[];
  steps: readonly RotationStep[];
}

const isSame = (a: readonly RotatedName[], b: readonly RotatedName[]) => [...a].sort().join() === [...b].sort().join();

/**
 * What is to be done, with what was done before.
 * @throws KinitError when the request does not fit to the rotation that is under way
 */
export function planSteps(record: RotationRecord | undefined, { names, step }: Request): StepPlan {
  if (!record) {
    if (step && step !== 'trust')
      throw new KinitError('Validation', `there is no rotation under way whose step ${step} could be made`, {
        advice: 'begin with --step trust',
      });
    return { names: names ?? [...rotatedNames], steps: step ? [step] : rotationSteps };
  }
  if (names && !isSame(names, record.names)) {
    throw new KinitError('Validation', `a rotation of ${record.names.join(', ')} is under way`, {
      advice: 'let it come to its end first: kinit certs rotate-ca, with the same inventory',
    });
  }
  const at = rotationSteps.indexOf(record.step);
  const left = rotationSteps.slice(record.done ? at + 1 : at);
  if (!step) return { names: record.names, steps: left };
  if (step === left[0] || step === record.step) return { names: record.names, steps: [step] };
  throw new KinitError('Validation', `the step ${step} is not the next one of the rotation that is under way`, {
    seen: `${record.step} is ${record.done ? 'done' : 'not through on all hosts'}`,
    advice: `run --step ${left[0]}`,
  });
}
