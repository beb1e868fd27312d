import { createTransport } from 'nodemailer';
import { UpstreamFailedError } from '../../shared/errors.ts';
import type { Mailer } from './mailer.ts';

/** How long a mail server gets, in ms: to take the connection, to greet, and for each step. */
const connectMs = 10_000;
const stepMs = 20_000;

/**
 * Gives mails to a mail server. Over plain `smtp:` the connection is encrypted when the server can (STARTTLS); a password
 * goes over an encrypted one alone, but for a server on this machine.
 * @param url `smtp://` or `smtps://` with user and password where the server asks for them
 */
export function smtpMailer({ url, from }: { readonly url: string; readonly from: string }): Mailer {
  const { protocol, hostname, port, username, password } = new URL(url);
  const secure = protocol === 'smtps:';
  const local = ['localhost', '127.0.0.1', '[::1]'].includes(hostname);
  const transport = createTransport({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? (secure ? 465 : 587) : Number(port),
    secure,
    requireTLS: !secure && !local && username !== '',
    ...(username === '' ? {} : { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
    connectionTimeout: connectMs,
    greetingTimeout: connectMs,
    socketTimeout: stepMs,
    // A mail is text that we made: nothing in it names a file or an address to read.
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    kind: 'smtp',
    send: async ({ to, subject, text }) => {
      try {
        await transport.sendMail({ from, to: { name: '', address: to }, subject, text });
        return {};
      } catch (cause) {
        throw new UpstreamFailedError('The mail server did not take the mail', { cause, data: { host: hostname } });
      }
    },
    close: () => transport.close(),
  };
}
