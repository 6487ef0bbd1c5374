/** Start times: from the start of the process until it answers that it is healthy, with the programs and V8 flags of the images. */
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { programImages } from '../src/installer/bundle/catalog.ts';
import type { LabHost } from '../test/lab/lab.ts';
import { startControlPlane } from '../test/parts/control-plane.ts';
import { middle } from './reference.ts';

export interface StartTimes {
  apiserver: number;
  'controller-manager': number;
  scheduler: number;
}

const healthy = (url: string): Promise<boolean> =>
  new Promise((resolve) => {
    const asked = request(url, { rejectUnauthorized: false, agent: false, timeout: 1000 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    asked.once('timeout', () => asked.destroy());
    asked.once('error', () => resolve(false));
    asked.end();
  });

async function untilHealthy(url: string): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await healthy(url))) {
    if (Date.now() > deadline) throw new Error(`${url} does not answer 200 after 30 s`);
    await delay(10);
  }
}

/** A control plane of built programs, several times, on empty etcd; the middle of each time. */
export async function measureStarts(dist: string, times = 3): Promise<StartTimes> {
  const built = (name: string) => ({
    path: join(dist, name, 'main.mjs'),
    nodeOptions: programImages.find(({ program }) => program === name)?.nodeOptions ?? '',
  });
  const found: StartTimes[] = [];
  for (let i = 0; i < times; i++) {
    const plane = await startControlPlane({ built });
    try {
      const one: StartTimes = { apiserver: plane.readySeconds, 'controller-manager': 0, scheduler: 0 };
      for (const name of ['controller-manager', 'scheduler'] as const) {
        const started = performance.now();
        await plane.restart(name);
        await untilHealthy(`${plane.address(name)}/healthz`);
        one[name] = (performance.now() - started) / 1000;
      }
      found.push(one);
    } finally {
      await plane.stop();
    }
  }
  const of = (name: keyof StartTimes) => middle(found.map((one) => one[name]));
  return { apiserver: of('apiserver'), 'controller-manager': of('controller-manager'), scheduler: of('scheduler') };
}

/** Runs on the host: restarts the kubelet and tells the seconds until it is healthy again. */
const kubeletProbe = `
const {execFileSync}=require('child_process');
execFileSync('systemctl',['stop','kubelet']);
const started=performance.now();
execFileSync('systemctl',['start','kubelet']);
(async()=>{for(;;){
 const ok=await fetch('http://127.0.0.1:10248/healthz').then(a=>a.ok,()=>false);
 if(ok)break;
 if(performance.now()-started>30000)throw new Error('the kubelet is not healthy after 30 s');
 await new Promise(r=>setTimeout(r,10));
}
console.log((performance.now()-started)/1000)})()`;

export async function measureKubeletStart(host: LabHost, times = 3): Promise<number> {
  const found: number[] = [];
  for (let i = 0; i < times; i++)
    found.push(Number(await host.must('/opt/kinit/current/bin/node -', { input: kubeletProbe })));
  return middle(found);
}
