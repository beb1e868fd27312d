import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { verifyAuditFile } from '../../src/lib/app/audit/verify.ts';
import { verifyChain } from '../../src/lib/domain/governance/index.ts';
import type { Queryable } from '../../src/lib/infra/database/connection.ts';
import { seeded } from './plan.ts';
import type { SoakSystem } from './system.ts';

/** What an auditor would do with what the soak has left. */
export interface Evidence {
  /** What should have verified and did not: the database, and an export of it without the instance. */
  readonly unproven: readonly string[];
  /** How many times one byte was changed, in the file and in the rows. */
  readonly flips: number;
  /** Of them those that nobody noticed. */
  readonly unnoticed: readonly string[];
}

const flippedColumns: Readonly<Record<string, readonly string[]>> = {
  'audit.tool_intents': ['tool', 'user_name', 'input_digest', 'decision'],
  'audit.tool_outcomes': ['status', 'output_digest'],
};

/** Verifies by the commands, online and offline, then changes one byte after another and verifies again. */
export async function gatherEvidence(system: SoakSystem, seed: number, flips: number): Promise<Evidence> {
  const [file, keyFile] = ['audit.jsonl', 'audit.pem'].map((name) => join(system.instance.root, name)) as [
    string,
    string,
  ];
  const unproven: string[] = [];
  const run = async (...argv: string[]): Promise<string> => {
    const { code, stdout, stderr } = await system.cli('admin', 'audit', ...argv, '--json');
    if (code !== 0) unproven.push(`${argv[0]}: exit code ${code}: ${(stdout + stderr).slice(0, 500)}`);
    return stdout;
  };
  await run('verify');
  const keys = JSON.parse(await run('keys')) as { artifact: { data: { keys: { public_key: string }[] } } };
  await writeFile(keyFile, keys.artifact.data.keys[0]?.public_key ?? '');
  await run('export', '--output', file);
  const offline = ['verify', '--file', file, '--checkpoint-key', keyFile];
  await run(...offline);
  const random = seeded(seed);
  const unnoticed: string[] = [];
  const whole = await readFile(file);
  const changed = `${file}.changed`;
  for (let count = 0; count < flips; count += 1) {
    const at = Math.floor(random() * whole.length);
    const bytes = Buffer.from(whole);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
    await writeFile(changed, bytes);
    // Once by the command: its exit code is what an auditor's script goes by.
    const noticed =
      count === 0
        ? (await system.cli('admin', 'audit', 'verify', '--file', changed, '--checkpoint-key', keyFile)).code === 1
        : await verifyAuditFile(changed, { keyFile }).then(
            ({ findingCount }) => findingCount > 0,
            () => true,
          );
    if (!noticed) unnoticed.push(`byte ${at} of the export`);
  }
  await rm(changed, { force: true });
  const inRows = await flipInRows(system, random, Math.min(flips, 8));
  return { unproven, flips: flips + Math.min(flips, 8), unnoticed: [...unnoticed, ...inRows] };
}

class Undone extends Error {}

/** Changes rows as only the owner of the tables can who takes their triggers away; all of it is taken back. */
async function flipInRows(system: SoakSystem, random: () => number, flips: number): Promise<string[]> {
  const database = await system.openDatabase();
  const unnoticed: string[] = [];
  const flip = async (tx: Queryable, table: string, column: string): Promise<void> => {
    await tx.query(
      `UPDATE ${table} SET ${column} = overlay(${column} placing CASE left(${column}, 1) WHEN 'e' THEN 'd' ELSE 'e' END from 1 for 1)
       WHERE ctid = (SELECT ctid FROM ${table} WHERE ${column} <> '' OFFSET floor($1::float8 * (SELECT count(*) FROM ${table} WHERE ${column} <> '')) LIMIT 1)`,
      [random()],
    );
  };
  try {
    await database
      .transaction(async (tx) => {
        await tx.query("SET LOCAL TIME ZONE 'UTC'");
        for (const table of Object.keys(flippedColumns)) {
          await tx.query(`GRANT UPDATE ON ${table} TO CURRENT_USER`);
          await tx.query(`ALTER TABLE ${table} DISABLE TRIGGER USER`);
          await tx.query(
            `DO $$ DECLARE c record; BEGIN FOR c IN SELECT conname FROM pg_constraint WHERE conrelid = '${table}'::regclass AND contype = 'c'
             LOOP EXECUTE format('ALTER TABLE ${table} DROP CONSTRAINT %I', c.conname); END LOOP; END $$`,
          );
        }
        await tx.query('SAVEPOINT whole');
        for (let count = 0; count < flips; count += 1) {
          const all = Object.entries(flippedColumns).flatMap(([table, columns]) =>
            columns.map((column) => [table, column] as const),
          );
          const [table, column] = all[count % all.length] as readonly [string, string];
          await flip(tx, table, column);
          if ((await verifyChain(tx)).findingCount === 0) unnoticed.push(`${table}.${column}`);
          await tx.query('ROLLBACK TO SAVEPOINT whole');
        }
        throw new Undone();
      })
      .catch((error: unknown) => {
        if (!(error instanceof Undone)) throw error;
      });
  } finally {
    await database.close();
  }
  return unnoticed;
}
