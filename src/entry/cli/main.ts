import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ReadSettings, readUserSettings } from '../../lib/infra/config/user-settings.ts';
import { UsageError } from '../../lib/shared/errors.ts';
import { plainSpelling } from './caller.ts';
import { type CommandIndex, openCommandIndex } from './command-index.ts';
import { exitCodeOf } from './exit.ts';
import type { CliOptions } from './framework.ts';
import { isDelegated } from './invocation.ts';
import { nextCommands } from './next-commands.ts';
import { Output } from './output/output.ts';
import { withProfileDefaults } from './profile-defaults.ts';
import { type Resolution, resolveCommand } from './resolve.ts';
import { type CliWorld, openSession } from './session.ts';
import { fromThrown, type KnownCommand, unknownFlag } from './usage-errors.ts';

/**
 * Runs one command line and returns its exit code; whatever happens is shown here, once, and nothing is thrown. It does
 * not end the process, so tests run it in theirs.
 */
export async function main(given: CliWorld, options: CliOptions): Promise<number> {
  const world = await withProfileDefaults({ ...given, argv: plainSpelling(given.argv) });
  // Through the MCP tool somebody else's settings would hold.
  const { settings, trouble }: ReadSettings = isDelegated(world.env) ? { settings: {} } : readUserSettings(world.env);
  const session = openSession(world, settings);
  const output = new Output(session);
  if (trouble !== undefined) output.note(trouble);
  let known: KnownCommand | undefined;
  try {
    const index = await openCommandIndex(options);
    const resolution = resolveCommand(world.argv, index.ids);
    output.helpWith((error) => nextCommands(error, { id: known?.id, ids: index.ids, delegated: session.delegated }));
    if (resolution.kind === 'command') known = { id: resolution.id, flags: [...index.flags(resolution.id), 'help'] };
    return await follow(resolution, { index, options, output });
  } catch (thrown) {
    const error = fromThrown(thrown, known);
    output.failure(error);
    return exitCodeOf(error);
  }
}

/** The process's own run: real streams, and an end as soon as everything is written. */
export async function runCli(options: CliOptions): Promise<void> {
  const { argv, env, stdin, stdout, stderr } = process;
  for (const stream of [stdout, stderr]) {
    // A reader that has seen enough (`| head`) is no failure of ours.
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
      throw error;
    });
  }
  const world = { argv: argv.slice(2), env, cwd: process.cwd(), script: argv[1], stdin, stdout, stderr };
  process.once('uncaughtException', (thrown) => {
    const error = fromThrown(thrown, undefined);
    new Output(openSession(world)).failure(error);
    process.exit(exitCodeOf(error));
  });
  const code = await main(world, options);
  process.exitCode = code;
  if (stdout.isTTY && stderr.isTTY) await maybeNoticeUpdate(world, options);
  // Results may still be on their way into a pipe; what else keeps the process alive has nothing left to do.
  stdout.write('', () => stderr.write('', () => process.exit(code)));
}

/** Whatever goes wrong here is nobody's business: the command is done. */
async function maybeNoticeUpdate(world: CliWorld, { root, commands }: CliOptions): Promise<void> {
  if (commands !== undefined) return;
  const { noticeUpdate, wantsUpdateNotice } = await import('./update-notice.ts');
  const { settings } = readUserSettings(world.env);
  const session = openSession({ ...world, argv: plainSpelling(world.argv) }, settings);
  if (!wantsUpdateNotice(session, settings)) return;
  try {
    noticeUpdate(session, root);
  } catch {
    // A package without its own files would have failed before.
  }
}

interface Run {
  readonly index: CommandIndex;
  readonly options: CliOptions;
  readonly output: Output;
}

async function follow(resolution: Resolution, { index, options, output }: Run): Promise<number> {
  switch (resolution.kind) {
    case 'version': {
      const { version } = JSON.parse(readFileSync(join(options.root, 'package.json'), 'utf8'));
      const content = `systemprompt/${version} ${process.platform}-${process.arch} node-${process.version}`;
      output.result({ type: 'text', content });
      return 0;
    }
    case 'help': {
      const { helpText } = await import('./help.ts');
      output.help(await helpText(options, resolution.subject, output.session));
      return 0;
    }
    case 'help-topic': {
      const [{ helpTopicText }, { style }] = await Promise.all([
        import('./help-topics.ts'),
        import('./output/style.ts'),
      ]);
      output.help(helpTopicText(resolution.name, style(output.session.colour.stdout).bold));
      return 0;
    }
    case 'unknown-flag':
      throw unknownFlag(resolution.flag, { id: resolution.subject, flags: globalFlagNames });
    case 'unknown-command': {
      const typed = resolution.words.join(' ').slice(0, 80);
      const { suggestions } = resolution;
      throw new UsageError(`There is no command '${typed}'`, {
        ...(suggestions.length > 0 ? { hint: 'Did you mean one of these?' } : {}),
        next: suggestions.length > 0 ? suggestions.map((name) => `${name} --help`) : ['--help'],
      });
    }
    case 'command':
      return await index.run(resolution.id, resolution.argv, output);
  }
}

const globalFlagNames = ['json', 'non-interactive', 'interactive', 'profile', 'no-color', 'debug', 'help', 'version'];
