/** kubeadm's own feature gates (v1.36), which are not those of the components. */
import { nearestName } from './nearest.ts';

/** Gate → why it cannot have the other value; undefined: both are fine. */
const gates: Record<string, { fixed?: boolean; reason?: string }> = {
  ControlPlaneKubeletLocalMode: {
    fixed: true,
    reason: "the kubelet of a control plane talks to its own host's API server",
  },
  NodeLocalCRISocket: {
    fixed: true,
    reason: "a node's CRI socket stands in its /var/lib/kubelet/instance-config.yaml",
  },
  /** ECDSA-P256 where the configuration names no algorithm. */
  PublicKeysECDSA: {},
  /** On where it is not named. */
  RootlessControlPlane: {},
};

/** @returns what is wrong with a gate; undefined when nothing is */
export function featureMistake(name: string, on: boolean): string | undefined {
  const gate = gates[name];
  if (!gate) {
    const near = nearestName(name, Object.keys(gates));
    const hint = near ? `did you mean "${near}"?` : 'gates of a component go into its extraArgs: feature-gates';
    return `unrecognized feature-gate key: ${name}; ${hint}`;
  }
  if (gate.fixed === undefined || gate.fixed === on) return undefined;
  return `feature gate ${name} cannot be ${on}: ${gate.reason}`;
}
