// Writes docs/reference/commands.md, the reference of every command, from the built index of commands. With --check it
// writes nothing and fails when the file is out of date.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { ensureProjectNode, root } from './lib/project.mjs';

ensureProjectNode(import.meta.url);

const path = 'docs/reference/commands.md';
const { commands } = JSON.parse(readFileSync(join(root, 'oclif.manifest.json'), 'utf8'));
const { topics } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).oclif;

const isGlobal = (flag) => flag.helpGroup === 'GLOBAL';
const spoken = (id) => id.replaceAll(':', ' ');
const cell = (text) => String(text).replaceAll('|', '\\|').replaceAll('<', '&lt;');

function flagRow(flag) {
  const value =
    flag.type === 'option' ? `=${flag.options ? flag.options.join('|') : (flag.helpValue ?? '<value>')}` : '';
  const facts = [
    ...(flag.required ? ['required'] : []),
    ...(flag.multiple && !flag.summary?.includes('may be repeated') ? ['may be repeated'] : []),
    ...(flag.default === undefined || flag.type === 'boolean' ? [] : [`default \`${flag.default}\``]),
    ...(flag.env ? [`env \`${flag.env}\``] : []),
  ];
  const short = flag.char ? `\`-${flag.char}\`, ` : '';
  const summary = [flag.summary, facts.join(', ')].filter(Boolean).join('; ');
  return `| ${short}\`--${flag.name}${value.replaceAll('|', '\\|')}\` | ${cell(summary)} |`;
}

function section(command) {
  const { declaration } = command;
  const args = Object.values(command.args);
  const flags = Object.values(command.flags).filter((flag) => !isGlobal(flag));
  const words = args.map((arg) => {
    const name = `${arg.name}${arg.multiple ? '...' : ''}`;
    return arg.required ? `<${name}>` : `[${name}]`;
  });
  const usage = ['systemprompt', spoken(command.id), ...words, ...(flags.length > 0 ? ['[flags]'] : [])].join(' ');
  const facts = [
    `Effect: ${declaration.effect}`,
    `permission: \`${declaration.permission}\``,
    `needs: ${declaration.needs}`,
    ...(declaration.localOnly ? ['on the machine itself only'] : []),
  ];
  return [
    `### ${spoken(command.id)}`,
    '',
    `${command.summary}.`,
    ...(command.description ? ['', command.description] : []),
    '',
    '```',
    usage,
    '```',
    '',
    `${facts.join(' · ')}`,
    ...(args.length + flags.length > 0 ? ['', '| | |', '| --- | --- |'] : []),
    ...args.map((arg) => `| \`${arg.name}\` | ${cell(arg.description)}${arg.required ? '; required' : ''} |`),
    ...flags.map(flagRow),
    '',
    'Examples:',
    '',
    '```sh',
    ...command.examples.map((example) => example.replaceAll('<%= config.bin %>', 'systemprompt')),
    '```',
    '',
  ];
}

const sorted = Object.values(commands).toSorted((a, b) => (a.id < b.id ? -1 : 1));
const globals = Object.values(sorted[0].flags).filter(isGlobal);
const firstWords = [...new Set(sorted.map((command) => command.id.split(':')[0]))];

const lines = [
  '# Commands',
  '',
  '<!-- Written by scripts/generate-command-docs.mjs from the commands themselves. -->',
  '',
  'The contract that all of them keep (output, exit codes, errors) is in [the guide](../cli.md). These flags belong to every command:',
  '',
  '| | |',
  '| --- | --- |',
  ...globals.map(flagRow),
  '',
  ...firstWords.flatMap((topic) => [
    `## ${topic}`,
    '',
    ...(topics[topic] ? [`${topics[topic].description}.`, ''] : []),
    ...sorted.filter((command) => command.id.split(':')[0] === topic).flatMap(section),
  ]),
];
const text = `${lines.join('\n').trimEnd()}\n`;

function current() {
  try {
    return readFileSync(join(root, path), 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

if (current() === text) {
  process.stderr.write(`${path} unchanged\n`);
} else if (process.argv.includes('--check')) {
  process.stderr.write(`Out of date: ${path}. Run: node ${relative(root, import.meta.filename)}\n`);
  process.exitCode = 1;
} else {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
  process.stderr.write(`${path} written\n`);
}
