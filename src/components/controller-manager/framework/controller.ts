/** What every controller gets, and what it gives: the contract between main.ts and the folders of controllers. */
import type { Client } from '../../../machinery/client/types.ts';
import type { EventRecorder } from '../../../machinery/events/recorder.ts';
import type { Logger } from '../../../machinery/logging/logger.ts';
import type { ControllerManagerOptions } from './options.ts';
import type { SharedInformers } from './shared-informers.ts';

export interface ControllerContext {
  /** A client of the controller's own service account (`--use-service-account-credentials`) or the shared one. */
  client: Client;
  /** Shared by all controllers: one watch per resource. Get informers in `start`, before awaiting anything. */
  informers: SharedInformers;
  options: ControllerManagerOptions;
  logger: Logger;
  /** Events in the name of this component, for example `deployment-controller`. */
  recorder(component: string): EventRecorder;
  /** Fires when leadership is lost or the process is told to stop. */
  signal: AbortSignal;
}

export interface Controller {
  /** As in `--controllers`, for example `deployment-controller`. */
  name: string;
  /** The service account that the controller acts as, in kube-system; empty: as the process itself. */
  serviceAccount: string;
  /**
   * Takes informers, adds handlers and starts workers that wait for `informers.synced(signal)` by themselves. Resolves when
   * the controller has stopped (signal). Throws only for what makes the controller impossible (bad options).
   */
  run(context: ControllerContext): Promise<void>;
}
