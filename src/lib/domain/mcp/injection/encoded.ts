/** A text that was hidden in another one by an encoding. */
export interface Decoded {
  readonly rule: string;
  readonly text: string;
}

/** Most texts that are decoded from one: enough for a look, and an end. */
const limit = 20;

/** What a text holds in encoded form that reads like words. What is data (a hash, an image) does not. */
export function decodedTexts(text: string): Decoded[] {
  const found: Decoded[] = [];
  const add = (rule: string, decoded: string | undefined) => {
    if (decoded !== undefined && found.length < limit && readsLikeWords(decoded)) found.push({ rule, text: decoded });
  };
  for (const [run] of text.matchAll(/[A-Za-z0-9+/_-]{24,8192}={0,2}/g)) {
    add('encoded.base64', Buffer.from(run.replaceAll('-', '+').replaceAll('_', '/'), 'base64').toString('utf8'));
  }
  for (const [run] of text.matchAll(/(?:[0-9a-fA-F]{2}[ :]?){16,4096}/g)) {
    add('encoded.hex', Buffer.from(run.replace(/[ :]/g, ''), 'hex').toString('utf8'));
  }
  for (const [run] of text.matchAll(/(?:\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\u\{[0-9a-fA-F]{1,6}\}){6,1024}/g)) {
    add('encoded.escapes', unescaped(run, /\\(?:x|u\{?)([0-9a-fA-F]{1,6})\}?/g, 16));
  }
  for (const [run] of text.matchAll(/(?:&#(?:x[0-9a-fA-F]{1,6}|[0-9]{1,7});){6,1024}/gi)) {
    const decimal = run.replace(/&#x([0-9a-f]{1,6});/gi, (_, digits: string) => `&#${Number.parseInt(digits, 16)};`);
    add('encoded.entities', unescaped(decimal, /&#([0-9]{1,7});/g, 10));
  }
  for (const [run] of text.matchAll(/(?:%[0-9a-fA-F]{2}|[A-Za-z]){0,200}(?:%[0-9a-fA-F]{2}[A-Za-z]{0,20}){4,400}/g)) {
    add('encoded.percent', percentDecoded(run));
  }
  for (const [run] of text.matchAll(/(?:[01]{8}[ ]?){8,512}/g)) {
    add('encoded.binary', unescaped(run, /([01]{8})/g, 2));
  }
  return found;
}

/** Forms of the whole text that are read only by those who know how. */
export function disguises(text: string): Decoded[] {
  const letters = text.toLowerCase();
  const rot13 = letters.replace(/[a-z]/g, (letter) => String.fromCharCode(((letter.charCodeAt(0) - 84) % 26) + 97));
  const spaced = /(?:\b[a-z][ ._-]){7,200}[a-z]\b/.exec(letters)?.[0];
  return [
    { rule: 'encoded.rot13', text: rot13 },
    { rule: 'encoded.reversed', text: [...letters].reverse().join('') },
    ...(spaced === undefined ? [] : [{ rule: 'encoded.spaced', text: respaced(spaced) }]),
  ];
}

/** `i g n o r e   a l l`: single letters, words apart by more than one separator; where they are not, without spaces. */
function respaced(text: string): string {
  return text.replace(/([a-z])[ ._-](?=[a-z])/g, '$1').replace(/[ ._-]+/g, ' ');
}

function unescaped(text: string, unit: RegExp, radix: number): string {
  return [...text.matchAll(unit)]
    .map(([, digits]) => Number.parseInt(digits ?? '0', radix))
    .map((code) => (code > 0x10ffff ? '' : String.fromCodePoint(code)))
    .join('');
}

function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined; // not UTF-8, so no text
  }
}

/** At least three words, and nearly nothing that is not written. */
function readsLikeWords(text: string): boolean {
  const printable = text.replace(/[^\p{L}\p{N}\p{P}\p{Zs}\n]/gu, '').length;
  if (printable < text.length * 0.9 || text.includes('\ufffd')) return false;
  return (text.match(/\p{L}{2,}(?:[\s.,:;!?'"/]|$)/gu)?.length ?? 0) >= 3 && /\s/.test(text);
}
