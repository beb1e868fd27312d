import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { stringify } from 'yaml';
import type { z } from 'zod';
import { createGuardedFetch } from '../../infra/http/guarded-fetch.ts';
import { NotFoundError, UpstreamFailedError, UsageError } from '../../shared/errors.ts';
import { type DraftOptions, draftOfCommand, draftOfEntry, draftOfUrl, type ServerDraft } from './draft.ts';
import { type RegistryEntry, registryAnswerSchema, registryEntrySchema } from './registry-entry.ts';

/** The registry that is asked for names, unless another is configured. */
export const publicRegistry = 'https://registry.modelcontextprotocol.io';

/** Namespace and name, and after an @ the version: `io.github.acme/files@1.2.0`. */
const registryName = /^([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+\/[A-Za-z0-9._-]+)(?:@([A-Za-z0-9._+-]+))?$/;
const maxBytes = 1_000_000;
const timeoutMs = 15_000;

/**
 * What a server would be written as, from whatever names it: a name of the registry, an address, a `server.json`, or a
 * command.
 * @param cwd where files are looked for
 * @throws UsageError for what is none of them or leaves something open; NotFoundError; UpstreamFailedError when the
 *   registry can't be asked
 */
export async function draftFrom(
  source: string,
  options: DraftOptions & { readonly registry: string; readonly cwd: string },
): Promise<ServerDraft> {
  const words = wordsOf(source);
  const [word] = words;
  if (word === undefined)
    throw new UsageError('There is nothing to add', { hint: 'Name a server, an address or a command' });
  if (words.length > 1) return draftOfCommand(words, options);
  if (/^https?:\/\//.test(word)) {
    if (!URL.canParse(word)) throw new UsageError('That is no address', { hint: 'Write it as https://host/path' });
    if (!new URL(word).pathname.endsWith('.json')) return draftOfUrl(word, options);
    return draftOfEntry(await fetched(word, registryEntrySchema), options);
  }
  if (word.endsWith('.json')) return draftOfEntry(await entryOfFile(resolve(options.cwd, word)), options);
  const named = registryName.exec(word);
  if (named === null) return draftOfCommand(words, options);
  const [, name = '', version = 'latest'] = named;
  const base = options.registry.replace(/\/+$/, '');
  const address = `${base}/v0.1/servers/${encodeURIComponent(name)}/versions/${encodeURIComponent(version)}`;
  return draftOfEntry((await fetched(address, registryAnswerSchema)).server, options);
}

/** What the file of a server would say, as people read it. */
export function draftText({ name, yaml }: Pick<ServerDraft, 'name' | 'yaml'>): string {
  return stringify({ mcp_servers: { [name]: yaml } }).trimEnd();
}

/** Splits at blanks that are not in quotes. @throws UsageError for a quote that is not closed */
function wordsOf(source: string): string[] {
  if (/^(?:[^'"]|'[^']*'|"[^"]*")*$/.test(source)) {
    const found = source.match(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g) ?? [];
    return found.map((word) => word.replaceAll(/'([^']*)'|"([^"]*)"/g, (_, single, double) => single ?? double));
  }
  throw new UsageError('A quote is not closed', { hint: 'Close it' });
}

async function entryOfFile(path: string): Promise<RegistryEntry> {
  const text = await readFile(path, 'utf8').catch(() => {
    throw new NotFoundError(`There is no file ${path}`, { hint: 'Write the path of a server.json' });
  });
  return checked(text, path, registryEntrySchema);
}

/** An admin names the address, so it may be one of a private network. */
async function fetched<T>(address: string, schema: z.ZodType<T>): Promise<T> {
  const answer = await createGuardedFetch()(address, { maxBytes, timeoutMs, privateNetwork: true }).catch(
    (error: unknown) => {
      throw new UpstreamFailedError(`${new URL(address).origin} can't be asked`, {
        cause: error,
        hint: 'Look at the address and the network, or name an address or a command instead',
      });
    },
  );
  if (answer.status === 404) {
    throw new NotFoundError(`There is no such entry at ${new URL(address).origin}`, {
      hint: 'Names are written as the registry has them: io.github.acme/files, with @<version> for another than the latest',
    });
  }
  if (answer.status !== 200) {
    throw new UpstreamFailedError(`${new URL(address).origin} answered ${answer.status}`, {
      hint: 'Try it again later',
    });
  }
  return checked(answer.body.toString('utf8'), address, schema);
}

function checked<T>(text: string, where: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${where} is no JSON`, { cause: error, hint: 'Name a server.json' });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [first] = parsed.error.issues;
  throw new UsageError(`${where} is no server.json: ${first?.path.join('.') ?? ''} ${first?.message ?? ''}`.trim(), {
    hint: 'Its form is that of the public MCP registry',
  });
}
