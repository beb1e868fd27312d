/** The library face: all that an author of an extension imports, beside the subpaths such as `systemprompt/mcp`. */
export {
  type Artifact,
  artifactSchema,
  type ChartArtifact,
  type CopyPasteTextArtifact,
  chartArtifact,
  columnTypes,
  copyPasteTextArtifact,
  type ListArtifact,
  listArtifact,
  type PresentationCardArtifact,
  presentationCardArtifact,
  type TableArtifact,
  type TextArtifact,
  tableArtifact,
  textArtifact,
} from './lib/shared/artifact.ts';
export { type ArtifactTextOptions, artifactText } from './lib/shared/artifact-text.ts';
export type { CommandDeclaration, Effect, Need } from './lib/shared/command.ts';
export {
  AppError,
  CancelledError,
  ConflictError,
  type ErrorCode,
  type ErrorDetails,
  ForbiddenError,
  InternalError,
  NotFoundError,
  PreconditionError,
  TimeoutError,
  TooLargeError,
  UpstreamFailedError,
  UpstreamUnavailableError,
  UsageError,
} from './lib/shared/errors.ts';
export type { Extension } from './lib/shared/extension.ts';
export type { ExecutionId, ServiceInstanceId, SessionId, UserId } from './lib/shared/ids.ts';
export { nearest } from './lib/shared/nearest.ts';
export { covers, implies, isPermission, missingScopes, type Permission, permissions } from './lib/shared/permission.ts';
