/** The nodes as one scheduling cycle sees them. A cycle runs without a break in the event loop, so nothing changes under it. */
import type { NodeInfo } from '../framework/node-info.ts';

export interface ImageState {
  sizeBytes: number;
  nodeCount: number;
}

export interface Snapshot {
  /** Nodes that exist, zones taking turns. */
  readonly nodes: readonly NodeInfo[];
  get(nodeName: string): NodeInfo | undefined;
  /** Nodes with pods that have any affinity; with a required anti-affinity. */
  withAffinity(): NodeInfo[];
  withRequiredAntiAffinity(): NodeInfo[];
  image(name: string): ImageState | undefined;
}
