import type { BootService } from './description.ts';
import { markerLine } from './marker.ts';

const stopSec = 90;
const throttleSec = 10;

/**
 * The property list of an instance, launchd.plist(5). `KeepAlive` starts a supervisor that failed again, not one that was
 * stopped; `AbandonProcessGroup` leaves the services to the next one, which adopts them.
 */
export function launchdPlist(service: BootService, label: string): string {
  const { root, profile, command, path } = service;
  const entries: [string, string][] = [
    ['Label', string(label)],
    ['ProgramArguments', `<array>\n${command.map((word) => `    ${string(word)}\n`).join('')}  </array>`],
    ...(service.user === undefined ? [] : [['UserName', string(service.user)] as [string, string]]),
    ['WorkingDirectory', string(root)],
    [
      'EnvironmentVariables',
      dictionary({ SYSTEMPROMPT_ROOT: string(root), SYSTEMPROMPT_PROFILE: string(profile), PATH: string(path) }),
    ],
    ['RunAtLoad', '<true/>'],
    ['KeepAlive', dictionary({ SuccessfulExit: '<false/>' })],
    ['AbandonProcessGroup', '<true/>'],
    ['ExitTimeOut', `<integer>${stopSec}</integer>`],
    ['ThrottleInterval', `<integer>${throttleSec}</integer>`],
    ['Umask', `<integer>${0o077}</integer>`],
    ['SoftResourceLimits', dictionary({ NumberOfFiles: '<integer>65536</integer>' })],
  ];
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    `<!-- ${markerLine('', service.instanceId)} -->`,
    '<plist version="1.0">',
    '<dict>',
    ...entries.flatMap(([key, value]) => [`  <key>${key}</key>`, `  ${value}`]),
    '</dict>',
    '</plist>',
    '',
  ].join('\n');
}

function dictionary(entries: Readonly<Record<string, string>>): string {
  const lines = Object.entries(entries).map(([key, value]) => `    <key>${key}</key>\n    ${value}\n`);
  return `<dict>\n${lines.join('')}  </dict>`;
}

function string(text: string): string {
  return `<string>${text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')}</string>`;
}
