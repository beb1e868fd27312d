import type { YamlPath } from './yaml-document.ts';

const PLAIN = /^[A-Za-z0-9_-]+$/;

/** A path as people write it: `server.port`, `agents[0].name`, `env["A.B"]`. */
export function dottedPath(path: YamlPath): string {
  return path
    .map((step, index) => {
      if (typeof step === 'number') return `[${step}]`;
      if (!PLAIN.test(step)) return `[${JSON.stringify(step)}]`;
      return index === 0 ? step : `.${step}`;
    })
    .join('');
}

/** The way back from {@link dottedPath}; undefined for what is no path. A number after a dot is one too: `list.0`. */
export function parseDottedPath(text: string): (string | number)[] | undefined {
  const path: (string | number)[] = [];
  const step = /\.?([A-Za-z0-9_-]+)|\[(\d{1,6})\]|\.?\[("(?:[^"\\]|\\.)*")\]/y;
  while (step.lastIndex < text.length) {
    const at = step.lastIndex;
    const match = step.exec(text);
    if (match === null || (match[0].startsWith('.') === (at === 0) && match[1] !== undefined)) return undefined;
    const [, name, index, key] = match;
    if (key !== undefined) {
      const parsed = parsedKey(key);
      if (parsed === undefined) return undefined;
      path.push(parsed);
    } else path.push(index === undefined ? (name ?? '') : Number(index));
  }
  return path.length === 0 ? undefined : path;
}

function parsedKey(text: string): string | undefined {
  try {
    return JSON.parse(text) as string;
  } catch {
    // A stray backslash: no path.
    return undefined;
  }
}
