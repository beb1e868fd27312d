import { request } from 'node:http';
import { hasCode } from '../process/identity.ts';
import { probeSocketsIn } from '../process/probe-socket.ts';
import { metricsPath } from './content.ts';

/** How long a process may take to say what it measured, in ms: less than the 10 s that who asks usually waits. */
const answerMs = 2000;
/** Larger than any process of ours answers, in bytes. */
const answerBytes = 8 * 1024 * 1024;

export interface ScrapeOptions {
  /** What this process measured. */
  readonly own: () => Promise<string>;
  /** Where the processes beside it can be asked, each at a socket; absent for a process without. */
  readonly sockets?: { readonly folder: string; readonly own: string } | undefined;
  readonly timeoutMs?: number;
}

/**
 * Says what all API processes of the instance measured, whichever is asked: behind a shared port nobody can choose, and
 * series that come and go with the process that answers would be gaps. Those who ask while a look is under way share the
 * next one, never that: what began before they asked can be older than what another process has told them already, and a
 * counter would seem to go back.
 */
export function createScrape(options: ScrapeOptions): () => Promise<string> {
  let running: Promise<string> | undefined;
  let next: Promise<string> | undefined;
  const begin = (): Promise<string> => {
    next = undefined;
    const own = gather(options).finally(() => {
      if (running === own) running = undefined;
    });
    running = own;
    return own;
  };
  return () => {
    if (running === undefined) return begin();
    next ??= running.then(begin, begin);
    return next;
  };
}

async function gather({ own, sockets, timeoutMs = answerMs }: ScrapeOptions): Promise<string> {
  const others = sockets === undefined ? [] : probeSocketsIn(sockets.folder).filter((path) => path !== sockets.own);
  const [mine, ...theirs] = await Promise.all([own(), ...others.map((path) => ask(path, timeoutMs))]);
  const unanswered = theirs.filter((text) => text === 'unanswered').length;
  const answered = theirs.filter((text) => text !== 'unanswered' && text !== 'gone');
  return `${mergeFamilies([mine, ...answered])}\n\n${unansweredFamily(unanswered)}`;
}

function unansweredFamily(count: number): string {
  const name = 'systemprompt_metrics_unanswered_processes';
  return `# HELP ${name} API processes that did not say in time what they measured; their series are missing here.\n# TYPE ${name} gauge\n${name} ${count}\n`;
}

/** What a process answers; `gone` when it has ended, `unanswered` when it said nothing that could be used. */
function ask(socketPath: string, timeoutMs: number): Promise<string | 'gone' | 'unanswered'> {
  return new Promise((done) => {
    const asked = request(
      { socketPath, path: metricsPath, agent: false, signal: AbortSignal.timeout(timeoutMs) },
      (answer) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        answer.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          chunks.push(chunk);
          if (bytes > answerBytes) asked.destroy();
        });
        answer.once('error', () => done('unanswered'));
        answer.once('close', () => done('unanswered'));
        answer.once('end', () => done(answer.statusCode === 200 ? Buffer.concat(chunks).toString() : 'unanswered'));
      },
    );
    // Nobody listens there any more: a process that was killed leaves its socket behind for a while.
    asked.once('error', (error) => done(hasCode(error, 'ECONNREFUSED', 'ENOENT') ? 'gone' : 'unanswered'));
    asked.end();
  });
}

/** Each family once, with the samples of all: the format wants the lines of one in one group. */
export function mergeFamilies(texts: readonly string[]): string {
  const families = new Map<string, { readonly head: string; readonly type: string; readonly samples: string[] }>();
  for (const text of texts) {
    for (const block of text.trim().split('\n\n')) {
      const [help = '', type = '', ...samples] = block.split('\n');
      const name = type.split(' ')[2] ?? '';
      const known = families.get(name);
      if (known === undefined) families.set(name, { head: `${help}\n${type}`, type, samples });
      // Another version of ours may have meant something else by the name, for as long as a hand-over lasts.
      else if (known.type === type) known.samples.push(...samples);
    }
  }
  return [...families.values()].map(({ head, samples }) => [head, ...samples].join('\n')).join('\n\n');
}
