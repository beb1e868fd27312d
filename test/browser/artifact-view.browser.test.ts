import type { Browser, Frame, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { artifactView } from '../../src/lib/shared/mcp/artifact-view.ts';
import { launchChromium } from '../helpers/chromium.ts';

/** A host of MCP Apps, as small as one can be: the page in a sandbox without an origin, and the protocol beside it. */
const host = `<!doctype html><iframe sandbox="allow-scripts" style="width:800px;height:600px"></iframe><script>
const frame = document.querySelector('iframe');
window.heard = [];
addEventListener('message', ({ data }) => {
  window.heard.push(data);
  if (data.method === 'ui/initialize')
    frame.contentWindow.postMessage({ jsonrpc: '2.0', id: data.id, result: { protocolVersion: '2026-01-26', hostContext: { theme: 'dark' } } }, '*');
});
window.load = (html) => frame.setAttribute('srcdoc', html);
window.show = (params) => frame.contentWindow.postMessage({ jsonrpc: '2.0', method: 'ui/notifications/tool-result', params }, '*');
</script>`;

/** What the host's window offers to a test: a test is no page, and knows no `window`. */
interface Host {
  readonly heard: readonly { readonly method?: string }[];
  load(html: string): void;
  show(params: unknown): void;
}

let browser: Browser;
let page: Page;
let view: Frame;
const faults: string[] = [];
const requests: string[] = [];

beforeAll(async () => {
  browser = await launchChromium();
  page = await browser.newPage();
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('request', (request) => requests.push(request.url()));
  await page.setContent(host);
  const html = artifactView.read(undefined as never) as string;
  await page.evaluate((text) => (globalThis as never as Host).load(text), html);
  await page.waitForFunction(() =>
    (globalThis as never as Host).heard.some(({ method }) => method === 'ui/notifications/initialized'),
  );
  const found = page.frames().find((frame) => frame !== page.mainFrame());
  if (found === undefined) throw new Error('There is no frame');
  view = found;
});
afterAll(() => browser?.close());

async function show(structuredContent: unknown, text: string): Promise<void> {
  await page.evaluate((params) => (globalThis as never as Host).show(params), {
    structuredContent,
    content: [{ type: 'text', text }],
  });
}
const words = async (selector: string): Promise<string[]> =>
  (await view.locator(selector).allTextContents()).map((one) => one.trim());

describe('the page of artifacts', () => {
  it('shows a table that is sorted, filtered and turned, and takes nothing in it for markup', async () => {
    const items = Array.from({ length: 25 }, (_, n) => ({
      name: n === 3 ? '<img src=x onerror=alert(1)>' : `row ${n}`,
      ms: 25 - n,
    }));
    const columns = [
      { name: 'name', column_type: 'string' },
      { name: 'ms', label: 'Time', column_type: 'duration' },
    ];
    await show({ type: 'table', title: 'Rows', columns, items, count: 30, hints: { page_size: 10 } }, '');
    await view.locator('h1').waitFor();
    expect(await words('tbody tr')).toHaveLength(10);
    expect(await words('tbody tr:nth-child(4) td')).toEqual(['<img src=x onerror=alert(1)>', '22 ms']);
    await view.locator('th:nth-child(2) button').click();
    expect(await words('tbody tr:first-child td')).toEqual(['row 24', '1 ms']);
    await view.locator('button', { hasText: 'Next' }).click();
    expect(await words('.foot span')).toEqual(['Page 2 of 3']);
    await view.locator('input').fill('row 24');
    expect(await words('tbody tr')).toHaveLength(1);
    expect(await words('p')).toEqual(['25 of 30 shown.']);
  });

  it.each(['bar', 'line', 'area', 'pie'])('draws a chart: %s', async (chart_type) => {
    const series = [
      { name: 'calls', values: [1, 3, 2] },
      ...(chart_type === 'pie' ? [] : [{ name: 'faults', values: [0, -1, 1] }]),
    ];
    await show(
      { type: 'chart', chart_type, title: chart_type, labels: ['a', 'b', 'c'], label_type: 'string', series },
      '',
    );
    await view.locator(`svg[aria-label=${chart_type}]`).waitFor();
    expect(await view.locator('svg rect, svg polyline, svg path').count()).toBe(
      { bar: 6, line: 2, area: 2, pie: 3 }[chart_type],
    );
    expect(await words('details tbody tr')).toHaveLength(3);
  });

  it('shows anything else as the text that came with it', async () => {
    await show({ sum: 3 }, 'three');
    await view.locator('pre', { hasText: 'three' }).waitFor();
    await show({ type: 'chart', labels: 'damaged' }, 'the text');
    await view.locator('pre', { hasText: 'the text' }).waitFor();
  });

  it('loads nothing and fails nowhere', () => {
    expect([faults, requests.filter((url) => !url.startsWith('about:'))]).toEqual([[], []]);
  });
});
