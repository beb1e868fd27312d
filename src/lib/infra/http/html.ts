/** Text that is HTML already: made by `html` alone, so that nothing gets into a page unescaped. */
export class Html {
  readonly #text: string;

  /** @internal for `html` */
  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

/** What may stand in a template: text is escaped, lists are joined, and what is absent leaves nothing. */
export type HtmlValue = Html | string | number | false | null | undefined | readonly HtmlValue[];

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/**
 * Makes HTML of a template. Values are escaped so that they are safe in text and in quoted attributes; they must not
 * stand in names, unquoted attributes, `<script>` or `<style>`.
 */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  let text = strings[0] ?? '';
  values.forEach((value, index) => {
    text += textOf(value) + (strings[index + 1] ?? '');
  });
  return new Html(text);
}

function textOf(value: HtmlValue): string {
  if (value instanceof Html) return value.toString();
  if (Array.isArray(value)) return value.map(textOf).join('');
  if (value === undefined || value === null || value === false) return '';
  return String(value).replace(/[&<>"']/g, (character) => entities[character] ?? '');
}

/** Characters that draw nothing, or turn the direction of what follows: a name made of them could pose as another. */
const invisible = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}]/gu;

/** A name that somebody else chose, fit to be shown: one line, visible characters, `max` of them at most. */
export function plainName(name: string, max = 80): string {
  const letters = Array.from(name.replace(/\s+/g, ' ').replace(invisible, '').trim());
  return letters.length <= max ? letters.join('') : `${letters.slice(0, max - 1).join('')}…`;
}
