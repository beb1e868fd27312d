/** The numbers of supervision. Durations are in milliseconds of a clock that never goes back. */
export interface SupervisionPolicy {
  /** Health checks of a starting service: this often at first, growing to the second number. */
  readonly probeMinMs: number;
  readonly probeMaxMs: number;
  /** How long one health check may take. */
  readonly probeTimeoutMs: number;
  /** Health checks of a ready service, and how many may be missed in a row. */
  readonly livenessEveryMs: number;
  readonly livenessMisses: number;
  /**
   * For how long the checks of a ready service go over one connection. A new one shows that it still listens: who does not
   * is found after this, the misses and what a check may come late, together less than 30 s.
   */
  readonly connectionMs: number;
  /**
   * How soon after a miss a process is asked again that does not run at all (SIGSTOP), or does not listen: it is no busy one
   * that needs time.
   */
  readonly deafRetryMs: number;
  /** How often a service that tells readiness from liveness is asked. */
  readonly readinessEveryMs: number;
  /** How often it is looked at what the services take up. */
  readonly resourcesEveryMs: number;
  /** An event loop that is later than this is told of. */
  readonly eventLoopDelayMs: number;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  /** Share by which a pause varies up or down, so that services that fell together don't rise together. */
  readonly backoffJitter: number;
  /** After so long ready the pause starts small again. */
  readonly resetAfterReadyMs: number;
  /** So many deaths before ready within the window are a crash loop. */
  readonly crashLimit: number;
  readonly crashWindowMs: number;
  /** Bound over the stop of everything. */
  readonly stopAllMs: number;
  /** How long the kernel gets after SIGKILL. */
  readonly killWaitMs: number;
  /** How many services start at once. */
  readonly parallelStarts: number;
  /** How often an adopted process, whose end nobody reports to us, is looked at. */
  readonly adoptedPollMs: number;
  /** How often the epoch is looked at. */
  readonly epochEveryMs: number;
  /** How long whoever routes to a service gets to hear of its new port before the old process is told to end. */
  readonly routeSettleMs: number;
  /** How long a port may stay held by a process of ours that is on its way out. */
  readonly portWaitMs: number;
}

export const defaultPolicy: SupervisionPolicy = {
  probeMinMs: 15,
  probeMaxMs: 250,
  probeTimeoutMs: 2_000,
  livenessEveryMs: 5_000,
  livenessMisses: 3,
  connectionMs: 24_000,
  deafRetryMs: 1_000,
  readinessEveryMs: 2_000,
  resourcesEveryMs: 5_000,
  eventLoopDelayMs: 1_000,
  backoffMinMs: 500,
  backoffMaxMs: 30_000,
  backoffJitter: 0.25,
  resetAfterReadyMs: 60_000,
  crashLimit: 5,
  crashWindowMs: 120_000,
  stopAllMs: 60_000,
  killWaitMs: 2_000,
  parallelStarts: 4,
  adoptedPollMs: 250,
  epochEveryMs: 2_000,
  routeSettleMs: 200,
  portWaitMs: 3_000,
};
