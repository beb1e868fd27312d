import { patterns, type Rule } from './rule.ts';

/** Looked for in texts as they are: what people who look at them would not see. */
export const hiddenRules: readonly Rule[] = [
  // Tag characters spell text that no font shows; flags of regions are the one honest use (UTS #51, ED-14a).
  { name: 'hidden.tags', severity: 'high', find: tagText },
  patterns('hidden.bidi', 'high', /[\u202a-\u202e\u2066-\u2069].{0,80}/u),
  { name: 'hidden.zero_width', severity: 'high', find: zeroWidth },
  patterns('hidden.selectors', 'high', /[\u{e0100}-\u{e01ef}]|[\ufe00-\ufe0f]{2}/u),
  // Terminal control sequences (ECMA-48) rewrite what was printed before them; written out they come to be by a decoder.
  patterns('hidden.terminal', 'high', /\\(?:x1b|033|u001b|e)\[[0-9;]{0,20}[A-Za-z]/u),
  { name: 'hidden.control', severity: 'high', find: controls },
  patterns('hidden.private_use', 'medium', /\p{Co}/u),
  // Pushes what follows out of the window in which people look at it.
  patterns('hidden.padding', 'high', /\S[^\S\n]{60,}\S.{0,80}|\S(?:[^\S\n]*\n){12,}[^\S\n]*\S.{0,80}/u),
  { name: 'hidden.look_alikes', severity: 'high', find: mixedAlphabets },
  { name: 'hidden.styled_letters', severity: 'high', find: styledLetters },
];

const allowedControls: ReadonlySet<string> = new Set(['\t', '\n', '\r', '\u0085']);

function controls(text: string): string | undefined {
  for (const match of text.matchAll(/\p{Cc}/gu)) {
    if (!allowedControls.has(match[0])) return text.slice(match.index, match.index + 80);
  }
  return undefined;
}

function tagText(text: string): string | undefined {
  const found = /(\u{1f3f4})?[\u{e0001}-\u{e007f}]+/gu;
  for (const match of text.matchAll(found)) {
    if (match[1] !== undefined && /^\u{1f3f4}[\u{e0030}-\u{e0039}\u{e0061}-\u{e007a}]{2,6}\u{e007f}$/u.test(match[0]))
      continue;
    const spelt = [...match[0]].map((char) => String.fromCodePoint((char.codePointAt(0) ?? 0xe0020) & 0x7f)).join('');
    return `tag characters: ${spelt}`;
  }
  return undefined;
}

/** Joiners belong into emoji and into the scripts that need them; between other letters they only hide. */
function zeroWidth(text: string): string | undefined {
  const hidden =
    /[\p{Default_Ignorable_Code_Point}--[\u{202a}-\u{202e}\u{2066}-\u{2069}\u{fe00}-\u{fe0f}\u{e0000}-\u{e0fff}]]/gv;
  for (const match of text.matchAll(hidden)) {
    const at = match.index;
    const before = [...text.slice(Math.max(0, at - 4), at)].at(-1) ?? '';
    const after = [...text.slice(at + 1, at + 5)][0] ?? '';
    const joins = match[0] === '\u200d' || match[0] === '\u200c';
    if (
      joins &&
      /\p{Extended_Pictographic}|\p{Emoji_Modifier}|\ufe0f/u.test(before) &&
      /\p{Extended_Pictographic}/u.test(after)
    )
      continue;
    if (joins && needsJoiners.test(before) && needsJoiners.test(after)) continue;
    // A mark of direction beside a letter of a script that runs from right to left.
    if (/[\u200e\u200f\u061c]/u.test(match[0]) && /[\p{Script=Arabic}\p{Script=Hebrew}]/u.test(before + after))
      continue;
    return text.slice(Math.max(0, at - 20), at + 60);
  }
  return undefined;
}

const needsJoiners =
  /[\p{Script=Arabic}\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Tamil}\p{Script=Telugu}\p{Script=Malayalam}\p{Script=Kannada}\p{Script=Sinhala}\p{Script=Khmer}\p{M}]/u;

/** A word of Latin letters with some of another alphabet that look the same. */
function mixedAlphabets(text: string): string | undefined {
  for (const [word] of text.matchAll(/[\p{L}\p{M}]{3,}/gu)) {
    if (!/[a-z]/i.test(word)) continue;
    if (/\p{Script=Cyrillic}/u.test(word)) return word;
    // Units and symbols are written with single Greek letters: µs, Δt, kΩ.
    if (/[αεικνορτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ]/u.test(word) && word.length > 3) return word;
  }
  return undefined;
}

/** Letters in costume (mathematical, full-width, enclosed) that spell words: models read them, filters may not. */
function styledLetters(text: string): string | undefined {
  const styled =
    /(?:[\u{1d400}-\u{1d6a3}\u{ff21}-\u{ff3a}\u{ff41}-\u{ff5a}\u{24b6}-\u{24e9}\u{1f130}-\u{1f189}][\s']?){5,}/u;
  return styled.exec(text)?.[0];
}
