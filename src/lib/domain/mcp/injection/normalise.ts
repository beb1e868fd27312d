/** Letters of other alphabets that look like those of ours, small ones: what people read as a Latin word. */
const lookAlikes: Readonly<Record<string, string>> = {
  а: 'a',
  в: 'b',
  с: 'c',
  е: 'e',
  ё: 'e',
  һ: 'h',
  і: 'i',
  ї: 'i',
  ј: 'j',
  к: 'k',
  м: 'm',
  н: 'h',
  о: 'o',
  р: 'p',
  ѕ: 's',
  т: 't',
  у: 'y',
  х: 'x',
  ԁ: 'd',
  ԛ: 'q',
  ԝ: 'w',
  ӏ: 'l',
  α: 'a',
  β: 'b',
  ε: 'e',
  η: 'n',
  ι: 'i',
  κ: 'k',
  ν: 'v',
  ο: 'o',
  ρ: 'p',
  τ: 't',
  υ: 'u',
  χ: 'x',
  ɑ: 'a',
  ɡ: 'g',
  ı: 'i',
  ʟ: 'l',
  ɴ: 'n',
  ʀ: 'r',
  ᴀ: 'a',
  ᴄ: 'c',
  ᴅ: 'd',
  ᴇ: 'e',
  ᴏ: 'o',
  ᴛ: 't',
  ᴜ: 'u',
};
const lookAlike = new RegExp(`[${Object.keys(lookAlikes).join('')}]`, 'gu');

/** Characters that are not seen, whatever they are for. */
const unseen = /\p{Default_Ignorable_Code_Point}|\p{Cf}/gu;

/**
 * The text as people read it: compatibility forms folded (NFKC), what is not seen left out, look-alikes of other alphabets
 * as the Latin letters that they look like, small letters, single spaces.
 */
export function asRead(text: string): string {
  return foldLookAlikes(text.normalize('NFKC').replace(unseen, '').toLowerCase())
    .replace(/[\u2018\u2019\u02bc]/gu, "'")
    .replace(/\s+/gu, ' ')
    .trim();
}

/** Only words that mix alphabets are folded, or that stand for Latin ones among Latin ones: a Russian sentence stays one. */
function foldLookAlikes(text: string): string {
  if (!/[^\p{ASCII}]/u.test(text)) return text;
  const words = text.match(/[\p{L}\p{M}]+/gu) ?? [];
  const foreign = words.some(
    (word) => /[\p{Script=Cyrillic}\p{Script=Greek}]/u.test(folded(word)) && !/[a-z]/.test(word),
  );
  return text.replace(/[\p{L}\p{M}]+/gu, (word) => (/[a-z]/.test(word) || !foreign ? folded(word) : word));
}

function folded(word: string): string {
  return word.replace(lookAlike, (letter) => lookAlikes[letter] ?? letter);
}

/** Hidden characters written out, for people to see: `\u{200b}`. Cut off after `limit` characters. */
export function visible(text: string, limit = 160): string {
  const cut = text.length > limit ? `${text.slice(0, limit)}…` : text;
  return cut
    .toWellFormed()
    .replace(/[\r\n\t]+/g, ' ')
    .replace(
      /\p{Cc}|\p{Cf}|\p{Co}|\p{Zl}|\p{Zp}|(?=\P{M})\p{Default_Ignorable_Code_Point}|[\u{e0100}-\u{e01ef}]/gu,
      (char) => {
        const code = char.codePointAt(0) ?? 0;
        return `\\u{${code.toString(16)}}`;
      },
    );
}
