/** The container runtime as the kubelet uses it: one method per CRI call, with upstream's time limits. */

import { isRuntimeNotFound, openWire } from '../../../machinery/cri/wire.ts';
import type {
  AuthConfig,
  ContainerConfig,
  ContainerEvent,
  ContainerStats,
  FilesystemUsage,
  LinuxContainerResources,
  PodSandbox,
  PodSandboxConfig,
  PodSandboxStatus,
  RuntimeContainer,
  RuntimeContainerStatus,
  RuntimeImage,
  RuntimeStatus,
  RuntimeVersion,
} from './types.ts';

export interface LabelFilter {
  labelSelector?: Record<string, string>;
}

export interface ExecSyncResult {
  stdout: Buffer;
  stderr: Buffer;
  exitCode: number;
}

export type Runtime = ReturnType<typeof createRuntime>;

/**
 * @param runtimeEndpoint socket of the runtime service
 * @param imageEndpoint socket of the image service, mostly the same
 * @param timeoutMs limit of ordinary calls (`runtimeRequestTimeout`, upstream's default is two minutes)
 */
export function createRuntime(runtimeEndpoint: string, imageEndpoint = runtimeEndpoint, timeoutMs = 120_000) {
  const runtime = openWire(runtimeEndpoint);
  const images = imageEndpoint === runtimeEndpoint ? runtime : openWire(imageEndpoint);
  const call = <R>(method: string, request: object, limitMs = timeoutMs, signal?: AbortSignal) =>
    runtime.unary<R>('RuntimeService', method, request, { timeoutMs: limitMs, ...(signal ? { signal } : {}) });
  const imageCall = <R>(method: string, request: object, limitMs = timeoutMs, signal?: AbortSignal) =>
    images.unary<R>('ImageService', method, request, { timeoutMs: limitMs, ...(signal ? { signal } : {}) });
  const ignoreMissing = async (work: Promise<unknown>) => {
    try {
      await work;
    } catch (error) {
      if (!isRuntimeNotFound(error)) throw error;
    }
  };

  return {
    version: (limitMs?: number) => call<RuntimeVersion>('Version', { version: '0.1.0' }, limitMs),
    status: (limitMs?: number) => call<RuntimeStatus>('Status', {}, limitMs),
    /** `CGROUPFS` or `SYSTEMD`; rejects with Unimplemented on runtimes older than containerd 2. */
    cgroupDriver: async () =>
      (await call<{ linux: { cgroupDriver: 'CGROUPFS' | 'SYSTEMD' } | null }>('RuntimeConfig', {})).linux?.cgroupDriver,
    updateRuntimeConfig: (podCidr: string) =>
      call('UpdateRuntimeConfig', { runtimeConfig: { networkConfig: { podCidr } } }),

    // Sandboxes are made in up to twice the usual time, as networks may be slow.
    runPodSandbox: async (config: PodSandboxConfig, runtimeHandler: string, signal?: AbortSignal) =>
      (await call<{ podSandboxId: string }>('RunPodSandbox', { config, runtimeHandler }, timeoutMs * 2, signal))
        .podSandboxId,
    stopPodSandbox: (podSandboxId: string) => ignoreMissing(call('StopPodSandbox', { podSandboxId })),
    removePodSandbox: (podSandboxId: string) => ignoreMissing(call('RemovePodSandbox', { podSandboxId })),
    podSandboxStatus: async (podSandboxId: string) =>
      (await call<{ status: PodSandboxStatus }>('PodSandboxStatus', { podSandboxId })).status,
    listPodSandboxes: async (filter: LabelFilter = {}) =>
      (await call<{ items: PodSandbox[] }>('ListPodSandbox', { filter })).items,

    createContainer: async (podSandboxId: string, config: ContainerConfig, sandboxConfig: PodSandboxConfig) =>
      (await call<{ containerId: string }>('CreateContainer', { podSandboxId, config, sandboxConfig })).containerId,
    startContainer: (containerId: string) => call('StartContainer', { containerId }),
    /** @param graceSeconds between the stop signal and the kill */
    stopContainer: (containerId: string, graceSeconds: number) =>
      ignoreMissing(call('StopContainer', { containerId, timeout: graceSeconds }, timeoutMs + graceSeconds * 1000)),
    removeContainer: (containerId: string) => ignoreMissing(call('RemoveContainer', { containerId })),
    listContainers: async (filter: LabelFilter = {}) =>
      (await call<{ containers: RuntimeContainer[] }>('ListContainers', { filter })).containers,
    containerStatus: async (containerId: string) =>
      (await call<{ status: RuntimeContainerStatus }>('ContainerStatus', { containerId })).status,
    updateContainerResources: (containerId: string, linux: LinuxContainerResources) =>
      call('UpdateContainerResources', { containerId, linux }),
    reopenContainerLog: (containerId: string) => call('ReopenContainerLog', { containerId }),
    /** The whole output is kept by the runtime (at most 16 MB). */
    execSync: (containerId: string, cmd: string[], limitMs: number, signal?: AbortSignal) =>
      // The runtime is given the limit itself; the call may take a little longer.
      call<ExecSyncResult>(
        'ExecSync',
        { containerId, cmd, timeout: Math.ceil(limitMs / 1000) },
        limitMs > 0 ? limitMs + 2_000 : 0,
        signal,
      ),
    exec: async (request: {
      containerId: string;
      cmd: string[];
      tty: boolean;
      stdin: boolean;
      stdout: boolean;
      stderr: boolean;
    }) => (await call<{ url: string }>('Exec', request)).url,
    attach: async (request: { containerId: string; stdin: boolean; tty: boolean; stdout: boolean; stderr: boolean }) =>
      (await call<{ url: string }>('Attach', request)).url,
    portForward: async (podSandboxId: string, port: number[]) =>
      (await call<{ url: string }>('PortForward', { podSandboxId, port })).url,
    containerEvents: (signal: AbortSignal) =>
      runtime.stream<ContainerEvent>('RuntimeService', 'GetContainerEvents', {}, signal),
    listContainerStats: async () =>
      (await call<{ stats: ContainerStats[] }>('ListContainerStats', { filter: {} })).stats,

    listImages: async () => (await imageCall<{ images: RuntimeImage[] }>('ListImages', { filter: {} })).images,
    imageStatus: async (image: string) =>
      (await imageCall<{ image: RuntimeImage | null }>('ImageStatus', { image: { image } })).image ?? undefined,
    /** Has no limit of its own: the runtime stops pulls without progress. */
    pullImage: async (
      image: string,
      auth: AuthConfig | undefined,
      sandboxConfig: PodSandboxConfig,
      signal?: AbortSignal,
    ) =>
      (
        await imageCall<{ imageRef: string }>(
          'PullImage',
          { image: { image, userSpecifiedImage: image }, ...(auth ? { auth } : {}), sandboxConfig },
          0,
          signal,
        )
      ).imageRef,
    removeImage: (image: string) => imageCall('RemoveImage', { image: { image } }),
    imageFsInfo: () =>
      imageCall<{ imageFilesystems: FilesystemUsage[]; containerFilesystems: FilesystemUsage[] }>('ImageFsInfo', {}),
    close: () => {
      runtime.close();
      if (images !== runtime) images.close();
    },
  };
}
