// Writes the row types of the tables that the code reads (src/lib/**/tables.ts) from a migrated throw-away database.
//
//   node scripts/generate-tables.mjs           writes them
//   node scripts/generate-tables.mjs --check   changes nothing; ends with 1 and names the files that are out of date
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureProjectNode, root } from './lib/project.mjs';

ensureProjectNode(import.meta.url);
const { startThrowAwayCluster } = await import('../test/helpers/throw-away-cluster.ts');
const { provision } = await import('../src/lib/infra/database/provision.ts');
const { loginRole } = await import('../src/lib/infra/database/roles.ts');
const { tableTypes } = await import('./lib/table-types.ts');

function current(file) {
  try {
    return readFileSync(join(root, file), 'utf8');
  } catch {
    return undefined; // not generated yet
  }
}

const cluster = await startThrowAwayCluster();
try {
  const password = cluster.admin.password;
  await provision(cluster.admin, {
    database: 'tables',
    passwords: { owner: password, app: password, audit: password, sealer: password, reader: password },
  });
  const owner = { ...cluster.admin, database: 'tables', user: loginRole('tables', 'owner') };
  const files = await tableTypes(owner, join(root, 'migrations'));
  const outdated = [...files].filter(([file, text]) => current(file) !== text);
  for (const [file, text] of outdated) {
    if (process.argv.includes('--check')) {
      process.stderr.write(`${file} differs from the migrations: run node scripts/generate-tables.mjs\n`);
      process.exitCode = 1;
    } else {
      writeFileSync(join(root, file), text);
      process.stdout.write(`${file} written\n`);
    }
  }
  if (outdated.length === 0) process.stdout.write(`${files.size} files of row types are up to date\n`);
} finally {
  await cluster.stop();
}
