// The usual routes, sockets and middlewares in Koa (twin/features.js) and in C (twin/features.c): both get the same
// random traffic, and must answer the same.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { before, describe, test } from 'node:test'
import { CHARACTERS, KIB, escape, scale, seed, someCase } from './traffic/chance.mjs'
import { makeAccept, makeConditional, makeCookie, makeForwarded, makeHost, makeReferrer } from './traffic/headers.mjs'
import { HOST, METHODS, hostFor, httpDifferences, joinHead, latin1InFileName, makeOtherHeader, makePage, makeRequest, playRequests, strangeRequests } from
  './traffic/http.mjs'
import { isClear, makeContent, makeRange, makeSession, middlewareDifferences, normal, rangeDifference, tooFar } from './traffic/middleware.mjs'
import { Twins, playAll } from './traffic/twins.mjs'
import { BINARY, SIZES, TEXT, binaryOf, endings, endingsOfDeflate, handshake, makeConversation, makeHandshake, makeMessage, makeSteps,
  playConversation, playSteps, deflateDifferences, socketDifferences, strangeHandshakes, strangeOffers, textOf } from './traffic/websocket.mjs'

console.log(`SEED=${seed}`)

// Those of features.js; save deflate, which is compared below.
const middlewares = ['allowed-methods', 'basic-auth', 'body-parser', 'compress', 'conditional', 'cors', 'etag', 'range',
  'rate-limit', 'response-time', 'session', 'static']

// --- What differs on purpose ---------------------------------------------------------------------

function assertMalformed (ours, koa) {
  assert.equal(ours.status, 400)
  if (koa.body) assert.match(ours.body, /^({"error":")?malformed percent-encoding in the path("})?$/)
}

const differences = {
  ...httpDifferences('HTTP/1.1 404 Not Found\r\nAccess-Control-Allow-Credentials: true\r\n' +
    'Access-Control-Allow-Origin: \r\nAccess-Control-Expose-Headers: X-Response-Time\r\nConnection: close\r\n' +
    'Content-Length: 9\r\nContent-Type: text/plain; charset=utf-8\r\nDate: (now)\r\nVary: Origin, Accept-Encoding\r\nX-Response-Time: (some)ms\n\nNot Found'),
  ...middlewareDifferences,
  ...socketDifferences,
  'a malformed % in a path': {
    why: 'it is the client\'s fault: 400. @koa/router leaves it as it is',
    check: assertMalformed
  },
  'a NUL in a parameter': {
    why: 'no path has one, and a C string would end there: 400',
    check: assertMalformed
  },
  'a WebSocket that is refused': {
    why: 'it is answered as any request that fails; ws has an answer of its own',
    check (ours, koa) {
      assert.match(ours.head, /^HTTP\/1.1 401 Unauthorized\r\nConnection: close\r\n.*\r\nWWW-Authenticate: Bearer$/s)
      assert.equal(ours.rest, koa.rest)
    }
  },
  'Latin-1 in filename=': latin1InFileName
}

// Bodies are well framed here, and no WebSocket is without a route.
delete differences['a malformed body']
delete differences['a WebSocket that nothing matched']

// --- Pages ---------------------------------------------------------------------------------------

const sign = (text, key) => createHmac('sha1', key).update(text).digest('base64url')

// A signature that is right, by an older key, by another, of something else, or broken.
function makeSigned (r) {
  const value = r.pick(['2', '2', '', 'x', '%32'])
  const right = sign(`signed=${value}`, r.pick(['newkey', 'newkey', 'oldkey', 'otherkey']))
  const wrong = [right.slice(1), right + '=', right.toLowerCase(), sign('signed=3', 'newkey'), '', `"${right}"`]
  const signature = r.pick([right, right, right, ...wrong])
  const pairs = [`signed=${value}`, `signed.sig=${signature}`]
  if (r.one(0.3)) pairs.push(r.pick(['plain=1', 'a=b', 'signed=3', 'signed.sig=x', 'plain.sig=x']))
  if (r.one(0.1)) pairs.splice(r.below(2), 1)
  return `Cookie: ${pairs.sort(() => r.below(3) - 1).join('; ')}`
}

