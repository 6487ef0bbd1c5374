/** `kinit etcd restore` on a host: a control plane gets the data of a snapshot, or the host becomes one with it. */

import type { InitFlags } from '../config/flags.ts';
import { manifestsDir } from '../config/paths.ts';
import { noConfig, parseConfig, type ReadConfig, readConfigFile } from '../config/read-config.ts';
import { KinitError } from '../errors.ts';
import { beginRestore } from '../etcd/restore-data.ts';
import type { RestoreState } from '../etcd/restore-state.ts';
import { databaseFacts, readInfo, verifySnapshot } from '../etcd/snapshot-file.ts';
import { exists, readText } from '../host/host.ts';
import { etcdManifestText, inPlacePhases, type RestoreContext, type RestoreSource } from './etcd-restore.ts';
import { runInit } from './run.ts';
import { runSession, type SessionOptions, type SessionResult } from './session.ts';

/** What init does more on a host that becomes the control plane of a cluster that was. */
export interface RestoreIntoInit {
  source: RestoreSource;
  state: RestoreState;
  /** The ClusterConfiguration of the snapshot, when it is known. */
  clusterConfiguration?: string;
}

export interface RestoreFlags extends InitFlags {
  config?: string;
  /** Holds the key that encrypts the keys beside the snapshot. */
  pkiKeyFile?: string;
}

/** The cluster's own configuration, and over it what the given file says. */
export async function restoredConfig(
  path: string | undefined,
  { clusterConfiguration }: RestoreIntoInit,
): Promise<ReadConfig> {
  const given = path === undefined ? noConfig : await readConfigFile(path);
  if (clusterConfiguration === undefined) return given;
  const { ClusterConfiguration: stored } = parseConfig(clusterConfiguration, 'the snapshot').documents;
  if (!stored) return given;
  const merged = { ...stored, ...given.documents.ClusterConfiguration };
  return { ...given, documents: { ...given.documents, ClusterConfiguration: merged } };
}

export async function runEtcdRestore(
  path: string,
  flags: RestoreFlags,
  options: SessionOptions,
): Promise<SessionResult> {
  const { host, signal } = options;
  const { sha256 } = await verifySnapshot(path);
  await databaseFacts(host, path, signal);
  const info = await readInfo(host, path);
  if (info && info.sha256 !== sha256) {
    throw new KinitError('Validation', `${path} is not the file that its notes describe; nothing was changed`, {
      seen: `sha256 ${sha256}, noted ${info.sha256}`,
    });
  }
  const certificateKey = flags.pkiKeyFile ? (await readText(host, flags.pkiKeyFile))?.trim() : undefined;
  const isControlPlane = (await etcdManifestText(host)) !== undefined;
  if (!isControlPlane && (await exists(host, `${manifestsDir}/kube-apiserver.yaml`))) {
    throw new KinitError('Validation', 'the etcd of this control plane is elsewhere; nothing was changed', {
      advice: 'restore it with etcdutl on its own hosts, with all API servers stopped',
    });
  }
  const state = await beginRestore(host, sha256, isControlPlane);
  const source: RestoreSource = {
    path,
    sha256,
    ...(info ? { node: info.node } : {}),
    ...(certificateKey ? { certificateKey } : {}),
  };
  if (state.mode === 'in-place') {
    return runSession<RestoreContext>('etcd restore', options, async (base) => {
      if (base.facts.uid !== 0) throw new KinitError('Preflight', 'kinit must run as root', { advice: 'use sudo' });
      return { phases: inPlacePhases, context: { ...base, source, state }, skip: [] };
    });
  }
  const { clusterConfiguration } = info ?? {};
  if (clusterConfiguration === undefined && flags.config === undefined) {
    throw new KinitError('Usage', `nothing is known of the cluster: ${path}.json is not there`, {
      advice: 'put it beside the snapshot, or give the configuration of the cluster with --config',
    });
  }
  const restore = { source, state, ...(clusterConfiguration ? { clusterConfiguration } : {}) };
  return runInit({ ...flags, restore }, flags.config, options);
}
