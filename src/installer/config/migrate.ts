/** `kinit config migrate`: documents of kubeadm.k8s.io/v1beta3 as v1beta4 ones; what they mean stays the same. */
import { KinitError } from '../errors.ts';
import { formatYaml } from './format-yaml.ts';
import { parseConfig } from './read-config.ts';
import { kubeadmVersion } from './schema.ts';
import { parseYaml } from './yaml.ts';

type Fields = Record<string, unknown>;

const oldVersion = 'kubeadm.k8s.io/v1beta3';

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** v1beta4 has a list where v1beta3 has a map. */
function listArguments(owner: unknown, field: string): void {
  if (!isFields(owner) || !isFields(owner[field])) return;
  owner[field] = Object.entries(owner[field])
    .map(([name, value]) => ({ name, value: String(value) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Takes a duration out of an old place and puts it among the timeouts, unless one is there. */
function moveTimeout(owner: unknown, field: string, target: Fields, name: string): void {
  if (!isFields(owner) || owner[field] === undefined) return;
  const timeouts = isFields(target['timeouts']) ? target['timeouts'] : {};
  target['timeouts'] = { [name]: owner[field], ...timeouts };
  delete owner[field];
}

function migrateDocument(document: Fields): void {
  document['apiVersion'] = kubeadmVersion;
  listArguments(document['nodeRegistration'], 'kubeletExtraArgs');
  if (document['kind'] === 'ClusterConfiguration') {
    for (const component of ['apiServer', 'controllerManager', 'scheduler'])
      listArguments(document[component], 'extraArgs');
    const etcd = document['etcd'];
    if (isFields(etcd)) listArguments(etcd['local'], 'extraArgs');
  }
  if (document['kind'] === 'JoinConfiguration') {
    moveTimeout(document['discovery'], 'timeout', document, 'discovery');
  }
}

/**
 * @returns the documents of a file, in order; those of other groups as they are
 * @throws KinitError Validation when there is nothing to migrate, or when the outcome is not valid
 */
export function migrateConfig(text: string, filename: string): string {
  const documents = parseYaml(text, filename).map(({ value }) => value);
  if (
    !documents.some((document) => isFields(document) && String(document['apiVersion']).startsWith('kubeadm.k8s.io/'))
  ) {
    throw new KinitError('Validation', `${filename} has no document of kubeadm.k8s.io`);
  }
  const fields = documents.filter(isFields);
  for (const document of fields) if (document['apiVersion'] === oldVersion) migrateDocument(document);
  const cluster = fields.find(({ kind }) => kind === 'ClusterConfiguration');
  const apiServer = cluster?.['apiServer'];
  if (isFields(apiServer) && apiServer['timeoutForControlPlane'] !== undefined) {
    let init = fields.find(({ kind }) => kind === 'InitConfiguration');
    if (!init) {
      init = { apiVersion: kubeadmVersion, kind: 'InitConfiguration' };
      fields.unshift(init);
    }
    moveTimeout(apiServer, 'timeoutForControlPlane', init, 'controlPlaneComponentHealthCheck');
  }
  const migrated = fields.map(formatYaml).join('---\n');
  parseConfig(migrated, `${filename} (migrated)`);
  return migrated;
}
