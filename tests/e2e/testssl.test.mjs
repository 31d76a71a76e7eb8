// What testssl.sh finds in the example secure: nothing above LOW, but what a certificate that vouches for itself can't
// have. It takes two minutes, and so runs only with TESTSSL=1 in the environment.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import fs from 'node:fs'
import { promisify } from 'node:util'
import { inFolder } from './certificates.mjs'
import { startServer } from './support.mjs'

const run = promisify(execFile)
const CHECKS = ['--protocols', '--std', '--pfs', '--server-defaults', '--headers', '--vulnerable']
const EXCUSED = ['cert_chain_of_trust', 'cert_revocation']

const found = []
for (const name of ['testssl', 'testssl.sh']) await run(name, ['--version']).then(() => found.push(name), () => {})
const skip = !process.env.TESTSSL ? 'TESTSSL=1 runs it' : found.length === 0 ? 'no testssl.sh (apt install testssl.sh)' : false

test('testssl.sh has nothing to complain of', { skip, timeout: 230_000 }, async () => {
  const CERTIFICATES = inFolder('testssl')
  const findings = inFolder('findings.json')
  fs.mkdirSync(CERTIFICATES)
  const server = await startServer('secure', { env: { CERTIFICATES } })
  await run(found[0], ['--quiet', '--color', '0', '--warnings', 'off', '--nodns', 'min', ...CHECKS, '--jsonfile', findings, `https://localhost:${server.port}`],
    { maxBuffer: 1 << 24 }).catch(error => error) // its status is the number of findings
  await server.stop()
  const all = JSON.parse(fs.readFileSync(findings))
  assert.ok(all.length > 60, `${all.length} findings`)
  const bad = all.filter(({ id, severity }) => ['MEDIUM', 'HIGH', 'CRITICAL', 'FATAL'].includes(severity) && !EXCUSED.includes(id))
  assert.deepEqual(bad, [])
})
