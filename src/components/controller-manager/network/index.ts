/** The controllers that tell which pods stand behind a Service. */
import type { Controller } from '../framework/controller.ts';

export const networkControllers: Controller[] = [];
