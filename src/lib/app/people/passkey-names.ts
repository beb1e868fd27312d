import type { CookieRequest } from './cookies.ts';

/** A name that a user chose, on one line of visible characters; undefined when nothing is left of it. */
export function cleanPasskeyName(name: string | undefined): string | undefined {
  const clean = name
    ?.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 100)
    .toWellFormed();
  return clean === '' ? undefined : clean;
}

const devices: readonly (readonly [RegExp, string])[] = [
  [/iPhone/, 'iPhone'],
  [/iPad/, 'iPad'],
  [/Android/, 'Android device'],
  [/Macintosh/, 'Mac'],
  [/Windows/, 'Windows PC'],
  [/Linux|X11/, 'Linux PC'],
];

/** What a passkey is called that nobody named: after the device that it was made at. */
export function passkeyNameFor({ headers }: CookieRequest): string {
  return devices.find(([form]) => form.test(headers['user-agent'] ?? ''))?.[1] ?? 'Passkey';
}
