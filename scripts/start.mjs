// `npm start`: installs what running needs, builds, and runs `systemprompt infra services start --foreground` on the
// project's own Node.js. Further arguments go to that command (`npm start -- --json`).
//
// What each phase took is printed on stderr as it ends, and handed on in SYSTEMPROMPT_PHASES as JSON, [{name, ms}].
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { isBuilt } from './build.mjs';
import { install, isInstalled } from './lib/install.mjs';
import { buildInOwnNode, phase } from './lib/phase.mjs';
import { projectNode, root } from './lib/project.mjs';

const phases = [];

/** Whether this process is in the foreground of a terminal, which then sends Ctrl-C to the whole process group itself. */
function isInForeground() {
  if (process.platform !== 'linux') return process.stdin.isTTY === true;
  // proc_pid_stat(5): after the name in parentheses come state, ppid, pgrp, session, tty_nr, tpgid.
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[2] === fields[5];
}

/**
 * Runs the CLI and ends as it ends.
 *
 * A signal must arrive there once, for a second one means "at once". Ctrl-C in a terminal reaches the whole foreground
 * process group, so it is not passed on. Elsewhere the CLI gets a group of its own, so that a signal to ours doesn't
 * reach it too, and each signal is passed on, but not its echo: npm repeats to us what it gets itself.
 */
function runCli() {
  const foreground = isInForeground();
  const child = spawn(
    projectNode(),
    [join(root, 'bin', 'run.js'), 'infra', 'services', 'start', '--foreground', ...process.argv.slice(2)],
    {
      stdio: 'inherit',
      detached: !foreground,
      env: { ...process.env, SYSTEMPROMPT_PHASES: JSON.stringify(phases) },
    },
  );
  const echoMs = 250;
  const last = new Map();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (foreground && signal !== 'SIGTERM') return;
      const now = performance.now();
      if (now - (last.get(signal) ?? Number.NEGATIVE_INFINITY) < echoMs) return;
      last.set(signal, now);
      child.kill(signal);
    });
  }
  child.on('error', (error) => fail(error));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}

function fail(error) {
  process.stderr.write(`npm start: ${error.message}\n`);
  process.exit(1);
}

try {
  phases.push(
    phase(
      'install',
      () => isInstalled('run'),
      () => install('run'),
    ),
  );
  phases.push(phase('build', isBuilt, buildInOwnNode));
} catch (error) {
  fail(error);
}
runCli();
