/** Memory and CPU time of every component on the hosts of a lab while nobody asks anything. */
import { setTimeout as delay } from 'node:timers/promises';
import type { LabHost } from '../test/lab/lab.ts';

export interface IdleComponent {
  name: string;
  rssMb: number;
  /** What it takes alone, plus its share of what it shares. */
  pssMb: number;
  cpuSecondsPerMinute: number;
}

interface Sample {
  pid: string;
  name: string;
  rssKb: number;
  pssKb: number;
  cpuSeconds: number;
}

const components = [
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'etcd',
  'kubelet',
  'containerd',
  'kube-proxy',
  'kinit-network',
  'local-path-provisioner',
  'coredns',
];

/** Runs on the host by the bundle's own Node: prints a JSON list of samples. */
const sampler = `
const fs=require('fs'),path=require('path'),names=${JSON.stringify(components)},found=[];
for(const pid of fs.readdirSync('/proc').filter(n=>/^[0-9]+$/.test(n)))try{
 const words=fs.readFileSync('/proc/'+pid+'/cmdline','utf8').split(/[\\0 ]/).slice(0,4).map(w=>path.basename(w));
 const name=names.find(n=>words[0]===n)??names.find(n=>words[0]==='node'&&words.includes(n));
 if(!name)continue;
 const rollup=fs.readFileSync('/proc/'+pid+'/smaps_rollup','utf8'),kb=k=>+new RegExp('^'+k+':\\\\s+(\\\\d+)','m').exec(rollup)[1];
 const stat=fs.readFileSync('/proc/'+pid+'/stat','utf8').replace(/^.*\\) /s,'').split(' ');
 found.push({pid,name,rssKb:kb('Rss'),pssKb:kb('Pss'),cpuSeconds:(+stat[11]+ +stat[12])/100});
}catch(e){if(e.code!=='ENOENT'&&e.code!=='ESRCH')throw e}
console.log(JSON.stringify(found))`;

async function sample(host: LabHost): Promise<Sample[]> {
  return JSON.parse(await host.must('/opt/kinit/current/bin/node -', { input: sampler })) as Sample[];
}

export async function measureIdle(host: LabHost, seconds: number): Promise<IdleComponent[]> {
  const before = new Map((await sample(host)).map((one) => [one.pid, one]));
  const started = performance.now();
  await delay(seconds * 1000);
  const after = await sample(host);
  const minutes = (performance.now() - started) / 60_000;
  return components.flatMap((name) =>
    after
      .filter((one) => one.name === name && before.has(one.pid))
      .map(({ pid, rssKb, pssKb, cpuSeconds }) => ({
        name,
        rssMb: rssKb / 1024,
        pssMb: pssKb / 1024,
        cpuSecondsPerMinute: (cpuSeconds - before.get(pid)!.cpuSeconds) / minutes,
      })),
  );
}
