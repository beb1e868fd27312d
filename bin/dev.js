#!/usr/bin/env node
// The development entry: runs the sources as they are, by Node.js' type stripping, and without a manifest.
import { fileURLToPath } from 'node:url';

const { runCli } = await import('../src/entry/cli/main.ts');
await runCli({ root: fileURLToPath(new URL('..', import.meta.url)), commands: './src/commands' });
