/** Words of Go's net package for what goes wrong with a TCP connection. */
const words: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by peer',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EINVAL: 'invalid argument',
  EPIPE: 'broken pipe',
};

export function dialError(error: NodeJS.ErrnoException, address: string): string {
  if (error.code === 'ETIMEDOUT') return `dial tcp ${address}: i/o timeout`;
  if (error.code === 'ENOTFOUND' || error.code === 'EAI_AGAIN')
    return `dial tcp: lookup ${address.replace(/:\d+$/, '')}: no such host`;
  const said = words[error.code ?? ''];
  if (!said) return error.message;
  if (error.syscall === 'connect') return `dial tcp ${address}: connect: ${said}`;
  return `${error.syscall ?? 'read'} tcp ${address}: ${error.syscall ?? 'read'}: ${said}`;
}
