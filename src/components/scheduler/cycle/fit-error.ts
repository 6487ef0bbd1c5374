/** The sentence that says why a pod fits no node, as events and conditions show it. */
import type { Diagnosis } from '../framework/plugin.ts';
import type { Status } from '../framework/status.ts';

export const noNodes = 'no nodes available to schedule pods';

/** `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s).` */
export function fitMessage(nodeCount: number, nodeToStatus: ReadonlyMap<string, Status>, absentNodes: Status): string {
  const counts = new Map<string, number>();
  const count = (reasons: readonly string[], by: number) => {
    for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + by);
  };
  for (const { reasons } of nodeToStatus.values()) count(reasons, 1);
  if (nodeToStatus.size < nodeCount) count(absentNodes.reasons, nodeCount - nodeToStatus.size);
  const texts = [...counts].map(([reason, times]) => `${times} ${reason}`).sort((a, b) => (a < b ? -1 : 1));
  return `0/${nodeCount} nodes are available:${texts.length > 0 ? ` ${texts.join(', ')}.` : ''}`;
}

export function diagnosisMessage(nodeCount: number, diagnosis: Diagnosis): string {
  const message = diagnosis.preFilterMessage
    ? `0/${nodeCount} nodes are available: ${diagnosis.preFilterMessage}.`
    : fitMessage(nodeCount, diagnosis.nodeToStatus, diagnosis.absentNodes);
  return diagnosis.postFilterMessage ? `${message} ${diagnosis.postFilterMessage}` : message;
}
