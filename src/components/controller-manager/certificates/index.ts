/** The controllers of certificate signing requests. */
import type { Controller } from '../framework/controller.ts';

export const certificateControllers: Controller[] = [];
