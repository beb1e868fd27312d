const LONGEST = 64;

/**
 * A name from a file or the command line as it is shown in a message: in backquotes, shortened, and without characters
 * that a terminal would obey.
 */
export function quoted(name: string): string {
  const short = name.length > LONGEST ? `${name.slice(0, LONGEST)}…` : name;
  const harmless = short.replaceAll(/[^\P{C}]/gu, (character) => {
    return `\\u{${character.codePointAt(0)?.toString(16)}}`;
  });
  return `\`${harmless}\``;
}
