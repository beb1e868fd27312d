import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import packed from '@sparticuz/chromium';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

/** Where screenshots are kept, for whoever wants to look; not in the repository. */
const artefacts = join(import.meta.dirname, '../../coverage/pages');

/** Chromium out of the npm package, alone with this machine: it asks nobody else for anything. */
export async function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: await packed.executablePath(),
    headless: true,
    args: [
      '--no-sandbox', // as root, as in CI
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--font-render-hinting=none',
    ],
  });
}

/** A browser of somebody's own: cookies, colour scheme, with or without scripts. */
export function openContext(browser: Browser, options: BrowserContextOptions = {}): Promise<BrowserContext> {
  return browser.newContext({ viewport: { width: 900, height: 760 }, reducedMotion: 'reduce', ...options });
}

/** Gives the page a built-in authenticator that says yes to everything, as a device that was just unlocked. */
export async function addAuthenticator(page: Page): Promise<{ credentials(): Promise<number> }> {
  const client = await page.context().newCDPSession(page);
  await client.send('WebAuthn.enable');
  const { authenticatorId } = await client.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return {
    credentials: async () => (await client.send('WebAuthn.getCredentials', { authenticatorId })).credentials.length,
  };
}

export async function screenshot(page: Page, name: string): Promise<void> {
  await mkdir(artefacts, { recursive: true });
  await page.screenshot({ path: join(artefacts, `${name}.png`), fullPage: true });
}
