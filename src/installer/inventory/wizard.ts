/**
 * The questions of `kinit init` on a terminal when nothing is given, and the files that their answers make. No terminal
 * here: each question says when it is asked, what it explains, and what is wrong with an answer.
 */
import { isIP } from 'node:net';
import { parseCidr, splitHostPort } from '../config/cidr.ts';
import { defaultNetworking } from '../config/defaults.ts';
import { formatYaml } from '../config/format-yaml.ts';
import { isDnsSubdomain, validateNetworking } from '../config/validate.ts';
import { nodeNameOf, scalar } from './import/render.ts';
import { parseJump } from './ssh-target.ts';

export interface WizardAnswers {
  target: 'here' | 'fleet';
  pods: 'yes' | 'no';
  controlPlanes: string;
  workers: string;
  endpoint: string;
  user: string;
  sudo: 'passwordless' | 'password';
  key: string;
  bastion: string;
  clusterName: string;
  podSubnet: string;
  serviceSubnet: string;
  file: string;
}

export interface WizardQuestion {
  name: keyof WizardAnswers;
  message: string;
  /** Printed above the question: what it is about, and what happens with each answer. */
  explanation: string;
  /** Absent: a line of text. */
  choices?: { value: string; name: string }[];
  otherwise?(answers: Partial<WizardAnswers>): string;
  asked?(answers: Partial<WizardAnswers>): boolean;
  /** @returns what is wrong */
  mistake?(answer: string, answers: Partial<WizardAnswers>): string | undefined;
}

export interface WizardHost {
  name: string;
  address: string;
  user?: string;
  port?: number;
}

/** `cp1=10.0.0.1, root@10.0.0.2:2222, cp3.example`: names are made where none is given. */
export function parseHosts(text: string, prefix: string): WizardHost[] {
  const words = text.split(/[\s,]+/).filter(Boolean);
  return words.map((word, index) => {
    const equals = word.indexOf('=');
    const { address, user, port } = parseJump(equals < 0 ? word : word.slice(equals + 1));
    const made = isIP(address) ? `${prefix}${index + 1}` : nodeNameOf(address.split('.')[0]!);
    return {
      name: equals > 0 ? word.slice(0, equals) : made,
      address,
      ...(user ? { user } : {}),
      ...(port ? { port } : {}),
    };
  });
}

function hostsMistake(text: string, prefix: string, others: readonly WizardHost[]): string | undefined {
  const seen = [...others];
  for (const host of parseHosts(text, prefix)) {
    if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(host.name))
      return `"${host.name}" is not a host name (lower-case letters, digits, dots, dashes)`;
    if (!isIP(host.address) && !isDnsSubdomain(host.address.toLowerCase()))
      return `"${host.address}" is neither an IP address nor a name`;
    if (/^[\d.]+$/.test(host.address) && !isIP(host.address)) return `"${host.address}" is not an IP address`;
    if (seen.some(({ name }) => name === host.name)) return `the name "${host.name}" is there twice`;
    if (seen.some(({ address, port }) => address === host.address && port === host.port))
      return `the address "${host.address}" is there twice`;
    seen.push(host);
  }
  return undefined;
}

const isFleet = ({ target }: Partial<WizardAnswers>) => target === 'fleet';
const controlPlanesIn = ({ controlPlanes = '' }: Partial<WizardAnswers>) => parseHosts(controlPlanes, 'cp');

/** The CIDR as typed beside the one that is given or usual. */
function networkMistake(field: 'podSubnet' | 'serviceSubnet', answer: string, answers: Partial<WizardAnswers>) {
  if (!parseCidr(answer)) return `"${answer}" is not a CIDR block like ${defaultNetworking[field]}`;
  const podSubnet = field === 'podSubnet' ? answer : (answers.podSubnet ?? defaultNetworking.podSubnet);
  // While the pod network is asked for, the service network is not yet known.
  const serviceSubnet = field === 'serviceSubnet' ? answer : '';
  const mistakes: string[] = [];
  const networking = { ...defaultNetworking, podSubnet, serviceSubnet };
  const address = controlPlanesIn(answers)[0]?.address ?? '';
  validateNetworking(networking, isIP(address) ? address : '', (of, message) => {
    if (field === 'serviceSubnet' || of === field) mistakes.push(message);
  });
  return mistakes[0];
}

