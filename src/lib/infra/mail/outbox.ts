import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../config/atomic-file.ts';
import type { Mail, Mailer } from './mailer.ts';

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
