/** Field facts of API types: what defaulting, field validation, strategic merge, server-side apply and protobuf are driven by. */

export interface FieldSchema {
  /** JSON type; `intOrString`, `quantity`, `time`, `microTime`, `duration` are JSON scalars with a meaning; `any` is untyped JSON. */
  type:
    | 'string'
    | 'integer'
    | 'number'
    | 'boolean'
    | 'object'
    | 'array'
    | 'map'
    | 'intOrString'
    | 'quantity'
    | 'time'
    | 'microTime'
    | 'duration'
    | 'bytes'
    | 'any';
  /**
   * `int32`, `int64`, `double`; of `any`, how protobuf wraps it: `raw` (RawExtension), `json`, `fields` (FieldsV1), `schemaOrBool`,
   * `schemaOrArray`, `schemaOrStringArray`.
   */
  format?: string;
  /** For `object`: its type. */
  schema?: TypeSchema;
  /** For `array` and `map`: the elements. */
  items?: FieldSchema;
  required?: boolean;
  default?: unknown;
  enum?: string[];
  /** Server-side apply: how a list or map merges. */
  listType?: 'atomic' | 'set' | 'map';
  listMapKeys?: string[];
  mapType?: 'atomic' | 'granular';
  /** Strategic merge patch: `merge`, `replace`, `retainKeys`, joined by commas. */
  patchStrategy?: string;
  patchMergeKey?: string;
  /** What upstream's Go struct writes for the field when it is not set (`{}`, `null`, `""`, `0`); absent: it is left out. */
  zero?: unknown;
  /** A pointer in upstream's Go struct: an explicit empty value is kept. Of others a value like `""`, `0` or `[]` is left out. */
  pointer?: boolean;
  /** Protobuf field number; a path of numbers for a field of an embedded message. */
  proto?: number | number[];
  /** CRDs: null is a value. */
  nullable?: boolean;
  /** CRDs: unknown fields of this value are kept. */
  preserveUnknown?: boolean;
}

export interface TypeSchema {
  /** For example `io.k8s.api.core.v1.PodSpec`; a CustomResourceDefinition's types are named by it. */
  name: string;
  fields: Record<string, FieldSchema>;
  /** Server-side apply: the whole struct is one value. */
  atomic?: boolean;
  /** Unknown fields are kept (CRDs with x-kubernetes-preserve-unknown-fields). */
  preserveUnknown?: boolean;
}
