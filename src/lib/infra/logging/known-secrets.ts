const redacted = '[redacted]';
/** A shorter one would blank innocent text all over. */
const minLength = 4;
/** A line of a secret that has several is looked for by itself from this length on. */
const minLineLength = 8;
/** With more forms than that, those of calls that have ended make room. */
const limit = 2_000;
/** Each form is looked for in each line: more of them would hold up the loop. */
const hardLimit = 20_000;

/**
 * Secrets that this process holds by value, so that they are found wherever they are quoted: as they are, and as JSON, a
 * URL or base64 would write them.
 */
export class KnownSecrets {
  /** Each form with how many have asked for it. */
  readonly #forms = new Map<string, number>();
  /** The longest first: a secret may begin with another one. */
  #sorted: readonly string[] | undefined;
  /** Forget what is remembered only for the sake of late lines, the oldest first. */
  readonly #lingering = new Set<() => void>();

  /**
   * @returns forgets the value again, `lingerMs` after it was called: what is printed of a call may come after its end
   */
  add(value: string, lingerMs = 0): () => void {
    for (const forget of this.#lingering) {
      if (this.#forms.size < limit) break;
      forget();
    }
    const forms = this.#forms.size < hardLimit ? formsOf(value) : [];
    for (const form of forms) this.#forms.set(form, (this.#forms.get(form) ?? 0) + 1);
    this.#sorted = undefined;
    let forgotten = false;
    return () => {
      if (forgotten) return;
      forgotten = true;
      if (lingerMs === 0) return this.#forget(forms);
      const forget = (): void => {
        if (this.#lingering.delete(forget)) this.#forget(forms);
      };
      this.#lingering.add(forget);
      setTimeout(forget, lingerMs).unref();
    };
  }

  /** The text without them. */
  blank(text: string): string {
    this.#sorted ??= [...this.#forms.keys()].sort((a, b) => b.length - a.length);
    let clean = text;
    for (const form of this.#sorted) if (clean.includes(form)) clean = clean.replaceAll(form, redacted);
    return clean;
  }

  #forget(forms: readonly string[]): void {
    for (const form of forms) {
      const count = (this.#forms.get(form) ?? 0) - 1;
      if (count > 0) this.#forms.set(form, count);
      else this.#forms.delete(form);
    }
    this.#sorted = undefined;
  }
}

function formsOf(value: string): string[] {
  if (value.trim().length < minLength) return [];
  const bytes = Buffer.from(value);
  const lines = value.includes('\n') ? value.split(/\r?\n/).filter((line) => line.length >= minLineLength) : [];
  const forms = [
    value,
    ...lines,
    JSON.stringify(value).slice(1, -1),
    encodeURIComponent(value.toWellFormed()),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
  ];
  return [...new Set(forms)];
}
