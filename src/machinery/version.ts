/** The Kubernetes release whose API and behaviour kinit provides. */
export const kubernetesVersion = 'v1.36.2';
/** kinit's own version: names the bundle and its folder on a host. */
export const kinitVersion = 'v0.1.0';

/** What `/version` answers; `kubectl version` and client libraries read it. */
export function apiVersionInfo(): Record<string, string> {
  const [, major = '', minor = ''] = /^v(\d+)\.(\d+)/.exec(kubernetesVersion) ?? [];
  return {
    major,
    minor,
    emulationMajor: major,
    emulationMinor: minor,
    minCompatibilityMajor: major,
    minCompatibilityMinor: String(Number(minor) - 1),
    gitVersion: kubernetesVersion,
    gitCommit: `kinit-${kinitVersion}`,
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: `node-${process.version}`,
    compiler: 'node',
    platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  };
}
