/** A bundle's software bill of materials: SPDX 2.3 in JSON, made of nothing but its manifest. */
import { createHash } from 'node:crypto';
import type { BundleManifest, Component } from './manifest.ts';

const none = 'NOASSERTION';

interface SpdxPackage {
  SPDXID: string;
  name: string;
  versionInfo: string;
  supplier: string;
  downloadLocation: string;
  filesAnalyzed: false;
  licenseConcluded: string;
  licenseDeclared: string;
  copyrightText: string;
  primaryPackagePurpose?: string;
  checksums?: { algorithm: 'SHA256'; checksumValue: string }[];
  externalRefs?: { referenceCategory: 'PACKAGE-MANAGER'; referenceType: 'purl'; referenceLocator: string }[];
}

export interface SpdxDocument {
  spdxVersion: 'SPDX-2.3';
  dataLicense: 'CC0-1.0';
  SPDXID: 'SPDXRef-DOCUMENT';
  name: string;
  documentNamespace: string;
  creationInfo: { created: string; creators: string[] };
  documentDescribes: string[];
  packages: SpdxPackage[];
  relationships: { spdxElementId: string; relationshipType: string; relatedSpdxElement: string }[];
}

/** Identifiers are letters, digits, dots and dashes. */
const idOf = (...parts: string[]): string => `SPDXRef-${parts.join('-').replace(/[^A-Za-z0-9.-]+/g, '-')}`;

const encoded = (text: string) => encodeURIComponent(text).replaceAll('%3A', ':');

/** https://github.com/package-url/purl-spec */
export function purlOf({ origin, version }: Component, architecture: string): string {
  const [kind, ...rest] = origin.split(':');
  const name = rest.join(':');
  if (kind === 'debian') return `pkg:deb/debian/${encoded(name)}@${encoded(version)}?arch=${architecture}`;
  if (kind === 'npm') {
    const [scope, own] = name.startsWith('@') ? name.split('/') : [undefined, name];
    return `pkg:npm/${scope ? `${encodeURIComponent(scope)}/` : ''}${encoded(own ?? '')}@${encoded(version)}`;
  }
  return `pkg:generic/${encoded(name || origin)}@${encoded(version)}`;
}

/** Only what surely is an SPDX expression is stated. */
const licenseOf = (license: string | undefined): string =>
  license && /^\(?[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+)*\)?$/.test(license) ? license : none;

function packageOf(component: Component, architecture: string): SpdxPackage {
  const { origin, version, license } = component;
  const name = origin.replace(/^\w+:/, '');
  return {
    SPDXID: idOf(origin.replace(':', '-'), version),
    name,
    versionInfo: version,
    supplier: origin.startsWith('debian:') ? 'Organization: Debian' : none,
    downloadLocation: none,
    filesAnalyzed: false,
    licenseConcluded: none,
    licenseDeclared: licenseOf(license),
    copyrightText: none,
    externalRefs: [
      {
        referenceCategory: 'PACKAGE-MANAGER',
        referenceType: 'purl',
        referenceLocator: purlOf(component, architecture),
      },
    ],
  };
}

/** @param created ISO time; the same manifest and time give the same document */
export function spdxOf(manifest: BundleManifest, created: string): SpdxDocument {
  const { kinit, kubernetes, architecture, images, files, libraries = [] } = manifest;
  const packages = new Map<string, SpdxPackage>();
  const relationships: SpdxDocument['relationships'] = [];
  const relate = (from: string, relationshipType: string, to: string) => {
    if (from === to) return;
    const known = relationships.some(
      (each) =>
        each.spdxElementId === from && each.relatedSpdxElement === to && each.relationshipType === relationshipType,
    );
    if (!known) relationships.push({ spdxElementId: from, relationshipType, relatedSpdxElement: to });
  };
  const add = (component: Component): string => {
    const made = packageOf(component, architecture);
    const known = packages.get(made.SPDXID);
    if (!known || known.licenseDeclared === none) packages.set(made.SPDXID, made);
    return made.SPDXID;
  };
  const bundle: SpdxPackage = {
    ...packageOf({ origin: 'kinit-bundle', version: kinit }, architecture),
    primaryPackagePurpose: 'INSTALL',
  };
  packages.set(bundle.SPDXID, bundle);
  relate('SPDXRef-DOCUMENT', 'DESCRIBES', bundle.SPDXID);
  const own = add({ origin: 'kinit', version: kinit, license: 'Apache-2.0' });
  relate(bundle.SPDXID, 'CONTAINS', own);
  for (const library of libraries) relate(own, 'CONTAINS', add(library));
  for (const { path, origin, version } of files) {
    if (!path.startsWith('images/')) relate(bundle.SPDXID, 'CONTAINS', add({ origin, version }));
  }
  for (const { reference, digest, contents = [] } of images) {
    const colon = reference.lastIndexOf(':');
    const name = reference.slice(0, colon);
    const image: SpdxPackage = {
      ...packageOf({ origin: name, version: reference.slice(colon + 1) }, architecture),
      SPDXID: idOf('image', reference),
      name,
      primaryPackagePurpose: 'CONTAINER',
      checksums: [{ algorithm: 'SHA256', checksumValue: digest.replace('sha256:', '') }],
      externalRefs: [
        {
          referenceCategory: 'PACKAGE-MANAGER',
          referenceType: 'purl',
          referenceLocator: `pkg:oci/${encoded(name.slice(name.lastIndexOf('/') + 1))}@${encodeURIComponent(digest)}?repository_url=${name}&tag=${reference.slice(colon + 1)}`,
        },
      ],
    };
    packages.set(image.SPDXID, image);
    relate(bundle.SPDXID, 'CONTAINS', image.SPDXID);
    for (const component of contents) relate(image.SPDXID, 'CONTAINS', add(component));
  }
  const identity = createHash('sha256').update(JSON.stringify(manifest)).digest('hex');
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: `kinit-${kinit}-kubernetes-${kubernetes}-linux-${architecture}`,
    documentNamespace: `https://kinit.local/spdx/kinit-${kinit}-linux-${architecture}-${identity}`,
    creationInfo: { created, creators: [`Tool: kinit-${kinit}`] },
    documentDescribes: [bundle.SPDXID],
    packages: [...packages.values()],
    relationships,
  };
}
