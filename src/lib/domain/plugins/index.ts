export { type PluginConfig, pluginFileSchema, pluginsSchema } from './config.ts';
