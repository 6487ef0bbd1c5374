/** The controllers of certificate signing requests. */
import type { Controller } from '../framework/controller.ts';
import { certificateApproving } from './approving.ts';
import { certificateCleaner } from './cleaner.ts';
import { certificateSigning } from './signing.ts';

export const certificateControllers: Controller[] = [certificateApproving, certificateSigning, certificateCleaner];
