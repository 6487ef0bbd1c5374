/** preflight: looks at everything that could be in the way, before the first change. */

import { defaultCluster } from '../config/defaults.ts';
import { type CheckContext, runChecks } from '../preflight/check.ts';
import { allChecks } from '../preflight/checks.ts';
import type { InitContext, JoinContext } from './context.ts';
import type { PhaseContext } from './engine.ts';

export type CheckSettings = Omit<CheckContext, 'host' | 'facts' | 'journal'>;

/** Runs the checks, tells the warnings, and notes in the journal what this host becomes. */
export async function preflight(
  context: PhaseContext,
  settings: CheckSettings,
  ignored: readonly string[],
): Promise<void> {
  const { host, facts, changes } = context;
  const warnings = await runChecks(allChecks, { host, facts, journal: changes.journal, ...settings }, ignored);
  for (const { check, message, advice } of warnings) {
    context.warn(`[${check}] ${message}${advice ? ` (${advice})` : ''}`);
  }
}

export function checkSettings(context: InitContext | JoinContext): CheckSettings {
  const { node, hostSettings } = context;
  const common = {
    nodeName: node.name,
    ownRuntime: node.ownRuntime,
    criSocket: node.criSocket,
    keepSwap: hostSettings.swap === 'keep',
  };
  return context.kind === 'init'
    ? {
        ...common,
        command: 'init',
        bindPort: context.config.localAPIEndpoint.bindPort,
        etcdDataDir: context.config.cluster.etcd.local.dataDir,
      }
    : {
        ...common,
        command: 'join',
        bindPort: context.config.controlPlane?.localAPIEndpoint.bindPort ?? 0,
        etcdDataDir: context.config.controlPlane ? defaultCluster.etcdDataDir : '',
      };
}
