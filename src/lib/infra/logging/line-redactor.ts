import type { KnownSecrets } from './known-secrets.ts';
import { redactLogText, redactLogValue, textLimit } from './redact.ts';

const redacted = '[redacted]';
const begin = /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----/;
const end = /-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----/;
/** A line inside of a PEM block (RFC 7468, RFC 1421): base64 or a header, perhaps quoted or indented. */
const body =
  /^[\s>|"'`+]{0,40}(?:[A-Za-z0-9+/=]{1,200}|(?:Proc-Type|DEK-Info|Comment): [^\n]{0,200})?[\s"'`,+\\n]{0,40}$/;
/** A block of a 16,384-bit RSA key has 200 lines; a beginning without an end must not blank the log for good. */
const blockLimit = 250;
/** Lines of others that may stand between those of a block. */
const strangerLimit = 30;

/** Without a match (and within the length) there is nothing that the redaction of texts and members could change. */
const suspicious =
  /passw|passphrase|secret|token|credential|cookie|authorization|key|database[-_]?url|pwd|jwt|bearer|basic|dpop|eyJ|:\/\//i;
const calmLength = 8_000;

/** How many lines before a window of lines must be looked at so that a block which began there is known. */
export const redactionContext = blockLimit;

/**
 * Makes the lines of one stream fit for a log, in their order: what is secret by its look or its name, what is known to be
 * secret, and private keys that were printed over several lines.
 */
export class LineRedactor {
  readonly #secrets: KnownSecrets | undefined;
  readonly #limit: number;
  /** How many more lines may belong to the block that has begun; 0 outside of one. */
  #left = 0;
  #strangers = 0;

  /** @param limit characters of a text; what is beyond them is cut off */
  constructor(secrets?: KnownSecrets, limit = textLimit) {
    this.#secrets = secrets;
    this.#limit = limit;
  }

  redact(line: string): string {
    if (this.#left === 0 && this.#secrets === undefined && line.length <= calmLength && !suspicious.test(line))
      return line;
    const entry = line.startsWith('{') ? parsed(line) : undefined;
    if (entry === undefined) return this.#text(line);
    const { msg } = entry;
    const message = typeof msg === 'string' ? { msg: this.#text(msg) } : {};
    return JSON.stringify({ ...(redactLogValue(entry, { secrets: this.#secrets }) as object), ...message });
  }

  #text(text: string): string {
    if (this.#left > 0) {
      const rest = this.#inside(text);
      if (rest !== undefined) return rest;
    }
    const began = text.lastIndexOf('-----BEGIN ');
    if (began >= 0 && begin.test(text.slice(began)) && !end.test(text.slice(began))) {
      this.#left = blockLimit;
      this.#strangers = 0;
    }
    return redactLogText(text, this.#secrets, this.#limit);
  }

  #inside(text: string): string | undefined {
    this.#left -= 1;
    const last = end.exec(text);
    if (last !== null) {
      this.#left = 0;
      return redacted + redactLogText(text.slice(last.index + last[0].length), this.#secrets, this.#limit);
    }
    if (body.test(text)) return redacted;
    this.#strangers += 1;
    if (this.#strangers > strangerLimit) this.#left = 0;
    return undefined;
  }
}

function parsed(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined; // cut off in the middle, or no JSON after all
  }
}
