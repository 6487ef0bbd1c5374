import { describe, expect, it } from 'vitest';
import { resourceTypeOf } from '../../../src/installer/addons/apply.ts';
import { optionalAddons } from '../../../src/installer/addons/optional.ts';
import { programImages } from '../../../src/installer/bundle/catalog.ts';
import { imageReference, nodeImages } from '../../../src/installer/bundle/image-names.ts';

const images = { imageRepository: 'kinit.local' };
const objects = optionalAddons['metrics-server']?.objects(images) ?? [];
const of = (kind: string) => objects.filter((object) => object.kind === kind) as Record<string, never>[];

describe.each([
  ['metrics-server', 'metrics-server'],
  ['local-path', 'local-path-provisioner'],
] as const)('the add-on %s', (name, image) => {
  const made = optionalAddons[name]?.objects(images) ?? [];
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
