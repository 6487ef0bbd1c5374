/** When the certificates of a control plane expire. */
import { X509Certificate } from 'node:crypto';
import { kubeconfigPaths } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { type Host, readText } from '../host/host.ts';
import { parseKubeconfig, restConfigOf } from '../kubeconfig/kubeconfig.ts';
import { authorities, leafCertificates } from './catalog.ts';
import { certificateFile } from './ensure.ts';

export interface Expiration {
  name: string;
  /** RFC 3339. */
  expires: string;
  residualDays: number;
  authority?: string;
}

const dayMs = 86_400_000;

/** Certificates that are there, leaves first. */
export async function checkExpiration(host: Host, dir: string, now = new Date()): Promise<Expiration[]> {
  const found: Expiration[] = [];
  const add = (name: string, pem: string | undefined, authority?: string) => {
    if (pem === undefined) return;
    const { validToDate } = new X509Certificate(pem);
    const residualDays = Math.floor((validToDate.getTime() - now.getTime()) / dayMs);
    found.push({ name, expires: validToDate.toISOString(), residualDays, ...(authority ? { authority } : {}) });
  };
  for (const key of ['admin', 'superAdmin', 'controllerManager', 'scheduler'] as const) {
    const path = kubeconfigPaths[key];
    const text = await readText(host, path);
    if (text === undefined) continue;
    add(path.replace('/etc/kubernetes/', ''), restConfigOf(parseKubeconfig(text, path), path).certData, 'ca');
  }
  for (const { name, authority } of leafCertificates) {
    add(name.replace('/', '-'), await readText(host, certificateFile(dir, name)), authority.replace('/', '-'));
  }
  for (const { name } of authorities) add(name.replace('/', '-'), await readText(host, certificateFile(dir, name)));
  if (!found.length) {
    throw new KinitError('Validation', `there are no certificates in ${dir}`, {
      advice: 'run this on a control plane',
    });
  }
  return found;
}
