// Certificates for tests, made by openssl in a folder that goes with the process.

import { execFileSync } from 'node:child_process'
import { after } from 'node:test'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

export const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'acacia-tls-'))
after(() => fs.rmSync(folder, { recursive: true, force: true }))

export function openssl (...args) {
  return execFileSync('openssl', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

export const inFolder = name => path.join(folder, name)

const KEYS = {
  ec: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  rsa: ['-newkey', 'rsa:2048']
}

// An authority: { cert, key, pem }.
export function authority (name) {
  const [cert, key] = [inFolder(`${name}.pem`), inFolder(`${name}.key`)]
  openssl('req', '-x509', ...KEYS.ec, '-nodes', '-keyout', key, '-out', cert, '-days', '30', '-subj', `/O=Tests/CN=${name}`)
  return { cert, key, pem: fs.readFileSync(cert, 'utf8') }
}

// A certificate of its own, { cert, key, pem, keyPem }. A number of days below 0 has passed already. `authority`: it may
// sign others.
export function issue (ca, name, { names = ['DNS:localhost', 'IP:127.0.0.1', 'IP:::1'], days = 30, kind = 'ec', subject = `/CN=${name}`, authority = false } = {}) {
  const [cert, key, request, extensions] = ['.pem', '.key', '.csr', '.ext'].map(end => inFolder(name + end))
  openssl('req', '-new', ...KEYS[kind], '-nodes', '-utf8', '-keyout', key, '-out', request, '-subj', subject)
  fs.writeFileSync(extensions, [`basicConstraints = CA:${authority ? 'TRUE' : 'FALSE'}`, names.length && `subjectAltName = ${names.join(',')}`].filter(Boolean).join('\n'))
  openssl('x509', '-req', '-in', request, '-CA', ca.cert, '-CAkey', ca.key, '-days', String(days), '-extfile', extensions, '-out', cert)
  return { cert, key, pem: fs.readFileSync(cert, 'utf8'), keyPem: fs.readFileSync(key, 'utf8') }
}
