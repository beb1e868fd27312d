/** What kinds of MCP server there are. */
export const serverKinds = ['internal', 'stdio', 'external', 'virtual'] as const;

export type McpServerKind = (typeof serverKinds)[number];

interface Fault {
  readonly path: readonly string[];
  readonly message: string;
  readonly hint: string;
}

const process = ['instances', 'idle_stop_s', 'start_timeout_ms', 'user_variables'];
const environment = ['env', 'variables', 'env_vars'];
const program = ['command', 'args', 'cwd'];
const module = ['module', 'binary', 'package'];
const remote = ['transport', 'private_network', 'upstream_auth'];

/** What means something for some kinds only, and for which. */
const kindsOf = new Map<string, readonly McpServerKind[]>([
  ...entries(module, ['internal']),
  ...entries(program, ['stdio', 'internal']),
  ...entries(process, ['stdio', 'internal']),
  ...entries([...environment, 'limits'], ['internal', 'stdio']),
  ...entries(['port'], ['internal', 'stdio', 'external']),
  ...entries(['delegate', 'schemas'], ['internal']),
  ...entries(remote, ['external']),
  ...entries(['targets'], ['virtual']),
]);

/** Of `kindsOf`, what is there in every server: what it holds when nobody wrote it. */
const unwritten = new Map<string, string>([
  ['env', '{}'],
  ['variables', '{}'],
  ['env_vars', '[]'],
  ['limits', '{}'],
  ['delegate', 'false'],
]);

const hints: Readonly<Record<McpServerKind, string>> = {
  internal: 'an internal server is a module of the project, or a command that listens on MCP_PORT',
  stdio: 'a stdio server is a command that speaks MCP by its standard input and output',
  external: 'an external server runs elsewhere; all that is known of it is its endpoint',
  virtual: 'a virtual server has no process of its own: its targets have',
};

/**
 * What a server of its kind lacks or has too much.
 * @param server as it was read; single fields can be wrong, which is told of them by themselves
 */
export function kindFaults(server: Readonly<Record<string, unknown>>): Fault[] {
  const kind = serverKinds.find((known) => known === server['type']);
  if (kind === undefined) return [];
  const faults: Fault[] = [];
  const has = (field: string) => server[field] !== undefined && JSON.stringify(server[field]) !== unwritten.get(field);
  const fault = (field: string, message: string, hint = hints[kind]) => faults.push({ path: [field], message, hint });
  for (const [field, kinds] of kindsOf) {
    if (has(field) && !kinds.includes(kind)) fault(field, `is not for a server of type ${kind}`);
  }
  if (kind === 'internal') internalFaults(has, fault);
  if (kind === 'stdio' && !has('command')) {
    fault('command', 'is missing', 'write the program that is started, such as npx, and its arguments as args');
  }
  if (kind === 'external') externalFaults(server, has, fault);
  if (kind === 'virtual' && !has('targets')) {
    fault('targets', 'is missing', 'write the servers whose tools it offers: [{ server: <name> }]');
  }
  if (has('user_variables') && server['instances'] !== 'user') {
    fault('user_variables', 'is there without `instances: user`', 'what one user brings is for a process of theirs');
  }
  return faults;
}

type Has = (field: string) => boolean;
type Tell = (field: string, message: string, hint?: string) => void;

function internalFaults(has: Has, fault: Tell): void {
  if (has('command')) {
    for (const field of ['module', 'binary']) {
      if (has(field)) fault(field, 'is there beside `command`', 'keep one of the two: only one program can be started');
    }
    return;
  }
  for (const field of ['args', 'cwd', ...process]) {
    if (has(field))
      fault(field, 'is there without `command`', 'it says how a command is run; a module needs none of it');
  }
  if (!has('module') && !has('binary')) {
    fault('module', 'is missing', 'write the path of the module, or a command; is it elsewhere? then `type: external`');
  }
  if (!has('port')) fault('port', 'is missing', 'write the port on loopback that it prefers, such as 5100');
}

function externalFaults(server: Readonly<Record<string, unknown>>, has: Has, fault: Tell): void {
  const { endpoint } = server;
  if (!has('endpoint')) {
    fault('endpoint', 'is missing', 'write the address of the server, such as https://mcp.example.com/mcp');
    return;
  }
  if (typeof endpoint !== 'string') return;
  if (!URL.canParse(endpoint)) {
    fault('endpoint', 'is no address', 'write it as https://host/path');
    return;
  }
  const { protocol, username, password, hash } = new URL(endpoint);
  const open = server['private_network'] === true;
  if (protocol !== 'https:' && !(protocol === 'http:' && open)) {
    const hint =
      'write an https address; by http only servers of a private network are reached, with private_network: true';
    fault('endpoint', 'is not an https address', hint);
  }
  if (username !== '' || password !== '') {
    fault('endpoint', 'has a user or a password in it', 'keep it with cloud secrets set, and name it in upstream_auth');
  }
  if (hash !== '') fault('endpoint', 'ends in a fragment', 'take away what follows the #');
}

function entries(fields: readonly string[], kinds: readonly McpServerKind[]) {
  return fields.map((field) => [field, kinds] as const);
}
