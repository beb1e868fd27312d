// A Markdown reference of the fields that a JSON Schema describes.

/** One table for the fields at the top and one for each group of fields, as lines. */
export function fieldReference(schema) {
  const groups = Object.entries(schema.properties).filter(([, field]) => field.properties !== undefined);
  const plain = Object.entries(schema.properties).filter(([, field]) => field.properties === undefined);
  const sections = [['', '', plain], ...groups.map(([name, group]) => [name, group.description, leaves(group)])];
  return sections.flatMap(([name, description, fields]) => [
    ...(name === '' ? [] : ['', `### \`${name}\``, '', description, '']),
    '| field | type | default | meaning |',
    '| --- | --- | --- | --- |',
    ...fields.map(([key, field]) => row(name === '' ? key : `${name}.${key}`, field)),
  ]);
}

/** One table of all fields, those of maps and lists of maps included. */
export function fieldTable(schema) {
  return ['| field | type | default | meaning |', '| --- | --- | --- | --- |', ...deepRows(schema, '')];
}

function deepRows(schema, base) {
  return Object.entries(schema.properties).flatMap(([key, field]) =>
    fieldRows(base === '' ? key : `${base}.${key}`, field),
  );
}

function fieldRows(path, field) {
  if (field.properties !== undefined) return deepRows(field, path);
  const entry = typeof field.additionalProperties === 'object' ? field.additionalProperties : undefined;
  if (entry !== undefined && hasFields(entry)) return fieldRows(`${path}.<name>`, entry);
  const item = field.items?.properties === undefined ? undefined : field.items;
  if (item !== undefined)
    return [row(path, { ...field, items: undefined, minItems: undefined }), ...deepRows(item, `${path}[]`)];
  return [row(path, field)];
}

function hasFields(field) {
  if (field.properties !== undefined) return true;
  return typeof field.additionalProperties === 'object' && hasFields(field.additionalProperties);
}

/** The fields of a group by their path within it; what has fields of its own is no field. */
function leaves(group) {
  return Object.entries(group.properties).flatMap(([key, field]) =>
    field.properties === undefined
      ? [[key, field]]
      : leaves(field).map(([inner, innermost]) => [`${key}.${inner}`, innermost]),
  );
}

function row(path, field) {
  if (!field.description) throw new Error(`${path} has no description`);
  const fallback = field.default === undefined ? '' : `\`${JSON.stringify(field.default)}\``;
  return `| \`${path}\` | ${typeOf(field)} | ${fallback} | ${field.description.replaceAll('|', '\\|')} |`;
}

function typeOf(field) {
  if (field.enum !== undefined) return field.enum.map((value) => `\`${value}\``).join(', ');
  if (field.const !== undefined) return `\`${field.const}\``;
  if (field.type === 'array' && field.minItems === undefined)
    return field.items === undefined ? 'list of maps' : `list of ${typeOf(field.items)}`;
  if (field.type === 'array' && !Array.isArray(field.items)) return `list of ${typeOf(field.items)}`;
  if (field.type === 'object')
    return typeof field.additionalProperties === 'object' ? `map of ${typeOf(field.additionalProperties)}` : 'map';
  if (field.type === 'array')
    return `list of ${field.minItems} (${typeOf(Array.isArray(field.items) ? field.items[0] : field.items)})`;
  const names = { integer: 'whole number', string: 'text', boolean: '`true`, `false`' };
  const bounds = field.minimum === undefined ? '' : ` ${field.minimum}–${field.maximum}`;
  return `${names[field.type] ?? field.type ?? 'anything'}${bounds}`;
}
