/** An API server that gives prepared answers one after the other: for clients that meet one that is going or busy. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The connection is cut, or the status of the answer; of 200 a ConfigMap. */
export type Answer = 'cut' | number;

export interface AnsweringServer {
  url: string;
  /** How many questions have come. */
  asked(): number;
  close(): void;
}

/** The last answer is given again and again. */
export async function answeringServer(...answers: Answer[]): Promise<AnsweringServer> {
  let count = 0;
  const server = createServer((request, response) => {
    const answer = answers[Math.min(count++, answers.length - 1)];
    if (answer === 'cut') {
      request.socket.destroy();
      return;
    }
    response.statusCode = answer ?? 200;
    const body =
      answer === 200 ? { kind: 'ConfigMap', data: { a: 'b' } } : { kind: 'Status', message: 'no', code: answer };
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: () => count,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
