import type { Artifact, ListArtifact, TableArtifact, TextArtifact } from 'systemprompt';

/** One part of an artifact, and where the next one begins. */
export interface Cut {
  readonly artifact: Artifact;
  readonly next: number | undefined;
}

/** What a cursor takes up in the part that carries it, in bytes. */
const cursorBytes = 64;

/**
 * The part of an artifact that begins at `position` and takes at most `limitBytes` as JSON. Tables and lists are cut
 * between items, text between characters; what can't be cut so (cards, charts, single items over the limit, text with large
 * facts beside it) comes as the text of its JSON, in parts. No part is empty, and all together are the whole.
 */
export function cutPage(artifact: Artifact, position: number, limitBytes: number): Cut {
  const limit = limitBytes - cursorBytes;
  if (artifact.type === 'table' || artifact.type === 'list') {
    if (artifact.items.every((item) => bytesOf({ ...artifact, items: [item] }) <= limit))
      return cutItems(artifact, position, limit);
  } else if (
    artifact.type !== 'presentation_card' &&
    artifact.type !== 'chart' &&
    bytesOf({ ...artifact, content: '' }) <= limit / 2
  ) {
    return cutText(artifact, position, limit);
  }
  const title = `${artifact.title ?? artifact.type} (JSON, in parts)`;
  const json: TextArtifact = { type: 'text', title: title.slice(0, 100), content: JSON.stringify(artifact) };
  return cutText(json, position, limit);
}

function cutItems<T extends TableArtifact | ListArtifact>(artifact: T, position: number, limit: number): Cut {
  let room = limit - bytesOf({ ...artifact, items: [] });
  let end = position;
  for (const item of artifact.items.slice(position)) {
    room -= bytesOf(item) + 1;
    if (room < 0 && end > position) break;
    end += 1;
  }
  // `count` stays what it was: how many there are in all.
  const part = { ...artifact, items: artifact.items.slice(position, end) } as Artifact;
  return { artifact: part, next: end < artifact.items.length ? end : undefined };
}

function cutText<T extends Extract<Artifact, { content: string }>>(artifact: T, position: number, limit: number): Cut {
  const room = Math.max(1, limit - bytesOf({ ...artifact, content: '' }));
  const { content } = artifact;
  let end = position;
  let used = 0;
  while (end < content.length) {
    const character = String.fromCodePoint(content.codePointAt(end) ?? 0);
    used += bytesOf(character) - 2;
    if (used > room && end > position) break;
    end += character.length;
  }
  const part = { ...artifact, content: content.slice(position, end) };
  return { artifact: part, next: end < content.length ? end : undefined };
}

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}
