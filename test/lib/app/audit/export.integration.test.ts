import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditExportFormats } from '../../../../src/commands/admin/audit/export.ts';
import { type AuditExport, auditFormats, exportAudit } from '../../../../src/lib/app/audit/export.ts';
import { verifyAuditFile } from '../../../../src/lib/app/audit/verify.ts';
import { toPem } from '../../../../src/lib/domain/governance/index.ts';
import type { Actor } from '../../../../src/lib/shared/actor.ts';
import { ChainRig } from '../../domain/governance/chain/rig.ts';

let rig: ChainRig;
let folder: string;
let keyFile: string;
let rows: number;
const admin = { userId: 'u', userName: 'root', scopes: [], permission: 'admin' } as unknown as Actor;

beforeAll(async () => {
  rig = await ChainRig.create();
  folder = await mkdtemp(join(tmpdir(), 'audit-export-'));
  keyFile = join(folder, 'key.pem');
  await writeFile(keyFile, toPem(rig.key.publicKey));
  for (let round = 0; round < 3; round += 1) {
    await rig.calls(4);
    await rig.event();
    await rig.seal(rig.sealer, { segmentRows: 3 });
  }
  await rig.owner.query(
    `INSERT INTO audit.tool_intents SELECT uuidv7(), api_instance, 'beta', '=cmd|x', user_id, user_name, session_id, client, scopes,
       required, input_digest, '{"say": "a,\\"b", "lines": "a\u2028b\u2029c\u0085d"}', decision, started_at FROM audit.tool_intents LIMIT 1`,
  );
  await rig.seal();
  rows = (await rig.verify()).rows;
});
afterAll(async () => {
  await rm(folder, { recursive: true });
  await rig[Symbol.asyncDispose]();
});

async function write(request: Partial<AuditExport> = {}): Promise<string> {
  const file = join(folder, 'export');
  await exportAudit(rig.app, admin, {
    filter: {},
    format: 'jsonl',
    file,
    overwrite: true,
    version: '1.2.3',
    ...request,
  });
  return file;
}

describe('an export with its chain', () => {
  it('verifies without the instance, by a key that is known from elsewhere', async () => {
    const file = await write();
    const found = await verifyAuditFile(file, { keyFile });
    expect(found).toMatchObject({ findings: [], rows, absent: 0, pruned: 0 });
    expect(found.head).toEqual((await rig.verify()).head);
  });

  it('says how many rows the chain does not cover yet', async () => {
    const request = {
      filter: {},
      format: 'jsonl',
      file: join(folder, 'export'),
      overwrite: true,
      version: '1',
    } as const;
    expect((await exportAudit(rig.app, admin, request)).unsealed).toBe(0);
    await rig.event();
    expect((await exportAudit(rig.app, admin, request)).unsealed).toBe(1);
    await rig.seal();
    rows += 1;
  });

  it('proves the rows that were asked for, and counts the others', async () => {
    const found = await verifyAuditFile(await write({ filter: { server: 'beta' } }), { keyFile });
    expect(found).toMatchObject({ findings: [], rows: 1, absent: rows - 1 });
  });

  it('shows any byte that was changed', async () => {
    const file = await write();
    const whole = await readFile(file);
    const changed = join(folder, 'changed');
    const isShown = async (at: number, mask: number) => {
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] ?? 0) ^ mask;
      await writeFile(changed, bytes);
      const found = await verifyAuditFile(changed, { keyFile }).catch((error: Error) => error);
      if (found instanceof Error) expect(found.message).toContain('no export');
      else expect(found.findingCount, `${at} ^ ${mask}`).toBeGreaterThan(0);
    };
    await fc.assert(fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), isShown), {
      numRuns: 80,
    });
    // A line feed that became a carriage return or a space; the time in the head; the very last byte.
    const firstEnd = whole.indexOf('\n');
    for (const at of [firstEnd, whole.indexOf('\n', firstEnd + 1), whole.length - 1]) {
      for (const mask of [0x0a ^ 0x0d, 0x0a ^ 0x20]) await isShown(at, mask);
    }
    await isShown(whole.indexOf('"made_at":"') + 12, 1);
  });

  it('verifies with what others take for the end of a line in a row: U+2028, U+2029, U+0085', async () => {
    expect(await readFile(await write(), 'utf8')).toMatch(/a\u2028b\u2029c\u0085d/);
  });

  it('shows a line that was taken out, and an end that is missing by a checkpoint that was noted', async () => {
    const file = await write();
    const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
    const head = (await rig.verify()).head;
    const checkpoint = `${head?.number}:${head?.hash}`;
    expect((await verifyAuditFile(file, { keyFile, checkpoint })).findings).toEqual([]);
    for (let index = 1; index < lines.length; index += 1) {
      const changed = join(folder, 'changed');
      await writeFile(changed, `${lines.filter((_, other) => other !== index).join('\n')}\n`);
      expect((await verifyAuditFile(changed, { keyFile, checkpoint })).findingCount, lines[index]).toBeGreaterThan(0);
    }
  });

  it('is told from any other file', async () => {
    const other = join(folder, 'other');
    for (const text of ['', '{}\n', 'x\n']) {
      await writeFile(other, text);
      await expect(verifyAuditFile(other, {})).rejects.toThrow('no export');
    }
    await expect(verifyAuditFile(join(folder, 'none'), {})).rejects.toThrow('no file');
    await expect(write({ overwrite: false })).rejects.toThrow('is there already');
  });
});

describe('an export for others', () => {
  it('has one call a row, without formulas, as CSV', async () => {
    const text = await readFile(await write({ format: 'csv', filter: { server: 'beta' } }), 'utf8');
    const [head, row, end] = text.split('\r\n');
    expect(head?.split(',').slice(0, 4)).toEqual(['started_at', 'execution_id', 'server', 'tool']);
    expect(row).toContain(`beta,'=cmd|x,ada`);
    expect(row).toContain('""say"":""a,\\""b""');
    expect(end).toBe('');
  });

  it('has one event a line, with what the class asks for, as OCSF', async () => {
    const text = await readFile(await write({ format: 'ocsf' }), 'utf8');
    const events = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events).toHaveLength(13);
    for (const event of events) {
      expect(event).toMatchObject({
        class_uid: 6003,
        category_uid: 6,
        activity_id: 99,
        type_uid: 600_399,
        severity_id: 1,
        metadata: { version: '1.3.0', product: { name: 'systemprompt', version: '1.2.3' } },
        actor: { user: { name: 'ada' } },
        api: { operation: expect.stringMatching(/^tools\/call /), service: {} },
        src_endpoint: {},
      });
      expect(Number.isSafeInteger(event['time'])).toBe(true);
    }
  });

  it('has the formats that the command offers', () => {
    expect(auditFormats).toEqual(auditExportFormats);
  });
});
