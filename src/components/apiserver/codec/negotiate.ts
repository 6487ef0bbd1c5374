/** Content negotiation: which encoding and which transformation (Table, PartialObjectMetadata) a client asks for. */
import { notAcceptable } from '../errors.ts';

export type MediaType = 'application/json' | 'application/yaml' | 'application/vnd.kubernetes.protobuf';

export interface Negotiated {
  mediaType: MediaType;
  /** `as=Table;v=v1;g=meta.k8s.io`. */
  as?: 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList';
  asVersion: 'v1' | 'v1beta1';
  pretty: boolean;
  /** For the Content-Type header of a plain answer, for example `application/json`. */
  contentType: string;
  /** For the Content-Type header of a watch, for example `application/json;stream=watch`. */
  streamContentType: string;
}

export interface AcceptedType {
  type: string;
  parameters: Record<string, string>;
}

/** The entries of an Accept header, best first. */
export function acceptedTypes(accept: string | undefined): AcceptedType[] {
  const entries = (accept ?? '').split(',').map((entry) => {
    const [type = '', ...parts] = entry.split(';').map((part) => part.trim());
    const parameters = Object.fromEntries(
      parts.map((part) => {
        const at = part.indexOf('=');
        return at < 0 ? [part, ''] : [part.slice(0, at), part.slice(at + 1).replace(/^"(.*)"$/, '$1')];
      }),
    );
    return { type: type.toLowerCase(), parameters, quality: Number(parameters['q'] ?? 1) };
  });
  return entries.filter(({ type, quality }) => type && quality > 0).sort((a, b) => b.quality - a.quality);
}

const wildcards = new Set(['*/*', 'application/*']);
const served: Record<string, MediaType> = {
  'application/json': 'application/json',
  'application/yaml': 'application/yaml',
  'application/vnd.kubernetes.protobuf': 'application/vnd.kubernetes.protobuf',
};
const transformations = new Set(['Table', 'PartialObjectMetadata', 'PartialObjectMetadataList']);
const acceptable = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];
const acceptableForCustom = ['application/json', 'application/yaml'];

export const notAcceptableError = (types: string[]) =>
  notAcceptable(
    types.length ? `only the following media types are accepted: ${types.join(', ')}` : 'no acceptable content types',
  );

/**
 * Picks by the Accept header; throws a 406 StatusError when nothing fits. `pretty` is the query parameter's value. Custom
 * resources have a protobuf form only as PartialObjectMetadata.
 */
export function negotiate(
  accept: string | undefined,
  pretty?: string | null,
  userAgent?: string,
  isCustomResource = false,
): Negotiated {
  const types = acceptedTypes(accept);
  if (types.length === 0) return answer('application/json', {}, pretty, userAgent);
  for (const { type, parameters } of types) {
    const mediaType = wildcards.has(type) ? 'application/json' : served[type];
    if (!mediaType) continue;
    const { as, g, v } = parameters;
    if (as !== undefined) {
      if (!transformations.has(as) || g !== 'meta.k8s.io' || (v !== 'v1' && v !== 'v1beta1')) continue;
      // Tables have no protobuf form.
      if (as === 'Table' && mediaType === 'application/vnd.kubernetes.protobuf') continue;
    } else if (isCustomResource && mediaType === 'application/vnd.kubernetes.protobuf') continue;
    return answer(mediaType, parameters, pretty, userAgent);
  }
  throw notAcceptableError(isCustomResource ? acceptableForCustom : acceptable);
}

function answer(
  mediaType: MediaType,
  parameters: Record<string, string>,
  pretty: string | null | undefined,
  userAgent: string | undefined,
): Negotiated {
  const json = mediaType === 'application/json';
  const as = parameters['as'] as Negotiated['as'];
  const streamed = mediaType === 'application/vnd.kubernetes.protobuf' ? `${mediaType};stream=watch` : mediaType;
  return {
    mediaType,
    ...(as ? { as } : {}),
    asVersion: parameters['v'] === 'v1beta1' ? 'v1beta1' : 'v1',
    pretty: json && isPretty(parameters['pretty'] ?? pretty, userAgent),
    contentType: mediaType,
    streamContentType: streamed,
  };
}

/** Browsers and command-line HTTP clients get indented JSON unless they say otherwise. */
function isPretty(pretty: string | null | undefined, userAgent: string | undefined): boolean {
  if (pretty !== undefined && pretty !== null && pretty !== '') return pretty === 'true' || pretty === '1';
  return /^(curl|Wget|Mozilla\/5\.0)/.test(userAgent ?? '');
}
