import { defineUiResource } from './resource.ts';

// One page for every artifact, in one piece: hosts show it in a sandbox that loads nothing from anywhere. It speaks the
// postMessage protocol of MCP Apps (specification of 2026-01-26) and puts whatever a tool returned into text nodes only.

const style = `
:root { color-scheme: light dark; --fg: var(--color-text-primary, light-dark(#1a1a1a, #ececec));
  --dim: var(--color-text-secondary, light-dark(#5c5c5c, #a8a8a8)); --line: var(--color-border-primary, light-dark(#d9d9d9, #444));
  --hover: var(--color-background-secondary, light-dark(#f4f4f4, #2a2a2a)); }
body { margin: 0; padding: 12px; color: var(--fg); background: var(--color-background-primary, transparent);
  font: 14px/1.45 var(--font-sans, system-ui, sans-serif); }
h1 { font-size: 15px; margin: 0 0 8px; } h2 { font-size: 14px; margin: 12px 0 2px; }
.dim { color: var(--dim); } .wide { overflow-x: auto; } p { margin: 6px 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 4px 10px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td { white-space: pre-wrap; overflow-wrap: anywhere; } .right { text-align: right; } .center { text-align: center; }
tbody tr:hover { background: var(--hover); }
button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; font-weight: 600; }
button.plain { border: 1px solid var(--line); border-radius: 4px; padding: 1px 8px; font-weight: 400; }
button:focus-visible, input:focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }
input { font: inherit; color: inherit; background: transparent; border: 1px solid var(--line); border-radius: 4px; padding: 3px 8px; margin: 0 0 8px; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; font: 13px/1.45 var(--font-mono, ui-monospace, monospace); }
svg { display: block; width: 100%; height: auto; } svg text { fill: var(--dim); font-size: 11px; }
.key { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin: 0 5px 0 12px; }
.foot { display: flex; gap: 10px; align-items: center; margin-top: 8px; }
`;

