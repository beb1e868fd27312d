import { hash } from 'node:crypto';
import { canonicalJson } from '../../domain/governance/index.ts';
import type { ReadTool } from '../../domain/mcp/index.ts';

/**
 * What a tool is pinned by: SHA-256, hex, of the canonical JSON (RFC 8785) of its name, title, description, input and output
 * schema and annotations. Two texts of the same value have one digest; any other change makes another.
 */
export function toolDigest(tool: Pick<ReadTool, 'pinned'>): string {
  return hash('sha256', canonicalJson(tool.pinned), 'hex');
}
