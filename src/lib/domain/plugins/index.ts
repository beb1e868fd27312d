export { type PluginConfig, pluginFileSchema, pluginId, pluginsSchema } from './config.ts';
