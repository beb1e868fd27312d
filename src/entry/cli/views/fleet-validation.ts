import type { FleetValidation } from '../../../lib/app/fleet/validate.ts';
import type { TextArtifact } from '../../../lib/shared/artifact.ts';
import { validationText } from './validation.ts';

/** What a check of MCP servers found; `data` has the same for programs. */
export function fleetValidationText(validation: FleetValidation, valid: boolean): TextArtifact {
  const { servers, schemas, answered } = validation;
  const text = validationText(validation, valid);
  const lines = [
    ...(servers.length === 0 ? [] : [`Looked at: ${servers.join(', ')}`]),
    ...schemas.map(
      ({ server, mode, validated, errors }) =>
        `Tables of ${server} (${mode}): ${validated} as declared, ${errors.length} not`,
    ),
    ...answered.map(
      ({ server, tools, ms }) => `${server} answers: ${tools} ${tools === 1 ? 'tool' : 'tools'} in ${ms} ms`,
    ),
  ];
  return {
    ...text,
    content: [text.content, ...lines].join('\n'),
    data: {
      ...text.data,
      servers,
      answered,
      schemas: schemas.map(({ server, mode, validated, created, errors }) => ({
        server,
        mode,
        validated,
        created,
        errors: errors.length,
      })),
    },
  };
}
