import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';

const inspection = readFileSync(join(import.meta.dirname, '../fixtures/accessibility.mjs'), 'utf8');

/** What can be said of a page's accessibility by looking at it (WCAG 2.2, level AA), each fault a line. */
export function accessibilityFaults(page: Page): Promise<string[]> {
  return page.evaluate(`{\n${inspection}\n}`);
}
