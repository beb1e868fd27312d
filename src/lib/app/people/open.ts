import type { Instance } from '../../infra/config/instance.ts';
import type { Profile } from '../../infra/config/profile.ts';
import type { FederationProvider } from '../../infra/config/profile-federation.ts';
import { resolveSecretReference, type SecretStore } from '../../infra/config/secrets.ts';
import type { Database } from '../../infra/database/connection.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import type { Mailer } from '../../infra/mail/mailer.ts';
import { outboxFolder, outboxMailer } from '../../infra/mail/outbox.ts';
import { type AddressOf, addressReader } from '../caller-address.ts';
import { BrowserSessions } from './browser-sessions.ts';
import { Federation } from './federation.ts';
import { MailLinks } from './mail-links.ts';
import { Passkeys } from './passkeys.ts';
import { SetupLinks } from './setup-links.ts';
import { Throttle } from './throttle.ts';

/** Everything by which people sign in with a browser. */
export interface People {
  readonly sessions: BrowserSessions;
  readonly passkeys: Passkeys;
  readonly mailLinks: MailLinks;
  readonly setupLinks: SetupLinks;
  readonly federation: Federation;
  readonly throttle: Throttle;
  /** From where a request came. */
  readonly addressOf: AddressOf;
  /** Waits for what is under way. */
  close(): Promise<void>;
}

/** @throws PreconditionError when a secret that the profile names is not kept */
export async function openPeople(deps: {
  readonly database: Database;
  readonly instance: Pick<Instance, 'dir'>;
  readonly profile: Pick<Profile, 'server' | 'security' | 'mail' | 'runtime'>;
  readonly secrets: Pick<SecretStore, 'require'>;
  readonly log: Logger;
}): Promise<People> {
  const { database, profile, secrets, log } = deps;
  const externalUrl = profile.server.external_url;
  const sessions = new BrowserSessions({ database, externalUrl });
  const throttle = new Throttle(database);
  const providers = await Promise.all(
    profile.security.federation.map(
      async ({ client_secret: secret, ...provider }): Promise<FederationProvider> => ({
        ...provider,
        ...(secret === undefined ? {} : { client_secret: await resolveSecretReference(secret, secrets) }),
      }),
    ),
  );
  const mailer = await openMailer(deps);
  const mailLinks = new MailLinks({ database, sessions, throttle, mailer, externalUrl, log });
  return {
    sessions,
    throttle,
    addressOf: addressReader(profile.server.trusted_proxies),
    mailLinks,
    passkeys: new Passkeys({ database, sessions, throttle, externalUrl }),
    setupLinks: new SetupLinks({ database, sessions, throttle }),
    federation: new Federation({ providers, externalUrl, database, sessions, throttle, log }),
    close: () => mailLinks.close(),
  };
}

/** In production nobody looks into files for mails: without a mail server there is no sign-in by mail then. */
async function openMailer({
  profile,
  secrets,
  instance,
}: Parameters<typeof openPeople>[0]): Promise<Mailer | undefined> {
  const { smtp } = profile.mail;
  if (smtp !== undefined) {
    const { smtpMailer } = await import('../../infra/mail/smtp.ts');
    return smtpMailer({ url: await resolveSecretReference(smtp.url, secrets), from: smtp.from });
  }
  return profile.runtime.environment === 'production' ? undefined : outboxMailer(outboxFolder(instance));
}
