/** The images that the node needs, in the bundle. kubeadm pulls them here; kinit loads them later, from the bundle. */
import { controlPlaneImages, imageReference, nodeImages } from '../bundle/image-names.ts';
import { bundlePaths } from '../config/paths.ts';
import { readText } from '../host/host.ts';
import { type Check, error, isControlPlane } from './check.ts';

const nameAnnotation = 'io.containerd.image.name';

interface Index {
  manifests?: { annotations?: Record<string, string>; digest?: string }[];
}

export const imagePull: Check = async ({ host, bindPort }) => {
  const text = await readText(host, `${bundlePaths.images}/index.json`);
  // A bundle that is not there is another check's.
  if (text === undefined) return [];
  const { manifests = [] } = JSON.parse(text) as Index;
  const there = new Set(manifests.map(({ annotations }) => annotations?.[nameAnnotation]));
  const wanted = [...nodeImages, ...(isControlPlane({ bindPort }) ? controlPlaneImages : [])];
  const missing = wanted.map((name) => imageReference(name)).filter((reference) => !there.has(reference));
  if (!missing.length) return [];
  return [
    error(
      'ImagePull',
      `the bundle has no image ${missing.join(', ')}`,
      'unpack the bundle again: sh kinit-<version>-linux-amd64.run',
    ),
  ];
};
