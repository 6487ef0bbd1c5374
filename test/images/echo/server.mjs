// A workload for tests: answers HTTP on $PORT (8080) with its host name, the path and the client's address, and echoes UDP.
import { createServer } from 'node:http';
import { createSocket } from 'node:dgram';
import { hostname } from 'node:os';

const port = Number(process.env.PORT ?? 8080);
const server = createServer((req, res) => {
  if (req.url === '/quit') {
    res.end('bye\n', () => process.exit(0));
    return;
  }
  console.log(`${req.method} ${req.url} from ${req.socket.remoteAddress}`);
  res.end(`${hostname()} ${req.url} ${req.socket.remoteAddress?.replace('::ffff:', '')}\n`);
});
server.listen(port, () => console.log(`listening on ${port}`));
const udp = createSocket('udp4');
udp.on('message', (message, from) => udp.send(`${hostname()} ${message}`, from.port, from.address));
udp.bind(port);
process.on('SIGTERM', () => {
  console.log('stopping');
  server.close(() => process.exit(0));
  server.closeAllConnections();
  setTimeout(() => process.exit(0), 500);
});
