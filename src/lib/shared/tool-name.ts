/** Longest name of a tool, in characters. */
export const maxToolName = 256;

/** What makes a text no name of a tool, whoever uses it; nothing for one that a tool may have. */
export function toolNameFault(name: string): string | undefined {
  if (name.length > maxToolName) return `is longer than ${maxToolName} characters`;
  // Names are shown, written into rows and headers, and typed: what can't be seen has no place in them.
  if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/u.test(name)) return 'has characters that can not be seen';
  if (/^\.{1,2}$|(?:^|[/\\])\.\.(?:[/\\]|$)/.test(name)) return 'is a path';
  return undefined;
}
