/** The controllers that tell which pods stand behind a Service. */
import type { Controller } from '../framework/controller.ts';
import { endpointSliceController } from './endpoint-slice.ts';
import { endpointsController } from './endpoints.ts';
import { endpointSliceMirroringController } from './mirroring.ts';

export const networkControllers: Controller[] = [
  endpointSliceController,
  endpointsController,
  endpointSliceMirroringController,
];
