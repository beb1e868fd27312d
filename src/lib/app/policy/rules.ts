import { blankSecrets, scanForSecrets } from '../../domain/governance/index.ts';
import type { ToolHook } from '../../domain/mcp/index.ts';
import { mapTexts, someText, valuesAt } from './values.ts';

type Of<T extends ToolHook['type']> = Extract<ToolHook, { type: T }>;

/** What a rule says of a call's arguments. */
export type RuleVerdict =
  | { readonly verdict: 'allow' }
  | { readonly verdict: 'deny'; readonly reason: string }
  | { readonly verdict: 'ask'; readonly reason: string }
  | { readonly verdict: 'rewrite'; readonly reason: string; readonly input: unknown };

export type Rule = (input: unknown) => RuleVerdict;

const allow: RuleVerdict = { verdict: 'allow' };

/** A rule that looks at arguments and needs nobody else to say what it thinks of them. */
export async function ruleOf(hook: Of<'secrets' | 'deny' | 'ask' | 'schema'>): Promise<Rule> {
  if (hook.type === 'secrets') return hook.on.includes('input') ? secretsRule(hook) : () => allow;
  if (hook.type === 'schema') return await schemaRule(hook);
  const matches = argumentsMatcher(hook.arguments);
  const verdict = hook.type;
  const reason = hook.reason ?? (verdict === 'deny' ? 'Not allowed here.' : 'A rule asks for one.');
  return (input) => (matches(input) ? { verdict, reason } : allow);
}

function secretsRule({ action }: Of<'secrets'>): Rule {
  return (input) => {
    const kinds = secretKinds(input);
    if (kinds.length === 0) return allow;
    const reason = `The arguments hold a secret: ${kinds.join(', ')}.`;
    if (action === 'deny') return { verdict: 'deny', reason };
    return { verdict: 'rewrite', reason, input: withoutSecrets(input) };
  };
}

/** The kinds of secret anywhere in a value. */
export function secretKinds(value: unknown): string[] {
  const kinds = new Set<string>();
  someText(value, (text) => {
    for (const { kind } of scanForSecrets(text)) kinds.add(kind);
    return false;
  });
  return [...kinds];
}

export function withoutSecrets(value: unknown): unknown {
  return mapTexts(value, blankSecrets);
}

function argumentsMatcher(patterns: Readonly<Record<string, string>> | undefined): (input: unknown) => boolean {
  if (patterns === undefined) return () => true;
  const all = Object.entries(patterns).map(([path, source]) => ({ path, pattern: new RegExp(source, 'u') }));
  return (input) =>
    all.every(({ path, pattern }) => {
      const values = path === '*' ? [input] : valuesAt(input, path);
      return values.some((value) => someText(value, (text) => pattern.test(text)));
    });
}

async function schemaRule({ schema, reason }: Of<'schema'>): Promise<Rule> {
  const holds = await compileSchema(schema);
  return (input) => {
    const fault = holds(input);
    return fault === undefined ? allow : { verdict: 'deny', reason: reason ?? `The arguments do not hold: ${fault}.` };
  };
}

/**
 * A check by a JSON Schema, which says where a value does not hold; never what the value is.
 * @throws Error when it is no schema
 */
export async function compileSchema(
  schema: Readonly<Record<string, unknown>>,
): Promise<(value: unknown) => string | undefined> {
  // The SDK's own copy of Ajv; loaded by who has such a rule only.
  const { Ajv, addFormats } = await import('@modelcontextprotocol/server/validators/ajv');
  const ajv = new Ajv({ strict: false, strictSchema: true, logger: false });
  addFormats(ajv);
  // What it does not know (words of a later draft, say) is refused: a rule that is half looked at would be none.
  const validate = ajv.compile({ ...schema });
  return (value) => {
    if (validate(value) === true) return undefined;
    const [first] = validate.errors ?? [];
    return `${first?.instancePath === undefined || first.instancePath === '' ? 'they' : first.instancePath} ${first?.message ?? 'do not fit'}`;
  };
}
