export { type SkillConfig, skillFileSchema, skillsSchema } from './config.ts';
