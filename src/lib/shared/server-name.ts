/**
 * What an MCP server may be called: the name becomes a part of addresses, of names of secrets, of a database role, and of
 * the package that a new project begins with.
 */
export const serverNameForm = /^[a-z][a-z0-9-]{0,49}$/;