function makeId (r) {
  return Array.from({ length: r.between(1, 3) }, () => r.pick([
    () => String(r.below(20)),
    () => r.pick(['bob', 'Ann', 'a.b', 'a-b', '~x', '+', ':', '@', '!$&\'()*,;=', '..', '"']),
    () => escape(r, r.pick(CHARACTERS)),
    () => escape(r, r.pick([...'/%?#& +'])),
    () => r.one(0.05) ? r.pick(['%', '%z', '%4', '%zz', '%ff', '%C3', '%c3%28', '%ED%A0%80', '%u0041']) : 'x'
  ])()).join('')
}

// For each route: its path, its own headers, its own methods.
const routes = [
  { path: '/' },
  {
    path: '/cookies',
    weight: 8,
    headers: r => [r.pick([makeSigned, makeSigned, makeCookie])(r), ...r.some(1, () => makeCookie(r))]
  },
  { path: '/redirect', weight: 3, headers: r => r.some(3, () => makeAccept(r)) },
  {
    path: '/back',
    weight: 5,
    hosts: ['a', 'a', 'a', 'a:8080', 'example.com', '[::1]'],
    headers: r => [...r.some(2, () => makeReferrer(r)), ...r.some(1, () => makeAccept(r))]
  },
  { path: '/download' },
  { path: '/nocontent' },
  { path: '/null' },
  { path: '/stream', isSlow: true },
  { path: '/sse', isSlow: true },
  { path: '/negotiate', weight: 8, headers: r => r.some(4, () => makeAccept(r)) },
  { path: '/whoami', weight: 3, headers: r => r.some(3, () => makeForwarded(r)) },
  { path: r => `/api/users/${makeId(r)}`, weight: 8, methods: ['GET', 'GET', 'HEAD', 'PUT', 'PUT', 'POST', 'DELETE'] },
  { path: '/api/users/0' },
  { path: '/api/crash', weight: 2 },
  { path: '/api/nope' },
  { path: '/admin', weight: 3, headers: r => r.some(1, () => `Authorization: ${r.pick(['Basic dTpw', 'basic dTpw', 'Basic dTpx', 'Basic', 'Bearer dTpw'])}`) },
  { path: '/ranged', weight: 4, methods: ['GET', 'GET', 'GET', 'GET', 'HEAD', 'PUT', 'POST'], headers: r => r.some(1, () => makeRange(r)) },
  { path: '/big', weight: 5, isSlow: true, headers: r => r.some(2, () => makeAccept(r)) },
  { path: '/counter', weight: 8, headers: r => r.some(1, () => makeSession(r)) },
  { path: '/logout', weight: 4, headers: r => r.some(1, () => makeSession(r)) },
  { path: '/form', weight: 16, methods: ['POST', 'POST', 'POST', 'POST', 'PUT', 'GET'], reads: true, isSlow: true },
  {
    path: r => `/static${r.pick(['', '/', '/index.html', '/big.txt', '/big.txt', '/big.txt', '/nope', '/.hidden', '/big.txt/', '/%62ig.txt', '/a/../big.txt'])}`,
    weight: 6,
    isSlow: true,
    headers: r => r.some(2, () => makeAccept(r))
  },
  { path: '/respond-false' },
  { path: '/nope' }
].flatMap(route => Array(route.weight ?? 1).fill(route))

function makeTarget (r, route, method) {
  if (method === 'OPTIONS' && r.one(0.2)) return '*'
  let path = typeof route.path === 'function' ? route.path(r) : route.path
  if (r.one(0.06)) path = someCase(r, path)
  if (r.one(0.06)) path += '/'
  if (r.one(0.02)) path = path.replace('/', '//')
  if (r.one(0.02)) path = path.replace(/[a-z]/, char => escape(r, char))
  if (r.one(0.1)) path += r.pick(['?', '?a=b', '?a=1&a=2', '?%zz', '?/api', '?x=%C3%A9'])
  return r.one(0.04) ? r.pick(['http://a', 'http://127.0.0.1:80', 'HTTP://User@Host', 'https://[::1]:9']) + path : path
}

