/** A mail as plain text: nothing in it is markup, and no program of the reader's fetches anything for it. */
export interface Mail {
  /** In its normal form. */
  readonly to: string;
  readonly subject: string;
  readonly text: string;
}

/** Where mails are given to. */
export interface Mailer {
  /** What people are told of it. */
  readonly kind: 'smtp' | 'outbox';
  /**
   * Gives a mail away. Where it was put is told if that is a file.
   * @throws UpstreamFailedError when the mail server does not take it
   */
  send(mail: Mail): Promise<{ readonly file?: string }>;
  close(): void;
}
