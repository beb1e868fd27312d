import { PreconditionError } from 'systemprompt';
import type { RequestContext } from 'systemprompt/mcp';

/** What each kind of work is done with: one of these keys is enough. */
const keys = {
  search: ['GEMINI_API_KEY'],
  text: ['ANTHROPIC_API_KEY', 'OPENAI_API_KEY', 'GEMINI_API_KEY'],
  image: ['GEMINI_API_KEY', 'OPENAI_API_KEY'],
} as const;

const works = {
  search: 'search the web',
  text: 'write text',
  image: 'make pictures',
} as const;

/**
 * Whatever a model does is asked for here, before anything else is done.
 * @throws PreconditionError naming the missing key; with a key, that this version has no model provider
 */
export function requireProvider(context: RequestContext, work: keyof typeof keys): never {
  const names: readonly string[] = keys[work];
  const { name } = context.server;
  const set = names.filter((key) => context.secrets.get(key) !== undefined);
  if (set.length === 0) {
    const [first = ''] = names;
    throw new PreconditionError(`To ${works[work]}, ${name} needs ${names.join(' or ')}, and none is set`, {
      hint: 'Whoever runs this instance sets it there; a value given in a chat is no longer a secret',
      next: [`cloud secrets set ${first} --server ${name}`],
      data: { missing: [...names] },
    });
  }
  throw new PreconditionError(`This version of systemprompt has no model provider that could use ${set.join(', ')}`, {
    hint: 'The prompt write_post gives the brief of a post to a model of your own',
    data: { missing: ['provider'] },
  });
}
