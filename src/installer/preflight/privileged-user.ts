/** Only root can make a host a node. */
import { type Check, error } from './check.ts';

export const isPrivilegedUser: Check = async ({ facts }) =>
  facts.uid === 0 ? [] : [error('IsPrivilegedUser', 'kinit must run as root', 'use sudo')];
