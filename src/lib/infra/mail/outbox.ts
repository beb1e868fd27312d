import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, watch } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../config/atomic-file.ts';
import type { Mail, Mailer } from './mailer.ts';

/** The folder of mails of a tenant without a mail server. */
export function outboxFolder(instance: { readonly dir: string }): string {
  return join(instance.dir, 'outbox');
}

/** How many mails are kept. */
const kept = 50;
const form = /^\d{4}-\d{2}-\d{2}T[\d-]+Z-[0-9a-f]{8}\.eml$/;

/**
 * Puts mails into files that only this account can read, for instances without a mail server. The newest have the
 * highest names.
 * @param folder made when it is not there
 */
export function outboxMailer(folder: string): Mailer {
  return {
    kind: 'outbox',
    send: async (mail) => {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const name = `${new Date().toISOString().replaceAll(/[:.]/g, '-')}-${randomUUID().slice(0, 8)}.eml`;
      const file = join(folder, name);
      await writeFileAtomic(file, render(mail), 0o600);
      const all = (await readdir(folder)).filter((each) => form.test(each)).sort();
      await Promise.all(all.slice(0, -kept).map((each) => rm(join(folder, each), { force: true })));
      return { file };
    },
    close: () => {},
  };
}

function render({ to, subject, text }: Mail): string {
  return `To: ${to}\nSubject: ${subject}\nDate: ${new Date().toUTCString()}\n\n${text}\n`;
}

/**
 * Tells of each mail that comes into an outbox from now on: whom it is to, and the link that it carries.
 * @returns a function that stops it
 */
export function followOutbox(folder: string, tell: (mail: { to: string; link: string }) => void): () => void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const told = new Set<string>();
  const watcher = watch(folder, (_event, name) => {
    if (name === null || !form.test(name) || told.has(name)) return;
    told.add(name);
    let text: string;
    try {
      text = readFileSync(join(folder, name), 'utf8');
    } catch {
      return; // it is one of the oldest, and just went
    }
    const [, to] = /^To: (\S+)$/m.exec(text) ?? [];
    const [, link] = /^(https?:\/\/\S+)$/m.exec(text) ?? [];
    if (to !== undefined && link !== undefined) tell({ to, link });
  });
  watcher.on('error', () => watcher.close()); // the files are there all the same
  return () => watcher.close();
}
