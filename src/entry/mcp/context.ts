import type { ServerContext } from '@modelcontextprotocol/server';
import type { CliCall, CliRunner } from '../../lib/app/cli-runner.ts';
import { type CallFacts as LoggedCall, traceIdOf } from '../../lib/infra/logging/call-facts.ts';
import type { Logger } from '../../lib/infra/logging/logger.ts';
import type { Identity } from '../../lib/infra/security/identity-header.ts';
import type { CliPort, CliResult } from '../../lib/shared/cli-port.ts';
import { InternalError } from '../../lib/shared/errors.ts';
import type { ExecutionId } from '../../lib/shared/ids.ts';
import type {
  DeclaredVariables,
  RequestContext,
  ServerDatabase,
  ToolContext,
  ToolLogger,
} from '../../lib/shared/mcp/context.ts';
import type { Tracer } from '../../lib/shared/tracing.ts';
import type { McpEnvironment } from './env.ts';
import type { CallQuestions } from './questions.ts';
import { spans } from './tracing.ts';

/** Who calls, as the router said, with the token that it sends along to servers with `delegate: true` only. */
export interface Caller {
  readonly identity: Identity;
  readonly token: string | undefined;
  /** Aborts when the connection closes before the answer has left. */
  readonly gone: AbortSignal;
}

/** The one who http.ts let in; it is put there for every request. */
export function callerOf(extra: Record<string, unknown> | undefined): Caller {
  const caller = extra?.['caller'] as Caller | undefined;
  if (caller === undefined) throw new InternalError('A request reached the protocol without an identity');
  return caller;
}

export interface RequestFacts {
  /** What the log calls it: the name of a tool, or such as `prompt greeting`. */
  readonly subject: string;
  readonly executionId: ExecutionId;
  readonly caller: Caller;
  readonly signal: AbortSignal;
  readonly protocol: ServerContext;
  readonly deps: {
    readonly environment: McpEnvironment;
    readonly cli: CliRunner;
    readonly logger: Logger;
    readonly database: ServerDatabase;
    readonly variables: DeclaredVariables;
    readonly tracer: Tracer | undefined;
  };
}

/** What a prompt or a resource sees of the request. */
export function requestContext({ subject, executionId, caller, signal, protocol, deps }: RequestFacts): RequestContext {
  const { environment } = deps;
  const { identity, token } = caller;
  return {
    server: { name: environment.name, instanceId: environment.instanceId },
    request: {
      executionId,
      user: { id: identity.sub, name: identity.name },
      sessionId: identity.sid,
      scopes: identity.scopes,
      traceId: traceIdOf(protocol.http?.req?.headers.get('traceparent')),
    },
    logger: toolLogger(deps.logger.child(factsOf(subject, executionId, protocol))),
    span: spans(deps.tracer),
    signal,
    cli: token === undefined ? undefined : cliPort(deps.cli, { token, caller: identity.sub }, environment.depth),
    database: deps.database,
    secrets: deps.variables,
    databaseUrl: environment.databaseUrl,
  };
}

/** What the handler of a tool sees of the call. */
export function toolContext(facts: RequestFacts, questions: CallQuestions): ToolContext {
  return {
    ...requestContext(facts),
    progress: progressOf(facts.protocol),
    elicit: (question) => questions.elicit(question),
    elicitUrl: (question) => questions.elicitUrl(question),
    urlRequired: (question) => questions.urlRequired(question),
    sample: (request) => questions.sample(request),
  };
}

/** What each line of a call carries, so that it can be found by the call. */
export function factsOf(subject: string, execution: string, { http }: ServerContext): LoggedCall {
  const trace = traceIdOf(http?.req?.headers.get('traceparent'));
  const { sub: user } = callerOf(http?.authInfo?.extra).identity;
  return { tool: subject, execution, user, ...(trace === undefined ? {} : { trace_id: trace }) };
}

export function toolLogger(logger: Logger): ToolLogger {
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') => (message: string, fields?: Readonly<Record<string, unknown>>) => {
      logger[level]({ ...fields }, message);
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

function progressOf({ mcpReq }: ServerContext): ToolContext['progress'] {
  const progressToken = mcpReq._meta?.progressToken;
  return async (progress, total, message) => {
    // Once the caller is gone, nobody is there to be told.
    if (progressToken === undefined || mcpReq.signal.aborted) return;
    await mcpReq.notify({
      method: 'notifications/progress',
      params: {
        progressToken,
        progress,
        ...(total === undefined ? {} : { total }),
        ...(message === undefined ? {} : { message }),
      },
    });
  };
}

/** The CLI in the name of one caller. A process that itself is part of such a run starts no other. */
function cliPort(runner: CliRunner, who: Pick<CliCall, 'token' | 'caller'>, depth: number): CliPort {
  return {
    manifest: () => runner.manifest(),
    run: async (args, options): Promise<CliResult> => {
      if (depth === 0) return await runner.run(args, { ...options, ...who });
      const failure = {
        code: 'FORBIDDEN',
        message: 'This server was itself started by a command that runs through the systemprompt tool',
        hint: 'The tool runs commands one level deep; run this one from outside',
        next: [],
      };
      return { ok: false, exitCode: null, failure };
    },
  };
}
