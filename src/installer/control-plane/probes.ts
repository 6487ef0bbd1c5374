/** Probes of static pods with kubeadm's timings. */
import type { Probe } from '../../machinery/api/types.ts';

function httpProbe(host: string, path: string, scheme: string) {
  return { host, path, port: 'probe-port', scheme };
}

export function livenessProbe(host: string, path: string, scheme = 'HTTPS'): Probe {
  return {
    failureThreshold: 8,
    httpGet: httpProbe(host, path, scheme),
    initialDelaySeconds: 10,
    periodSeconds: 10,
    timeoutSeconds: 15,
  };
}

export function readinessProbe(host: string, path: string, scheme = 'HTTPS'): Probe {
  return { failureThreshold: 3, httpGet: httpProbe(host, path, scheme), periodSeconds: 1, timeoutSeconds: 15 };
}

/** @param timeoutMs how long the component may take to start */
export function startupProbe(host: string, path: string, timeoutMs: number, scheme = 'HTTPS'): Probe {
  return {
    failureThreshold: Math.max(1, Math.ceil(timeoutMs / 10_000)),
    httpGet: httpProbe(host, path, scheme),
    initialDelaySeconds: 10,
    periodSeconds: 10,
    timeoutSeconds: 15,
  };
}
