/** What the phases of init and join work with beside the host. */
import type { UnknownObject } from '../../machinery/api/types.ts';
import type { Client } from '../../machinery/client/types.ts';
import type { ImageSettings } from '../bundle/image-names.ts';
import type {
  HostConfiguration,
  InitConfiguration,
  JoinConfiguration,
  NodeRegistration,
  OpenDocument,
} from '../config/types.ts';
import type { KinitError } from '../errors.ts';
import type { CgroupDriver } from '../host/cgroups.ts';
import type { PatchFile } from '../patches/patches.ts';
import type { ExistingRuntime, RuntimeProblem } from '../runtime/existing.ts';
import type { DiscoveredCluster } from '../tokens/discovery.ts';
import type { PhaseContext } from './engine.ts';

/** Common to every host that becomes a node. */
export interface NodeContext extends PhaseContext {
  node: NodeRegistration;
  hostSettings: HostConfiguration;
  cgroupDriver: CgroupDriver;
  /** With `runtime: existing`: what was found, or why there is none to work with. */
  existing?: ExistingRuntime | RuntimeProblem;
  /** What the cluster calls its images. */
  images: ImageSettings;
  /** Ports that others have to reach on this host. */
  controlPlanePort?: number;
  podCidr?: string;
  /** The cluster is there and answers: a dry run can ask what would change in it. */
  answers?: boolean;
  /** In a dry run: objects of the cluster as another host's dry run would leave them; for init: what would be stored is asked for. */
  stored?: readonly UnknownObject[] | undefined;
  /** Of `--patches`. */
  patches: readonly PatchFile[];
  /** The address under which the node's name shall resolve. */
  nodeAddress(): string;
}

export interface InitContext extends NodeContext {
  kind: 'init';
  config: InitConfiguration;
  /** Where the phases kubeconfig/… write; /etc/kubernetes except for a phase that is run alone. */
  kubeconfigDir: string;
  /** As the administrator; made on first use. */
  admin(): Promise<Client>;
  superAdmin(): Promise<Client>;
  /** The cluster's KubeletConfiguration. */
  kubeletConfig: OpenDocument;
  /** Filled by the phase bootstrap-token. */
  joinToken?: string;
  /** Filled by the phase upload-certs. */
  certificateKey?: string;
  /** Filled by the phase show-join-command. */
  joinCommand?: string;
}

export interface JoinContext extends NodeContext {
  kind: 'join';
  config: JoinConfiguration;
  /** Filled by preflight: the cluster that was found and is trusted. */
  cluster?: DiscoveredCluster;
  /** Filled by preflight when this host becomes a control plane: the cluster's configuration with this host's part. */
  controlPlane?: InitConfiguration;
  /** Filled by preflight: where nodes of this cluster find the API servers, `127.0.0.1:7443`; absent: by its endpoint. */
  nodeEndpoint?: string;
  /** Filled by preflight when the cluster answered, but not where it says that it is. */
  unreachable?: KinitError;
  /** This host's address on the way to the API server. */
  localAddress?: string;
  /** `v1.36.2`, as the API server says. */
  serverVersion?: string;
}
