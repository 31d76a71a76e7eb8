// jwt against koa-jwt and jsonwebtoken: tokens of all kinds, good, nearly good and forged, in layers with random
// options; tokens that C has signed; and WebSockets.

import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import jsonwebtoken from 'jsonwebtoken'
import koaJwt from 'koa-jwt'
import WebSocket from 'ws'
import { Guards, playEach } from './guard.mjs'
import { build, withPatience } from './support.mjs'
import { chance, scale, seed } from './traffic/chance.mjs'

const jwa = createRequire(createRequire(import.meta.url).resolve('jws'))('jwa') // what signs for jsonwebtoken

const LAYERS = 100
const TOKENS = Math.ceil(5000 * scale)
const NOW = 1_700_000_000
const skip = !existsSync(`${build}/tests/support/guard_server`) && 'no jansson'

// --- Keys ----------------------------------------------------------------------------------------

const pem = ({ publicKey, privateKey }) => ({
  pem: publicKey.export({ type: 'spki', format: 'pem' }),
  private: privateKey.export({ type: 'pkcs8', format: 'pem' })
})
const rsa = pem(generateKeyPairSync('rsa', { modulusLength: 2048 }))
const curves = {
  256: pem(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
  384: pem(generateKeyPairSync('ec', { namedCurve: 'P-384' })),
  512: pem(generateKeyPairSync('ec', { namedCurve: 'P-521' }))
}
const otherCurve = pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }))

// Those that a layer verifies by; `sign` is what signs for them.
const keys = []
for (const bits of [256, 384, 512]) {
  keys.push({ algorithm: `HS${bits}`, secret: `secret ${bits} ü` }, { algorithm: `HS${bits}`, secret: 'x' })
  for (const family of ['RS', 'PS']) keys.push({ algorithm: `${family}${bits}`, pem: rsa.pem, private: rsa.private })
  keys.push({ algorithm: `ES${bits}`, pem: curves[bits].pem, private: curves[bits].private })
}
const ours = ({ algorithm, secret, pem }) => ({ algorithm, secret, pem })
const theirs = key => key.secret ?? key.pem
const signer = key => key.secret ?? key.private

// --- Layers --------------------------------------------------------------------------------------

function makeLayer (r) {
  const one = {}
  const other = { clockTimestamp: NOW, isRevoked: async ctx => ctx.query.revoked !== undefined, tokenKey: 'token' }
  const set = (name, otherName, value) => { [one[name], other[otherName]] = [value, value] }
  const way = r.pick(['one', 'one', 'one', 'several', 'asked'])
  const used = way === 'one' ? [r.pick(keys)] : [r.pick(keys), r.pick(keys), r.pick(keys)]
  other.algorithms = used.map(key => key.algorithm)
  if (way === 'asked') {
    one.find_key = true
    other.algorithms = keys.map(key => key.algorithm)
    other.secret = async header => Number.isInteger(header.kid) ? theirs(keys[header.kid]) : undefined
  } else {
    one.keys = used.map(ours)
    other.secret = way === 'one' ? theirs(used[0]) : used.map(theirs)
  }
  if (r.one(0.3)) set('cookie', 'cookie', 'jwt')
  if (r.one(0.2)) [one.find_token, other.getToken] = [true, ctx => ctx.get('X-Token')]
  if (r.one(0.3)) set('passthrough', 'passthrough', true)
  if (way === 'one' && r.one(0.7)) set('debug', 'debug', true)
  if (r.one(0.2)) set('audiences', 'audience', r.pick([['a'], ['a', 'b']]))
  if (r.one(0.2)) set('issuers', 'issuer', r.pick([['me'], ['me', 'you']]))
  if (r.one(0.1)) set('subject', 'subject', 'ada')
  if (r.one(0.1)) set('id', 'jwtid', '1')
  if (r.one(0.1)) set('nonce', 'nonce', 'n')
  if (r.one(0.2)) set('max_age', 'maxAge', 100)
  if (r.one(0.3)) set('clock_tolerance', 'clockTolerance', 10)
  if (r.one(0.2)) set('ignore_expiration', 'ignoreExpiration', true)
  if (r.one(0.2)) set('ignore_not_before', 'ignoreNotBefore', true)
  return { way, used, pair: [{ jwt: one }, koaJwt(other)] }
}

// --- Tokens --------------------------------------------------------------------------------------

const encode = text => Buffer.from(text).toString('base64url')

function makeTime (r) {
  return r.pick([
    () => NOW + r.between(-12, 12),
    () => NOW + r.between(-120, 120),
    () => NOW + r.below(1000) / 8 - 60,
    () => r.pick([1, -1, 1e12, '1800000000', null, true, [], {}, 'x'])
  ])()
}

