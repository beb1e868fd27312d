import type { McpBreaker, McpServerConfig } from '../../domain/mcp/index.ts';
import type { Circuits } from '../../infra/process/spec.ts';
import { type AppError, toAppError, UpstreamUnavailableError } from '../../shared/errors.ts';

/** closed: all is sent; open: nothing is; half_open: one request is, and decides. */
export type CircuitState = 'closed' | 'half_open' | 'open';

interface Circuit {
  state: CircuitState;
  /** In a row. */
  failures: number;
  /** When the next request may be tried, by `now()`; while one is, when it is given up. */
  until: number;
}

export interface BreakersOptions {
  /** Hears of each change of a state. */
  readonly onChange?: ((server: string, state: CircuitState) => void) | undefined;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

type Guarded = Pick<McpServerConfig, 'name' | 'breaker'>;

const answering: ReadonlySet<number> = new Set([502, 503, 504]);

/**
 * A circuit breaker for each server: one that could not be reached, broke its answers off or let callers wait in vain so many
 * times in a row gets nothing for a while, so that callers hear at once and the server can come to itself. Then one request
 * is let through; its outcome decides. What a server answers, whatever it says, is no failure here.
 */
export class Breakers {
  readonly #circuits = new Map<string, Circuit>();
  readonly #onChange: BreakersOptions['onChange'];
  readonly #now: () => number;

  constructor(options: BreakersOptions = {}) {
    this.#onChange = options.onChange;
    this.#now = options.now ?? (() => performance.now());
  }

  /** What speaks against a request now, or nothing. After the pause the one that is let in is the probe. */
  refusal({ name, breaker }: Guarded): AppError | undefined {
    if (breaker === undefined) return undefined;
    const circuit = this.#circuits.get(name);
    if (circuit === undefined || circuit.state === 'closed') return undefined;
    const now = this.#now();
    if (now < circuit.until) return open(name, circuit, breaker, now);
    // The next is let in when this one had its time and nobody heard of it.
    circuit.until = now + Math.max(breaker.cooldownMs, 1000);
    this.#turn(name, circuit, 'half_open');
    return undefined;
  }

  /** Takes down what became of a request that was sent. @param thrown why there is no answer; absent when there is one */
  record({ name, breaker }: Guarded, thrown?: unknown): void {
    if (breaker === undefined) return;
    const verdict = thrown === undefined ? 'answered' : verdictOf(toAppError(thrown));
    const circuit = this.#circuits.get(name);
    if (verdict === 'failed') this.#failed(name, breaker, circuit);
    else if (circuit === undefined || circuit.state === 'open') return;
    else if (verdict === 'answered') {
      circuit.failures = 0;
      this.#turn(name, circuit, 'closed');
    } else if (circuit.state === 'half_open') circuit.until = 0; // it told nothing: the next is the probe
  }

  /** A new run of the server begins with nothing against it. */
  forget(server: string): void {
    const circuit = this.#circuits.get(server);
    if (circuit === undefined) return;
    this.#circuits.delete(server);
    this.#turn(server, circuit, 'closed');
  }

  stateOf(server: string): CircuitState {
    return this.#circuits.get(server)?.state ?? 'closed';
  }

  /** All whose circuit is not closed. */
  notClosed(): Circuits {
    const found = [...this.#circuits].flatMap(([name, { state }]) =>
      state === 'closed' ? [] : [[name, state] as const],
    );
    return Object.fromEntries(found);
  }

  #failed(name: string, breaker: McpBreaker, known: Circuit | undefined): void {
    const circuit = known ?? { state: 'closed', failures: 0, until: 0 };
    this.#circuits.set(name, circuit);
    // What was sent before it opened says nothing new.
    if (circuit.state === 'open') return;
    circuit.failures += 1;
    if (circuit.state === 'closed' && circuit.failures < breaker.failures) return;
    circuit.until = this.#now() + breaker.cooldownMs;
    this.#turn(name, circuit, 'open');
  }

  #turn(name: string, circuit: Circuit, state: CircuitState): void {
    if (circuit.state === state) return;
    circuit.state = state;
    this.#onChange?.(name, state);
  }
}

function open(name: string, circuit: Circuit, breaker: McpBreaker, now: number): UpstreamUnavailableError {
  const seconds = Math.max(1, Math.ceil((circuit.until - now) / 1000));
  const times = circuit.failures === 1 ? 'once' : `${circuit.failures} times in a row`;
  return new UpstreamUnavailableError(`The server ${name} failed ${times}: nothing is sent to it now.`, {
    hint: `Try again in ${seconds} s; its log may say what is wrong.`,
    next: ['infra services status'],
    data: { server: name, reason: 'circuit_open', retry_after_seconds: seconds, cooldown_ms: breaker.cooldownMs },
  });
}

/** What an error says of the server: nothing, when the caller left or the server was known not to run. */
function verdictOf({ code, data }: AppError): 'answered' | 'failed' | 'unknown' {
  if (code === 'TIMEOUT') return 'failed';
  if (code === 'UPSTREAM_FAILED') {
    const { reason, status } = data;
    if (typeof status === 'number') return answering.has(status) ? 'failed' : 'answered';
    return reason === undefined ? 'answered' : 'failed';
  }
  return code === 'TOO_LARGE' || code === 'NOT_FOUND' ? 'answered' : 'unknown';
}
