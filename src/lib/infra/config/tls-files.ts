import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { shellQuote } from './permissions.ts';

export interface TlsFaults {
  readonly faults: readonly {
    readonly field: 'certificate' | 'key';
    readonly message: string;
    readonly hint?: string;
  }[];
}

export interface TlsPair {
  /** PEM: the certificate, and those between it and its authority. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
}

type Fault = TlsFaults['faults'][number];

/**
 * Reads the certificate and the private key of an https server, and makes sure that they belong together and that others
 * can't read the key. What is wrong is returned, never thrown; no message quotes a file.
 *
 * @param paths absolute
 */
export async function readTlsFiles(paths: {
  readonly certificate: string;
  readonly key: string;
}): Promise<TlsPair | TlsFaults> {
  const [cert, key, open] = await Promise.all([
    readPem(paths.certificate, 'certificate'),
    readPem(paths.key, 'key'),
    openness(paths.key),
  ]);
  const faults: Fault[] = [];
  if (typeof cert !== 'string') faults.push(cert);
  if (typeof key !== 'string') faults.push(key);
  else if (open !== undefined) faults.push(open);
  if (typeof cert !== 'string' || typeof key !== 'string') return { faults };
  const certificate = attempt(() => new X509Certificate(cert));
  const privateKey = attempt(() => createPrivateKey(key));
  if (certificate === undefined) faults.push({ field: 'certificate', message: 'the certificate is not PEM' });
  if (privateKey === undefined) {
    const hint = 'it must begin with -----BEGIN PRIVATE KEY----- and have no passphrase';
    faults.push({ field: 'key', message: 'the private key can not be read', hint });
  }
  if (certificate !== undefined && privateKey !== undefined && !certificate.checkPrivateKey(privateKey)) {
    faults.push({ field: 'key', message: 'the private key is not that of the certificate' });
  }
  return faults.length === 0 ? { cert, key } : { faults };
}

async function readPem(path: string, field: Fault['field']): Promise<string | Fault> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const message = code === 'ENOENT' ? `there is no file ${path}` : `the file ${path} can't be read (${code})`;
    return { field, message };
  }
}

/** Certificate managers keep keys as root, readable for a group: that is taken; what everybody may read is not. */
async function openness(path: string): Promise<Fault | undefined> {
  const self = process.getuid?.();
  const stats = await stat(path).catch(() => undefined);
  if (self === undefined || stats === undefined) return undefined;
  if (stats.uid !== self && stats.uid !== 0) {
    return { field: 'key', message: `the private key ${path} belongs to the user with id ${stats.uid}` };
  }
  if ((stats.mode & 0o027) === 0) return undefined;
  const mode = (stats.mode & 0o777).toString(8).padStart(3, '0');
  return {
    field: 'key',
    message: `the private key ${path} is open to other users (mode ${mode})`,
    hint: `close it: chmod 600 ${shellQuote(path)}`,
  };
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined; // OpenSSL's messages say nothing that helps; the caller says what is wrong
  }
}
