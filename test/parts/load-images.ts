/** The images of the tests' workloads on lab hosts: there is no image registry. */
import { buildTestImages } from '../images/build.ts';
import type { LabHost } from '../lab/lab.ts';

const path = '/var/tmp/test-images.tar';

/** Puts them into the containerd that kinit has brought. */
export async function loadTestImages(hosts: readonly LabHost[]): Promise<void> {
  const archive = await buildTestImages();
  await Promise.all(
    hosts.map(async (host) => {
      await host.copy(archive, path);
      await host.must(`/opt/kinit/current/bin/ctr --namespace k8s.io images import ${path} && rm ${path}`);
    }),
  );
}