export const wizardQuestions: readonly WizardQuestion[] = [
  {
    name: 'target',
    message: 'What shall become a cluster?',
    explanation:
      'kinit can make this machine a control plane (others join it later), or make a cluster of several machines that it\nreaches over SSH. Nothing is changed before you have seen and confirmed everything. Ctrl-C ends this.',
    choices: [
      { value: 'here', name: 'This machine' },
      { value: 'fleet', name: 'Several machines, over SSH' },
    ],
  },
  {
    name: 'pods',
    message: 'May your pods run on this machine?',
    explanation:
      'A control plane usually keeps your pods away (a taint). For a cluster of one machine they must be allowed.',
    choices: [
      { value: 'yes', name: 'Yes: it is a cluster of one machine, for now' },
      { value: 'no', name: 'No: workers will join' },
    ],
    asked: ({ target }) => target === 'here',
  },
  {
    name: 'controlPlanes',
    message: 'Control-plane machines:',
    explanation:
      'One, or three for high availability. Addresses or names, separated by commas; name=address gives the node a name,\nuser@address:port another login: cp1=10.0.1.10, cp2=ubuntu@10.0.1.11:2222',
    asked: isFleet,
    mistake: (answer) => {
      const count = parseHosts(answer, 'cp').length;
      if (!count) return 'a cluster needs at least one control plane';
      if (count === 2) return 'two are worse than one: when either fails, etcd has no majority; give one or three';
      return hostsMistake(answer, 'cp', []);
    },
  },
  {
    name: 'workers',
    message: 'Worker machines:',
    explanation: 'Where your pods run, written in the same way. Without any, pods run on the control plane.',
    otherwise: () => '',
    asked: isFleet,
    mistake: (answer, answers) => hostsMistake(answer, 'w', controlPlanesIn(answers)),
  },
  {
    name: 'endpoint',
    message: 'Stable address of the control plane (host:port):',
    explanation:
      'A DNS name, a load balancer or a virtual IP, when there is one that leads to all control planes.\nEmpty: each node finds those that live by itself, and kubectl uses the address of one of them.',
    otherwise: () => '',
    asked: (answers) => isFleet(answers) && controlPlanesIn(answers).length > 1,
    mistake: (answer) => {
      const parsed = splitHostPort(answer);
      const fine = answer === '' || (parsed?.port && (isIP(parsed.host) || isDnsSubdomain(parsed.host)));
      return fine ? undefined : `"${answer}" is not host:port, as in api.example.com:6443`;
    },
  },
  {
    name: 'user',
    message: 'User to log in as:',
    explanation:
      'It must be root, or may become root with sudo. Cloud images usually have ubuntu, debian, ec2-user, ….',
    otherwise: () => 'root',
    asked: isFleet,
    mistake: (answer) => (/^[A-Za-z_][\w.-]*\$?$/.test(answer) ? undefined : `"${answer}" is not the name of a user`),
  },
  {
    name: 'sudo',
    message: 'Does sudo ask for a password there?',
    explanation: 'A password is never written to a file: kinit reads it from the environment variable SUDO_PASSWORD.',
    choices: [
      { value: 'passwordless', name: 'No' },
      { value: 'password', name: 'Yes: I export SUDO_PASSWORD' },
    ],
    asked: (answers) => isFleet(answers) && answers.user !== 'root',
  },
  {
    name: 'key',
    message: 'Private key (empty: SSH agent, ~/.ssh/config and the usual keys):',
    explanation: 'A file such as ~/.ssh/id_ed25519. Only its path is written to the inventory.',
    otherwise: () => '',
    asked: isFleet,
  },
  {
    name: 'bastion',
    message: 'Bastion, if the machines are reached through one (user@host:port):',
    explanation: 'Leave it empty when this machine reaches all of them directly.',
    otherwise: () => '',
    asked: isFleet,
    mistake: (answer) => {
      const { address } = parseJump(answer);
      const fine = answer === '' || isIP(address) || isDnsSubdomain(address.toLowerCase());
      return fine ? undefined : `"${answer}" is not a machine, as in jump@bastion.example.com`;
    },
  },
  {
    name: 'clusterName',
    message: 'Name of the cluster:',
    explanation: 'It shows in kubeconfig files, so that you can tell clusters apart.',
    otherwise: () => 'kubernetes',
    mistake: (answer) =>
      isDnsSubdomain(answer) ? undefined : `"${answer}" is not a name (lower-case letters, digits, dots, dashes)`,
  },
  {
    name: 'podSubnet',
    message: 'Addresses of pods:',
    explanation: 'A network that your machines and your network do not use; each node takes a /24 of it.',
    otherwise: () => defaultNetworking.podSubnet,
    mistake: (answer, answers) => networkMistake('podSubnet', answer, answers),
  },
  {
    name: 'serviceSubnet',
    message: 'Addresses of services:',
    explanation: 'Another unused network. Addresses of services exist inside of the cluster only.',
    otherwise: () => defaultNetworking.serviceSubnet,
    mistake: (answer, answers) => networkMistake('serviceSubnet', answer, answers),
  },
  {
    name: 'file',
    message: 'File to write:',
    explanation: 'You can change it later, and run kinit with it again at any time.',
    otherwise: ({ target }) => (target === 'fleet' ? 'inventory.yaml' : 'kinit.yaml'),
    mistake: (answer) => (answer.trim() === '' ? 'give a name' : undefined),
  },
];

