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
  /** `int32`, `int64`, `double`, … */
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
