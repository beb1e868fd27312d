import { UsageError } from '../../shared/errors.ts';
import { serverNameForm } from '../../shared/server-name.ts';
import type {
  RegistryArgument,
  RegistryEntry,
  RegistryKeyed,
  RegistryPackage,
  RegistryRemote,
} from './registry-entry.ts';

/** A server as it would be written below `mcp_servers`. */
export interface ServerDraft {
  readonly name: string;
  readonly yaml: Readonly<Record<string, unknown>>;
  /** Names of secrets that it needs before it can start. */
  readonly secrets: readonly string[];
}

export interface DraftOptions {
  readonly name?: string | undefined;
  readonly scopes: readonly string[];
  /** Values for what the entry leaves open, by name. */
  readonly values: ReadonlyMap<string, string>;
}

/** A server elsewhere, by its address. */
export function draftOfUrl(url: string, options: DraftOptions): ServerDraft {
  const { hostname } = new URL(url);
  const labels = hostname.split('.').filter((label) => !['www', 'mcp', 'api'].includes(label));
  const name = nameOf(options.name, labels[0] ?? hostname);
  const yaml = { type: 'external', endpoint: url, ...common(`Server at ${hostname}`, options) };
  return { name, yaml, secrets: [] };
}

/** A command that speaks MCP by its input and output. */
export function draftOfCommand(words: readonly string[], options: DraftOptions): ServerDraft {
  const [command = '', ...args] = words;
  const launcher = ['npx', 'uvx', 'bunx', 'pipx'].includes(command);
  const what = launcher ? (args.find((word) => !word.startsWith('-') && word !== 'run') ?? command) : command;
  const name = nameOf(options.name, bareName(what));
  const yaml = {
    type: 'stdio',
    command,
    ...(args.length === 0 ? {} : { args }),
    ...common(`Server of ${what.split('/').at(-1) ?? what}`, options),
  };
  return { name, yaml, secrets: [] };
}

/**
 * A server as the registry describes it: where it runs elsewhere, unless it can only be started here.
 * @throws UsageError naming every value that is missing, or what can't be run here
 */
export function draftOfEntry(entry: RegistryEntry, options: DraftOptions): ServerDraft {
  const name = nameOf(options.name, entry.name.split('/').at(-1) ?? entry.name);
  const values = new Values(options.values);
  const described = {
    ...(entry.title === undefined ? {} : { display_name: entry.title }),
    ...common(entry.description ?? entry.title ?? entry.name, options),
  };
  const remote = entry.remotes.find(({ type }) => ['streamable-http', 'sse'].includes(type));
  const local = entry.packages.find((candidate) => launcherOf(candidate) !== undefined);
  if (remote === undefined && local === undefined) {
    throw new UsageError('Nothing of that entry can be run here', {
      hint: 'What can: servers elsewhere (streamable-http, sse), and packages of npm, pypi and oci that speak by stdio',
    });
  }
  const part = remote === undefined ? ofPackage(local as RegistryPackage, values) : ofRemote(remote, name, values);
  values.refuseMissing();
  return { name, yaml: { ...part.yaml, ...described }, secrets: part.secrets };
}

type Part = Pick<ServerDraft, 'yaml' | 'secrets'>;

function ofRemote({ type, url, headers, variables }: RegistryRemote, name: string, values: Values): Part {
  const yaml = { type: 'external', endpoint: values.fill(url, variables), transport: type };
  const needed = headers.filter(({ isRequired, isSecret, value }) => isRequired || isSecret || value !== undefined);
  const [header, ...others] = needed;
  if (header === undefined) return { yaml, secrets: [] };
  if (others.length > 0) {
    throw new UsageError(`The server asks for ${needed.length} headers, and one can be set`, {
      hint: `They are ${needed.map((one) => one.name).join(', ')}`,
    });
  }
  const secret = `${name}.${header.name.toLowerCase()}`;
  const scheme = /^([A-Za-z0-9._~+/-]+) \{[^{}]+\}$/.exec(header.value ?? '')?.[1];
  const auth = { type: 'key', header: header.name, ...(scheme === undefined ? {} : { scheme }), secret };
  return { yaml: { ...yaml, upstream_auth: auth }, secrets: [secret] };
}

function ofPackage(entry: RegistryPackage, values: Values): Part {
  const launcher = launcherOf(entry);
  const variables = entry.environmentVariables;
  const docker = launcher?.command === 'docker' ? variables.flatMap((variable) => ['-e', variable.name]) : [];
  const args = [
    ...(launcher?.before ?? []),
    ...docker,
    ...entry.runtimeArguments.flatMap((argument) => values.words(argument)),
    launcher?.what ?? entry.identifier,
    ...entry.packageArguments.flatMap((argument) => values.words(argument)),
  ];
  const declared = Object.fromEntries(variables.map((variable) => [variable.name, declaration(variable, values)]));
  return {
    yaml: {
      type: 'stdio',
      command: launcher?.command,
      args,
      ...(variables.length === 0 ? {} : { variables: declared }),
    },
    secrets: variables
      .filter((variable) => variable.isRequired === true && values.of(variable.name, variable) === undefined)
      .map((variable) => variable.name),
  };
}

