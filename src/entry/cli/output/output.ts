import type { Artifact } from '../../../lib/shared/artifact.ts';
import { artifactText } from '../../../lib/shared/artifact-text.ts';
import type { AppError } from '../../../lib/shared/errors.ts';
import { type CliSession, continuation, suggestion } from '../session.ts';
import { errorEnvelope, errorText } from './errors.ts';
import { style } from './style.ts';

/**
 * The one place that writes. stdout carries the result and nothing else; progress and errors go to stderr, and in JSON
 * mode an error is the result.
 */
export class Output {
  readonly #session: CliSession;
  #streamed = false;
  #next: (error: AppError) => readonly string[] = (error) => error.next;

  constructor(session: CliSession) {
    this.#session = session;
  }

  get session(): CliSession {
    return this.#session;
  }

  /** Finds the commands that help with an error, once it is known which commands there are. */
  helpWith(next: (error: AppError) => readonly string[]): void {
    this.#next = next;
  }

  /** The result of a command that succeeded. After streamed lines, text mode has nothing left to say. */
  result(artifact: Artifact): void {
    const { session } = this;
    if (session.json) this.#json({ ok: true, artifact });
    else if (!this.#streamed) session.stdout.write(ended(this.#text(artifact)));
  }

  /** Help, whose marks for the terminal are our own. */
  help(text: string): void {
    if (this.#session.json) this.result({ type: 'text', content: text });
    else this.#session.stdout.write(`${text}\n`);
  }

  /** What a command found, and that it is bad: both are said, in JSON in one envelope. */
  finding(artifact: Artifact, error: AppError): void {
    if (this.#session.json) {
      this.#json({ ...errorEnvelope(error, this.#session, this.#next(error)), artifact });
    } else {
      this.result(artifact);
      this.failure(error);
    }
  }

  /** One piece of a stream: a line of text, or one JSON line of its facts. */
  line(text: string, facts: Readonly<Record<string, unknown>>): void {
    this.#streamed = true;
    if (this.#session.json) this.#json(facts);
    else this.#session.stdout.write(`${text}\n`);
  }

  /** An artifact that is due before the command ends: in JSON mode a line of its own, the envelope comes last. */
  artifactLine(artifact: Artifact): void {
    this.line(this.#text(artifact), { artifact });
  }

  /** Progress for a person; never part of the result. */
  note(text: string): void {
    this.#session.stderr.write(`${text}\n`);
  }

  failure(error: AppError): void {
    const { session } = this;
    if (session.json) {
      this.#json(errorEnvelope(error, session, this.#next(error)));
      if (session.debug) session.stderr.write(`${errorText(error, session, this.#next(error))}\n`);
    } else {
      session.stderr.write(`${errorText(error, session, this.#next(error))}\n`);
    }
  }

  /** A command as the user can run it. */
  runnable(command: string): string {
    return suggestion(this.#session, command);
  }

  #text(artifact: Artifact): string {
    const { width, colour } = this.#session;
    const more = (cursor: string): string => `More: ${continuation(this.#session, cursor)}`;
    return artifactText(artifact, { width, paint: style(colour.stdout), more });
  }

  #json(value: unknown): void {
    this.#session.stdout.write(`${JSON.stringify(value)}\n`);
  }
}

/** A file that is printed has its last line break already: another one would make it a different file. */
function ended(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`;
}
