/** A value of etcd as the object that it holds. */
import { internalError } from '../../errors.ts';
import type { KeyValue } from '../etcd-client.ts';
import { StoredObject } from '../stored-object.ts';
import type { Encryption } from './encryption.ts';

/** @throws StatusError 500 when no key opens it, worded as upstream words it */
export function openStored(encryption: Encryption, { key, value, modRevision }: KeyValue): StoredObject {
  try {
    const { plain, sealedBy } = encryption.open(key, value);
    return new StoredObject(key, modRevision, plain.toString(), sealedBy);
  } catch (error) {
    throw internalError(`unable to transform key ${JSON.stringify(key)}: ${(error as Error).message}`);
  }
}