function declaration(variable: RegistryKeyed, values: Values): object {
  const value = variable.isSecret === true ? undefined : values.of(variable.name, variable);
  return {
    ...(variable.description === undefined || variable.description === '' ? {} : { description: variable.description }),
    ...(variable.isSecret === true ? { secret: true } : {}),
    ...(variable.isRequired === true ? { required: true } : {}),
    ...(value === undefined ? {} : { value }),
  };
}

/** How a package is started; undefined for one that can't be. */
function launcherOf({ registryType, identifier, version, transport }: RegistryPackage) {
  if (transport.type !== 'stdio') return undefined;
  const at = (mark: string) => (version === undefined ? identifier : `${identifier}${mark}${version}`);
  if (registryType === 'npm') return { command: 'npx', before: ['-y'], what: at('@') };
  if (registryType === 'pypi') return { command: 'uvx', before: [], what: at('==') };
  if (registryType === 'oci') {
    // An identifier of an image may name its version already.
    const tagged = /[:@][^/]*$/.test(identifier) ? identifier : at(':');
    return { command: 'docker', before: ['run', '-i', '--rm'], what: tagged };
  }
  return undefined;
}

/** Values that an entry leaves open: those that were given, else its own. */
class Values {
  readonly #given: ReadonlyMap<string, string>;
  readonly #missing = new Set<string>();

  constructor(given: ReadonlyMap<string, string>) {
    this.#given = given;
  }

  /** @throws UsageError for an entry's own value that would be read as a secret of this instance */
  of(name: string, { value, default: fallback }: Pick<RegistryKeyed, 'value' | 'default'>): string | undefined {
    const given = this.#given.get(name);
    const own = value ?? fallback;
    if (given !== undefined || own === undefined) return given;
    if (!own.includes('${secret:')) return own;
    throw new UsageError(`The entry asks for a secret of this instance as ${name.slice(0, 200)}`, {
      hint: `Which secrets a server gets is yours to say: --set ${name.slice(0, 200)}=<value>`,
    });
  }

  /** The words of one argument: none for one that is neither required nor given. */
  words(argument: RegistryArgument): string[] {
    const { type, name = '', valueHint, isRequired, variables } = argument;
    const called = type === 'named' ? name.replace(/^-+/, '') : (valueHint ?? 'value');
    const value = this.of(called, argument);
    if (value === undefined) {
      if (isRequired === true) this.#missing.add(called);
      return [];
    }
    const filled = this.fill(value, variables);
    return type === 'named' ? [name, ...(filled === '' ? [] : [filled])] : [filled];
  }

  /** A text with what is in braces filled in. */
  fill(text: string, variables: RegistryKeyed['variables']): string {
    return text.replaceAll(/\{([^{}]+)\}/g, (whole, name: string) => {
      const value = this.of(name, variables?.[name] ?? {});
      if (value === undefined) this.#missing.add(name);
      return value ?? whole;
    });
  }

  refuseMissing(): void {
    if (this.#missing.size === 0) return;
    const names = [...this.#missing];
    throw new UsageError(`The server needs ${names.length === 1 ? 'a value' : 'values'}: ${names.join(', ')}`, {
      hint: `Say ${names.map((name) => `--set ${name}=<value>`).join(' ')}`,
    });
  }
}

function common(description: string, { scopes }: DraftOptions): object {
  return { description, oauth: { scopes: [...scopes] } };
}

/** @throws UsageError for a name that was given and is none */
function nameOf(given: string | undefined, found: string): string {
  if (given !== undefined) {
    if (serverNameForm.test(given)) return given;
    throw new UsageError('That is no name for a server', {
      hint: 'Lower-case letters, digits and dashes, a letter first, 50 at most',
    });
  }
  const name = found
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+/, '')
    .replace(/-+$/, '')
    .slice(0, 50);
  if (serverNameForm.test(name)) return name;
  throw new UsageError('No name follows from that', { hint: 'Give it one: --name <name>' });
}

/** `@scope/server-files@1.2.0` is `files` to people. */
function bareName(word: string): string {
  const last = word.split('/').at(-1) ?? word;
  const bare = last.split(/@|==/)[0] ?? last;
  const short = bare
    .replace(/\.[a-z]{1,4}$/, '')
    .replace(/^(mcp-server-|server-|mcp-)/, '')
    .replace(/(-mcp-server|-mcp|-server)$/, '');
  return short === '' ? bare : short;
}