function makeClaims (r) {
  const claims = {}
  if (r.one(0.3)) claims.exp = makeTime(r)
  if (r.one(0.3)) claims.nbf = makeTime(r)
  if (r.one(0.7)) claims.iat = r.one(0.7) ? NOW - r.below(90) : makeTime(r)
  if (r.one(0.5)) claims.aud = r.pick(['a', 'b', 'ab', ['a'], ['x', 'b'], ['x', 7, null], [], 7, {}, ''])
  if (r.one(0.5)) claims.iss = r.pick(['me', 'me', 'you', 'them', ['me'], 7, ''])
  if (r.one(0.5)) claims.sub = r.pick(['ada', 'ada', 'bob', 7])
  if (r.one(0.3)) claims.jti = r.pick(['1', 1])
  if (r.one(0.3)) claims.nonce = r.pick(['n', 'm'])
  if (r.one(0.3)) claims.more = r.pick([[[[1.5]]], { a: { b: 'ü€😀' } }, '"\\/', false, null, 'x'.repeat(r.below(300))])
  return claims
}

function makeHeader (r, algorithm, kid) {
  const header = { alg: algorithm }
  if (r.one(0.7)) header.typ = r.pick(['JWT', 'JWT', 'jwt', 'at+jwt', 7])
  if (r.one(0.8)) header.kid = kid
  if (r.one(0.02)) header.alg = r.pick([undefined, null, 7, ['HS256'], '', 'hs256', 'HS255'])
  return header
}

// What differs on purpose in tokens that say so themselves: the name of the difference, or nothing.
const strange = {
  crit: 'a critical header',
  notObject: 'claims that are no object',
  header: 'a header that is no object',
  jansson: 'JSON that can be read in two ways',
  base64: 'base64url that no encoder writes'
}

const sameFamily = 'the algorithm of another key'

