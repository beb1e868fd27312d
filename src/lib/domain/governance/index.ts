import type { Extension } from '../../shared/extension.ts';

export {
  approvalsChannel,
  decideApproval,
  findApproval,
  forgetApprovals,
  listApprovals,
  openApproval,
  spendApproval,
  type ToolApproval,
} from './approvals.ts';
export { findArtifact, forgetArtifacts, insertArtifacts, type KeptArtifact, type NewArtifact } from './artifacts.ts';
export { canonicalJson } from './canonical-json.ts';
export { adoptServer } from './chain/adopt.ts';
export { type ExportFilter, exportChain } from './chain/export.ts';
export type { FindingKind } from './chain/findings.ts';
export { keyIdOfPem, type SigningKey, signingKey, toPem } from './chain/keys.ts';
export { anyUnsealed, type ChainHead, chainHead, pruneThrough, type SealOptions, sealPass } from './chain/seal.ts';
export {
  unsealedTail,
  type Verification,
  type VerifyOptions,
  type VerifyProgress,
  verifyChain,
} from './chain/verify.ts';
export { verifyExport } from './chain/verify-export.ts';
export { newExecutionId } from './execution-id.ts';
export { type AuditFilter, type AuditPage, AuditReader } from './reader.ts';
export { type AuditedInput, auditInput, redactText, redactWhole } from './redaction.ts';
export { type AuditEntry, closeInterrupted } from './repository.ts';
export { type IntentRow, type OutcomeRow, type OutcomeStatus, outcomeStatuses } from './rows.ts';
export { blankSecrets, scanForSecrets } from './secret-scan.ts';
export { AuditWriter } from './writer.ts';
export type { AuditLog, AuditWriterOptions } from './writer-options.ts';

/** What happened, on whose behalf: the append-only audit of tool calls. */
export const governance: Extension = {
  id: 'governance',
  version: '1.0.0',
  dependencies: ['auth'],
  migrations: 'governance',
};
