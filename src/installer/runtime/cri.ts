/** What the installer asks a container runtime over its socket (CRI v1). */
import { openWire } from '../../machinery/cri/wire.ts';

export interface CriImage {
  /** The digest of its configuration. */
  id: string;
  repoTags: string[];
  repoDigests: string[];
  size: number;
}

export interface CriContainer {
  id: string;
  image: { image: string } | null;
  imageRef: string;
}

export interface CriStatus {
  conditions: { type: string; status: boolean; reason: string; message: string }[];
  /** Only on request, and each runtime has its own. */
  info: Record<string, string>;
}

export type Cri = ReturnType<typeof openCri>;

/** @param socket `unix:///run/containerd/containerd.sock`; calls fail when nobody answers there */
export function openCri(socket: string, timeoutMs = 10_000) {
  const wire = openWire(socket);
  const call = <R>(service: 'RuntimeService' | 'ImageService', method: string, request: object, limitMs = timeoutMs) =>
    wire.unary<R>(service, method, request, { timeoutMs: limitMs });
  return {
    version: () =>
      call<{ runtimeName: string; runtimeVersion: string; runtimeApiVersion: string }>('RuntimeService', 'Version', {
        version: '0.1.0',
      }),
    async status(): Promise<CriStatus> {
      const answer = await call<{ status: { conditions: CriStatus['conditions'] }; info: Record<string, string> }>(
        'RuntimeService',
        'Status',
        { verbose: true },
      );
      return { conditions: answer.status.conditions, info: answer.info };
    },
    /** Fails on runtimes that do not know the question, such as containerd 1. */
    cgroupDriver: async () =>
      (await call<{ linux: { cgroupDriver: 'CGROUPFS' | 'SYSTEMD' } | null }>('RuntimeService', 'RuntimeConfig', {}))
        .linux?.cgroupDriver,
    images: async () => (await call<{ images: CriImage[] }>('ImageService', 'ListImages', { filter: {} })).images,
    removeImage: (image: string) => call('ImageService', 'RemoveImage', { image: { image } }, 300_000),
    containers: async () =>
      (await call<{ containers: CriContainer[] }>('RuntimeService', 'ListContainers', { filter: {} })).containers,
    pods: async () =>
      (await call<{ items: { id: string }[] }>('RuntimeService', 'ListPodSandbox', { filter: {} })).items.map(
        ({ id }) => id,
      ),
    stopPod: (podSandboxId: string) => call('RuntimeService', 'StopPodSandbox', { podSandboxId }, 60_000),
    removePod: (podSandboxId: string) => call('RuntimeService', 'RemovePodSandbox', { podSandboxId }, 60_000),
    close: () => wire.close(),
  };
}

/** Asks and hangs up. */
export async function withCri<T>(socket: string, ask: (cri: Cri) => Promise<T>): Promise<T> {
  const cri = openCri(socket);
  try {
    return await ask(cri);
  } finally {
    cri.close();
  }
}
