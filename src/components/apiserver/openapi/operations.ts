/** What can be done at which path: the operations on resources, independent of the version of OpenAPI. */
import type { ResourceDescriptor, SubresourceDescriptor } from '../types.ts';

export type Method = 'get' | 'put' | 'post' | 'delete' | 'options' | 'head' | 'patch';

export interface Operation {
  method: Method;
  /** `x-kubernetes-action`; absent for discovery. */
  action?: string;
  id: string;
  description: string;
  tag: string;
  kind?: { group: string; version: string; kind: string };
  /** Names of path and query parameters. */
  parameters: string[];
  /** Definition of the body. */
  body?: { type: string; required: boolean };
  /** Media types of the body; any when absent. */
  bodyTypes?: string[];
  /** Definitions of the answers by code; `string` for plain text. */
  answers: Record<number, string>;
  /** Media types of the answers. */
  produces: string[];
}

export interface PathOperations {
  path: string;
  /** Whose name `{name}` is. */
  named: string;
  operations: Operation[];
}

/** The names of a resource's definitions. */
export interface TypeNames {
  kind(group: string, version: string, kind: string): string;
}

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1.';
const readParameters =
  'allowWatchBookmarks continue fieldSelector labelSelector limit resourceVersion resourceVersionMatch sendInitialEvents shardSelector timeoutSeconds watch'.split(
    ' ',
  );
const writeParameters = ['dryRun', 'fieldManager', 'fieldValidation'];
const deleteParameters = [
  'dryRun',
  'gracePeriodSeconds',
  'ignoreStoreReadErrorWithClusterBreakingPotential',
  'orphanDependents',
  'propagationPolicy',
];
const collectionParameters = [
  ...readParameters.filter((name) => !name.startsWith('allow') && name !== 'watch'),
  ...deleteParameters,
];
const patchTypes = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
];
const objects = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];
const streams = [...objects, 'application/json;stream=watch', 'application/vnd.kubernetes.protobuf;stream=watch'];

/** Parameters of subresources that are connections, and the kind that carries them. */
const connections: Record<string, { kind: string; parameters: string[] }> = {
  'pods/attach': { kind: 'PodAttachOptions', parameters: ['container', 'stderr', 'stdin', 'stdout', 'tty'] },
  'pods/exec': { kind: 'PodExecOptions', parameters: ['command', 'container', 'stderr', 'stdin', 'stdout', 'tty'] },
  'pods/portforward': { kind: 'PodPortForwardOptions', parameters: ['ports'] },
  'pods/proxy': { kind: 'PodProxyOptions', parameters: ['path'] },
  'services/proxy': { kind: 'ServiceProxyOptions', parameters: ['path'] },
  'nodes/proxy': { kind: 'NodeProxyOptions', parameters: ['path'] },
};
const logParameters =
  'container follow insecureSkipTLSVerifyBackend limitBytes pretty previous sinceSeconds stream tailLines timestamps'.split(
    ' ',
  );
const methodsOf: Record<string, Method> = {
  get: 'get',
  update: 'put',
  patch: 'patch',
  create: 'post',
  delete: 'delete',
};
const idVerbs: Partial<Record<Method, string>> = {
  get: 'read',
  put: 'replace',
  patch: 'patch',
  post: 'create',
  delete: 'delete',
};

/** Kinds whose deletion is answered with the object. */
const deletedAnswered = new Set(
  [
    '/Pod /PodTemplate /PersistentVolume /PersistentVolumeClaim /ResourceQuota /ServiceAccount /Service',
    'storage.k8s.io/CSIDriver storage.k8s.io/CSINode storage.k8s.io/StorageClass storage.k8s.io/VolumeAttachment',
    'storage.k8s.io/VolumeAttributesClass resource.k8s.io/DeviceClass resource.k8s.io/ResourceClaim',
    'resource.k8s.io/ResourceClaimTemplate resource.k8s.io/ResourceSlice',
  ].flatMap((line) => line.split(' ')),
);

const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

