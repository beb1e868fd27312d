import type { Progress } from '../../../lib/app/database/progress.ts';
import { formatBytes } from '../../../lib/shared/text/cells.ts';
import { truncate } from '../../../lib/shared/text/width.ts';
import { type CliSession, columnsOf } from '../session.ts';

/** Often enough to be seen to move. */
const everyMs = 200;
const clearLine = '\r\u001b[2K';

/** One line on stderr that says how far something is, at a terminal only; gone when it is disposed of. */
export class ProgressLine implements Disposable {
  readonly #session: CliSession;
  readonly #doing: string;
  #shownAt = 0;

  /** @param doing `Backing up` */
  constructor(session: CliSession, doing: string) {
    this.#session = session;
    this.#doing = doing;
  }

  readonly show = ({ tables, ofTables, table, bytes }: Progress): void => {
    this.say(`table ${tables + 1} of ${ofTables} (${table}), ${formatBytes(bytes)}`);
  };

  /** @param how far it is: `300 of 1000 rows` */
  readonly say = (far: string): void => {
    const { stderr, json } = this.#session;
    const now = performance.now();
    if (json || stderr.isTTY !== true || (this.#shownAt > 0 && now - this.#shownAt < everyMs)) return;
    this.#shownAt = now;
    stderr.write(`${clearLine}${truncate(`${this.#doing}: ${far}`, columnsOf(stderr) - 1)}`);
  };

  /** Makes way for something else; the next word is shown at once. */
  clear(): void {
    if (this.#shownAt > 0) this.#session.stderr.write(clearLine);
    this.#shownAt = 0;
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}
