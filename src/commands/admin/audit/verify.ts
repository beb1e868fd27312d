import { resolve } from 'node:path';
import { string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { moment } from '../../../entry/cli/flags.ts';
import { Interrupts } from '../../../entry/cli/interrupt.ts';
import { ProgressLine } from '../../../entry/cli/live/progress-line.ts';
import { verificationCard, verificationFailure } from '../../../entry/cli/views/audit-chain.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class AuditVerify extends BaseCommand<typeof AuditVerify> {
  static override summary = 'Prove that nothing in the audit was changed';
  static override description =
    'Compares every row of the audit with the chain that it was sealed into, and the chain with its signatures. A finding gives ' +
    'the exit code 1. Note down the checkpoint that is printed, elsewhere: with it a later run proves that nothing was cut off. ' +
    'With --file an export is verified, without the instance.';
  static override examples = [
    '<%= config.bin %> admin audit verify',
    '<%= config.bin %> admin audit verify --since 7d --json',
    '<%= config.bin %> admin audit verify --file audit.jsonl --checkpoint-key audit.pem',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'read',
    permission: 'admin',
    needs: 'none',
    localOnly: true,
  };
  static override flags = {
    since: moment({ summary: 'Only what was sealed since then' }),
    'checkpoint-key': string({
      helpValue: '<file>',
      summary: 'Trust this public key (PEM) alone, instead of those that the instance keeps',
    }),
    file: string({ helpValue: '<file>', summary: 'Verify this export (jsonl), and no database', exclusive: ['since'] }),
    checkpoint: string({
      helpValue: '<number:hash>',
      summary: 'A checkpoint noted down before: it must still be there',
    }),
  };

  protected async execute(): Promise<Artifact> {
    const { flags, context, output } = this;
    const { verifyAudit, verifyAuditFile } = await import('../../../lib/app/audit/verify.ts');
    const { cwd } = output.session;
    const keyFile = flags['checkpoint-key'];
    const stop = new AbortController();
    using _interrupts = new Interrupts((_count, signal) => stop.abort(signal));
    using line = new ProgressLine(output.session, 'Verifying');
    const began = performance.now();
    const request = {
      keyFile: keyFile === undefined ? undefined : resolve(cwd, keyFile),
      checkpoint: flags.checkpoint,
      onProgress: line.say,
      signal: stop.signal,
    };
    const found =
      flags.file === undefined
        ? await verifyAudit(await context.database(), await context.secrets(), { ...request, since: flags.since })
        : await verifyAuditFile(resolve(cwd, flags.file), request);
    this.verdict = verificationFailure(found);
    return verificationCard(found, performance.now() - began);
  }
}
