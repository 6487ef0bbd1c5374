/** The Kubernetes release whose API and behaviour kinit provides. */
export const kubernetesVersion = 'v1.36.2';
/** kinit's own version: names the bundle and its folder on a host. */
export const kinitVersion = 'v0.1.0';
