/** ExternalEtcdVersion and ExternalEtcdClientCertificates: an etcd that is elsewhere has to be there, and let us in. */

import { KinitError } from '../errors.ts';
import { externalEtcdFiles, externalEtcdVersion, isNewEnough } from '../etcd/external.ts';
import { exists } from '../host/host.ts';
import { type Check, error, type Finding } from './check.ts';

export const externalEtcd: Check = async ({ host, externalEtcd: external }) => {
  if (!external) return [];
  const findings: Finding[] = [];
  for (const path of externalEtcdFiles(external).values()) {
    if (!(await exists(host, path))) {
      findings.push(error('ExternalEtcdClientCertificates', `${path} doesn't exist`, 'put it there (etcd.external)'));
    }
  }
  if (findings.length) return findings;
  const asked = external.endpoints.map(async (endpoint): Promise<Finding[]> => {
    try {
      const version = await externalEtcdVersion(host, external, endpoint);
      if (isNewEnough(version)) return [];
      return [error('ExternalEtcdVersion', `this kinit supports etcd 3.5 and newer; ${endpoint} has ${version}`)];
    } catch (failure) {
      if (!(failure instanceof KinitError)) throw failure;
      return [error('ExternalEtcdVersion', `${failure.message}: ${failure.details.seen ?? ''}`)];
    }
  });
  return (await Promise.all(asked)).flat();
};
