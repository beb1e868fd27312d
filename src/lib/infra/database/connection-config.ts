/** Where a database is and as whom to use it. */
export interface ConnectionConfig {
  /** Host name, address, or the folder of a unix socket (then it begins with a slash). */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  /** TLS with the certificate checked; 'no-verify' encrypts without checking. */
  readonly ssl?: boolean | 'no-verify';
}
