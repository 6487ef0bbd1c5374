import { describe, expect, it } from 'vitest';
import { resourceTypeOf } from '../../../src/installer/addons/apply.ts';
import { optionalAddons } from '../../../src/installer/addons/optional.ts';
import { programImages } from '../../../src/installer/bundle/catalog.ts';
import { imageReference, nodeImages } from '../../../src/installer/bundle/image-names.ts';

const objects = optionalAddons['metrics-server']?.objects({ imageRepository: 'kinit.local' }) ?? [];
const of = (kind: string) => objects.filter((object) => object.kind === kind) as Record<string, never>[];

describe('the add-on metrics-server', () => {
  it('is of kinds that can be applied and taken away', () => {
    expect(objects.length).toBeGreaterThan(0);
    for (const object of objects) expect(resourceTypeOf(object).kind).toBe(object.kind);
  });

  it('runs an image that the bundle has and every node loads', () => {
    expect(programImages.map(({ image }) => image)).toContain('metrics-server');
    expect(nodeImages).toContain('metrics-server');
    expect(JSON.stringify(of('Deployment'))).toContain(imageReference('metrics-server'));
  });

  it('answers at the service that its APIService names', () => {
    const [service] = of('Service') as unknown as { metadata: object }[];
    const [apiService] = of('APIService') as unknown as { spec: { service: object } }[];
    expect(service?.metadata).toMatchObject(apiService?.spec.service ?? {});
  });
});
