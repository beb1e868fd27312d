import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { type SkillConfig, skillFileSchema } from '../../domain/skills/index.ts';
import { writeFileAtomic } from '../../infra/config/atomic-file.ts';
import { slug } from '../../infra/config/fields.ts';
import { withFileLock } from '../../infra/config/file-lock.ts';
import type { Instance } from '../../infra/config/instance.ts';
import { parseYamlFile } from '../../infra/config/yaml.ts';
import { displayPath } from '../../infra/config/yaml-source.ts';
import { ConflictError, NotFoundError, PreconditionError, UsageError } from '../../shared/errors.ts';
import { nearest } from '../../shared/nearest.ts';
import { type ChangeContext, type ConfigChange, changeConfiguration } from '../config/change.ts';
import { loadServices } from '../config/load-services.ts';

/** What of a skill can be written; what is left out stays as it is, or as the skill has it that another is made from. */
export interface SkillFields {
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  readonly instructions?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly enabled?: boolean | undefined;
}

/** A skill was written, and where. */
export interface WrittenSkill {
  readonly id: string;
  readonly files: readonly string[];
}

/** Longer than any instructions that a model would be given; more belongs into files that it asks for. */
const maxInstructions = 100_000;

/** The skills of an instance, sorted by id. @throws ConfigInvalidError when the configuration does not hold */
export async function listSkills(instance: Pick<Instance, 'servicesDir'>): Promise<readonly SkillConfig[]> {
  return (await loadServices(instance)).skills;
}

/** @throws NotFoundError naming the nearest; ConfigInvalidError */
export async function findSkill(instance: Pick<Instance, 'servicesDir'>, id: string): Promise<SkillConfig> {
  const skills = await listSkills(instance);
  const skill = skills.find((one) => one.id === id);
  if (skill !== undefined) return skill;
  const [meant] = nearest(
    id,
    skills.map((one) => one.id),
    1,
  );
  throw new NotFoundError(`There is no skill ${id.slice(0, 100)}`, {
    ...(meant === undefined ? {} : { hint: `Did you mean ${meant}?` }),
    next: ['core skills list'],
  });
}

/**
 * Makes a skill in a folder of its own, `services/skills/<id>/`.
 * @param from the id of a skill whose fields are taken where none are given
 * @throws ConflictError when there is one; UsageError when something is missing; ConfigInvalidError when the
 *   configuration does not hold already
 */
export async function createSkill(
  context: ChangeContext,
  id: string,
  fields: SkillFields,
  from?: string,
): Promise<WrittenSkill> {
  if (!slug.safeParse(id).success) {
    throw new UsageError(`${JSON.stringify(id.slice(0, 100))} can't be the id of a skill`, {
      hint: 'Use lower-case letters, digits, dashes and underscores, and begin with a letter',
    });
  }
  const { instance } = context;
  return await withSkillsLock(instance, async () => {
    const existing = await listSkills(instance);
    if (existing.some((skill) => skill.id === id))
      throw new ConflictError(`There is a skill ${id} already`, { hint: 'Change that one, or choose another id' });
    const base = from === undefined ? undefined : await findSkill(instance, from);
    const { name = id, description = base?.description, instructions = base?.instructions } = fields;
    if (description === undefined) throw new UsageError('A skill needs a description: when it is to be used');
    if (instructions === undefined) throw new UsageError('A skill needs instructions');
    checkInstructions(instructions);
    const folder = join(instance.servicesDir, 'skills', id);
    if (existsSync(folder))
      throw new ConflictError(`${displayPath(folder)} is there already`, { hint: 'Move it away first' });
    const { category } = base ?? {};
    const facts = { name, description, tags: fields.tags ?? base?.tags ?? [], enabled: fields.enabled ?? true };
    const checked = skillFileSchema.safeParse({ ...facts, ...(category === undefined ? {} : { category }) });
    if (!checked.success) {
      const [first] = checked.error.issues;
      throw new UsageError(`The skill would not hold: ${first?.path.join('.')} ${first?.message}`);
    }
    const { file: _, assigned_agents: _agents, mcp_servers: _servers, ...own } = checked.data;
    await inOneStep(
      folder,
      new Map([
        ['config.yaml', stringify(own, { lineWidth: 0 })],
        ['index.md', ended(instructions)],
      ]),
    );
    return { id, files: ['config.yaml', 'index.md'].map((file) => displayPath(join(folder, file))) };
  });
}

/** A folder with its files, for whoever reads the configuration meanwhile all of them or none. */
async function inOneStep(folder: string, files: ReadonlyMap<string, string>): Promise<void> {
  const draft = join(dirname(folder), `.${randomUUID()}`);
  await mkdir(draft, { recursive: true });
  try {
    for (const [file, text] of files) await writeFile(join(draft, file), text, { mode: 0o644 });
    await rename(draft, folder);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Changes a skill where it is written. Comments and what is not named stay.
 * @throws NotFoundError; UsageError; ConfigInvalidError, and nothing is written
 */
export async function editSkill(context: ChangeContext, id: string, fields: SkillFields): Promise<WrittenSkill> {
  const { instance } = context;
  return await withSkillsLock(instance, async () => {
    await findSkill(instance, id);
    const { instructions, ...values } = fields;
    if (instructions !== undefined) checkInstructions(instructions);
    const own = join(instance.servicesDir, 'skills', id, 'config.yaml');
    const inOwnFolder = existsSync(own);
    const changes = changesOf(id, values);
    if (instructions !== undefined && !inOwnFolder)
      changes.push({ path: ['skills', id, 'instructions'], value: instructions });
    const files = changes.length === 0 ? [] : (await changeConfiguration(context, changes, { dryRun: false })).files;
    if (instructions === undefined || !inOwnFolder) return { id, files };
    const text = await textOf(own);
    if ((await readFile(text, 'utf8')) === ended(instructions)) return { id, files };
    await writeFileAtomic(text, ended(instructions), 0o644);
    return { id, files: [...files, displayPath(text)] };
  });
}

/** The file of the instructions, as the skill's own file names it. */
async function textOf(own: string): Promise<string> {
  const parsed = await parseYamlFile(own, skillFileSchema);
  return join(dirname(own), 'issues' in parsed ? 'index.md' : parsed.value.file);
}

function changesOf(id: string, values: Readonly<Record<string, unknown>>): ConfigChange[] {
  return Object.entries(values).flatMap(([key, value]) =>
    value === undefined ? [] : [{ path: ['skills', id, key], value }],
  );
}

function checkInstructions(text: string): void {
  if (text.trim() === '') throw new UsageError('The instructions are empty');
  if (text.length > maxInstructions) throw new UsageError(`Instructions have at most ${maxInstructions} characters`);
}

function ended(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`;
}

/** @throws PreconditionError when the project has no services/ of its own: what is in the package is nobody's to change */
async function withSkillsLock<T>(instance: Instance, work: () => Promise<T>): Promise<T> {
  if (!existsSync(instance.servicesDir) || instance.servicesDir.includes('/node_modules/')) {
    throw new PreconditionError('This project has no services/ of its own', {
      hint: `Make the folder ${join(instance.root, 'services')} first; what is in it holds instead of what comes with the package`,
    });
  }
  return await withFileLock(join(instance.dir, 'skills.lock'), work);
}