const script = `
'use strict';
const colours = ['#3b76d1', '#d1703b', '#3b9c6a', '#9a55c2', '#c2a63b', '#c24a6b', '#3ba3b5', '#7a7a7a'];
const root = document.getElementById('root');
let asked = 0;
const waiting = new Map();
const post = (message) => parent.postMessage({ jsonrpc: '2.0', ...message }, '*');
const request = (method, params) => new Promise((resolve, reject) => {
  asked += 1;
  waiting.set(asked, { resolve, reject });
  post({ id: asked, method, params });
});
function node(name, properties, ...children) {
  const element = document.createElement(name);
  const { attributes = {}, ...direct } = properties || {};
  Object.assign(element, direct);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}
function shape(name, attributes, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}
function duration(ms) {
  if (ms < 1000) return Math.round(ms * 10) / 10 + ' ms';
  if (ms < 60000) return Math.round(ms / 100) / 10 + ' s';
  if (ms < 3600000) return Math.floor(ms / 60000) + ' min ' + Math.floor((ms % 60000) / 1000) + ' s';
  return Math.floor(ms / 3600000) + ' h ' + Math.floor((ms % 3600000) / 60000) + ' min';
}
function bytes(value) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return (unit === 0 ? value : value.toFixed(1)) + ' ' + units[unit];
}
function cell(value, type) {
  if (value === null || value === undefined || value === '') return '–';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'number') {
    if (type === 'duration') return duration(value);
    if (type === 'bytes') return bytes(value);
    return value.toLocaleString();
  }
  if (type === 'date' && !Number.isNaN(Date.parse(value))) return new Date(value).toLocaleString();
  if (type === 'link') return link(value);
  return String(value);
}
function link(url) {
  if (!/^https?:/i.test(url)) return String(url);
  const open = (event) => { event.preventDefault(); request('ui/open-link', { url }).catch(() => {}); };
  return node('a', { href: url, onclick: open, textContent: url, attributes: { rel: 'noopener noreferrer' } });
}
function foot(artifact, shown) {
  const lines = [];
  const count = artifact.count;
  if (count > shown) lines.push(node('p', { className: 'dim', textContent: shown + ' of ' + count + ' shown.' }));
  for (const note of artifact.notes || []) lines.push(node('p', { className: 'dim', textContent: note }));
  return lines;
}
const numeric = ['integer', 'number', 'duration', 'bytes'];
function table(artifact) {
  const hints = artifact.hints || {};
  const size = hints.page_size || 50;
  let sort = hints.default_sort;
  let words = '';
  let page = 0;
  const body = node('tbody');
  const pager = node('div', { className: 'foot' });
  const head = node('tr');
  const sortable = (column) => hints.sortable_columns === undefined || hints.sortable_columns.includes(column.name);
  const side = (column) => column.align || (numeric.includes(column.column_type) ? 'right' : 'left');
  function rows() {
    let found = artifact.items;
    if (words !== '') found = found.filter((item) => artifact.columns.some(({ name }) => String(item[name] ?? '').toLowerCase().includes(words)));
    if (sort === undefined) return found;
    const way = sort.order === 'desc' ? -1 : 1;
    const by = sort.column;
    return [...found].sort((a, b) => {
      const x = a[by] ?? null;
      const y = b[by] ?? null;
      if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1;
      return way * (typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true }));
    });
  }
  function draw() {
    head.replaceChildren(...artifact.columns.map((column) => {
      const label = column.label || column.name;
      const on = sort !== undefined && sort.column === column.name;
      const mark = on ? (sort.order === 'desc' ? ' ▼' : ' ▲') : '';
      const press = () => { sort = { column: column.name, order: on && sort.order !== 'desc' ? 'desc' : 'asc' }; page = 0; draw(); };
      const inner = sortable(column) ? node('button', { type: 'button', onclick: press, textContent: label + mark }) : label;
      return node('th', { className: side(column), attributes: { scope: 'col', 'aria-sort': on ? (sort.order === 'desc' ? 'descending' : 'ascending') : 'none' } }, inner);
    }));
    const found = rows();
    const pages = Math.max(1, Math.ceil(found.length / size));
    page = Math.min(page, pages - 1);
    body.replaceChildren(...found.slice(page * size, (page + 1) * size).map((item) => node('tr', {}, ...artifact.columns.map((column) =>
      node('td', { className: side(column) }, cell(item[column.name], column.column_type))))));
    const turn = (by) => () => { page += by; draw(); };
    pager.replaceChildren(...(pages === 1 ? [] : [
      node('button', { type: 'button', className: 'plain', textContent: 'Back', disabled: page === 0, onclick: turn(-1) }),
      node('span', { className: 'dim', textContent: 'Page ' + (page + 1) + ' of ' + pages }),
      node('button', { type: 'button', className: 'plain', textContent: 'Next', disabled: page === pages - 1, onclick: turn(1) }),
    ]));
  }
  if (artifact.items.length === 0) return [node('p', { className: 'dim', textContent: artifact.empty || 'No items found.' }), ...foot(artifact, 0)];
  draw();
  const filter = hints.filterable ?? artifact.items.length > 10;
  const search = (event) => { words = event.target.value.trim().toLowerCase(); page = 0; draw(); };
  return [
    ...(filter ? [node('input', { type: 'search', placeholder: 'Filter', oninput: search, attributes: { 'aria-label': 'Filter the rows' } })] : []),
    node('div', { className: 'wide' }, node('table', {}, node('thead', {}, head), body)),
    pager,
    ...foot(artifact, artifact.items.length),
  ];
}
function values(artifact) {
  const columns = [{ name: 'label', label: '', column_type: artifact.label_type }, ...artifact.series.map(({ name }, index) => ({ name: 's' + index, label: name, column_type: 'number' }))];
  const items = artifact.labels.map((label, at) => Object.fromEntries([['label', label], ...artifact.series.map((one, index) => ['s' + index, one.values[at] ?? null])]));
  return node('details', {}, node('summary', { className: 'dim', textContent: 'As a table' }), ...table({ columns, items, count: items.length }));
}
function pie(artifact) {
  const all = artifact.series[0] ? artifact.series[0].values.map((value) => Math.max(0, value)) : [];
  const sum = all.reduce((total, value) => total + value, 0) || 1;
  let turn = -Math.PI / 2;
  const slices = all.map((value, index) => {
    const part = (value / sum) * 2 * Math.PI;
    const from = turn;
    turn += part;
    const point = (angle) => 100 + 90 * Math.cos(angle) + ' ' + (100 + 90 * Math.sin(angle));
    const fill = colours[index % colours.length];
    const title = shape('title', {}, artifact.labels[index] + ': ' + value);
    if (part > 6.283) return shape('circle', { cx: 100, cy: 100, r: 90, fill }, title);
    return shape('path', { d: 'M100 100 L' + point(from) + ' A90 90 0 ' + (part > Math.PI ? 1 : 0) + ' 1 ' + point(turn) + ' Z', fill }, title);
  });
  return shape('svg', { viewBox: '0 0 200 200', role: 'img', 'aria-label': artifact.title || 'Pie chart', style: 'max-width:260px' }, ...slices);
}
function plot(artifact) {
  const [width, height, left, low, top] = [720, 260, 52, 24, 10];
  const flat = artifact.series.flatMap((one) => one.values);
  const most = Math.max(0, ...flat);
  const least = Math.min(0, ...flat);
  const span = most - least || 1;
  const y = (value) => top + (height - top - low) * (1 - (value - least) / span);
  const step = (width - left) / Math.max(1, artifact.labels.length);
  const x = (index) => left + step * (index + 0.5);
  const parts = [];
  for (let line = 0; line <= 4; line += 1) {
    const value = least + (span * line) / 4;
    parts.push(shape('line', { x1: left, x2: width, y1: y(value), y2: y(value), stroke: 'currentColor', 'stroke-opacity': value === 0 ? 0.5 : 0.15 }));
    parts.push(shape('text', { x: left - 6, y: y(value) + 4, 'text-anchor': 'end' }, Number(value.toPrecision(3)).toLocaleString()));
  }
  const every = Math.ceil(artifact.labels.length / 8);
  artifact.labels.forEach((label, index) => {
    if (index % every !== 0) return;
    const date = artifact.label_type === 'date' && !Number.isNaN(Date.parse(label)) ? new Date(label).toLocaleString(undefined, { dateStyle: 'short', timeStyle: 'short' }) : String(label);
    parts.push(shape('text', { x: x(index), y: height - 6, 'text-anchor': 'middle' }, date.slice(0, 18)));
  });
  artifact.series.forEach((one, number) => {
    const colour = colours[number % colours.length];
    if (artifact.chart_type === 'bar') {
      const wide = (step * 0.8) / artifact.series.length;
      one.values.forEach((value, index) => {
        const from = Math.min(y(value), y(0));
        const bar = { x: left + step * index + step * 0.1 + wide * number, y: from, width: Math.max(0.5, wide - 0.5), height: Math.abs(y(value) - y(0)), fill: colour };
        parts.push(shape('rect', bar, shape('title', {}, one.name + ', ' + artifact.labels[index] + ': ' + value)));
      });
      return;
    }
    const points = one.values.map((value, index) => x(index) + ',' + y(value)).join(' ');
    if (artifact.chart_type === 'area' && one.values.length > 0)
      parts.push(shape('polygon', { points: x(0) + ',' + y(0) + ' ' + points + ' ' + x(one.values.length - 1) + ',' + y(0), fill: colour, 'fill-opacity': 0.2 }));
    parts.push(shape('polyline', { points, fill: 'none', stroke: colour, 'stroke-width': 2 }));
  });
  return shape('svg', { viewBox: '0 0 ' + width + ' ' + height, role: 'img', 'aria-label': artifact.title || 'Chart' }, ...parts);
}
function chart(artifact) {
  if (artifact.labels.length === 0) return [node('p', { className: 'dim', textContent: artifact.empty || 'No values found.' }), ...foot(artifact, 0)];
  const names = artifact.chart_type === 'pie' ? artifact.labels : artifact.series.map(({ name }) => name);
  const key = node('p', {}, ...names.slice(0, 24).flatMap((name, index) => [node('span', { className: 'key', attributes: { style: 'background:' + colours[index % colours.length] } }), String(name)]));
  return [artifact.chart_type === 'pie' ? pie(artifact) : plot(artifact), key, values(artifact), ...foot(artifact, 0)];
}
function list(artifact) {
  if (artifact.items.length === 0) return [node('p', { className: 'dim', textContent: artifact.empty || 'No items found.' })];
  return [...artifact.items.flatMap((item) => [
    node('h2', { textContent: item.title }),
    ...(item.summary === undefined ? [] : [node('pre', { textContent: item.summary })]),
    ...(item.link === undefined ? [] : [node('p', {}, link(item.link))]),
  ]), ...foot(artifact, artifact.items.length)];
}
function card(artifact) {
  return [
    ...(artifact.subtitle === undefined ? [] : [node('p', { className: 'dim', textContent: artifact.subtitle })]),
    ...artifact.sections.flatMap(({ heading, content }) => [node('h2', { textContent: heading }), node('pre', { textContent: content })]),
  ];
}
function copied(artifact) {
  const copy = (event) => navigator.clipboard.writeText(artifact.content).then(() => { event.target.textContent = 'Copied'; }, () => {});
  return [node('pre', { textContent: artifact.content }), node('div', { className: 'foot' }, node('button', { type: 'button', className: 'plain', textContent: 'Copy', onclick: copy }))];
}
const views = { table, chart, list, presentation_card: card, copy_paste_text: copied, text: (artifact) => [node('pre', { textContent: artifact.content })] };
function show(result) {
  const artifact = result.structuredContent;
  const text = (result.content || []).filter((part) => part.type === 'text').map((part) => part.text).join('\\n');
  const view = artifact && !result.isError ? views[artifact.type] : undefined;
  let shown;
  try {
    shown = view === undefined ? undefined : [...(artifact.title === undefined ? [] : [node('h1', { textContent: artifact.title })]), ...view(artifact)];
  } catch { shown = undefined; }
  root.replaceChildren(...(shown || [node('pre', { textContent: text || JSON.stringify(artifact, null, 2) || 'Nothing was returned.' })]));
}
function dress(context) {
  if (!context) return;
  if (context.theme) document.documentElement.style.colorScheme = context.theme;
  const variables = (context.styles && context.styles.variables) || {};
  for (const [name, value] of Object.entries(variables)) if (value) document.documentElement.style.setProperty(name, value);
}
addEventListener('message', ({ source, data }) => {
  if (source !== parent || !data || data.jsonrpc !== '2.0') return;
  if (data.method === undefined) {
    const question = waiting.get(data.id);
    waiting.delete(data.id);
    if (question) data.error ? question.reject(data.error) : question.resolve(data.result);
    return;
  }
  if (data.method === 'ui/notifications/tool-result') show(data.params || {});
  else if (data.method === 'ui/notifications/tool-cancelled') root.replaceChildren(node('p', { className: 'dim', textContent: 'Cancelled.' }));
  else if (data.method === 'ui/notifications/host-context-changed') dress(data.params);
  else if (data.id !== undefined) post(data.method === 'ping' || data.method === 'ui/resource-teardown' ? { id: data.id, result: {} } : { id: data.id, error: { code: -32601, message: 'Method not found' } });
});
request('ui/initialize', { appInfo: { name: 'systemprompt-artifact-view', version: '1' }, appCapabilities: {}, protocolVersion: '2026-01-26' }).then((host) => {
  dress(host.hostContext);
  post({ method: 'ui/notifications/initialized', params: {} });
  new ResizeObserver(() => {
    const { width, height } = document.documentElement.getBoundingClientRect();
    post({ method: 'ui/notifications/size-changed', params: { width: Math.ceil(width), height: Math.ceil(height) } });
  }).observe(document.documentElement);
}, () => {});
`;

/** The page, as hosts get it. */
const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Result</title>
<style>${style}</style></head>
<body><main id="root"><p class="dim">Waiting for the result …</p></main><script>${script}</script></body></html>
`;

/** The page that shows an artifact: tables to sort and filter, charts, lists, cards, texts. It loads nothing from anywhere. */
export const artifactView = defineUiResource({
  uri: 'ui://systemprompt/artifact',
  name: 'artifact-view',
  title: 'Result',
  description: 'Shows the result of a tool: a table, a chart, a list, a card or a text',
  html,
});
