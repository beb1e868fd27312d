import type { RequestContext } from './context.ts';
import type { Completer } from './prompt.ts';
import { requireName } from './schema.ts';
import { parseUriTemplate, type UriTemplate } from './uri-template.ts';

/** What reading gives: a text, bytes, or anything else as JSON. Undefined: there is no such resource. */
export type ResourceContent = string | Uint8Array | Readonly<Record<string, unknown>> | readonly unknown[];

interface Described {
  /** As tools are called. */
  readonly name: string;
  readonly title: string | undefined;
  readonly description: string | undefined;
  readonly mimeType: string | undefined;
}

/** A resource as `defineResource` or `defineUiResource` made it. */
export interface ResourceDefinition extends Described {
  readonly uri: string;
  /** Goes to clients under `_meta`. */
  readonly meta: Readonly<Record<string, unknown>> | undefined;
  readonly read: (context: RequestContext) => ResourceContent | undefined | Promise<ResourceContent | undefined>;
}

/** One resource of a template, as it is listed. */
export interface ListedResource {
  readonly uri: string;
  readonly name: string;
  readonly title?: string;
  readonly description?: string;
  readonly mimeType?: string;
  /** In bytes. */
  readonly size?: number;
}

/** Variables of a URI, percent-decoded. They come from the caller. */
export type UriVariables = Readonly<Record<string, string>>;

/** Resources of one kind as `defineResourceTemplate` made it. */
export interface ResourceTemplateDefinition extends Described {
  readonly uriTemplate: string;
  readonly template: UriTemplate;
  readonly complete: Readonly<Record<string, Completer>>;
  readonly list:
    | ((context: RequestContext) => readonly ListedResource[] | Promise<readonly ListedResource[]>)
    | undefined;
  readonly read: (
    variables: UriVariables,
    context: RequestContext,
  ) => ResourceContent | undefined | Promise<ResourceContent | undefined>;
}

export interface ResourceOptions {
  readonly uri: string;
  readonly name: string;
  readonly title?: string;
  readonly description?: string;
  /** Of texts `text/plain`, of bytes `application/octet-stream`, of anything else `application/json` unless told. */
  readonly mimeType?: string;
  read(context: RequestContext): ResourceContent | undefined | Promise<ResourceContent | undefined>;
}

export interface ResourceTemplateOptions {
  /** Of RFC 6570: `{name}` for one step of a path, `{+path}` for the rest of it, `{?a,b}` at the end for a query. */
  readonly uriTemplate: string;
  readonly name: string;
  readonly title?: string;
  readonly description?: string;
  readonly mimeType?: string;
  /** Those that clients should list; the first 1000 are. */
  list?(context: RequestContext): readonly ListedResource[] | Promise<readonly ListedResource[]>;
  /** By variable: what a client offers while it is typed. */
  readonly complete?: Readonly<Record<string, Completer>>;
  /** Undefined: there is no such resource. */
  read(
    variables: UriVariables,
    context: RequestContext,
  ): ResourceContent | undefined | Promise<ResourceContent | undefined>;
}

/** What a page of an MCP App may reach beside itself, as the host's sandbox allows it: origins such as `https://x.example`. */
export interface UiContentSecurity {
  readonly connectDomains?: readonly string[];
  readonly resourceDomains?: readonly string[];
  readonly frameDomains?: readonly string[];
  readonly baseUriDomains?: readonly string[];
}

/** A page that clients with MCP Apps show (extension `io.modelcontextprotocol/ui`). */
export interface UiResourceDefinition extends ResourceDefinition {
  readonly ui: true;
}

export interface UiResourceOptions {
  /** Begins with `ui://`. */
  readonly uri: string;
  readonly name: string;
  readonly title?: string;
  readonly description?: string;
  /** One whole HTML page. Without `csp` it may load nothing from anywhere. */
  readonly html: string | (() => string);
  readonly csp?: UiContentSecurity;
  readonly prefersBorder?: boolean;
}

/** Of a page of MCP Apps (specification of 2026-01-26). */
const uiMimeType = 'text/html;profile=mcp-app';
/** The extension that clients and servers announce. */
export const uiExtension = 'io.modelcontextprotocol/ui';

/** @throws TypeError saying what is wrong with the URI or the name */
export function defineResource(options: ResourceOptions): ResourceDefinition {
  const { uri, name, title, description, mimeType } = options;
  requireName('Resource', name);
  requireUri(name, uri);
  if (/^ui:/i.test(uri)) throw new TypeError(`Resource ${name}: ui:// is for pages; use defineUiResource`);
  const read = options.read.bind(options);
  return Object.freeze({ uri, name, title, description, mimeType, meta: undefined, read });
}

/** @throws TypeError saying what is wrong with the template or the name */
export function defineResourceTemplate(options: ResourceTemplateOptions): ResourceTemplateDefinition {
  const { uriTemplate, name, title, description, mimeType, complete = {} } = options;
  requireName('Resource template', name);
  const template = parseUriTemplate(uriTemplate);
  const unknown = Object.keys(complete).find((key) => !template.variables.includes(key));
  if (unknown !== undefined)
    throw new TypeError(`Resource template ${name}: complete names ${unknown}, which is no variable of ${uriTemplate}`);
  const list = options.list?.bind(options);
  const read = options.read.bind(options);
  return Object.freeze({ uriTemplate, template, name, title, description, mimeType, complete, list, read });
}

/** @throws TypeError saying what is wrong with the URI or the name */
export function defineUiResource(options: UiResourceOptions): UiResourceDefinition {
  const { uri, name, title, description, html, csp, prefersBorder } = options;
  requireName('UI resource', name);
  if (!/^ui:\/\/[^/]/.test(uri))
    throw new TypeError(`UI resource ${name}: its URI must begin with ui://, such as ui://${name}/page`);
  requireUri(name, uri);
  const ui = { ...(csp === undefined ? {} : { csp }), ...(prefersBorder === undefined ? {} : { prefersBorder }) };
  return Object.freeze({
    ui: true as const,
    uri,
    name,
    title,
    description,
    mimeType: uiMimeType,
    meta: Object.keys(ui).length === 0 ? undefined : { ui },
    read: () => (typeof html === 'string' ? html : html()),
  });
}

function requireUri(name: string, uri: string): void {
  if (/[{}]/.test(uri)) throw new TypeError(`Resource ${name}: ${uri} has variables; use defineResourceTemplate`);
  if (uri.length > 500 || !URL.canParse(uri) || /\s/.test(uri))
    throw new TypeError(`Resource ${name}: "${uri}" is no URI; write a scheme and a path, such as notes://all`);
}
