/** Objects → bytes of answers and watch events in the negotiated encoding. */
import type { KubeList, UnknownObject, WatchEventType } from '../../../machinery/api/types.ts';
import type { MediaType, Negotiated } from './negotiate.ts';

/** One object, list or Status; apiVersion and kind must be set. */
export function encodeObject(
  object: UnknownObject | KubeList<UnknownObject>,
  negotiated: Pick<Negotiated, 'mediaType' | 'pretty'>,
): Buffer {
  return Buffer.from(`${JSON.stringify(object, null, negotiated.pretty ? 2 : 0)}\n`);
}

/** One frame of a watch stream around an object that is already encoded with encodeObject in the same encoding. */
export function encodeWatchFrame(type: WatchEventType, encodedObject: Uint8Array, _mediaType: MediaType): Buffer {
  return Buffer.concat([Buffer.from(`{"type":"${type}","object":`), encodedObject, Buffer.from('}\n')]);
}
