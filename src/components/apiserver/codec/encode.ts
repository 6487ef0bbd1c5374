/** Objects → bytes of answers and watch events in the negotiated encoding. */
import { dump } from 'js-yaml';
import type { TypeSchema } from '../../../machinery/api/schema/types.ts';
import type { KubeList, UnknownObject, WatchEventType } from '../../../machinery/api/types.ts';
import { notAcceptable } from '../errors.ts';
import { typeTable } from '../registry/type-facts.ts';
import type { MediaType, Negotiated } from './negotiate.ts';
import { encodeProtobuf, watchFrame } from './protobuf/envelope.ts';

const metaPackage = 'io.k8s.apimachinery.pkg.apis.meta.v1';

/** One object, list or Status; apiVersion and kind must be set. */
export function encodeObject(
  object: UnknownObject | KubeList<UnknownObject>,
  negotiated: Pick<Negotiated, 'mediaType' | 'pretty'>,
): Buffer {
  switch (negotiated.mediaType) {
    case 'application/vnd.kubernetes.protobuf':
      return encodeProtobuf(protobufSchema(object), object);
    case 'application/yaml':
      return Buffer.from(dump(object, { sortKeys: true, noRefs: true, lineWidth: -1, seqNoIndent: true }));
    default:
      return Buffer.from(`${JSON.stringify(object, null, negotiated.pretty ? 2 : 0)}\n`);
  }
}

/** One frame of a watch stream around an object that is already encoded with encodeObject in the same encoding. */
export function encodeWatchFrame(type: WatchEventType, encodedObject: Uint8Array, mediaType: MediaType): Buffer {
  switch (mediaType) {
    case 'application/vnd.kubernetes.protobuf':
      return watchFrame(type, encodedObject);
    case 'application/yaml': {
      const indented = Buffer.from(encodedObject).toString().trimEnd().replaceAll('\n', '\n  ');
      return Buffer.from(`---\nobject:\n  ${indented}\ntype: ${type}\n`);
    }
    default: {
      const end = encodedObject.at(-1) === 0x0a ? encodedObject.length - 1 : encodedObject.length;
      return Buffer.concat([Buffer.from(`{"type":"${type}","object":`), encodedObject.subarray(0, end), frameEnd]);
    }
  }
}

const frameEnd = Buffer.from('}\n');

/** Custom resources and Tables have no protobuf form. */
function protobufSchema({ apiVersion = '', kind = '' }: { apiVersion?: string; kind?: string }): TypeSchema {
  const slash = apiVersion.indexOf('/');
  const group = slash < 0 ? '' : apiVersion.slice(0, slash);
  const schema =
    typeTable().kind(group, apiVersion.slice(slash + 1), kind) ??
    (group === '' || group === 'meta.k8s.io' ? typeTable().type(`${metaPackage}.${kind}`) : undefined);
  if (schema) return schema;
  throw notAcceptable(
    `object *${kind} does not implement the protobuf marshalling interface and cannot be encoded to a protobuf message`,
  );
}
