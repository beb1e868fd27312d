import { stripVTControlCharacters } from 'node:util';
import { CommandHelp, Help } from '@oclif/core/help';
import { type CliOptions, loadConfig } from './framework.ts';
import { style } from './output/style.ts';
import { helpEntries, type PackageFacts, renderRootHelp } from './root-help.ts';
import type { CliSession } from './session.ts';

/** The order of the sections: how it is used comes before what there is to it. */
const sectionOrder = ['DESCRIPTION', 'USAGE', 'EXAMPLES', 'ARGUMENTS', 'FLAGS'];

class OrderedCommandHelp extends CommandHelp {
  protected override sections(): ReturnType<CommandHelp['sections']> {
    const place = (header: string): number => {
      const index = sectionOrder.indexOf(header);
      return index === -1 ? sectionOrder.length : index;
    };
    return super.sections().toSorted((a, b) => place(a.header) - place(b.header));
  }

  /** Every command has flags, the global ones at least. */
  protected override defaultUsage(): string {
    return `${super.defaultUsage()} [flags]`;
  }

  /** The framework trims the list as a whole and with it the first line, whose flag has no letter, out of its column. */
  override renderList(...[input, options]: Parameters<CommandHelp['renderList']>): string {
    const list = super.renderList(input, options);
    const [label = ''] = input[0] ?? [];
    const indentation = /^ */.exec(label)?.[0] ?? '';
    const [first = ''] = list.split('\n', 1);
    // A long list is written with the labels on lines of their own, none of them indented.
    return stripVTControlCharacters(first) === stripVTControlCharacters(label).trim() ? list : indentation + list;
  }
}

/** The framework's help, collected instead of printed, so that it can be an artifact like any other result. */
class CollectedHelp extends Help {
  protected override CommandHelpClass = OrderedCommandHelp;
  readonly lines: string[] = [];

  /** A topic may be described before it holds a command; it is shown from then on. */
  protected override get sortedTopics(): Help['sortedTopics'] {
    return super.sortedTopics.filter(({ name }) => this.config.commandIDs.some((id) => id.startsWith(`${name}:`)));
  }

  protected override log(...args: string[]): void {
    this.lines.push(args.join(' '));
  }
}

/**
 * The help text for a topic, a command or, with an empty subject, the program.
 *
 * @param subject a command's or topic's id, colon separated
 */
export async function helpText(options: CliOptions, subject: string, session: CliSession): Promise<string> {
  const config = await loadConfig(options);
  if (subject === '') {
    const facts = config.pjson as unknown as PackageFacts;
    const entries = helpEntries(config.commands, facts.oclif.topics);
    return renderRootHelp(facts, entries, style(session.colour.stdout).bold).trimEnd();
  }
  const help = new CollectedHelp(config, {
    maxWidth: Math.max(60, Math.min(session.width, 120)),
    stripAnsi: !session.colour.stdout,
    flagSortOrder: 'none',
    docopts: false,
    hideCommandSummaryInDescription: true,
  });
  await help.showHelp([subject, '--help']);
  return help.lines
    .join('\n')
    .replaceAll(/\n{3,}/g, '\n\n')
    .trimEnd();
}