function make (r) {
  const route = r.pick(routes)
  const method = r.pick(route.methods ?? ['GET', 'GET', 'GET', 'GET', 'GET', 'HEAD', 'POST', r.pick(METHODS)])
  const target = makeTarget(r, route, method)
  const others = [makeAccept, makeConditional, makeCookie, makeForwarded, makeReferrer, makeOtherHeader]
  const { content, headers: contentHeaders = [], isRead } = route.reads ? makeContent(r) : {}
  const headers = [...route.headers?.(r) ?? [], ...r.some(2, () => r.pick(others)(r))]
    .map(line => line.replace(/[\x80-\xff]/g, 'x'))
    .filter(line => isClear(line) && (!content || !/^content-encoding/i.test(line)))
    .concat(contentHeaders)
    .sort(() => r.below(3) - 1)
  const request = makeRequest(r, {
    method,
    target,
    host: hostFor(r, target, makeHost(r, route.hosts).replace('\xe4', 'x')),
    headers,
    content,
    isRead,
    hasBody: content || method === 'POST' || method === 'PUT' || r.one(0.1)
  })
  const differs = request.malformed ?? nameDifference(method, target, headers) ?? request.differs
  return { ...request, isSlow: route.isSlow, differs }
}

// What is special about an answer, if anything.
function nameDifference (method, target, headers) {
  const path = /^(?:https?:\/\/[^/]*)?([^?#]*)/i.exec(target)[1]
  if (/^\/ranged(\/|$)/.test(path)) return rangeDifference(method, headers)
  if (/^\/sse\/?$/i.test(path) && method === 'GET' && headers.some(line => /^if-none-match:/i.test(line))) return 'a condition on what has begun'
  if (/^\/static(\/|$)/.test(path) && headers.some(line => /^if-(match|unmodified-since):/i.test(line))) return 'If-Match, or If-Unmodified-Since'
  if (/^\/download\/?$/i.test(path) && ['GET', 'HEAD'].includes(method)) return 'Latin-1 in filename='
  if (!/^\/api\/users\/[^/]+\/?$/i.test(path) || !['GET', 'HEAD', 'PUT'].includes(method)) return
  try {
    if (decodeURIComponent(path).includes('\0')) return 'a NUL in a parameter'
  } catch {
    return 'a malformed % in a path'
  }
}

// Their bodies go to /echo, which is not there.
const strange = [
  ...strangeRequests.filter(({ differs, bytes }) => !bytes.includes('/echo') && differs !== 'a malformed body'),
  { method: 'GET', bytes: joinHead('GET /sse HTTP/1.1', [HOST, 'If-None-Match: *']), differs: 'a condition on what has begun' },
  ...tooFar.map(range => ({
    method: 'GET',
    bytes: joinHead('GET /ranged HTTP/1.1', [HOST, `Range: ${range}`, 'Connection: close']),
    differs: 'a range beyond the end',
    closes: true
  }))
]

const pages = { make, strange, targets: ['/', '/negotiate', '/nope?x'], differences, reads: false }

// --- Sockets -------------------------------------------------------------------------------------

const handshakes = [
  ...strangeHandshakes({
    path: '/echo',
    protocols: ['chat.v1', 'chat.v1, x', 'x, chat.v1', 'CHAT.V1', 'x'],
    unmatched: [],
    malformed: ['/close/%zz', '/close/%ff']
  }),
  ...['/', '/ECHO', '/nope', '/close', '/close/', '/close/1000/x', '/api/users/1', '/info/', '/terminate', '/PRIVATE']
    .map(path => ({ bytes: handshake(path) })),
  ...['/private', '/privateer'].map(path => ({ bytes: handshake(path), differs: 'a WebSocket that is refused' }))
]
const ends = endings(64 * KIB)
const endsOfBoth = ends.filter(({ differs }) => !differs)

const protocols = ['chat.v1', 'chat.v1, superchat', 'a', 'a, chat.v1']

const sizes = SIZES.filter(size => size <= 64 * KIB)

const makeTalk = compresses => (r, i) => {
  const path = r.pick([
    () => '/echo' + r.pick(['', '', '/', '?x=1']),
    () => '/info' + r.pick(['', '?a=1', '?a=1&a=2&b=%C3%A9+c']),
    () => `/close/${r.pick([1000, 1001, 1002, 1003, 1007, 1008, 1011, 1014, 3000, 3999, 4000, 4999])}`,
    () => '/fragments',
    () => '/slow',
    () => '/nope'
  ])()
  return makeConversation(r, i, {
    compresses,
    strange: compresses ? [...strangeOffers('/echo'), ...handshakes] : handshakes,
    ends: compresses ? endingsOfDeflate(64 * KIB) : /close|nope/.test(path) ? endsOfBoth : ends,
    hello: makeHandshake(r, path, protocols, compresses),
    message: (r, hello) => r.one(0.4) && path !== '/slow'
      ? makeMessage(r, BINARY, binaryOf(r, sizes), compresses ? hello : undefined)
      : makeMessage(r, TEXT, textOf(r, sizes), compresses ? hello : undefined)
  })
}

// One room after the other, since everybody hears what is said at /broadcast.
const makeRoom = compresses => r => makeSteps(r, ['/broadcast', '/broadcast', '/broadcast', '/echo'], protocols, compresses)

// --- All of it -----------------------------------------------------------------------------------

// Who may still ask depends on who was first: one after the other, within the minute.
const makeLimited = r => ({
  requests: [makeRequest(r, {
    method: r.pick(['GET', 'GET', 'HEAD', 'POST']),
    target: '/limited' + r.pick(['', '', '/', '?a', 's', '/x']),
    host: HOST,
    headers: r.some(2, () => makeOtherHeader(r))
  })],
  pipelined: false,
  fin: false
})

const skip = parseInt(process.versions.node) < 20 && '@koa/router needs node 20'

const start = (twins, names) => twins.start('tests/twin/features', 'features.js', { MIDDLEWARE: names.join() })
const playTalks = (twins, kind, count, compresses) =>
  playAll(kind, count * scale, makeTalk(compresses), (talk, r, clock) => playConversation(twins, talk, clock))
const playRooms = (twins, kind, count, compresses) =>
  playAll(kind, count * scale, makeRoom(compresses), room => playSteps(twins, room), { atOnce: 1 })

describe('features', { skip }, () => {
  const twins = new Twins(differences, normal)
  const playPage = (page, r, clock) => playRequests(twins, page, r, clock)
  before(() => start(twins, middlewares))
  test('the same limit', () => playAll('limited', 30, makeLimited, playPage, { atOnce: 1 }))
  test('the same answers to the same requests', () => playAll('page', 3000 * scale, (r, i) => makePage(r, i, pages), playPage))
  test('the same answers to the same frames', () => playTalks(twins, 'socket', 600, false))
  test('everybody hears the same', () => playRooms(twins, 'broadcast', 40, false))
  test('each difference was seen', () => twins.assertAllSeen())
  test('ours has said nothing on stderr, and ends well', () => twins.stop())
})

describe('with compression', { skip }, () => {
  const twins = new Twins({ ...differences, ...deflateDifferences })
  before(() => start(twins, ['deflate']))
  test('the same answers to the same frames', () => playTalks(twins, 'compressed', 600, true))
  test('everybody hears the same', () => playRooms(twins, 'compressed broadcast', 20, true))
  test('ours has said nothing on stderr, and ends well', () => twins.stop())
})
