/**
 * For esbuild: `import … from 'node:http'` becomes a look-up of the built-in module. Linking node:http as an ES module reads
 * every one of its exports, and three of them are getters that load Node.js' own undici with all of fetch and HTTP/2: a
 * fifth of what the start of a supervisor costs, and memory that stays.
 */
export const lazyHttp = {
  name: 'lazy-http',
  setup(build) {
    build.onResolve({ filter: /^(node:)?http$/ }, ({ kind }) =>
      kind === 'import-statement' || kind === 'dynamic-import'
        ? { path: 'node:http', namespace: kind === 'dynamic-import' ? 'lazy-http-dynamic' : 'lazy-http' }
        : undefined,
    );
    // In a chunk of its own a CommonJS module has the one export `default`: what is taken of it by name is named.
    build.onLoad({ filter: /./, namespace: 'lazy-http-dynamic' }, () => ({
      contents: `const http = process.getBuiltinModule('node:http');
export default http;
export const { Agent, createServer, get, request } = http;`,
    }));
    // A CommonJS module, whose exports are copied as getters.
    build.onLoad({ filter: /./, namespace: 'lazy-http' }, () => ({
      contents: "module.exports = process.getBuiltinModule('node:http');",
    }));
  },
};
