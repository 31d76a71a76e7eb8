// cors against @koa/cors, with random options and requests.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import cors from '@koa/cors'
import { Guards, playEach } from './guard.mjs'
import { build } from './support.mjs'
import { chance, scale, seed } from './traffic/chance.mjs'

const LAYERS = 150
const REQUESTS = Math.ceil(6000 * scale)
const skip = !existsSync(`${build}/tests/support/guard_server`) && 'no jansson'

const ORIGINS = ['https://a.example', 'https://b.example:8443', 'http://localhost:3000', 'null', 'https://[::1]']

const tokens = (r, list) => r.pick([undefined, undefined, '', r.pick(list), list.join(','), list.join(', ')])

// The same in both languages.
function makeLayer (r) {
  const ours = {}
  const koa = {}
  const set = (name, koaName, value) => {
    if (value === undefined) return
    ours[name] = value
    koa[koaName] = value
  }
  const way = r.pick(['none', 'any', 'one', 'list', 'callback'])
  if (way === 'any') set('origin', 'origin', '*')
  if (way === 'one') set('origin', 'origin', r.pick(ORIGINS))
  if (way === 'list') {
    const list = r.some(3, () => r.pick(ORIGINS))
    ours.origins = list
    koa.origin = ctx => list.includes(ctx.get('Origin')) ? ctx.get('Origin') : ''
  }
  if (way === 'callback') {
    ours.find_origin = true
    koa.origin = async ctx => ctx.query.origin
  }
  set('methods', 'allowMethods', tokens(r, ['GET', 'PUT', 'X-OWN']))
  set('allow_headers', 'allowHeaders', tokens(r, ['X-A', 'X-B']))
  set('expose_headers', 'exposeHeaders', tokens(r, ['X-Shown', 'X-Too']))
  if (r.one(0.4)) set('max_age', 'maxAge', r.pick([0, 1, 600, 86400]))
  if (r.one(0.1)) [ours.max_age, koa.maxAge] = [-1, '0']
  if (way !== 'none' && r.one(0.3)) set('credentials', 'credentials', true)
  else if (way !== 'none' && r.one(0.3)) {
    ours.allow_credentials = true
    koa.credentials = async ctx => ctx.query.credentials !== undefined
  }
  if (r.one(0.3)) [ours.no_headers_on_error, koa.keepHeadersOnError] = [true, false]
  if (r.one(0.3)) set('secure_context', 'secureContext', true)
  if (r.one(0.3)) set('private_network_access', 'privateNetworkAccess', true)
  return [{ cors: ours }, cors(koa)]
}

function makeRequest (r) {
  const query = []
  if (r.one(0.6)) query.push(`origin=${r.pick([...ORIGINS, '', '*', 'x'])}`)
  for (const name of ['credentials', 'vary', 'throw', 'fail']) if (r.one(0.25)) query.push(name)
  const headers = {}
  if (r.one(0.8)) headers.Origin = r.pick([...ORIGINS, 'https://evil.example', 'https://a.example.evil', '*', 'x y'])
  if (r.one(0.5)) headers['Access-Control-Request-Method'] = r.pick(['PUT', 'GET', 'X', ''])
  if (r.one(0.3)) headers['Access-Control-Request-Headers'] = r.pick(['X-A', 'x-a, x-b', 'content-type,x', ''])
  if (r.one(0.3)) headers['Access-Control-Request-Private-Network'] = r.pick(['true', 'false', ''])
  const method = r.pick(['GET', 'GET', 'POST', 'HEAD', 'DELETE', 'OPTIONS', 'OPTIONS', 'OPTIONS', 'OPTIONS'])
  return [method, `/${r.below(LAYERS)}/?${query.join('&')}`, headers]
}

test(`${REQUESTS} requests, ${LAYERS} layers, SEED=${seed}`, { skip }, async t => {
  const layers = Array.from({ length: LAYERS }, (_, i) => makeLayer(chance('layer', i)))
  const guards = new Guards(layers)
  await guards.start()
  t.after(() => guards.stop())
  const seen = {}
  await playEach(REQUESTS, async i => {
    const request = makeRequest(chance('request', i))
    const [ours, koa] = await guards.both(...request)
    seen[ours.status] = (seen[ours.status] || 0) + 1
    assert.deepEqual(ours, koa, `${JSON.stringify(request)} ${JSON.stringify(layers[Number(request[1].split('/')[1])][0])}`)
  })
  t.diagnostic(JSON.stringify(seen))
  for (const status of [200, 204, 403, 500]) assert.ok(seen[status] > REQUESTS / 20, `${status}`)
})