/** `RbacAuthorizationV1` and `rbacAuthorization_v1`. */
export function groupNames(group: string, version: string): { id: string; tag: string } {
  const words = (group || 'core').replace(/\.k8s\.io$/, '').split(/[.-]/);
  const name = words.map((word, index) => (index ? capital(word) : word)).join('');
  return { id: capital(name) + capital(version), tag: version ? `${name}_${version}` : name };
}

export const basePath = (group: string, version: string): string =>
  group ? `/apis/${group}/${version}` : `/api/${version}`;

export function resourcePaths(descriptor: ResourceDescriptor, names: TypeNames, custom: boolean): PathOperations[] {
  const { group, version, kind, resource, namespaced, verbs } = descriptor;
  const base = basePath(group, version);
  const { id: groupId, tag } = groupNames(group, version);
  const type = names.kind(group, version, kind);
  const scope = namespaced ? 'Namespaced' : '';
  const within = namespaced ? ['namespace', 'pretty'] : ['pretty'];
  const folder = namespaced ? `${base}/namespaces/{namespace}/${resource}` : `${base}/${resource}`;
  const produces = custom ? objects.slice(0, 2) : objects;
  const watchable = custom ? produces : streams;
  const paths: PathOperations[] = [];
  const put = (path: string, operations: (Operation | false)[]) => {
    const some = operations.filter((operation) => operation !== false);
    if (some.length) paths.push({ path, named: kind, operations: some });
  };
  const has = (verb: string) => verbs.includes(verb);
  const common = { tag, kind: { group, version, kind }, produces };
  const list = (id: string, parameters: string[]): Operation => ({
    ...common,
    produces: watchable,
    method: 'get',
    action: 'list',
    id,
    description: `list ${has('watch') ? 'or watch ' : ''}objects of kind ${kind}`,
    parameters: [...parameters, ...readParameters],
    answers: { 200: names.kind(group, version, descriptor.listKind) },
  });
  const patches = custom ? patchTypes.filter((media) => !media.includes('strategic')) : patchTypes;
  const write = (method: Method, what: string, target: string, body: string, parameters: string[]): Operation => ({
    ...common,
    method,
    action: method,
    id: `${idVerbs[method]}${groupId}${scope}${target}`,
    description: what,
    parameters: [...parameters, ...writeParameters, ...(method === 'patch' ? ['force'] : [])],
    body: method === 'patch' ? { type: `${meta}Patch`, required: true } : { type: body, required: true },
    ...(method === 'patch' ? { bodyTypes: patches } : {}),
    answers: method === 'post' ? { 200: body, 201: body, 202: body } : { 200: body, 201: body },
  });

  if (namespaced && has('list'))
    put(`${base}/${resource}`, [list(`list${groupId}${kind}ForAllNamespaces`, ['pretty'])]);
  put(folder, [
    has('list') && list(`list${groupId}${scope}${kind}`, within),
    has('create') && write('post', `create a${/^[AEIOU]/.test(kind) ? 'n' : ''} ${kind}`, kind, type, within),
    has('deletecollection') && {
      ...common,
      method: 'delete',
      action: 'deletecollection',
      id: `delete${groupId}Collection${scope}${kind}`,
      description: `delete collection of ${kind}`,
      parameters: [...within, ...collectionParameters],
      body: { type: `${meta}DeleteOptions`, required: false },
      answers: { 200: `${meta}Status` },
    },
  ]);
  const item = `${folder}/{name}`;
  const named = ['name', ...within];
  const answer = deletedAnswered.has(`${group}/${kind}`) ? type : `${meta}Status`;
  put(item, [
    has('get') && read(`read the specified ${kind}`, kind, type, named),
    has('update') && write('put', `replace the specified ${kind}`, kind, type, named),
    has('delete') && {
      ...common,
      method: 'delete',
      action: 'delete',
      id: `delete${groupId}${scope}${kind}`,
      description: `delete a${/^[AEIOU]/.test(kind) ? 'n' : ''} ${kind}`,
      parameters: [...named, ...deleteParameters],
      body: { type: `${meta}DeleteOptions`, required: false },
      answers: { 200: answer, 202: answer },
    },
    has('patch') && write('patch', `partially update the specified ${kind}`, kind, type, named),
  ]);
  for (const subresource of descriptor.subresources) addSubresource(subresource);
  if (has('watch')) {
    const watch = (id: string, parameters: string[], action: string): Operation => ({
      ...common,
      produces: watchable,
      method: 'get',
      action,
      id,
      description:
        action === 'watch' ? `watch changes to an object of kind ${kind}` : `watch changes to a list of ${kind}`,
      parameters: [...parameters, ...readParameters],
      answers: { 200: `${meta}WatchEvent` },
    });
    if (namespaced)
      put(`${base}/watch/${resource}`, [watch(`watch${groupId}${kind}ListForAllNamespaces`, ['pretty'], 'watchlist')]);
    const watched = folder.replace(base, `${base}/watch`);
    put(watched, [watch(`watch${groupId}${scope}${kind}List`, within, 'watchlist')]);
    put(`${watched}/{name}`, [watch(`watch${groupId}${scope}${kind}`, named, 'watch')]);
  }
  return paths;

  function read(description: string, target: string, answered: string, parameters: string[]): Operation {
    const id = `read${groupId}${scope}${target}`;
    return { ...common, method: 'get', action: 'get', id, description, parameters, answers: { 200: answered } };
  }

  function addSubresource(subresource: SubresourceDescriptor): void {
    const { name } = subresource;
    const path = `${item}/${name}`;
    const connection = group === '' ? connections[`${resource}/${name}`] : undefined;
    if (connection) {
      connect(path, subresource, connection, '');
      if (name === 'proxy') connect(`${path}/{path}`, subresource, connection, 'WithPath');
      return;
    }
    const target = kind + capital(name === 'ephemeralcontainers' ? 'Ephemeralcontainers' : name);
    const subKind = { group: subresource.group, version: subresource.version, kind: subresource.kind };
    if (name === 'log') {
      const log = read(`read log of the specified ${kind}`, target, 'string', ['name', 'namespace', ...logParameters]);
      put(path, [{ ...log, produces: ['text/plain', ...objects] }]);
      return;
    }
    const body = names.kind(subKind.group, subKind.version, subKind.kind);
    put(
      path,
      subresource.verbs.map((verb) => {
        const method = methodsOf[verb];
        if (!method || method === 'delete') return false;
        if (method === 'get')
          return { ...read(`read ${name} of the specified ${kind}`, target, body, named), kind: subKind };
        const does = { put: 'replace', patch: 'partially update', post: 'create' }[method as 'put' | 'patch' | 'post'];
        const whose = method === 'post' ? `a ${kind}` : `the specified ${kind}`;
        return { ...write(method, `${does} ${name} of ${whose}`, target, body, named), kind: subKind };
      }),
    );
  }

  function connect(
    path: string,
    subresource: SubresourceDescriptor,
    { kind: options, parameters }: { kind: string; parameters: string[] },
    suffix: string,
  ): void {
    const methods: Method[] =
      subresource.name === 'proxy' ? ['get', 'put', 'post', 'delete', 'options', 'head', 'patch'] : ['get', 'post'];
    const place = namespaced ? ['name', 'namespace'] : ['name'];
    put(
      path,
      methods.map((method) => ({
        ...common,
        kind: { group: '', version: 'v1', kind: options },
        produces: ['*/*'],
        method,
        action: 'connect',
        id: `connect${groupId}${capital(method)}${scope}${kind}${capital(subresource.name)}${suffix}`,
        description: `connect ${method.toUpperCase()} requests to ${subresource.name} of ${kind}`,
        parameters: [...place, ...parameters, ...(suffix ? ['path*'] : [])],
        answers: { 200: 'string' },
      })),
    );
  }
}

/** Paths that tell what is served. */
export function discoveryPath(
  path: string,
  id: string,
  tag: string,
  description: string,
  type: string,
): PathOperations {
  const plain = !type.startsWith(meta);
  const produces = plain ? ['application/json'] : objects;
  return {
    path,
    named: '',
    operations: [{ method: 'get', id, description, tag, parameters: [], answers: { 200: type }, produces }],
  };
}
