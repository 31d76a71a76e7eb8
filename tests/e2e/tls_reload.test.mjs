// Other certificates under load: ten of them while thousands of requests come in a second, over connections that stay and
// over new ones. Not one fails: that ends a load generator.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fs from 'node:fs'
import https from 'node:https'
import { inFolder, issue } from './certificates.mjs'
import { build, each, eventually } from './support.mjs'
import { ca, get, json, run, start } from './tls_support.mjs'

const CHANGES = 10

// Requests for some seconds; how many were answered as they should.
async function load (server, seconds, ...args) {
  const { stdout } = await run(`${build}/tests/bench/http_load`, ['--tls', '--port', server.port, '--seconds', seconds, '--warm-up', '0', ...args].map(String),
    { env: { ...process.env, ASAN_OPTIONS: 'detect_leaks=0' } }) // it leaves its memory to the end
  return JSON.parse(stdout).count
}

test('not one request fails while the certificate changes', async t => {
  const certificates = Array.from({ length: CHANGES + 1 }, (_, i) => issue(ca, `number ${i}`))
  const [cert, key] = ['load.pem', 'load.key'].map(inFolder)
  const put = certificate => { fs.copyFileSync(certificate.cert, cert); fs.copyFileSync(certificate.key, key) }
  put(certificates[0])
  const server = await start({ cert_file: cert, key_file: key })
  t.after(() => server.stop())

  const began = performance.now()
  const stays = load(server, 6, '--connections', 16)
  let count = 0
  for (let number = 1; number <= CHANGES; number++) {
    const loads = [load(server, 0.5, '--connections', 16), load(server, 0.5, '--connections', 4, '--close')]
    put(certificates[number])
    server.child.kill('SIGHUP')
    const changed = eventually(async () => (await get(server, '/')).subject === `number ${number}`, `number ${number}`)
    for (const done of await Promise.all([...loads, changed.then(() => 0)])) count += done
  }
  count += await stays
  t.diagnostic(`${count} requests, ${Math.round(count / (performance.now() - began) * 1000)} a second`)
  assert.ok(count > 1000 * CHANGES / 2, `${count} requests`)
  const { closed } = await json(server, '/stats')
  for (const left of ['reading failed', 'writing failed', 'the client went away']) delete closed[left] // when a generator's time is over
  assert.deepEqual(closed, {})
  assert.equal(server.stderr, '')
})

// Sockets that were opened before are the same ones afterwards.
test('no connection is lost', async t => {
  const [cert, key] = ['stay.pem', 'stay.key'].map(inFolder)
  const [one, other] = ['one', 'other'].map(name => issue(ca, name))
  const put = certificate => { fs.copyFileSync(certificate.cert, cert); fs.copyFileSync(certificate.key, key) }
  put(one)
  const server = await start({ cert_file: cert, key_file: key })
  t.after(() => server.stop())
  const agents = Array.from({ length: 20 }, () => new https.Agent({ keepAlive: true, maxSockets: 1, ca: ca.pem }))
  const before = await each(20, i => get(server, '/', { agent: agents[i] }))
  assert.ok(before.every(({ subject }) => subject === 'one'))
  put(other)
  assert.equal((await get(server, '/reload')).text, 'ok')
  const { handshakes } = await json(server, '/stats')
  const after = await each(20, i => get(server, '/', { agent: agents[i] }))
  assert.ok(after.every(({ text, subject }) => text === 'hello' && subject === 'one'))
  const fresh = await get(server, '/')
  assert.equal(fresh.subject, 'other')
  assert.equal((await json(server, '/stats')).handshakes, handshakes + 2)
  agents.forEach(agent => agent.destroy())
})
