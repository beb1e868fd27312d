const redacted = '[redacted]';
/** A shorter one would blank innocent text all over. */
const minLength = 4;
/** A line of a secret that has several is looked for by itself from this length on. */
const minLineLength = 8;
/** With more forms than that, those of calls that have ended make room. */
const limit = 2_000;
/** Each form is looked for in each line: more of them would hold up the loop. */
const hardLimit = 20_000;

/** Texts to look for, each with how many have asked for it. */
class Forms {
  readonly #counts = new Map<string, number>();
  /** The longest first: a secret may begin with another one. */
  #sorted: readonly string[] | undefined;

  get size(): number {
    return this.#counts.size;
  }

  add(forms: readonly string[]): void {
    for (const form of forms) this.#counts.set(form, (this.#counts.get(form) ?? 0) + 1);
    this.#sorted = undefined;
  }

  remove(forms: readonly string[]): void {
    for (const form of forms) {
      const count = (this.#counts.get(form) ?? 0) - 1;
      if (count > 0) this.#counts.set(form, count);
      else this.#counts.delete(form);
    }
    this.#sorted = undefined;
  }

  blank(text: string): string {
    this.#sorted ??= [...this.#counts.keys()].sort((a, b) => b.length - a.length);
    let clean = text;
    for (const form of this.#sorted) if (clean.includes(form)) clean = clean.replaceAll(form, redacted);
    return clean;
  }
}

/**
 * Secrets that this process holds by value, so that they are found wherever they are quoted: as they are, and as JSON, a
 * URL or base64 would write them. Its own are kept apart from those of its callers.
 */
export class KnownSecrets {
  readonly #own = new Forms();
  readonly #callers = new Forms();
  /** Forget what is remembered only for the sake of late lines, the oldest first. */
  readonly #lingering = new Set<() => void>();

  /** Remembers a secret of the process itself, for good. */
  add(value: string): void {
    this.#own.add(formsOf(value));
  }

  /**
   * Remembers a secret that somebody has given for a call.
   * @returns forgets the value again, `lingerMs` after it was called: what is printed of a call may come after its end
   */
  addOfCall(value: string, lingerMs: number): () => void {
    for (const forget of this.#lingering) {
      if (this.#callers.size < limit) break;
      forget();
    }
    const forms = this.#callers.size < hardLimit ? formsOf(value) : [];
    this.#callers.add(forms);
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      const forget = (): void => {
        if (this.#lingering.delete(forget)) this.#callers.remove(forms);
      };
      this.#lingering.add(forget);
      setTimeout(forget, lingerMs).unref();
    };
  }

  /** The text without any of them: for logs. */
  blank(text: string): string {
    return this.#callers.blank(this.#own.blank(text));
  }

  /** The text without those of the process: for callers, who could else find out by it what others have given. */
  blankOwn(text: string): string {
    return this.#own.blank(text);
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
