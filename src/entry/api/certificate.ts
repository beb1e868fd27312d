import { X509Certificate } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { readTlsFiles, type TlsPair } from '../../lib/infra/config/tls-files.ts';
import type { Logger } from '../../lib/infra/logging/logger.ts';
import { PreconditionError } from '../../lib/shared/errors.ts';

const lookEveryMs = 60_000;
/** Said this long before a certificate ends: time enough to renew one that nothing renews, in ms. */
const warnBeforeMs = 14 * 24 * 3_600_000;

interface Files {
  readonly certificate: string;
  readonly key: string;
}

/** The certificate of the API. Whoever renews it replaces the files, and it is taken from there without a restart. */
export class Certificate {
  pair: TlsPair;
  readonly #files: Files;
  readonly #log: Logger;
  #seen: string;
  #timer: NodeJS.Timeout | undefined;

  private constructor(files: Files, pair: TlsPair, seen: string, log: Logger) {
    this.#files = files;
    this.pair = pair;
    this.#seen = seen;
    this.#log = log;
  }

  /**
   * @param https the files of the profile, if it names them
   * @throws PreconditionError when they can't be used
   */
  static async open(https: Partial<Files>, log: Logger): Promise<Certificate | undefined> {
    const { certificate, key } = https;
    if (certificate === undefined || key === undefined) return undefined;
    const files = { certificate, key };
    const seen = await stampOf(files);
    const read = await readTlsFiles(files);
    if ('faults' in read) throw new PreconditionError(read.faults.map(({ message }) => message).join('; '));
    warnOfEnd(read, log);
    return new Certificate(files, read, seen, log);
  }

  /** Looks for a renewed pair from now on. One that can't be used is said, and the former stays. */
  follow(renewed: (pair: TlsPair) => void, everyMs = lookEveryMs): void {
    this.#timer = setInterval(() => {
      this.#look(renewed).catch((error: unknown) => this.#log.warn({ err: error }, 'The certificate was not read'));
    }, everyMs);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #look(renewed: (pair: TlsPair) => void): Promise<void> {
    const seen = await stampOf(this.#files);
    if (seen === this.#seen) return;
    const read = await readTlsFiles(this.#files);
    if ('faults' in read) {
      // The two files are replaced one after the other: the next look finds both.
      this.#log.warn(
        { faults: read.faults.map(({ message }) => message) },
        'The certificate has changed and is not used',
      );
      return;
    }
    this.#seen = seen;
    this.pair = read;
    renewed(read);
    this.#log.info({ certificate: this.#files.certificate }, 'The certificate was renewed');
    warnOfEnd(read, this.#log);
  }
}

/** What changes when a file is replaced or written anew. */
async function stampOf(files: Files): Promise<string> {
  const stats = await Promise.all([files.certificate, files.key].map((path) => stat(path).catch(() => undefined)));
  return stats.map((found) => `${found?.ino} ${found?.mtimeMs} ${found?.size}`).join(' ');
}

function warnOfEnd({ cert }: TlsPair, log: Logger): void {
  const ends = new X509Certificate(cert).validTo;
  if (Date.parse(ends) - Date.now() < warnBeforeMs) log.warn({ ends }, 'The certificate ends soon, or has ended');
}
