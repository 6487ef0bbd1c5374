/** Only root can make a host a node. */
import { type CheckContext, error, type Finding } from './check.ts';

export const isPrivilegedUser = async ({ facts }: Pick<CheckContext, 'facts'>): Promise<Finding[]> =>
  facts.uid === 0 ? [] : [error('IsPrivilegedUser', 'kinit must run as root', 'use sudo')];
