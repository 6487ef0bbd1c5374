/** kubeadm renews the certificates of a component when it upgrades it; once per upgrade, however often that is begun. */
import type { ClusterConfiguration } from '../config/types.ts';
import type { Host } from '../host/host.ts';
import { backdateMs } from '../pki/ensure.ts';
import { renewCertificate } from '../pki/renew.ts';
import { readRenewable, renewables } from '../pki/renewable.ts';
import type { StaticPodName } from './backup.ts';

/** Names as `kinit certs renew` takes them, by the component that uses them. */
export const certificatesOf: Record<StaticPodName | 'administrators', readonly string[]> = {
  etcd: ['etcd-server', 'etcd-peer', 'etcd-healthcheck-client'],
  'kube-apiserver': ['apiserver', 'apiserver-kubelet-client', 'apiserver-etcd-client', 'front-proxy-client'],
  'kube-controller-manager': ['controller-manager.conf'],
  'kube-scheduler': ['scheduler.conf'],
  administrators: ['admin.conf', 'super-admin.conf'],
};

/** Whether a certificate was made before the upgrade began; its times are whole seconds. */
export const isOlder = (validFrom: Date, started: Date): boolean =>
  validFrom.getTime() + backdateMs + 1000 < started.getTime();

/**
 * Those whose authority is elsewhere stay as they are: kubeadm, too, leaves them to their owner.
 * @returns the names of those that were renewed
 */
export async function renewFor(
  host: Host,
  component: keyof typeof certificatesOf,
  cluster: ClusterConfiguration,
  started: Date,
): Promise<string[]> {
  const home = { host, certificatesDir: cluster.certificatesDir };
  const renewed: string[] = [];
  for (const name of certificatesOf[component]) {
    const renewable = renewables.find((one) => one.name === name);
    const found = renewable && (await readRenewable(home, renewable));
    if (!renewable || !found || !isOlder(found.certificate.validFromDate, started)) continue;
    if ((await renewCertificate(home, renewable, cluster)) === 'renewed') renewed.push(name);
  }
  return renewed;
}
