import type { z } from 'zod';
import type { Complaint } from './complaint.ts';
import { quoted } from './quoted.ts';
import { fieldsAt } from './schema-names.ts';
import { secretReference } from './secret-reference.ts';
import { stringsIn } from './strings-in.ts';

/**
 * References to secrets that would be taken for plain text: in a field whose schema does not take any (it says
 * `secretReference: true` in its metadata if it does), or as a part of a longer text.
 */
export function strayReferences(value: unknown, schema: z.ZodType): Complaint[] {
  const found: Complaint[] = [];
  for (const [path, text] of stringsIn(value)) {
    if (!text.includes('${secret:')) continue;
    const fields = fieldsAt(schema, path);
    // Of a field that nobody knows that is said already.
    if (fields.length === 0) continue;
    const name = quoted(path.map(String).join('.'));
    if (!fields.some((field) => field['secretReference'] === true)) {
      const hint = 'write the value itself: a secret can only stand where the field is said to take one';
      found.push({ path, at: 'value', message: `${name} takes no secret`, hint });
    } else if (secretReference(text) === undefined) {
      const message = `${name} must be a reference to a secret and nothing else, or none`;
      found.push({
        path,
        at: 'value',
        message,
        hint: 'write ${secret:NAME}, and the rest of the text into the secret',
      });
    }
  }
  return found;
}
