import type { z } from 'zod';
import type { CliPort } from '../cli-port.ts';
import type { ExecutionId, ServiceInstanceId, SessionId, UserId } from '../ids.ts';

/** Writes JSON lines into the service's log. Facts go into `fields`, never into the message; no secrets in either. */
export interface ToolLogger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Runs statements with `$1`-style parameters. */
export interface ServerStatements {
  /**
   * @returns the rows
   * @throws PreconditionError when the server has no database; an UpstreamUnavailable error when it can't be reached;
   *   PostgreSQL's own error else
   */
  query<Row>(sql: string, params?: readonly unknown[]): Promise<Row[]>;
}

/** The server's own schema in the instance's database. The first statement connects; a few connections serve all calls. */
export interface ServerDatabase extends ServerStatements {
  /** One transaction: committed when `work` resolves, rolled back when it rejects. @throws what `work` throws */
  transaction<T>(work: (tx: ServerStatements) => Promise<T>): Promise<T>;
}

/** What the server's configuration declares under `env` and `variables`; nothing else of the environment. */
export interface DeclaredVariables {
  /** @returns undefined when it has no value @throws InternalError when the configuration declares no such variable */
  get(name: string): string | undefined;
  /** @throws PreconditionError naming the variable when it has no value, or is not declared */
  require(name: string): string;
}

export type SpanFacts = Readonly<Record<string, string | number | boolean>>;

/** A piece of work that is a span. */
export interface WorkSpan {
  /** For requests that it makes (W3C Trace Context); undefined where traces are off. */
  readonly traceparent: string | undefined;
  set(attributes: SpanFacts): void;
}

/** What a prompt, a resource or a tool knows of the request that it serves. */
export interface RequestContext {
  /** `name` is the key of the server in the configuration, `instanceId` this run of its process. */
  readonly server: { readonly name: string; readonly instanceId: ServiceInstanceId };
  readonly request: {
    /** The call's id in the audit. Only tool calls are there; for other requests it is the id in the log. */
    readonly executionId: ExecutionId;
    readonly user: { readonly id: UserId; readonly name: string };
    readonly sessionId: SessionId;
    /** What the caller's credential allows; that of the server and tool in the configuration has been checked already. */
    readonly scopes: readonly string[];
    /** Of the caller's trace (W3C Trace Context, 32 hexadecimal digits), when it sends one. */
    readonly traceId: string | undefined;
  };
  readonly logger: ToolLogger;
  /**
   * Runs a piece of the work as a span of the request's trace; where the profile has traces off, just runs it. Spans that
   * begin in its course, statements of `database` among them, are its children.
   * @param attributes names, numbers and states: never arguments, results or secrets
   * @throws what `work` throws
   */
  span<T>(name: string, work: (span: WorkSpan) => T | Promise<T>, attributes?: SpanFacts): Promise<T>;
  /** Aborts when the caller cancels or goes away, and when the server stops. */
  readonly signal: AbortSignal;
  /** The product's own CLI; only for servers whose configuration says `delegate: true`. */
  readonly cli: CliPort | undefined;
  readonly database: ServerDatabase;
  readonly secrets: DeclaredVariables;
  /** Where the server's own schema in the database is, if it has one. A secret: don't log it. */
  readonly databaseUrl: string | undefined;
}

/** A question to the person in front of the client. */
export interface Question<Fields extends z.ZodType> {
  readonly message: string;
  /** A flat `z.object` of texts, numbers, booleans and enums: what a form can ask for. Never ask for a secret. */
  readonly fields: Fields;
}

export type Answer<Fields extends z.ZodType> =
  | { readonly action: 'accept'; readonly content: z.output<Fields> }
  | { readonly action: 'decline' | 'cancel' };

/** A page that the person in front of the client is asked to open: to sign in somewhere, to pay, to enter a secret. */
export interface UrlQuestion {
  readonly message: string;
  /** By https; the client shows it and opens it in a browser. Put no secret into it. */
  readonly url: string;
}

/** Whether they will open it. What they do there the server hears from the page. */
export interface UrlAnswer {
  readonly action: 'accept' | 'decline' | 'cancel';
}

/** A question to the client's own model. */
export interface SampleRequest {
  readonly prompt: string;
  readonly systemPrompt?: string;
  /** Most tokens of the answer; 1000 unless told. */
  readonly maxTokens?: number;
}

export interface Sample {
  readonly text: string;
  readonly model: string;
}

/** What a tool knows of the call it serves, and what it can do in its course. */
export interface ToolContext extends RequestContext {
  /** Tells the caller how far it is; does nothing when the caller did not ask for it. */
  progress(done: number, total?: number, message?: string): Promise<void>;
  /**
   * Asks the person in front of the client. With clients of the 2026 revision the handler runs again from its beginning
   * for every answer, and what it has asked before is answered at once: change nothing before the last question.
   * @throws PreconditionError when this client can't ask anybody, or answers what was not asked
   */
  elicit<Fields extends z.ZodType>(question: Question<Fields>): Promise<Answer<Fields>>;
  /** Asks whether a page may be opened; the handler runs again as with `elicit`. @throws PreconditionError when this client opens none */
  elicitUrl(question: UrlQuestion): Promise<UrlAnswer>;
  /**
   * What a handler throws that can't go on before something was done at a page: the client has it opened and calls again.
   * Clients of the 2025 revisions get the error -32042 for that, those of the 2026 revision are asked.
   */
  urlRequired(question: UrlQuestion): Error;
  /** Asks the client's model; the handler runs again as with `elicit`. @throws PreconditionError when it lets nobody */
  sample(request: SampleRequest): Promise<Sample>;
}
