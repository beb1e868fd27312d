import { defineResource } from 'systemprompt/mcp';

/** Words of greeting, by language. */
export const words: Readonly<Record<string, string>> = { en: 'Hello', de: 'Guten Tag', fr: 'Bonjour' };

export const languages = defineResource({
  uri: 'greetings://languages',
  name: 'languages',
  title: 'Languages to greet in',
  read: () => Object.keys(words),
});
