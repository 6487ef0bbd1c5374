/** A workload that has to serve all the time: two replicas with a budget, and somebody who asks them ten times a second. */
import type { LabHost } from '../lab/lab.ts';

export const servingNamespace = 'serving';
const clusterIP = '10.96.77.77';

/** @param image busybox */
export const servingManifest = (image: string): string => `apiVersion: v1
kind: Namespace
metadata: {name: ${servingNamespace}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: ${servingNamespace}}
spec:
  clusterIP: ${clusterIP}
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: ${servingNamespace}}
spec:
  minAvailable: 1
  selector: {matchLabels: {app: web}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: ${servingNamespace}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: main
        image: ${image}
        # It goes on answering until the proxies have heard that it ends.
        command: [sh, -c, 'echo ok > /tmp/index.html; trap "sleep 3; exit 0" TERM; httpd -f -p 8080 -h /tmp & wait']
        readinessProbe: {httpGet: {path: /index.html, port: 8080}, periodSeconds: 1}
`;

const log = '/var/tmp/serving.log';
const going = '/var/tmp/serving.going';

/** Asks the Service from a node until it is told to stop, and writes a line for each question. */
const asking = `touch ${going}; : > ${log}; setsid bash -c 'while [ -e ${going} ]; do
  timeout 2 bash -c "exec 3<>/dev/tcp/${clusterIP}/80; printf \\"GET /index.html HTTP/1.0\\r\\n\\r\\n\\" >&3; grep -q ok <&3" 2> /dev/null && echo ok >> ${log} || date +%T.%N >> ${log}
  sleep 0.1
done' > /dev/null 2>&1 < /dev/null &
for try in $(seq 200); do grep -q ok ${log} && exit 0; sleep 0.1; done; exit 1`;

export async function askServing(host: LabHost): Promise<void> {
  await host.must(asking);
}

export interface Served {
  answered: number;
  /** When there was no answer. */
  failed: string[];
}

/** Ends the questions, and answers what came of them; nothing is left on the host. */
export async function stopAsking(host: LabHost): Promise<Served> {
  const lines = (await host.must(`rm -f ${going}; sleep 0.3; cat ${log} 2> /dev/null; rm -f ${log}`))
    .trim()
    .split('\n')
    .filter(Boolean);
  return { answered: lines.filter((line) => line === 'ok').length, failed: lines.filter((line) => line !== 'ok') };
}
