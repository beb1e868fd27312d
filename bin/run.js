#!/usr/bin/env node
// The production entry. It imports one built-in module only, for each costs a share of `--version`, and must parse on
// every Node.js since 18, so that an old one gets a sentence instead of a syntax error. `--version` and the root help
// answer from here: no framework is loaded.
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';

const floor = [22, 19];
const root = new URL('..', import.meta.url);
const argv = process.argv.slice(2);
const env = process.env;
const json = argv.includes('--json') || env.SYSTEMPROMPT_OUTPUT_FORMAT === 'json';

function read(file) {
  return JSON.parse(readFileSync(new URL(file, root), 'utf8'));
}

/** A reader that has seen enough (`| head`) is no failure of ours. */
function mayClose() {
  process.stdout.on('error', (error) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
}

function version() {
  mayClose();
  const text = `systemprompt/${read('package.json').version} ${process.platform}-${process.arch} node-${process.version}`;
  process.stdout.write(
    json ? `${JSON.stringify({ ok: true, artifact: { type: 'text', content: text } })}\n` : `${text}\n`,
  );
}

function tooOld() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > floor[0] || (major === floor[0] && minor >= floor[1])) return undefined;
  const message = `systemprompt needs Node.js ${floor.join('.')} or newer; this is ${process.versions.node}.`;
  const own = existsSync(new URL(`node_modules/.bin/node${process.platform === 'win32' ? '.exe' : ''}`, root));
  const hint = own
    ? 'Use the project’s own Node.js: npm run -s systemprompt -- <command>'
    : 'Install Node.js 24 (https://nodejs.org/en/download) and run the command again.';
  return { message, hint };
}

/**
 * V8's compiled code, kept between runs. Node.js' default directory lies in the shared temporary folder, where another
 * user could put code of his before we do; ours is private to the user, and without such a place there is no cache.
 */
function compileCache() {
  const { enableCompileCache } = process.getBuiltinModule('node:module');
  if (env.NODE_COMPILE_CACHE || env.NODE_DISABLE_COMPILE_CACHE) return;
  try {
    const base = env.XDG_CACHE_HOME || `${process.getBuiltinModule('node:os').homedir()}/.cache`;
    const directory = `${base}/systemprompt/compile`;
    let stat = statSync(directory, { throwIfNoEntry: false });
    if (stat === undefined) {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      stat = statSync(directory);
    }
    const uid = process.getuid?.();
    if (uid === undefined || (stat.uid === uid && (stat.mode & 0o022) === 0)) enableCompileCache(directory);
  } catch {
    // A read-only or missing home: slower by some milliseconds, nothing else.
  }
}

async function rootHelp() {
  if (!existsSync(new URL('oclif.manifest.json', root))) return false;
  mayClose();
  const { printRootHelp } = await import('../dist/entry/cli/root-help.js');
  printRootHelp(read('package.json'), read('oclif.manifest.json'));
  return true;
}

const old = tooOld();
if (argv[0] === '--version') {
  version();
} else if (old !== undefined) {
  if (json) {
    const error = { code: 'PRECONDITION', message: old.message, hint: old.hint, next: [] };
    process.stdout.write(`${JSON.stringify({ ok: false, error })}\n`);
  } else {
    process.stderr.write(`${old.message} ${old.hint}\n`);
  }
  process.exitCode = 6;
} else {
  compileCache();
  const plainHelp = argv.length === 0 || (argv.length === 1 && (argv[0] === '--help' || argv[0] === '-h'));
  if (json || !plainHelp || !(await rootHelp())) {
    const { runCli } = await import('../dist/entry/cli/main.js');
    await runCli({ root: process.getBuiltinModule('node:url').fileURLToPath(root) });
  }
}
