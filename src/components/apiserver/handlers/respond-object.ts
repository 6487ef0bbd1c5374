/** Objects and lists as the client wants them: JSON, protobuf, YAML; whole, as metadata only, or as a Table. */
import type { KubeList, UnknownObject } from '../../../machinery/api/types.ts';
import { encodeObject } from '../codec/encode.ts';
import { type Negotiated, negotiate } from '../codec/negotiate.ts';
import { servedAsStored, toServed } from '../conversion/conversion.ts';
import { badRequest } from '../errors.ts';
import type { StoredObject } from '../storage/stored-object.ts';
import { type TableOptions, toTable } from '../table/table.ts';
import type { RequestContext, ResourceDescriptor } from '../types.ts';

export function negotiated({ req, url }: RequestContext, descriptor?: ResourceDescriptor): Negotiated {
  const custom = descriptor !== undefined && !descriptor.schema.name.startsWith('io.k8s.');
  return negotiate(req.headers.accept, url.searchParams.get('pretty'), req.headers['user-agent'], custom);
}

/** Throws 400. */
export function includeObject(url: URL): 'None' | 'Metadata' | 'Object' {
  const wanted = url.searchParams.get('includeObject') ?? '';
  if (wanted !== '' && wanted !== 'None' && wanted !== 'Metadata' && wanted !== 'Object')
    throw badRequest(
      `unable to convert to Table: Invalid value: ${JSON.stringify(wanted)}: must be "Metadata", "Object", "None", or empty`,
    );
  return wanted || 'Metadata';
}

const metadataOnly = (object: UnknownObject, version: string, typed = true): UnknownObject => ({
  ...(typed ? { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}` } : {}),
  metadata: object.metadata ?? {},
});

/** One object in the form asked for. */
export function shapeObject(
  descriptor: ResourceDescriptor,
  object: UnknownObject,
  form: Negotiated,
  table: TableOptions,
): UnknownObject {
  switch (form.as) {
    case 'Table':
      return toTable(descriptor, [object], {
        ...table,
        version: form.asVersion,
        listMeta: table.listMeta ?? { resourceVersion: object.metadata?.resourceVersion ?? '' },
      }) as unknown as UnknownObject;
    case 'PartialObjectMetadata':
      return metadataOnly(object, form.asVersion);
    default:
      return object;
  }
}

export function encodeOne(descriptor: ResourceDescriptor, object: UnknownObject, form: Negotiated, url: URL): Buffer {
  return encodeObject(shapeObject(descriptor, object, form, { includeObject: includeObject(url) }), form);
}

const schemas = new WeakMap<ResourceDescriptor, number>();
let schemaCount = 0;

/** Tells the encodings of a custom object by one schema from those by its next. */
function schemaOf(descriptor: ResourceDescriptor): string {
  if (!descriptor.custom?.completed) return '';
  let number = schemas.get(descriptor);
  if (number === undefined) {
    number = ++schemaCount;
    schemas.set(descriptor, number);
  }
  return `#${number}`;
}

/** A stored object's bytes, remembered with it for others who want the same. */
export function encodeStored(descriptor: ResourceDescriptor, stored: StoredObject, form: Negotiated): Buffer {
  const plainJson = !form.as && form.mediaType === 'application/json' && !form.pretty;
  const name = `${descriptor.group}/${descriptor.version}${schemaOf(descriptor)} ${form.mediaType} ${form.as ?? ''} ${form.asVersion} ${form.pretty}`;
  return stored.encoding(name, () => {
    if (plainJson && servedAsStored(descriptor)) return Buffer.from(`${stored.json}\n`);
    return encodeObject(shapeObject(descriptor, toServed(descriptor, stored.object), form, {}), form);
  });
}

const typeMeta = /^\{"kind":"[^"]*","apiVersion":"[^"]*",/;

/** A whole list. Items of built-in kinds carry no kind of their own, as upstream writes them. */
export function encodeList(
  descriptor: ResourceDescriptor,
  items: readonly StoredObject[],
  metadata: KubeList<never>['metadata'],
  form: Negotiated,
  url: URL,
): Buffer {
  const apiVersion = descriptor.group ? `${descriptor.group}/${descriptor.version}` : descriptor.version;
  const served = (stored: StoredObject) => toServed(descriptor, stored.object);
  if (form.as === 'Table') {
    const options: TableOptions = { includeObject: includeObject(url), listMeta: metadata, version: form.asVersion };
    return encodeObject(toTable(descriptor, items.map(served), options) as unknown as UnknownObject, form);
  }
  if (form.as) {
    const list = {
      kind: 'PartialObjectMetadataList',
      apiVersion: `meta.k8s.io/${form.asVersion}`,
      metadata,
      items: items.map((stored) =>
        metadataOnly(served(stored), form.asVersion, form.mediaType !== 'application/vnd.kubernetes.protobuf'),
      ),
    };
    return encodeObject(list, form);
  }
  if (form.mediaType === 'application/json' && !form.pretty && servedAsStored(descriptor)) {
    const custom = !descriptor.schema.name.startsWith('io.k8s.');
    const text = items.map(({ json }) => (custom ? json : json.replace(typeMeta, '{')));
    const head = JSON.stringify({ kind: descriptor.listKind, apiVersion, metadata });
    return Buffer.from(`${head.slice(0, -1)},"items":[${text.join(',')}]}\n`);
  }
  const plain = items.map((stored) => {
    if (descriptor.custom) return served(stored);
    const { kind: _kind, apiVersion: _version, ...rest } = served(stored);
    return rest as UnknownObject;
  });
  return encodeObject({ kind: descriptor.listKind, apiVersion, metadata, items: plain }, form);
}
