import { isRecord } from '../../router/jsonrpc.ts';
import { JsonRpcMessage, type RequestId } from '../message.ts';
import type { Json } from './json.ts';
import { asObject } from './json.ts';
import { metaKey } from './revisions.ts';

/** What the holder of a `subscriptions/listen` wants to hear of (MCP 2026-07-28). */
export interface Filter {
  readonly toolsListChanged?: true;
  readonly promptsListChanged?: true;
  readonly resourcesListChanged?: true;
  readonly resourceSubscriptions?: readonly string[];
}

const lists = {
  toolsListChanged: ['tools', 'notifications/tools/list_changed'],
  promptsListChanged: ['prompts', 'notifications/prompts/list_changed'],
  resourcesListChanged: ['resources', 'notifications/resources/list_changed'],
} as const;

/** More addresses than one listener has reason to watch. */
const mostAddresses = 1_000;
/** Longer than any of them is, in characters. */
const longestAddress = 8 * 1024;

/** The filter of a request, cut down to what the server's capabilities promise; nothing when it is none. */
export function readFilter(params: Json, capabilities: Json): Filter | undefined {
  const asked = params['notifications'];
  if (!isRecord(asked)) return undefined;
  const filter: Record<string, unknown> = {};
  for (const [name, [capability]] of Object.entries(lists)) {
    if (asked[name] !== undefined && typeof asked[name] !== 'boolean') return undefined;
    if (asked[name] === true && asObject(capabilities[capability])['listChanged'] === true) filter[name] = true;
  }
  const addresses = asked['resourceSubscriptions'];
  if (addresses === undefined) return filter;
  if (!Array.isArray(addresses) || addresses.length > mostAddresses) return undefined;
  if (addresses.some((address) => typeof address !== 'string' || address.length > longestAddress)) return undefined;
  if (addresses.length > 0 && asObject(capabilities['resources'])['subscribe'] === true) {
    filter['resourceSubscriptions'] = [...new Set(addresses as string[])];
  }
  return filter;
}

/** Everything that a server with these capabilities tells of its lists. */
export function allLists(capabilities: Json): Filter {
  const all = Object.fromEntries(Object.keys(lists).map((name) => [name, true]));
  return readFilter({ notifications: all }, capabilities) ?? {};
}

/** Whether a notification tells of a change: those come by a subscription, the others with a request. */
export function isChange(method: string): boolean {
  return method === 'notifications/resources/updated' || Object.values(lists).some(([, changed]) => changed === method);
}

/** Whether a filter lets a change through. */
export function lets(filter: Filter, change: JsonRpcMessage): boolean {
  if (change.method === 'notifications/resources/updated') {
    return filter.resourceSubscriptions?.includes(String(change.params['uri'])) === true;
  }
  return Object.entries(lists).some(([name, [, method]]) => method === change.method && name in filter);
}

/** A change as it goes to one listener. */
export function stamped(change: JsonRpcMessage, id: RequestId): JsonRpcMessage {
  const meta = { ...asObject(change.params['_meta']), [metaKey.subscriptionId]: id };
  return change.withParams({ ...change.params, _meta: meta });
}

/** The first thing that a listener hears. */
export function acknowledged(filter: Filter, id: RequestId): JsonRpcMessage {
  const method = 'notifications/subscriptions/acknowledged';
  return stamped(JsonRpcMessage.notification(method, { notifications: filter }), id);
}

/** The last thing that a listener hears, when the server ends the subscription. */
export function subscriptionOver(id: RequestId, serverInfo: Json): JsonRpcMessage {
  const meta = { [metaKey.subscriptionId]: id, [metaKey.serverInfo]: serverInfo };
  return JsonRpcMessage.result(id, { resultType: 'complete', _meta: meta });
}
