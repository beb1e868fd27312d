/** A URI template of RFC 6570, as far as it can also be read backwards: `{name}`, `{+path}` and `{?a,b}` at the end. */
export interface UriTemplate {
  readonly text: string;
  readonly variables: readonly string[];
  /** The variables of a URI that is of this template; undefined for any other. */
  match(uri: string): Record<string, string> | undefined;
  /** The URI with these values. @throws TypeError when one is missing that a path needs */
  expand(values: Readonly<Record<string, string>>): string;
}

type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'simple' | 'reserved'; readonly name: string }
  | { readonly kind: 'query'; readonly names: readonly string[] };

const nameForm = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

/** @throws TypeError saying what is wrong with it */
export function parseUriTemplate(text: string): UriTemplate {
  const wrong = (what: string): TypeError => new TypeError(`URI template "${text}": ${what}`);
  if (text.length > 500) throw wrong('it is longer than 500 characters');
  const parts = partsOf(text, wrong);
  const variables = parts.flatMap((part) =>
    part.kind === 'text' ? [] : part.kind === 'query' ? part.names : [part.name],
  );
  if (variables.length === 0) throw wrong('it has no {variable}: define a resource with this URI instead');
  const twice = variables.find((name, index) => variables.indexOf(name) !== index);
  if (twice !== undefined) throw wrong(`it has {${twice}} twice`);
  parts.forEach((part, index) => {
    const next = parts[index + 1];
    if (part.kind === 'query' && next !== undefined) throw wrong('{?…} must be at its end');
    if (part.kind !== 'text' && next !== undefined && next.kind !== 'text' && next.kind !== 'query')
      throw wrong('two variables need something between them');
  });
  const sample = expandParts(parts, Object.fromEntries(variables.map((name) => [name, 'x'])), wrong);
  const [first] = parts;
  if (first?.kind !== 'text' || !/^[A-Za-z][A-Za-z0-9+.-]*:/.test(first.text) || !URL.canParse(sample))
    throw wrong('it must begin with a scheme, such as notes://{id}');
  const pattern = new RegExp(`^${parts.map(patternOf).join('')}$`);
  return {
    text,
    variables,
    match: (uri) => matchParts(parts, pattern, uri),
    expand: (values) => expandParts(parts, values, wrong),
  };
}

function partsOf(text: string, wrong: (what: string) => TypeError): Part[] {
  const parts: Part[] = [];
  let rest = text;
  while (rest !== '') {
    const open = rest.search(/[{}]/);
    if (open === -1) return [...parts, { kind: 'text', text: rest }];
    if (open > 0) parts.push({ kind: 'text', text: rest.slice(0, open) });
    const close = rest.indexOf('}', open);
    if (rest[open] === '}' || close === -1) throw wrong('a brace is not closed, or not opened');
    parts.push(expressionOf(rest.slice(open + 1, close), wrong));
    rest = rest.slice(close + 1);
  }
  return parts;
}

function expressionOf(expression: string, wrong: (what: string) => TypeError): Part {
  const operator = /^[+?]/.exec(expression)?.[0] ?? '';
  const names = expression.slice(operator.length).split(',');
  const bad = names.find((name) => !nameForm.test(name));
  if (bad !== undefined) throw wrong(`{${expression}} is none of {name}, {+name} and {?name,name}`);
  if (operator === '?') return { kind: 'query', names };
  if (names.length > 1) throw wrong(`{${expression}} has several variables: give each its own braces`);
  return { kind: operator === '+' ? 'reserved' : 'simple', name: names[0] ?? '' };
}

function patternOf(part: Part): string {
  if (part.kind === 'text') return part.text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  if (part.kind === 'query') return '(?:\\?([^#]*))?';
  return part.kind === 'simple' ? '([^/?#]+)' : '([^?#]+)';
}

function matchParts(parts: readonly Part[], pattern: RegExp, uri: string): Record<string, string> | undefined {
  const found = pattern.exec(uri);
  if (found === null) return undefined;
  const values: [string, string][] = [];
  const groups = parts.filter((part) => part.kind !== 'text');
  for (const [index, part] of groups.entries()) {
    const text = found[index + 1];
    if (part.kind === 'query') {
      const given = new URLSearchParams(text ?? '');
      for (const name of part.names) {
        const value = given.get(name);
        if (value !== null) values.push([name, value]);
      }
      continue;
    }
    const value = decoded(text ?? '');
    if (value === undefined) return undefined;
    values.push([part.name, value]);
  }
  return Object.fromEntries(values);
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined; // a stray per cent sign: no URI of this template
  }
}

function expandParts(
  parts: readonly Part[],
  values: Readonly<Record<string, string>>,
  wrong: (what: string) => TypeError,
): string {
  return parts
    .map((part) => {
      if (part.kind === 'text') return part.text;
      if (part.kind === 'query') {
        const given = part.names.flatMap((name): [string, string][] =>
          name in values ? [[name, values[name] ?? '']] : [],
        );
        return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
      }
      const value = values[part.name];
      if (value === undefined || value === '') throw wrong(`there is no value for {${part.name}}`);
      return part.kind === 'simple' ? encodeURIComponent(value) : encodeURI(value);
    })
    .join('');
}
