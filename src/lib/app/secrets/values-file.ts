import { secretName } from '../../infra/config/secret-reference.ts';
import { ConfigInvalidError, type ConfigIssue } from '../../shared/errors.ts';
import { parseDotenv, type ReadValues } from './dotenv.ts';

/**
 * Reads a file of secrets: a JSON object of texts, or lines of `NAME=value`.
 * @param file how findings name it
 * @throws ConfigInvalidError with every finding, none of which quotes a value
 */
export function readValuesFile(text: string, file: string): ReadonlyMap<string, string> {
  const json = file.endsWith('.json') || /^\s*\{/.test(text);
  const { values, issues } = json ? parseJsonValues(text, file) : parseDotenv(text, file);
  const names = [...values].flatMap(([name, value]) => wrongNameOrValue(file, name, value));
  const none = values.size === 0 && issues.length === 0 ? [at(file, 'there is no value in it')] : [];
  const all = [...issues, ...names, ...none];
  if (all.length > 0) throw new ConfigInvalidError(all.sort((a, b) => a.line - b.line));
  return values;
}

/** Why a text can't be the value of a secret; undefined when it can. */
export function refusedValue(value: string): string | undefined {
  if (value === '') return 'is empty';
  if (value.includes('\0')) return 'holds a NUL character, which no environment variable can';
  return value.isWellFormed() && !value.includes('\uFFFD') ? undefined : 'is no text in UTF-8';
}

function wrongNameOrValue(file: string, name: string, value: string): ConfigIssue[] {
  if (!secretName.test(name)) {
    return [
      at(
        file,
        `${JSON.stringify(name).slice(0, 80)} is no name for a secret`,
        'letters, digits, dots, dashes and underscores',
      ),
    ];
  }
  const reason = refusedValue(value);
  return reason === undefined ? [] : [at(file, `the value of ${name} ${reason}`)];
}

function parseJsonValues(text: string, file: string): ReadValues {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return { values: new Map(), issues: [at(file, 'it is not JSON')] }; // the parser's own error quotes the text
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    return { values: new Map(), issues: [at(file, 'it is no JSON object', 'write it as {"NAME": "value"}')] };
  }
  const values = new Map<string, string>();
  const issues: ConfigIssue[] = [];
  for (const [name, value] of Object.entries(parsed)) {
    if (typeof value === 'string') values.set(name, value);
    else issues.push(at(file, `the value of ${JSON.stringify(name).slice(0, 80)} is no text`, 'put it into quotes'));
  }
  return { values, issues };
}

function at(file: string, message: string, hint?: string): ConfigIssue {
  return { file, line: 1, column: 1, message, ...(hint === undefined ? {} : { hint }) };
}
