/** What a plugin says about a pod: nothing when it agrees, otherwise a code and reasons for people. */

export type StatusCode =
  /** Something went wrong; the pod is tried again. */
  | 'Error'
  /** Not now, but taking other pods away could help. */
  | 'Unschedulable'
  /** Not now, and taking other pods away does not help. */
  | 'UnschedulableAndUnresolvable'
  /** The plugin has nothing to do for this pod; its later extension points are left out. */
  | 'Skip'
  /** Waiting for something outside (a gate, a volume). */
  | 'Pending';

export interface Status {
  readonly code: StatusCode;
  readonly reasons: readonly string[];
  /** Filled in by the framework. */
  readonly plugin?: string;
}

export const status = (code: StatusCode, ...reasons: string[]): Status => ({ code, reasons });
export const skip: Status = { code: 'Skip', reasons: [] };
export const unschedulable = (...reasons: string[]): Status => status('Unschedulable', ...reasons);
export const unresolvable = (...reasons: string[]): Status => status('UnschedulableAndUnresolvable', ...reasons);

export const isRejection = (found: Status | undefined): found is Status =>
  found !== undefined &&
  (found.code === 'Unschedulable' || found.code === 'UnschedulableAndUnresolvable' || found.code === 'Pending');

/** Thrown by a framework run when a plugin answered `Error`. */
export class PluginError extends Error {
  readonly plugin: string;
  constructor(plugin: string, point: string, reasons: readonly string[]) {
    super(`running ${point} plugin "${plugin}": ${reasons.join(', ')}`);
    this.name = 'PluginError';
    this.plugin = plugin;
  }
}
