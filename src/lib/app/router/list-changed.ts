/** What every such notification has in it, whichever list it is about. */
const needle = 'list_changed';
/** As JSON may write it (MCP 2025-11-25, server/tools, list changed notification): some writers escape the slash. */
const said = /tools\\?\/list_changed/;
/** Most bytes that the needle can lie ahead of or behind the end of a chunk. */
const overlap = 32;

/**
 * Looks in the bytes of one event stream for `notifications/tools/list_changed`, wherever the chunks are cut. It reads no JSON:
 * at worst somebody's text has the word in it, and a server is asked once more than needed.
 */
export class ListChangedScan {
  #tail: Buffer = Buffer.alloc(0);

  /** Whether this chunk completes one. */
  sees(chunk: Buffer): boolean {
    const seam = this.#tail.length === 0 ? this.#tail : Buffer.concat([this.#tail, chunk.subarray(0, overlap)]);
    const found = isIn(chunk) || isIn(seam);
    this.#tail = found
      ? Buffer.alloc(0)
      : chunk.length >= overlap
        ? chunk.subarray(-overlap)
        : Buffer.concat([this.#tail, chunk]).subarray(-overlap);
    return found;
  }
}

function isIn(bytes: Buffer): boolean {
  return bytes.includes(needle) && said.test(bytes.toString('latin1'));
}
