/** What a service manager is told of an instance. */
export interface BootService {
  readonly instanceId: string;
  /** The project's folder. */
  readonly root: string;
  readonly profile: string;
  /** As whom it runs, for the manager of the whole machine; absent for the manager of the user. */
  readonly user: string | undefined;
  /** Absolute path of the program, and its arguments. */
  readonly command: readonly string[];
  /** `PATH` of the supervisor, which it hands on to the services. */
  readonly path: string;
}
