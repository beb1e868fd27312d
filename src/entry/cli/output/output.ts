import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { AppError } from '../../../lib/shared/errors.ts';
import { type CliSession, suggestion } from '../session.ts';
import { errorEnvelope, errorText } from './errors.ts';
import { renderTerminal } from './terminal.ts';

/**
 * The one place that writes. stdout carries the result and nothing else; progress and errors go to stderr, and in JSON
 * mode an error is the result.
 */
export class Output {
  readonly #session: CliSession;
  #streamed = false;

  constructor(session: CliSession) {
    this.#session = session;
  }

  get session(): CliSession {
    return this.#session;
  }

  /** The result of a command that succeeded. After streamed lines, text mode has nothing left to say. */
  result(artifact: Artifact): void {
    const { session } = this;
    if (session.json) this.#json({ ok: true, artifact });
    else if (!this.#streamed) {
      const text = renderTerminal(artifact, { width: session.width, colour: session.colour.stdout });
      session.stdout.write(`${text}\n`);
    }
  }

  /** One piece of a stream: a line of text, or one JSON line of its facts. */
  line(text: string, facts: Readonly<Record<string, unknown>>): void {
    this.#streamed = true;
    if (this.#session.json) this.#json(facts);
    else this.#session.stdout.write(`${text}\n`);
  }

  /** Progress for a person; never part of the result. */
  note(text: string): void {
    this.#session.stderr.write(`${text}\n`);
  }

  failure(error: AppError): void {
    const { session } = this;
    if (session.json) {
      this.#json(errorEnvelope(error, session));
      if (session.debug) session.stderr.write(`${errorText(error, session)}\n`);
    } else {
      session.stderr.write(`${errorText(error, session)}\n`);
    }
  }

  /** A command as the user can run it. */
  runnable(command: string): string {
    return suggestion(this.#session, command);
  }

  #json(value: unknown): void {
    this.#session.stdout.write(`${JSON.stringify(value)}\n`);
  }
}
