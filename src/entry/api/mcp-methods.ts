/** What Streamable HTTP uses (MCP 2025-11-25); HEAD is not among it, it would be GET to a server. */
export const mcpMethods = ['GET', 'POST', 'DELETE'];
