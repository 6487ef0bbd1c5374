/**
 * Writes test/fixtures/protobuf-samples.json: small objects as JSON and as upstream's protobuf bytes (base64).
 *
 * `node scripts/generate-protobuf-samples.ts <folder of API data>`: the folder holds `fixtures/<group>.<version>.<kind>.{json,pb}`.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Between them: quantities, times, raw JSON, bytes, lists in maps, embedded messages, ports that are numbers or names. */
const names = [
  'admissionregistration.k8s.io.v1.ValidatingAdmissionPolicy',
  'apps.v1.ControllerRevision',
  'authentication.k8s.io.v1.TokenReview',
  'coordination.k8s.io.v1.Lease',
  'core.v1.DeleteOptions',
  'core.v1.Event',
  'core.v1.LimitRange',
  'core.v1.Secret',
  'core.v1.Service',
  'networking.k8s.io.v1.Ingress',
  'networking.k8s.io.v1.NetworkPolicy',
  'policy.v1.PodDisruptionBudget',
];

const source = process.argv[2];
if (!source) throw new Error('usage: generate-protobuf-samples.ts <folder of API data>');
const samples = names.map((name) => {
  const path = join(source, 'fixtures', name);
  const object: unknown = JSON.parse(readFileSync(`${path}.json`, 'utf8'));
  return JSON.stringify({ name, object, protobuf: readFileSync(`${path}.pb`).toString('base64') });
});
const fixtures = join(import.meta.dirname, '../test/fixtures');
mkdirSync(fixtures, { recursive: true });
writeFileSync(join(fixtures, 'protobuf-samples.json'), `[\n${samples.join(',\n')}\n]\n`);
