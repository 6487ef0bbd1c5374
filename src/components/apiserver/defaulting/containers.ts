/** Defaults of containers: images, probes, ports, environment, lifecycle. */
import { type Fields, hasObject, listAt, objectAt, setDefault, setDefaults } from './fields.ts';

/** `Always` for images without tag and digest or tagged latest, as upstream's parser of image names has it. */
export function defaultPullPolicy(image: string): 'Always' | 'IfNotPresent' {
  const [name = '', digest] = image.split('@');
  const tag = /:([^/:]+)$/.exec(name)?.[1];
  return (tag === undefined && digest === undefined) || tag === 'latest' ? 'Always' : 'IfNotPresent';
}

export function defaultContainer(container: Fields): void {
  setDefault(container, 'imagePullPolicy', defaultPullPolicy(String(container['image'] ?? '')), '');
  setDefaults(container, { terminationMessagePath: '/dev/termination-log', terminationMessagePolicy: 'File' });
  for (const port of listAt(container, 'ports')) setDefault(port, 'protocol', 'TCP', '');
  for (const variable of listAt(container, 'env')) {
    const source = objectAt(variable, 'valueFrom');
    if (hasObject(source, 'fieldRef')) setDefault(objectAt(source, 'fieldRef'), 'apiVersion', 'v1', '');
    const file = objectAt(source, 'fileKeyRef');
    if (hasObject(source, 'fileKeyRef')) setDefault(file, 'optional', false);
  }
  for (const probe of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    if (hasObject(container, probe)) defaultProbe(objectAt(container, probe));
  }
  const lifecycle = objectAt(container, 'lifecycle');
  for (const hook of ['postStart', 'preStop']) defaultHttpGet(objectAt(lifecycle, hook));
}

function defaultProbe(probe: Fields): void {
  setDefault(probe, 'timeoutSeconds', 1, 0);
  setDefault(probe, 'periodSeconds', 10, 0);
  setDefault(probe, 'successThreshold', 1, 0);
  setDefault(probe, 'failureThreshold', 3, 0);
  defaultHttpGet(probe);
  if (hasObject(probe, 'grpc')) setDefault(objectAt(probe, 'grpc'), 'service', '');
}

function defaultHttpGet(handler: Fields): void {
  if (!hasObject(handler, 'httpGet')) return;
  setDefaults(objectAt(handler, 'httpGet'), { path: '/', scheme: 'HTTP' });
}
