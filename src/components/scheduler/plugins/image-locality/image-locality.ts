/** ImageLocality: prefers nodes that have the pod's images, the more the larger they are. */
import type { Pod } from '../../../../machinery/api/types.ts';
import type { ImageState } from '../../cache/snapshot.ts';
import { maxNodeScore, type PluginFactory } from '../../framework/plugin.ts';

const megabyte = 1024 * 1024;
const minThreshold = 23 * megabyte;
const maxContainerThreshold = 1000 * megabyte;

/** Kubelets report names with a tag. */
export const normalizedImageName = (image: string): string =>
  image.lastIndexOf(':') <= image.lastIndexOf('/') ? `${image}:latest` : image;

/** @param sumBytes of the images on the node, each scaled by the share of nodes that have it, against stampedes */
export function imageScore(sumBytes: number, containers: number): number {
  const max = maxContainerThreshold * containers;
  const bounded = Math.min(Math.max(sumBytes, minThreshold), max);
  return Math.floor((maxNodeScore * (bounded - minThreshold)) / (max - minThreshold));
}

function imagesOf(pod: Pod): string[] {
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  const volumes = (pod.spec?.volumes ?? []).flatMap(({ image }) => image?.reference ?? []);
  return [...containers.flatMap(({ image }) => image ?? []), ...volumes].map(normalizedImageName);
}

export const imageLocality: PluginFactory = (context) => ({
  name: 'ImageLocality',
  score: (_state, { pod }, { node }) => {
    const snapshot = context.snapshot();
    const present = new Set(node?.status?.images?.flatMap(({ names }) => names ?? []));
    const images = imagesOf(pod);
    let sum = 0;
    for (const image of images) {
      const state: ImageState | undefined = present.has(image) ? snapshot.image(image) : undefined;
      if (state) sum += Math.floor((state.sizeBytes * state.nodeCount) / snapshot.nodes.length);
    }
    return imageScore(sum, Math.max(1, images.length));
  },
});
