import type { AiConfig } from '../../domain/ai/index.ts';
import type { ContentConfig } from '../../domain/content/index.ts';
import type { SchedulerConfig } from '../../domain/scheduler/index.ts';
import type { WebConfig } from '../../domain/web/index.ts';
import type { ExtensionsConfig, Settings } from './settings.ts';

// What holds where no file has the section. The schemas say the same (a test compares), but take time to be made, which
// a project without such files need not spend.

export const defaultAi: AiConfig = {
  default_max_output_tokens: 8192,
  sampling: { enable_smart_routing: false, fallback_enabled: false },
  providers: {},
  tool_models: {},
  mcp: { auto_discover: false, connect_timeout_ms: 5000, execution_timeout_ms: 30_000, retry_attempts: 3 },
  history: { retention_days: 30, log_tool_executions: false },
};

export const defaultContent: ContentConfig = { content_sources: {}, categories: {}, metadata: { language: 'en' } };

export const defaultScheduler: SchedulerConfig = { enabled: true, jobs: [], bootstrap_jobs: [] };

export const defaultWeb: WebConfig = {
  branding: {},
  fonts: {},
  colors: { light: {}, dark: {} },
  typography: {},
  spacing: {},
  radius: {},
  shadows: {},
  layout: {},
  paths: { templates: 'web/templates', assets: 'web/assets' },
};

export const defaultSettings: Settings = { tool_hooks: [], tool_artifacts_days: 30 };

export const defaultExtensions: ExtensionsConfig = { disabled: [] };
