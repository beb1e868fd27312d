import { isRecord } from '../../router/jsonrpc.ts';
import { asObject, type Json, without } from './json.ts';
import { legacyRevisions, metaKey, modernRevision, negotiate, tasksExtension } from './revisions.ts';

/** What a legacy server said at `initialize`, as the answer to `server/discover`. */
export function toDiscovered(initialized: Json): Json {
  const { instructions } = initialized;
  return {
    resultType: 'complete',
    // The revisions that a client may use here: the legacy ones are spoken as well, by the same address.
    supportedVersions: [modernRevision, ...legacyRevisions],
    capabilities: without(asObject(initialized['capabilities']), 'tasks'),
    ...(typeof instructions === 'string' ? { instructions } : {}),
    ttlMs: 0,
    cacheScope: 'private',
    _meta: { [metaKey.serverInfo]: serverInfoOf(initialized) },
  };
}

/** What a modern server said at `server/discover`, as the answer to `initialize`. */
export function toInitialized(discovered: Json, requested: unknown): Json {
  const { instructions } = discovered;
  return {
    protocolVersion: negotiate(requested),
    capabilities: withoutTasks(asObject(discovered['capabilities'])),
    serverInfo: serverInfoOf(discovered),
    ...(typeof instructions === 'string' ? { instructions } : {}),
  };
}

function withoutTasks(capabilities: Json): Json {
  const { extensions } = capabilities;
  return isRecord(extensions) ? { ...capabilities, extensions: without(extensions, tasksExtension) } : capabilities;
}

/** Who the server says it is; both eras want a name and a version. */
export function serverInfoOf(said: Json): Json {
  const info = isRecord(said['serverInfo']) ? said['serverInfo'] : asObject(said['_meta'])[metaKey.serverInfo];
  const known = asObject(info);
  return { ...known, name: text(known['name'], 'unnamed'), version: text(known['version'], '0') };
}

/** Whether an answer to `server/discover` is one, from a server that speaks our modern revision. */
export function isDiscovered(result: unknown): result is Json {
  if (!isRecord(result) || !isRecord(result['capabilities'])) return false;
  const { supportedVersions } = result;
  return Array.isArray(supportedVersions) && supportedVersions.includes(modernRevision);
}

function text(value: unknown, instead: string): string {
  return typeof value === 'string' && value !== '' ? value : instead;
}
