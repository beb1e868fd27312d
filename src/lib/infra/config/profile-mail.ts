import { z } from 'zod';
import { normaliseMailAddress } from '../../shared/mail-address.ts';
import { secretReference } from './secret-reference.ts';

function isSmtpUrl(value: string): boolean {
  if (secretReference(value) !== undefined) return true;
  if (!URL.canParse(value)) return false;
  const { protocol, hostname } = new URL(value);
  return (protocol === 'smtp:' || protocol === 'smtps:') && hostname !== '';
}

/** `Name <address>`, or the address alone. */
function isSender(value: string): boolean {
  const address = /^[^<>\r\n"]{1,100}<([^<>]+)>$/.exec(value)?.[1] ?? value;
  return normaliseMailAddress(address) !== undefined;
}

/** Section `mail` of the profile. */
export const mailSection = z
  .strictObject({
    smtp: z
      .strictObject({
        url: z
          .string()
          .refine(isSmtpUrl, {
            error: 'must be an smtp:// or smtps:// address, or a secret',
            params: { hint: 'write it as smtps://user@host:465 or ${secret:mail.smtp}' },
          })
          .describe(
            'The mail server, as `${secret:NAME}` or as the URL itself: `smtps://user:password@host:465`, or `smtp://…` where the server takes it up with STARTTLS.',
          )
          .meta({ pattern: '^(smtps?://|\\$\\{secret:)', secretReference: true }),
        from: z
          .string()
          .max(300)
          .refine(isSender, {
            error: 'must be a mail address, or a name and a mail address in angle brackets',
            params: { hint: 'write it as systemprompt <no-reply@example.com>' },
          })
          .describe('Who mails come from: an address, or `Name <address>`.'),
      })
      .optional()
      .describe(
        'Where mails are given to. Without it the links that they carry are written to files of the tenant (`outbox/`), unless `runtime.environment` is `production`: then there is no sign-in by mail.',
      ),
  })
  .prefault({})
  .describe('Mail: links to sign in with.');
