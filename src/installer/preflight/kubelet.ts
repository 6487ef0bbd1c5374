/** A kubelet that is not kinit's. */
import { bundlePaths, kubeletPaths } from '../config/paths.ts';
import { unitState } from '../host/changes.ts';
import { exists, readText } from '../host/host.ts';
import { type Check, error, warning } from './check.ts';

const packaged = ['/usr/lib/systemd/system/kubelet.service', '/lib/systemd/system/kubelet.service'];

/** kubeadm asks whether the service is there and enabled; kinit installs and enables it, so another one is in the way. */
export const kubeletService: Check = async ({ host }) => {
  const check = 'Service-Kubelet';
  const unit = await readText(host, kubeletPaths.unit);
  if (unit?.includes(bundlePaths.parent)) return [];
  if ((await unitState(host, 'kubelet.service')).active) {
    const advice = 'run: systemctl disable --now kubelet; or kinit reset or kubeadm reset after an earlier cluster';
    return [error(check, 'another kubelet is running as kubelet.service', advice)];
  }
  if (unit !== undefined) {
    return [warning(check, `${kubeletPaths.unit} is not kinit's; it will be replaced, and put back by kinit reset`)];
  }
  for (const path of packaged) {
    if (!(await exists(host, path))) continue;
    const message = `a kubelet package is installed (${path}); kinit's own service takes its place until kinit reset`;
    return [warning(check, message, 'remove the package kubelet, so that an update of it changes nothing')];
  }
  return [];
};
