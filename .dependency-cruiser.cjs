// The walls of the house (docs/adr/0005-layers.md). test/architecture.unit.test.ts plants a violation of every rule
// named here and expects it to be caught; a rule without a plant fails that test.

/** Low to high: a layer may import the ones before it. */
const layers = [
  ['shared', '^src/lib/shared/'],
  ['infra', '^src/lib/infra/'],
  ['domain', '^src/lib/domain/'],
  ['app', '^src/lib/app/'],
  ['entry', '^src/entry/'],
  ['commands', '^src/commands/'],
];

/** Any module of a package in node_modules. */
const inPackage = (...names) => `(^|/)node_modules/(${names.join('|')})/`;
const builtin = (...names) => `^(node:)?(${names.join('|')})(/|$)`;

module.exports = {
  forbidden: [
    ...layers.slice(0, -1).map(([name, path], index) => ({
      name: `${name}-not-upward`,
      comment: 'Dependencies point down only: commands, entry -> app -> domain -> infra -> shared.',
      severity: 'error',
      from: { path },
      to: { path: layers.slice(index + 1).map(([, higher]) => higher) },
    })),
    {
      name: 'shared-is-pure',
      comment: 'The ground floor does no I/O.',
      severity: 'error',
      from: { path: '^src/lib/shared/' },
      to: {
        path: builtin(
          'fs',
          'net',
          'tls',
          'http',
          'https',
          'http2',
          'dgram',
          'dns',
          'readline',
          'worker_threads',
          'process',
          'os',
        ),
      },
    },
    {
      name: 'no-cross-domain',
      comment: 'A domain takes what it needs of another as a constructor argument typed by a port in shared/.',
      severity: 'error',
      from: { path: '^src/lib/domain/([^/]+)/' },
      to: { path: '^src/lib/domain/', pathNot: '^src/lib/domain/$1/' },
    },
    {
      name: 'domain-by-its-face',
      comment: 'From outside a domain only its index.ts is imported.',
      severity: 'error',
      from: { path: '^(src|extensions)/', pathNot: '^src/lib/domain/' },
      to: { path: '^src/lib/domain/', pathNot: '^src/lib/domain/[^/]+/index[.]ts$' },
    },
    {
      name: 'domain-knows-no-transport',
      comment: 'The rules of a domain know no HTTP and no socket; its routes are data.',
      severity: 'error',
      from: { path: '^src/lib/domain/' },
      to: { path: [builtin('http', 'https', 'http2', 'net', 'tls'), inPackage('undici', 'fastify', '@fastify/[^/]+')] },
    },
    {
      name: 'only-process-spawns',
      comment: 'Every process is started in src/lib/infra/process, where it gets its group, its marker and its end.',
      severity: 'error',
      from: { path: '^(src|extensions)/', pathNot: '^src/lib/infra/process/' },
      to: { path: [builtin('child_process', 'cluster'), inPackage('execa', 'cross-spawn', 'node-pty')] },
    },
    {
      name: 'only-database-pools',
      comment: 'Every connection to PostgreSQL is opened in src/lib/infra/database.',
      severity: 'error',
      from: { path: '^(src|extensions)/', pathNot: '^src/lib/infra/database/' },
      to: { path: inPackage('pg', '@types/pg', 'pg-pool', 'pg-native', 'node-pg-migrate') },
    },
    {
      name: 'entries-apart',
      comment:
        'Each kind of process stands on app/, none on another (the CLI loads no server, the server no terminal).',
      severity: 'error',
      from: { path: '^src/entry/([^/]+)/' },
      to: { path: '^src/entry/', pathNot: '^src/entry/$1/' },
    },
    {
      name: 'commands-only-cli',
      comment: 'A command is part of the CLI: of the entries it knows that one only.',
      severity: 'error',
      from: { path: '^src/commands/' },
      to: { path: '^src/entry/', pathNot: '^src/entry/cli/' },
    },
    {
      name: 'commands-apart',
      comment: 'A command is a leaf: what two share lies in entry/cli (presentation) or app/ (a use case).',
      severity: 'error',
      from: { path: '^src/commands/' },
      to: { path: '^src/commands/' },
    },
    {
      name: 'only-cli-knows-the-terminal',
      comment: 'Command framework and terminal libraries stay in the CLI.',
      severity: 'error',
      from: { path: '^(src|extensions)/', pathNot: '^src/(entry/cli|commands)/' },
      to: { path: inPackage('@oclif/[^/]+', 'ink', 'react', '@types/react', '@clack/[^/]+') },
    },
    {
      name: 'only-api-knows-fastify',
      comment:
        'Routes are data (method, path, schema, permission, handler); only entry/api turns them into Fastify routes.',
      severity: 'error',
      from: { path: '^(src|extensions)/', pathNot: '^src/entry/api/' },
      to: { path: inPackage('fastify', '@fastify/[^/]+') },
    },
    {
      name: 'face-is-for-extensions',
      comment: 'The library face is what extensions import; inside, modules import each other.',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^src/(index|mcp)[.]ts$' },
    },
    {
      name: 'extensions-see-the-face-only',
      comment: 'An extension of ours is written as a user writes one: systemprompt, systemprompt/mcp, its own files.',
      severity: 'error',
      from: { path: '^extensions/([^/]+/[^/]+)/' },
      to: { path: '^(src|extensions|bin|scripts|test)/', pathNot: ['^extensions/$1/', '^src/(index|mcp)[.]ts$'] },
    },
    {
      name: 'extensions-import-the-package',
      comment: 'The face is imported by the name of the package, never by a path into src/.',
      severity: 'error',
      from: { path: '^extensions/' },
      to: { path: '^src/', dependencyTypesNot: ['aliased-tsconfig-paths'] },
    },
    {
      name: 'extensions-depend-on-zod-only',
      comment: 'Of packages, extensions of ours import zod.',
      severity: 'error',
      from: { path: '^extensions/' },
      to: { path: '(^|/)node_modules/', pathNot: inPackage('zod') },
    },
    {
      name: 'no-circular',
      comment: 'A cycle has no bottom to begin reading at, type-only ones included.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'product-not-to-tests',
      comment: 'What ships imports nothing of tests, scripts and benchmarks.',
      severity: 'error',
      from: { path: '^(src|extensions|bin)/' },
      to: { path: '^(test|scripts|bench|tools)/' },
    },
    {
      name: 'declared-packages-only',
      comment: 'A package is imported only if package.json names it (those of tools/checks are for tests).',
      severity: 'error',
      from: { path: '^(src|extensions|bin)/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'no-unresolvable',
      comment: 'Every import leads somewhere.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    detectProcessBuiltinModuleCalls: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.tsx', '.js', '.mjs', '.json', '.d.ts'],
    },
    tsConfig: { fileName: 'tsconfig.json' },
    // Type-only imports count: a type of a higher layer in a signature ties the lower one to it all the same.
    tsPreCompilationDeps: true,
  },
};