// A token for `key`, the number of which is `kid`.
function makeToken (r, key, kid) {
  let algorithm = key.algorithm
  let by = signer(key)
  let header = makeHeader(r, algorithm, kid)
  let claims = JSON.stringify(makeClaims(r))
  let name
  const kind = r.below(30)
  if (kind === 0) { // by another key
    const other = r.pick(keys)
    ;[algorithm, by] = [other.algorithm, signer(other)]
    header.alg = algorithm
  } else if (kind === 1) { // by the right algorithm, but another key
    by = algorithm[0] === 'H' ? 'other' : algorithm[0] === 'E' ? (algorithm === 'ES256' ? otherCurve.private : by) : by
  } else if (kind === 2 && key.pem) { // the public key as a secret
    ;[algorithm, by, header.alg] = ['HS256', key.pem, 'HS256']
  } else if (kind === 3) {
    ;[algorithm, by, header.alg] = ['none', '', r.pick(['none', 'None', algorithm])]
  } else if (kind === 4) {
    header.crit = r.pick([['exp'], [], 'x', null])
    name = strange.crit
  } else if (kind === 5) {
    claims = r.pick(['[]', '"a"', '1', 'null', 'text', '', '{', '[1]', '{"a":1,}', '{}x', '\xef\xbb\xbf{}'])
    name = strange.notObject
  } else if (kind === 6) {
    header = r.pick([[], 'a', 1, null, true, {}])
    name = strange.header
  } else if (kind === 7) {
    claims = r.pick(['{"a":1,"a":2}', '{"a":"\\u0000"}', '{"a":"\\ud800"}', '{"exp":1e999}', '{"a":12345678901234567890}'])
    name = strange.jansson
  }
  if (kind >= 8 && kind <= 10) { // another algorithm that this key could do as well
    const could = keys.filter(other => signer(other) === by && other.algorithm !== algorithm)
    if (could.length > 0) header.alg = algorithm = r.pick(could).algorithm
  }
  const input = `${encode(JSON.stringify(header))}.${encode(claims)}`
  let token
  try {
    token = `${input}.${jwa(algorithm).sign(input, algorithm[0] === 'H' && by === key.pem ? Buffer.from(by) : by)}`
  } catch { // that curve, or algorithm, is for another key
    token = `${input}.AAAA`
  }
  return { ...mutate(r, token, name), algorithm: header?.alg, by }
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

const isCanonical = part => /^[\w-]*$/.test(part) && Buffer.from(part, 'base64url').toString('base64url') === part

function mutate (r, token, name) {
  const at = r.below(token.length)
  const kind = r.below(25)
  if (kind === 0) token = token.slice(0, at) + r.pick([...ALPHABET]) + token.slice(at + 1)
  if (kind === 1) token = token.slice(0, -1) + r.pick([...ALPHABET])
  if (kind === 2) token = token.slice(0, at) + token.slice(at + r.below(4))
  if (kind === 3) token = token.slice(0, at) + r.pick([...ALPHABET, '.', '=', '+', '/', '%', '~']) + token.slice(at)
  if (kind === 4) token = r.pick([token + '.', token.split('.').slice(0, 2).join('.'), token.replace(/[^.]*$/, ''), 'x', '..', 'a.b.c', token + '=', token + 'A'])
  if (kind > 4) return { token, name }
  const parts = token.split('.')
  if (parts.length === 3 && !parts.every(isCanonical)) return { token, name: strange.base64 }
  // A byte that was changed may make any of the others of it.
  try {
    const [header, claims] = parts.map(part => Buffer.from(part, 'base64url').toString('latin1'))
    if (/[\x80-\xff]/.test(header + claims)) name = strange.jansson
    const isObject = json => json !== null && typeof json === 'object' && !Array.isArray(json)
    if (!isObject(JSON.parse(header))) name = strange.header
    if (!isObject(JSON.parse(claims))) name = strange.notObject
  } catch {
    name = strange.notObject
  }
  return { token, name }
}

function makeRequest (r, layers) {
  const number = r.below(LAYERS)
  const layer = layers[number]
  const kid = layer.way === 'asked' ? r.below(keys.length) : keys.indexOf(r.pick(layer.used))
  const made = makeToken(r, keys[kid], kid)
  const { token } = made
  const headers = {}
  const place = r.pick(['bearer', 'bearer', 'bearer', 'bearer', 'cookie', 'header', 'odd', 'none'])
  if (place === 'bearer') headers.Authorization = `${r.pick(['Bearer', 'Bearer', 'bearer', 'BEARER'])} ${token}`
  if (place === 'odd') headers.Authorization = r.pick([token, 'Bearer', 'Bearer ', `Bearer  ${token}`, `Bearer ${token} x`, `Token ${token}`, `Bearer\t${token}`])
  if (place === 'cookie' || r.one(0.1)) headers.Cookie = `a=b; jwt=${r.one(0.9) ? token : ''}`
  if (place === 'header' || r.one(0.1)) headers['X-Token'] = r.one(0.9) ? token : 'x'
  const path = `/${number}/?${r.one(0.1) ? 'revoked' : ''}`
  return { ...made, kid, layer, path, headers }
}

// --- Both ----------------------------------------------------------------------------------------

// What JSON.parse says of malformed JSON is "invalid token" here, an ECDSA signature of a wrong length is as wrong as
// any other, and of several keys each says something else.
function messageOf (text, way) {
  if (way !== 'one') return 'refused'
  if (/signatures must be/.test(text)) return 'invalid signature'
  return /JSON|Unterminated string|double-quoted/.test(text) ? 'invalid token' : text
}

function comparable ({ status, headers, body }, way) {
  const { 'www-authenticate': challenge, 'content-length': _, ...rest } = headers
  if (/json/.test(headers['content-type'])) {
    body = JSON.parse(body)
    if (body.error !== null) body.error = messageOf(body.error, way)
  } else {
    body = way === 'one' ? messageOf(body, way) : body
  }
  return { status, headers: rest, body }
}

const isRefused = answer => answer.status === 401 || (answer.status === 200 && answer.body.error !== null && answer.body.claims === null)

// No key is for this algorithm, but one could do it: jsonwebtoken has one list of algorithms for all keys.
function isSameFamily ({ layer, algorithm, by, kid }) {
  const candidates = layer.way === 'asked' ? [keys[kid]] : layer.used
  return layer.way !== 'one' && !candidates.some(key => key.algorithm === algorithm && signer(key) === by)
}

test(`${TOKENS} tokens, ${LAYERS} layers, SEED=${seed}`, { skip }, async t => {
  const layers = Array.from({ length: LAYERS }, (_, i) => makeLayer(chance('jwt layer', i)))
  const guards = new Guards(layers.map(layer => layer.pair), { now: NOW, keys: keys.map(ours) })
  const seen = { accepted: 0, refused: 0, passed: 0 }
  const names = {}
  await guards.start()
  t.after(() => guards.stop())
  await playEach(TOKENS, async i => {
    const request = makeRequest(chance('jwt', i), layers)
    const { way } = request.layer
    const [our, koa] = await guards.both('GET', request.path, request.headers)
    assert.equal('www-authenticate' in our.headers, our.status === 401)
    const [one, other] = [comparable(our, way), comparable(koa, way)]
    const info = () => JSON.stringify([request.path, request.headers, request.layer.pair[0], one, other])
    const isSame = JSON.stringify(one) === JSON.stringify(other)
    seen[isRefused(one) ? one.status === 401 ? 'refused' : 'passed' : 'accepted']++
    if (isSame) return
    if (request.name) {
      names[request.name] = (names[request.name] || 0) + 1
      assert.ok(isRefused(one), `${request.name}: ${info()}`)
    } else if (isSameFamily(request) && !isRefused(other)) {
      names[sameFamily] = (names[sameFamily] || 0) + 1
      assert.ok(isRefused(one), info())
    } else {
      assert.deepEqual(one, other, info())
    }
  })
  t.diagnostic(JSON.stringify({ ...seen, ...names }))
  for (const kind of Object.keys(seen)) assert.ok(seen[kind] > TOKENS / 20, kind)
  for (const name of [...Object.values(strange), sameFamily]) assert.ok(names[name] > 0, name)
})

test(`tokens that C has signed, SEED=${seed}`, { skip }, async t => {
  const guards = new Guards([], { now: NOW })
  await guards.start()
  t.after(() => guards.stop())
  const ask = async (key, claims, options) => {
    const body = JSON.stringify({ key: { algorithm: key.algorithm, secret: key.secret, pem: key.private, id: options.id }, claims, ...options })
    const answer = await guards.askOurs('POST', '/sign', { 'Content-Type': 'application/json' }, body)
    assert.equal(answer.status, 200, answer.body)
    return answer.body
  }
  await playEach(Math.ceil(600 * scale), async i => {
    const r = chance('sign', i)
    const key = r.pick(keys)
    const claims = { sub: 'ada', n: i, text: 'ü€😀', list: [1, { a: null }] }
    if (r.one(0.3)) claims.iat = NOW - r.below(1000)
    const options = { expires_in: r.one(0.5) ? 1 + r.below(100) : 0, not_before: r.one(0.5) ? -1 - r.below(100) : 0, no_timestamp: r.one(0.3) && !claims.iat }
    if (r.one(0.5)) options.id = `key ${r.below(10)}`
    const token = await ask(key, claims, options)
    const verify = { algorithms: [key.algorithm], clockTimestamp: claims.iat ?? NOW, complete: true }
    const { header, payload } = jsonwebtoken.verify(token, key.secret ?? createPublicKey(key.pem), verify)
    assert.deepEqual(header, { alg: key.algorithm, typ: 'JWT', ...options.id && { kid: options.id } })
    const issued = claims.iat ?? NOW
    assert.deepEqual(payload, {
      ...claims,
      ...!options.no_timestamp && { iat: issued },
      ...options.expires_in && { exp: issued + options.expires_in },
      ...options.not_before && { nbf: issued + options.not_before }
    })
    if (options.no_timestamp) return
    // What has no chance in it is the same to the byte.
    const same = jsonwebtoken.sign({ ...claims, iat: issued }, signer(key), {
      algorithm: key.algorithm,
      ...options.id && { keyid: options.id },
      ...options.expires_in && { expiresIn: options.expires_in },
      ...options.not_before && { notBefore: options.not_before }
    })
    if (/^[HR]/.test(key.algorithm)) assert.equal(token, same)
    else assert.equal(token.replace(/[^.]*$/, ''), same.replace(/[^.]*$/, ''))
  })
})

test('WebSockets', { skip }, async t => {
  const key = keys[0]
  const guards = new Guards([[{ ws: true, jwt: { keys: [ours(key)], cookie: 'jwt', query: 'token' } }, (ctx, next) => next()]], { now: NOW })
  await guards.start()
  t.after(() => guards.stop())
  const good = jsonwebtoken.sign({ sub: 'ada', exp: NOW + 1 }, key.secret, { noTimestamp: true })
  const late = jsonwebtoken.sign({ sub: 'ada', exp: NOW }, key.secret, { noTimestamp: true })
  const open = (query, headers) => withPatience(new Promise((resolve, reject) => {
    const socket = new WebSocket(`${guards.ours.ws}/0${query}`, { headers })
    socket.on('message', data => {
      resolve(String(data))
      socket.close()
    })
    socket.on('unexpected-response', (request, response) => {
      resolve(`${response.statusCode} ${response.headers['www-authenticate']}`)
      request.destroy()
    })
    socket.on('error', reject)
  }), query)
  const claims = `{"sub":"ada","exp":${NOW + 1}}`
  assert.equal(await open('', { Authorization: `Bearer ${good}` }), claims)
  assert.equal(await open('', { Cookie: `jwt=${good}` }), claims)
  assert.equal(await open(`?token=${good}`, {}), claims)
  assert.equal(await open('', {}), '401 Bearer')
  assert.equal(await open(`?token=${late}`, {}), '401 Bearer error="invalid_token"')
  assert.equal(await open(`?token=${good}x`, {}), '401 Bearer error="invalid_token"')
})
