/** How sure a rule is that its words are meant for a model and not for a reader. */
export type Severity = 'high' | 'medium';

/** One thing that is looked for in a text. */
export interface Rule {
  /** `<family>.<what>` */
  readonly name: string;
  readonly severity: Severity;
  /** The part of the text that it goes by; nothing when there is none. */
  readonly find: (text: string) => string | undefined;
}

/** A rule of patterns; the first that is found counts. Patterns are bounded: matching stays linear. */
export function patterns(name: string, severity: Severity, ...sources: readonly RegExp[]): Rule {
  return {
    name,
    severity,
    find(text) {
      for (const source of sources) {
        const found = source.exec(text);
        if (found !== null) return found[0];
      }
      return undefined;
    },
  };
}
