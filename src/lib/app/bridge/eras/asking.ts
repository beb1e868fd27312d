import { randomUUID } from 'node:crypto';
import { isRecord } from '../../router/jsonrpc.ts';
import { asObject, type Json, without } from './json.ts';

/**
 * What a server may ask of its client: a request of its own up to 2025-11-25, part of an `input_required` result since
 * (SEP-2322).
 */
export interface Question {
  readonly method: string;
  readonly params: Json;
}

const methods: ReadonlySet<string> = new Set(['elicitation/create', 'sampling/createMessage', 'roots/list']);

export function isQuestion(method: unknown): method is string {
  return typeof method === 'string' && methods.has(method);
}

/** The questions of an `input_required` result by the server's keys; a text says what is wrong with them. */
export function readQuestions(result: Json): ReadonlyMap<string, Question> | string {
  const asked = result['inputRequests'];
  if (asked === undefined || asked === null) return new Map();
  if (!isRecord(asked)) return 'inputRequests is not an object';
  const questions = new Map<string, Question>();
  for (const [key, question] of Object.entries(asked)) {
    if (!isRecord(question) || !isQuestion(question['method'])) return 'an input request is of no known kind';
    questions.set(key, { method: question['method'], params: asObject(question['params']) });
  }
  return questions;
}

/** What a client must be able to do to answer; both eras declare it in the same words. */
function neededFor({ method, params }: Question): Json {
  if (method === 'roots/list') return { roots: {} };
  if (method === 'elicitation/create') return { elicitation: { [params['mode'] === 'url' ? 'url' : 'form']: {} } };
  const tools = params['tools'] !== undefined || params['toolChoice'] !== undefined;
  return { sampling: tools ? { tools: {} } : {} };
}

/** What of that a client has not declared; nothing when it can answer. */
export function missingFor(question: Question, capabilities: Json): Json | undefined {
  const [[name, members] = ['', {}]] = Object.entries(neededFor(question));
  const declared = capabilities[name];
  if (!isRecord(declared)) return { [name]: members };
  // 2025-11-25: `elicitation: {}` means forms.
  const plain = name === 'elicitation' && declared['form'] === undefined && declared['url'] === undefined;
  const lacking = Object.keys(asObject(members)).filter(
    (member) => declared[member] === undefined && !(plain && member === 'form'),
  );
  return lacking.length === 0 ? undefined : { [name]: Object.fromEntries(lacking.map((member) => [member, {}])) };
}

/** A legacy server's question as it is put into a result: without what only a request has. */
export function toModernQuestion({ method, params }: Question): Json {
  const meta = without(asObject(params['_meta']), 'progressToken', 'io.modelcontextprotocol/related-task');
  const rest = without(params, '_meta', 'task', ...(params['mode'] === 'url' ? ['elicitationId'] : []));
  const kept = Object.keys(meta).length === 0 ? rest : { ...rest, _meta: meta };
  if (method === 'roots/list' && Object.keys(kept).length === 0) return { method };
  return { method, params: kept };
}

/** A modern server's question as a legacy request: an address to open has had an id of its own up to 2025-11-25. */
export function toLegacyQuestion({ method, params }: Question): Question {
  if (method !== 'elicitation/create' || params['mode'] !== 'url') return { method, params };
  return { method, params: { elicitationId: randomUUID(), ...params } };
}

/** Whether what a client gave answers such a question at all; its contents are for the server to judge. */
export function answers({ method }: Question, given: unknown): given is Json {
  if (!isRecord(given)) return false;
  if (method === 'roots/list') return Array.isArray(given['roots']);
  if (method === 'elicitation/create') return typeof given['action'] === 'string';
  return typeof given['role'] === 'string' && given['content'] !== undefined;
}
