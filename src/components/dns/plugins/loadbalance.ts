/** The `loadbalance` plugin: turns the order of addresses at every answer. */
import type { DnsRecord, Handler } from '../chain.ts';

export function loadbalanceHandler(): Handler {
  let turn = 0;
  return async (query, next) => {
    const answer = await next(query);
    const isAddress = (record: DnsRecord) => record.type === 'A' || record.type === 'AAAA';
    const addresses = answer.answers.filter(isAddress);
    if (addresses.length < 2) return answer;
    turn = (turn + 1) % addresses.length;
    const others = answer.answers.filter((record) => !isAddress(record));
    return { ...answer, answers: [...others, ...addresses.slice(turn), ...addresses.slice(0, turn)] };
  };
}
