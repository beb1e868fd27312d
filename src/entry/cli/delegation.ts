import { fstatSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import type { CommandContext } from '../../lib/app/command-context.ts';
import type { Actor } from '../../lib/shared/actor.ts';
import type { CommandDeclaration } from '../../lib/shared/command.ts';
import { ForbiddenError, UnauthenticatedError } from '../../lib/shared/errors.ts';
import { covers } from '../../lib/shared/permission.ts';
import type { CliSession } from './session.ts';

const tokenBytes = 16_384;
const tokenWaitMs = 5000;

/**
 * Decides whether a caller of the `systemprompt` MCP tool may run a command. This process has the caller's short-lived
 * token on an inherited descriptor and nothing else; who that is, the supervisor says.
 *
 * @returns the caller
 * @throws ForbiddenError naming the permission that is missing; UnauthenticatedError when the token is no longer good
 */
export async function admitDelegate(
  id: string,
  declaration: CommandDeclaration,
  context: CommandContext,
  env: NodeJS.ProcessEnv,
): Promise<Actor> {
  const name = id.replaceAll(':', ' ');
  if (declaration.localOnly === true) {
    throw new ForbiddenError(`${name} runs on the machine itself only, not through the systemprompt tool`, {
      hint: 'Ask somebody with a shell on that machine to run it',
    });
  }
  const actor = await context.actorOf(await inheritedToken(env));
  if (!covers(actor.scopes, declaration.permission)) {
    throw new ForbiddenError(`${name} needs the permission '${declaration.permission}'`, {
      hint: `This sign-in holds: ${actor.scopes.join(', ') || 'nothing'}`,
      data: { required: declaration.permission, held: actor.scopes },
    });
  }
  return actor;
}

/** Reads the token from the descriptor that the parent left open; it is never in the environment or the arguments. */
async function inheritedToken(env: NodeJS.ProcessEnv): Promise<string> {
  const descriptor = Number(env['SYSTEMPROMPT_TOKEN_FD']);
  if (!Number.isInteger(descriptor) || descriptor < 3) {
    throw new UnauthenticatedError('The caller of this command did not hand on a token', {
      hint: 'Call it through the systemprompt tool',
    });
  }
  let token: string;
  try {
    token = (await readDescriptor(descriptor)).trim();
  } catch (cause) {
    throw new UnauthenticatedError('The token of the caller could not be read', { cause });
  }
  if (token === '') throw new UnauthenticatedError('The caller of this command handed on an empty token');
  return token;
}

/** A pipe is read as a socket, not as a file: a file's read blocks a thread, and a process can't end while one is blocked. */
async function readDescriptor(descriptor: number): Promise<string> {
  if (fstatSync(descriptor).isFile()) return readFileSync(descriptor, 'utf8').slice(0, tokenBytes);
  const socket = new Socket({ fd: descriptor, readable: true, writable: false });
  socket.setTimeout(tokenWaitMs, () => socket.destroy(new Error(`nothing came within ${tokenWaitMs} ms`)));
  let text = '';
  for await (const chunk of socket.setEncoding('utf8')) {
    text += chunk;
    if (text.length > tokenBytes) throw new Error('it is too long');
  }
  return text;
}

/**
 * Keeps a caller of the MCP tool from sawing off the branch that carries his answer: the supervisor, the API, the
 * database and the server that he talks to stay out of his reach; other services that are named do not.
 */
export function refuseOwnPath(verb: 'stop' | 'restart', names: readonly string[], session: CliSession): void {
  if (!session.delegated) return;
  // The server that runs this very command names itself in the environment, as every supervised process does.
  const own = session.env['SYSTEMPROMPT_SERVICE'];
  // Kinds can be named too: that of the server is as good as its name, and there may be several API processes.
  const path = ['supervisor', 'database', 'api', own, own?.split(':')[0]];
  const carrying = names.filter((name) => path.includes(name) || name.startsWith('api:'));
  if (names.length > 0 && carrying.length === 0) return;
  const what = names.length === 0 ? 'everything' : carrying.join(' and ');
  throw new ForbiddenError(
    `infra services ${verb} of ${what} runs on the machine itself only: it would cut off its own answer`,
    {
      hint: `Name the services to ${verb}, such as mcp:<name>`,
      next: ['infra services status'],
    },
  );
}
