/** The defaults of the API server that a pod from a file would otherwise not have; what is given stays. */
import type { Container, Pod, PodSpec, Probe, Volume } from '../../../machinery/api/types.ts';

export function withPodDefaults(spec: PodSpec): PodSpec {
  const network = spec.hostNetwork === true;
  return {
    ...spec,
    restartPolicy: spec.restartPolicy ?? 'Always',
    terminationGracePeriodSeconds: spec.terminationGracePeriodSeconds ?? 30,
    dnsPolicy: spec.dnsPolicy ?? 'ClusterFirst',
    securityContext: spec.securityContext ?? {},
    schedulerName: spec.schedulerName ?? 'default-scheduler',
    enableServiceLinks: spec.enableServiceLinks ?? true,
    containers: spec.containers.map((container) => withContainerDefaults(container, network)),
    ...(spec.initContainers
      ? { initContainers: spec.initContainers.map((container) => withContainerDefaults(container, network)) }
      : {}),
    ...(spec.volumes ? { volumes: spec.volumes.map(withVolumeDefaults) } : {}),
  };
}

function withContainerDefaults(container: Container, hostNetwork: boolean): Container {
  const { image = '', resources } = container;
  const limits = resources?.limits;
  const requests = limits ? { ...limits, ...resources?.requests } : resources?.requests;
  return {
    ...container,
    imagePullPolicy: container.imagePullPolicy ?? (tagOf(image) === 'latest' ? 'Always' : 'IfNotPresent'),
    terminationMessagePath: container.terminationMessagePath ?? '/dev/termination-log',
    terminationMessagePolicy: container.terminationMessagePolicy ?? 'File',
    resources: { ...resources, ...(requests ? { requests } : {}) },
    ...(container.ports
      ? {
          ports: container.ports.map((port) => ({
            ...port,
            protocol: port.protocol ?? 'TCP',
            ...(hostNetwork ? { hostPort: port.hostPort ?? port.containerPort } : {}),
          })),
        }
      : {}),
    ...(container.livenessProbe ? { livenessProbe: withProbeDefaults(container.livenessProbe) } : {}),
    ...(container.readinessProbe ? { readinessProbe: withProbeDefaults(container.readinessProbe) } : {}),
    ...(container.startupProbe ? { startupProbe: withProbeDefaults(container.startupProbe) } : {}),
    ...(container.env
      ? {
          env: container.env.map((variable) =>
            variable.valueFrom?.fieldRef && !variable.valueFrom.fieldRef.apiVersion
              ? {
                  ...variable,
                  valueFrom: { ...variable.valueFrom, fieldRef: { apiVersion: 'v1', ...variable.valueFrom.fieldRef } },
                }
              : variable,
          ),
        }
      : {}),
  };
}

const withProbeDefaults = (probe: Probe): Probe => ({
  ...probe,
  timeoutSeconds: probe.timeoutSeconds ?? 1,
  periodSeconds: probe.periodSeconds ?? 10,
  successThreshold: probe.successThreshold ?? 1,
  failureThreshold: probe.failureThreshold ?? 3,
  ...(probe.httpGet
    ? { httpGet: { ...probe.httpGet, path: probe.httpGet.path ?? '/', scheme: probe.httpGet.scheme ?? 'HTTP' } }
    : {}),
  ...(probe.grpc ? { grpc: { ...probe.grpc, service: probe.grpc.service ?? '' } } : {}),
});

const withVolumeDefaults = (volume: Volume): Volume => {
  if (volume.hostPath) return { ...volume, hostPath: { ...volume.hostPath, type: volume.hostPath.type ?? '' } };
  // The decimal of 0644.
  const defaultMode = 420;
  if (volume.configMap) return { ...volume, configMap: { defaultMode, ...volume.configMap } };
  if (volume.secret) return { ...volume, secret: { defaultMode, ...volume.secret } };
  if (volume.downwardAPI) return { ...volume, downwardAPI: { defaultMode, ...volume.downwardAPI } };
  if (volume.projected) return { ...volume, projected: { defaultMode, ...volume.projected } };
  const sources = Object.keys(volume).filter((field) => field !== 'name');
  return sources.length === 0 ? { ...volume, emptyDir: {} } : volume;
};

/** `latest` also where neither tag nor digest is given. */
export function tagOf(image: string): string {
  if (image.includes('@')) return '';
  const last = image.slice(image.lastIndexOf('/') + 1);
  const colon = last.indexOf(':');
  return colon < 0 ? 'latest' : last.slice(colon + 1);
}

export const isStaticPod = (pod: Pod): boolean => {
  const source = pod.metadata?.annotations?.['kubernetes.io/config.source'];
  return source !== undefined && source !== 'api';
};
