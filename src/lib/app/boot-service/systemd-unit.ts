import type { BootService } from './description.ts';
import { markerLine } from './marker.ts';

/** Half of it is how often the supervisor gives a sign of life; a hung one is ended after all of it. In s. */
const watchdogSec = 60;
/** A stop takes up to 60 s for the services, and some for the database's last words. In s. */
const stopSec = 90;
/** The supervisor asks for more while it boots (EXTEND_TIMEOUT_USEC). In s. */
const startSec = 120;

/**
 * The unit of an instance, systemd.service(5). `KillMode=process` (systemd.kill(5)): a stop is asked of the supervisor, which
 * ends the services in their order; a supervisor that died leaves them running, and the one that systemd starts in its
 * place adopts them. Nothing secret is in it: everybody may read it.
 */
export function systemdUnit(service: BootService): string {
  const { root, profile, command, path } = service;
  const [program = '', ...args] = command;
  // It takes no quotes, and what stands at its end is cut: the supervisor finds its folder by the environment then.
  const directory = /[\s\\]$/.test(root) ? [] : [`WorkingDirectory=${specifiers(root)}`];
  return [
    markerLine('#', service.instanceId),
    '[Unit]',
    `Description=systemprompt (${specifiers(root)})`,
    'Wants=network-online.target',
    'After=network-online.target',
    'StartLimitIntervalSec=300',
    'StartLimitBurst=5',
    '',
    '[Service]',
    'Type=notify',
    '# The messages are sent by a program that the supervisor starts.',
    'NotifyAccess=all',
    ...(service.user === undefined ? [] : [`User=${service.user}`]),
    ...directory,
    `Environment=${quoted(`SYSTEMPROMPT_ROOT=${root}`)}`,
    `Environment=${quoted(`SYSTEMPROMPT_PROFILE=${profile}`)}`,
    `Environment=${quoted(`PATH=${path}`)}`,
    `ExecStart=${[quoted(program), ...args.map(argument)].join(' ')}`,
    'Restart=on-failure',
    'RestartSec=2',
    '# The configuration is invalid: trying again does not mend it.',
    'RestartPreventExitStatus=78',
    `WatchdogSec=${watchdogSec}`,
    `TimeoutStartSec=${startSec}`,
    `TimeoutStopSec=${stopSec}`,
    '# The supervisor stops the services itself; if it dies, they go on and the next one adopts them.',
    'KillMode=process',
    'UMask=0077',
    'LimitNOFILE=65536',
    '',
    '[Install]',
    `WantedBy=${service.user === undefined ? 'default.target' : 'multi-user.target'}`,
    '',
  ].join('\n');
}

/** `%` begins a specifier everywhere (systemd.unit(5)). */
function specifiers(text: string): string {
  return text.replaceAll('%', '%%');
}

/** One word in double quotes, with C-style escapes (systemd.syntax(7)). */
function quoted(text: string): string {
  return `"${specifiers(text).replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

/** A word of a command line after the program: `$` would be a variable there (systemd.service(5), "Command lines"). */
function argument(text: string): string {
  return quoted(text).replaceAll('$', '$$$$');
}
