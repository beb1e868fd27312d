import type { WhoAmI } from '../../../lib/app/cloud-auth/sign-ins.ts';
import type { InstanceSignIn } from '../../../lib/infra/config/sign-in-store.ts';
import type { PresentationCardArtifact } from '../../../lib/shared/artifact.ts';
import { formatDate } from '../../../lib/shared/text/cells.ts';

/** How a sign-in came to be. */
export function cameBy({ by }: Pick<InstanceSignIn, 'by'>): string {
  return by === 'browser' ? 'by the browser of this machine' : 'by a code that was entered in a browser';
}

/** A sign-in to an instance, as that instance says it is. */
export function signInCard(title: string, who: WhoAmI, signIn: InstanceSignIn): PresentationCardArtifact {
  const place = signIn.kept === 'keychain' ? 'the key chain of this machine' : 'a file that only you can read';
  return {
    type: 'presentation_card',
    title,
    subtitle: who.origin,
    sections: [
      { heading: 'Opens', content: who.resource },
      { heading: 'Client', content: who.client },
      { heading: 'Scopes', content: who.scopes.join(' ') },
      { heading: 'Signed in', content: `${formatDate(signIn.signedInAt)}, ${cameBy(signIn)}` },
      { heading: 'Token', content: `ends ${formatDate(who.expiresAt)}, is renewed while it is used; kept in ${place}` },
    ],
    data: {
      signed_in: true,
      instance: who.origin,
      issuer: who.issuer,
      audience: who.resource,
      user: who.user,
      user_id: who.userId,
      client: who.client,
      scopes: who.scopes,
      session_id: who.session,
      expires_at: who.expiresAt,
      signed_in_at: signIn.signedInAt,
      by: signIn.by,
      kept_in: signIn.kept,
    },
  };
}
