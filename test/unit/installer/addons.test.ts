import { describe, expect, it } from 'vitest';
import { resourceTypeOf } from '../../../src/installer/addons/apply.ts';
import { addons } from '../../../src/installer/addons/catalog.ts';
import { programImages } from '../../../src/installer/bundle/catalog.ts';
import { imageReference, nodeImages } from '../../../src/installer/bundle/image-names.ts';
import { noConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit } from '../../../src/installer/config/resolve.ts';

const config = resolveInit({}, noConfig, { hostname: 'cp1', address: '10.0.0.1' }, []);
const objects = addons['metrics-server'].objects(config, {});
const of = (kind: string) => objects.filter((object) => object.kind === kind) as Record<string, never>[];

describe.each([
  ['metrics-server', 'metrics-server'],
  ['local-path', 'local-path-provisioner'],
] as const)('the add-on %s', (name, image) => {
  const made = addons[name].objects(config, {});
  it('is of kinds that can be applied and taken away', () => {
    expect(made.length).toBeGreaterThan(0);
    for (const object of made) expect(resourceTypeOf(object).kind).toBe(object.kind);
  });

  it('runs an image that the bundle has and every node loads', () => {
    expect(programImages.map((program) => program.image)).toContain(image);
    expect(nodeImages).toContain(image);
    expect(JSON.stringify(made.filter(({ kind }) => kind === 'Deployment'))).toContain(imageReference(image));
  });
});

describe('the add-on metrics-server', () => {
  it('answers at the service that its APIService names', () => {
    const [service] = of('Service') as unknown as { metadata: object }[];
    const [apiService] = of('APIService') as unknown as { spec: { service: object } }[];
    expect(service?.metadata).toMatchObject(apiService?.spec.service ?? {});
  });
});
