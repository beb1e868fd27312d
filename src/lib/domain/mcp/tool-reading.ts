import { maxToolName, toolNameFault } from '../../shared/tool-name.ts';
import { schemaFault } from './schema-fault.ts';
import type { RawTool } from './tools.ts';

/** Most characters of a tool's definition, most values in it, and how deep they may lie. No honest tool comes near. */
const toolLimits = { characters: 256 * 1024, values: 20_000, depth: 64, name: maxToolName } as const;

/** One entry of a list of tools, looked at. */
export interface ReadTool {
  readonly name: string;
  /** As it may be kept: what no text of PostgreSQL can hold is replaced, and a definition beyond the limits is left out. */
  readonly definition: RawTool;
  /** What callers and models see of the tool: what its digest is of. */
  readonly pinned: Readonly<Record<string, unknown>>;
  /** Why it is not offered to anybody, whatever the policy says. */
  readonly invalid: string | undefined;
}

const pinnedMembers = ['name', 'title', 'description', 'inputSchema', 'outputSchema', 'annotations'] as const;

/**
 * Reads a list of tools (`tools` of a tools/list result, from `JSON.parse`). Entries without a name are left out: nobody
 * could call them. A name that is listed twice belongs to no tool: which one would answer is not known.
 */
export function readTools(listed: readonly unknown[]): readonly ReadTool[] {
  const tools = new Map<string, ReadTool>();
  for (const entry of listed) {
    if (!isRecord(entry) || typeof entry['name'] !== 'string' || entry['name'] === '') continue;
    const tool = readTool(entry);
    const same = tools.get(tool.name);
    tools.set(tool.name, same === undefined ? tool : { ...tool, invalid: 'The server lists this name more than once' });
  }
  return [...tools.values()];
}

/** One tool, looked at. @param entry an object with a name */
export function readTool(entry: RawTool): ReadTool {
  const whole = String(entry['name']);
  const flaw = excess(entry);
  const name = storable(whole.slice(0, toolLimits.name)) as string;
  if (flaw !== undefined) {
    const kept = { name, inputSchema: { type: 'object' } };
    return { name, definition: kept, pinned: { ...kept, excess: flaw }, invalid: flaw };
  }
  const pinned: Record<string, unknown> = {};
  for (const member of pinnedMembers) if (entry[member] !== undefined) pinned[member] = entry[member];
  return { name, definition: storable(entry) as RawTool, pinned, invalid: fault(entry, whole) };
}

/** What makes an entry no tool of MCP that a client could take. */
function fault(entry: RawTool, name: string): string | undefined {
  const flaw = toolNameFault(name);
  if (flaw !== undefined) return `Its name ${flaw}`;
  const { title, description, inputSchema, outputSchema, annotations } = entry;
  if (title !== undefined && typeof title !== 'string') return 'Its title is no text';
  if (description !== undefined && typeof description !== 'string') return 'Its description is no text';
  if (!isRecord(inputSchema) || inputSchema['type'] !== 'object') return 'Its input schema is none of an object';
  if (outputSchema !== undefined && !isRecord(outputSchema)) return 'Its output schema is no object';
  if (annotations !== undefined && !isRecord(annotations)) return 'Its annotations are no object';
  const broken = schemaFault(inputSchema, 'inputSchema') ?? (outputSchema && schemaFault(outputSchema, 'outputSchema'));
  return broken === undefined ? undefined : `It has no JSON Schema: ${broken.slice(0, 200)}`;
}

/** What of an entry goes beyond the limits. Walks without recursion: the depth is what is in question. */
function excess(entry: RawTool): string | undefined {
  const open: Place[] = [{ value: entry, depth: 0 }];
  let characters = 0;
  let values = 0;
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    values += 1;
    characters += ownCharacters(next.value);
    if (characters > toolLimits.characters) return `Its definition is longer than ${toolLimits.characters} characters`;
    if (typeof next.value !== 'object' || next.value === null) continue;
    if (next.depth >= toolLimits.depth) return `Its definition is nested deeper than ${toolLimits.depth} levels`;
    for (const value of Object.values(next.value)) {
      open.push({ value, depth: next.depth + 1 });
      if (open.length + values > toolLimits.values) return `Its definition has more than ${toolLimits.values} values`;
    }
  }
  return undefined;
}

interface Place {
  readonly value: unknown;
  readonly depth: number;
}

function ownCharacters(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (!isRecord(value)) return 0;
  return Object.keys(value).reduce((sum, name) => sum + name.length, 0);
}

/** The value with what `jsonb` refuses replaced: the character NUL, and halves of surrogate pairs. Depth was bounded. */
function storable(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed().replaceAll('\u0000', '\u2400');
  if (Array.isArray(value)) return value.map(storable);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [storable(name), storable(inner)]));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