/** Questions that the answers so far leave. */
export const nextQuestion = (answers: Partial<WizardAnswers>): WizardQuestion | undefined =>
  wizardQuestions.find(({ name, asked }) => answers[name] === undefined && (asked?.(answers) ?? true));

/** The file that the answers make: a configuration for this machine, or an inventory. */
export function fileOf(answers: Partial<WizardAnswers>): string {
  return answers.target === 'fleet' ? inventoryOf(answers) : configurationOf(answers);
}

function configurationOf({ pods, clusterName, podSubnet, serviceSubnet }: Partial<WizardAnswers>): string {
  const apiVersion = 'kubeadm.k8s.io/v1beta4';
  const cluster = { apiVersion, kind: 'ClusterConfiguration', clusterName, networking: { podSubnet, serviceSubnet } };
  const init = { apiVersion, kind: 'InitConfiguration', nodeRegistration: { taints: [] } };
  const note = '# No taints: pods may run on this control plane.\n';
  return `# Made by kinit init. To use it again: kinit init --config <this file>\n${formatYaml(cluster)}${
    pods === 'yes' ? `---\n${note}${formatYaml(init)}` : ''
  }`;
}

function inventoryOf(answers: Partial<WizardAnswers>): string {
  const { workers = '', endpoint, user = 'root', sudo, key, bastion, clusterName = '' } = answers;
  const { podSubnet = '', serviceSubnet = '' } = answers;
  const workerHosts = parseHosts(workers, 'w');
  const roles = workerHosts.length ? '[control-plane]' : '[control-plane, worker]';
  const jump = bastion ? parseJump(bastion) : undefined;
  const hostLines = (hosts: WizardHost[], role: string) =>
    hosts.flatMap((host) => [
      `  - name: ${scalar(host.name)}`,
      ...(host.address === host.name ? [] : [`    address: ${scalar(host.address)}`]),
      `    roles: ${role}`,
      ...(host.user ? [`    user: ${scalar(host.user)}`] : []),
      ...(host.port ? [`    port: ${host.port}`] : []),
    ]);
  const lines = [
    '# Made by kinit init. To use it again: kinit up --inventory <this file>',
    'apiVersion: kinit.local/v1alpha1',
    'kind: Inventory',
    'cluster:',
    `  clusterName: ${scalar(clusterName)}`,
    ...(endpoint ? [`  controlPlaneEndpoint: ${scalar(endpoint)}`] : []),
    '  networking:',
    `    podSubnet: ${scalar(podSubnet)}`,
    `    serviceSubnet: ${scalar(serviceSubnet)}`,
    'defaults:',
    `  user: ${scalar(user)}`,
    ...(sudo === 'password' ? ['  # export SUDO_PASSWORD=…', '  sudo: { passwordFromEnv: SUDO_PASSWORD }'] : []),
    ...(key ? [`  identityFile: ${scalar(key)}`] : []),
    ...(jump
      ? [
          '  bastion:',
          ...Object.entries(jump).map(([field, value]) => `    ${field}: ${scalar(value as string | number)}`),
        ]
      : []),
    'hosts:',
    ...hostLines(controlPlanesIn(answers), roles),
    ...hostLines(workerHosts, '[worker]'),
  ];
  return `${lines.join('\n')}\n`;
}
