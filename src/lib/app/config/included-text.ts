import { realpath } from 'node:fs/promises';
import { dirname, isAbsolute, resolve } from 'node:path';
import { quoted } from '../../infra/config/quoted.ts';
import { stringsIn } from '../../infra/config/strings-in.ts';
import { displayPath, readPlainText } from '../../infra/config/yaml-source.ts';
import type { ConfigIssue } from '../../shared/errors.ts';
import { isBelow } from '../../shared/paths.ts';
import { type Declared, issueAt } from './declarations.ts';
import type { ConfigPath } from './types.ts';

/** A prompt is read whole by a model: what is larger is something else. */
const TEXT_BYTES_MAX = 256 * 1024;

const PREFIX = /^!include\s+(.*)$/s;

/** The path in `!include <path>`; `undefined` for any other text. */
export function includedPath(text: string): string | undefined {
  return PREFIX.exec(text)?.[1]?.trim();
}

/** Reads texts that lie in files of their own, within `services/`. */
export class TextReader {
  readonly issues: ConfigIssue[] = [];
  readonly #servicesDir: string;
  readonly #looked: Set<string>;

  constructor(servicesDir: string, looked: Set<string>) {
    this.#servicesDir = servicesDir;
    this.#looked = looked;
  }

  /**
   * The text of a file; empty when it does not hold, which `issues` then says.
   * @param path relative to the file that names it
   * @param within where in `declared` it is named
   */
  async read(declared: Declared, within: ConfigPath, path: string): Promise<string> {
    const refuse = (message: string, hint: string): string => {
      this.issues.push(issueAt(declared, within, `the text ${quoted(path)} ${message}`, hint));
      return '';
    };
    if (path === '' || isAbsolute(path)) return refuse('is no relative path', 'write it relative to this file');
    const file = resolve(dirname(declared.file.path), path);
    if (!isBelow(this.#servicesDir, file)) return refuse('leads out of services/', 'put the file into services/');
    this.#looked.add(file);
    const [root, real] = await Promise.all([realpath(this.#servicesDir), realpath(file).catch(() => undefined)]);
    if (real === undefined)
      return refuse(`names ${displayPath(file)}, which does not exist`, 'the path is relative to this file');
    if (!isBelow(root, real)) return refuse('leads out of services/ by a symbolic link', 'put the file itself there');
    const source = await readPlainText(file, TEXT_BYTES_MAX);
    if ('issue' in source) {
      this.issues.push(source.issue);
      return '';
    }
    if (source.text.trim() === '')
      return refuse(`names ${displayPath(file)}, which is empty`, 'write the text into it');
    return source.text;
  }
}

/** Where texts that are to be included stand in a value, other than where they may. */
export function strayIncludes(declared: Declared, allowed: ConfigPath): ConfigIssue[] {
  return [...stringsIn(declared.value)]
    .filter(([path, text]) => includedPath(text) !== undefined && path.join('.') !== allowed.join('.'))
    .map(([path]) => issueAt(declared, path, "a text can't be included here", 'write the text itself'));
}
