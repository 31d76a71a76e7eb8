// rate_limit against koa-ratelimit with its memory driver, by a clock that both share; and handshakes of WebSockets.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import WebSocket from 'ws'
import { Guards } from './guard.mjs'
import { build, withPatience } from './support.mjs'
import { chance, scale, seed } from './traffic/chance.mjs'

const LAYERS = 60
const STEPS = Math.ceil(4000 * scale)
const skip = !existsSync(`${build}/tests/support/guard_server`) && 'no jansson'

// --- The clock -----------------------------------------------------------------------------------

// koa-ratelimit looks at these two. Times are eighths of a second, which a double holds exactly.
const START = 1_700_000_000_000
const real = { now: Date.now, hrtime: process.hrtime }
let passed = 0 // milliseconds

function stopClocks () {
  Date.now = () => START + passed
  process.hrtime = Object.assign(before => {
    const [seconds, nanoseconds] = before ?? [0, 0]
    const all = passed * 1e6 - (seconds * 1e9 + nanoseconds)
    return [Math.floor(all / 1e9), all % 1e9]
  }, { bigint: real.hrtime.bigint })
}

function startClocks () {
  Date.now = real.now
  process.hrtime = real.hrtime
}

stopClocks()
const ratelimit = createRequire(import.meta.url)('koa-ratelimit')
startClocks()

// --- Layers --------------------------------------------------------------------------------------

function makeLayer (r) {
  const max = r.pick([1, 2, 3, 5, 10])
  const duration = r.pick([1, 4, 10, 40, 300, 20_000, 400_000, 2_000_000]) * 250 + 125
  const one = { max, duration }
  const other = {
    driver: 'memory',
    db: new Map(),
    max,
    duration,
    id: ctx => ctx.query.key ?? false,
    whitelist: ctx => ctx.query.white !== undefined,
    blacklist: async ctx => ctx.query.black !== undefined
  }
  const set = (name, otherName, value) => { [one[name], other[otherName]] = [value, value] }
  if (r.one(0.2)) set('no_headers', 'disableHeader', true)
  if (r.one(0.2)) set('status', 'status', r.pick([429, 503, 420]))
  if (r.one(0.3)) set('message', 'errorMessage', r.pick(['slow down', '<b>slow</b> %s', 'ü']))
  if (r.one(0.3)) set('throws', 'throw', true)
  if (r.one(0.3)) {
    other.headers = {}
    for (const [name, otherName] of [['limit_header', 'total'], ['remaining_header', 'remaining'], ['reset_header', 'reset']]) {
      if (r.one(0.5)) one[name] = other.headers[otherName] = `X-${otherName}`
    }
  }
  return { one, resetHeader: (one.reset_header ?? 'X-RateLimit-Reset').toLowerCase(), pair: [{ rate_limit: one }, ratelimit(other)] }
}

// --- What differs: whole seconds, rounded up, so that whoever waits so long gets in ---------------

function checkTimes (ours, koa, resetHeader, before, after) {
  const theirs = { ...koa, headers: { ...koa.headers } }
  const reset = koa.headers[resetHeader]
  if (reset !== undefined) {
    const left = Number(reset) - (START + passed) / 1000
    assert.match(ours.headers[resetHeader], /^\d+$/)
    const our = Number(ours.headers[resetHeader])
    assert.ok(our >= before / 1000 + left && our <= after / 1000 + left + 1, `${our}: ${before} ${left} ${after}`)
    theirs.headers[resetHeader] = ours.headers[resetHeader]
  }
  if (koa.headers['retry-after'] !== undefined) {
    theirs.headers['retry-after'] = String(Number(koa.headers['retry-after']) + 1) // never a whole number
  }
  assert.deepEqual(ours, theirs)
}

test(`${STEPS} requests, ${LAYERS} layers, SEED=${seed}`, { skip }, async t => {
  const layers = Array.from({ length: LAYERS }, (_, i) => makeLayer(chance('rate layer', i)))
  const guards = new Guards(layers.map(layer => layer.pair))
  await guards.start()
  t.after(() => guards.stop())
  t.after(startClocks)
  const seen = {}
  for (let i = 0; i < STEPS; i++) {
    const r = chance('rate', i)
    if (r.one(0.2)) {
      const ms = 250 * r.pick([1, 2, 5, 20, 100, 400, 30_000])
      passed += ms
      await guards.askOurs('GET', `/clock?ms=${ms}`)
    }
    const number = r.one(0.7) ? r.below(6) : r.below(LAYERS)
    const query = r.one(0.95) ? [`key=${r.pick(['a', 'a', 'b', 'ü', 'x'.repeat(300)])}`] : []
    for (const name of ['white', 'black', 'throw']) if (r.one(0.03)) query.push(name)
    const path = encodeURI(`/${number}/?${query.join('&')}`)
    stopClocks()
    const before = real.now()
    const [ours, koa] = await guards.both('GET', path)
    const after = real.now()
    startClocks()
    seen[ours.status] = (seen[ours.status] || 0) + 1
    try {
      checkTimes(ours, koa, layers[number].resetHeader, before, after)
    } catch (error) {
      error.message = `${i}: ${path} ${JSON.stringify(layers[number].one)}: ${error.message}`
      throw error
    }
  }
  t.diagnostic(JSON.stringify(seen))
  for (const status of [200, 429, 403]) assert.ok(seen[status] > STEPS / 50, `${status}`)
})

test('handshakes', { skip }, async t => {
  const layer = { ws: true, rate_limit: { max: 2, duration: 60_000 } }
  const guards = new Guards([[layer, (ctx, next) => next()]])
  await guards.start()
  t.after(() => guards.stop())
  const open = key => withPatience(new Promise((resolve, reject) => {
    const socket = new WebSocket(`${guards.ours.ws}/0?key=${key}`)
    socket.on('message', data => {
      resolve(String(data))
      socket.close()
    })
    socket.on('unexpected-response', (request, response) => {
      resolve([response.statusCode, response.headers['retry-after'], response.headers['x-ratelimit-remaining']])
      request.destroy()
    })
    socket.on('error', reject)
  }), key)
  assert.equal(await open('a'), 'nobody')
  assert.equal(await open('a'), 'nobody')
  assert.deepEqual(await open('a'), [429, '60', '0'])
  assert.equal(await open('b'), 'nobody')
  await guards.askOurs('GET', '/clock?ms=60000')
  assert.equal(await open('a'), 'nobody')
})
