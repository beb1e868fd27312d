import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';

/**
 * Has this process take a certificate that signs itself for good, beside the authorities that it knows: it is the
 * instance's own, read from its files by its owner. One that an authority has signed needs none of this.
 */
export async function trustOwnCertificate(file: string): Promise<void> {
  const pem = await readFile(file, 'utf8').catch(() => undefined); // who may not read it goes by the authorities alone
  if (pem === undefined) return;
  const certificate = new X509Certificate(pem);
  if (!certificate.checkIssued(certificate)) return;
  setDefaultCACertificates([...getCACertificates('default'), pem]);
}
