// Each part of ctx in Koa (twin/oracle.mjs) and in C (twin/oracle.c): both get the same random traffic, and must answer
// the same; alone, and once more behind what claims to be a proxy.

import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { CHARACTERS, MIB, escape, scale, seed, someCase } from './traffic/chance.mjs'
import { makeAccept, makeConditional, makeCookie, makeForwarded, makeHost, makeReferrer,
  makeUrl } from './traffic/headers.mjs'
import { METHODS, TYPES, aMibAndMore, closing, hostFor, httpDifferences, latin1InFileName, joinHead, makeOtherHeader, makePage, makeRequest, playRequests,
  strangeRequests } from './traffic/http.mjs'
import { Twins, playAll } from './traffic/twins.mjs'
import { BINARY, TEXT, binaryOf, endings, endingsOfDeflate, handshake, makeConversation, makeHandshake, makeMessage, playConversation,
  deflateDifferences, socketDifferences, strangeHandshakes, strangeOffers, textOf } from './traffic/websocket.mjs'

console.log(`SEED=${seed}`)

// --- What differs on purpose ---------------------------------------------------------------------

const withoutLength = text => text.replace(/\r\nContent-Length: \d+/, '')

const lastText = 'HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 9\r\n' +
  'Content-Type: text/plain; charset=utf-8\r\nDate: (now)\n\nNot Found'

const differences = {
  ...httpDifferences(lastText),
  ...socketDifferences,
  'Latin-1 in filename=': latin1InFileName,
  'a byte beyond ASCII in a header': {
    why: 'it is a byte of UTF-8, or of whatever else it was; node takes it for Latin-1',
    check: ours => assert.match(ours.text, /Location: \/%C3%A9\n/)
  },
  'a referrer of another scheme': {
    why: 'only http and https lead to this host, and javascript: may lead anywhere',
    check (ours, koa) {
      assert.match(ours.text, /Location: \/fallback\n/)
      assert.match(koa.text, /Location: (ftp|javascript):/)
    }
  },
  'a URL that node parses by url.parse': {
    why: 'an absolute one, or one with a "#", is taken as it is; node escapes some of its characters',
    check (ours, koa) {
      const parsed = url => JSON.stringify(url).slice(1, -1)
      const plain = text => withoutLength(text).replace(/%(22|27|3c|3e|5e|60|7b|7c|7d)/gi, code => parsed(unescape(code)))
      assert.equal(plain(ours.text), plain(koa.text))
    }
  },
  'a date that is none of HTTP': {
    why: 'the three forms of RFC 9110 5.6.7 are read; JavaScript reads almost anything',
    check: (ours, koa) => assert.deepEqual([ours.status, koa.status], [200, 304])
  },
  'false, to HEAD': {
    why: 'its length is told as that of all other bodies; Koa takes it for none here',
    check: (ours, koa) => assert.equal(withoutLength(ours.text), koa.text)
  },
  'a status of 205': {
    why: 'RFC 9110 15.3.6: that it has no body must be said; node says nothing and closes the connection',
    then: [lastText],
    check (ours, koa) {
      assert.equal(closing(ours.text), closing(`${koa.head}\n\n`).replace('\r\nDate', '\r\nContent-Length: 0\r\nDate'))
    }
  },
  'a tab between entity tags': {
    why: 'it is white space as a blank is (RFC 9110 5.6.3)',
    check: (ours, koa) => assert.deepEqual([ours.status, koa.status], [304, 200])
  },
  'a thrown 204, 205 or 304': {
    why: 'it has no body, and must not say that it has one; in Koa it does',
    check (ours, koa) {
      assert.equal(ours.status, koa.status)
      assert.doesNotMatch(ours.text, /\nContent-(Type|Length: [^0])|\n\n./)
    }
  },
  'a close code that may not be sent': {
    why: 'it is an error of the handler, and before the upgrade that is a 500; koa-websocket leaves the socket open and silent',
    check: ours => assert.match(ours.head, /^HTTP\/1.1 500 Internal Server Error\r\n/)
  },
  'a status below 200': {
    why: 'it is none for an answer: the client waits for the real one. It is a 500',
    then: [lastText],
    check: ours => assert.equal(ours.status, 500)
  },
  'numbers as names in JSON': {
    why: 'JavaScript lists them first; here they stay where they are',
    check: assertSameJson
  },
  'a NUL in a query': {
    why: 'a C string would end there; it becomes U+FFFD, as what is not UTF-8 does',
    check: assertSameJson
  }
}

// In whichever order, and with NUL as U+FFFD.
function assertSameJson (ours, koa) {
  assert.equal(withoutLength(ours.head), withoutLength(koa.head))
  if (koa.body) assert.deepEqual(JSON.parse(ours.body), JSON.parse(koa.body.replaceAll('\\u0000', '\xef\xbf\xbd')))
}

// --- Targets -------------------------------------------------------------------------------------

const broken = ['%', '%z', '%4', '%zz', '%ff', '%C3', '%c3%28', '%ED%A0%80', '%f4%90%80%80', '%C0%AF', '%u0041']

// Something between two slashes.
function makeSegment (r) {
  const pieces = [
    () => String(r.below(1000)),
    () => r.pick(['bob', 'Ann', 'a.b', 'a-b', '~x', '+', 'a+b', ':', '@', '!$&\'()*,;=', '..', '.', '{}', '|', '"']),
    () => escape(r, r.pick(CHARACTERS)),
    () => escape(r, r.pick([...'/%?#& +'])),
    () => 'x'.repeat(r.below(100))
  ]
  if (r.one(0.04)) pieces.push(() => r.pick(broken))
  return Array.from({ length: r.between(1, 3) }, () => r.pick(pieces)()).join('')
}

const makeStatus = r => r.pick([
  () => r.between(200, 599),
  () => r.pick([200, 201, 204, 205, 206, 226, 299, 300, 301, 302, 304, 308, 400, 401, 404, 405, 406, 412, 413, 418,
    429, 451, 499, 500, 501, 503, 504, 511, 512, 599]),
  () => r.pick([0, 1, 99, 600, 700, 999, 1000, 65536, -200, '200.5', '2e2', '', 'abc', '200x', '%20', '+404', '0404',
    'NaN', '1e9'])
])()

const makeFileName = r => r.pick([
  () => r.pick(['a.txt', 'plans.pdf', 'noext', '.hidden', 'a.b.tar.gz', 'UPPER.PNG', 'x.unknown', 'a b.txt', '%41.txt',
    '50%25.txt', 'a"b.txt', 'a\\b.txt', 'dir/a.txt', '../up.txt', '/abs.html', 'a/', 'semi;colon.js', 'eq=.css',
    'tab\t.txt', 'nl\n.txt', 'résumé.txt', '€ rates.txt', '漢字.html', 'naïve €.json', '😀.png', '\'quote\'.txt',
    'a%20b.txt', '~.txt', '*.txt', '.', '..', '...']),
  () => r.text(r.between(1, 12)),
  () => r.text(r.between(1, 6)) + r.pick(['.html', '.json', '.js', '.css', '.svg', '.woff2', '.md', '.TXT'])
])()

const makeType = r => r.pick([
  () => r.pick(TYPES),
  () => r.pick(EXTENSIONS),
  () => r.text(r.between(1, 8)).replace(/[^\0-\x7f]/gu, 'x'),
  () => `${r.pick(['text', 'application', 'image',
    'x'])}/${r.pick(['plain', 'json', 'ld+json', 'x.y', 'svg+xml', 'a b', ''])}` +
    r.pick(['', '; charset=utf-8', ';charset=ascii', ' ; q=1', '; charset', '; boundary="a b"', '\r\nX: y'])
])()

const EXTENSIONS = ['html', 'htm', 'css', 'js', 'mjs', 'cjs', 'json', 'map', 'txt', 'text', 'md', 'xml', 'csv', 'ics',
  'svg', 'png', 'jpg', 'jpeg', 'gif', 'webp', 'avif', 'ico', 'bmp', 'pdf', 'zip', 'gz', 'tar', 'wasm', 'woff', 'woff2',
  'ttf', 'otf', 'mp3', 'mp4', 'webm', 'ogg', 'wav', 'bin', 'exe', 'doc', 'docx', 'yaml', 'yml', 'toml', 'sh', 'rtf',
  'jsonld', 'ts', 'jsx', 'less', 'appcache', 'webmanifest', 'atom', 'rss', 'vtt', 'm3u8', '7z', 'rar', 'psd', 'eot',
  'php', 'manifest', 'coffee']

const encode = text => encodeURIComponent(text).replace(/[!'()*]/g, char => '%' + char.charCodeAt(0).toString(16))

// A name that both see in the URL as it is, or escaped.
const inPath = (r, text) => /^[\w.~-]+$/.test(text) && r.one(0.7) ? text : encode(text)

const KINDS = ['string', 'html', 'json', 'array', 'null', 'empty', 'buffer', 'number', 'false', 'stream', 'nope', '']

const STRANGE_TYPES = [...TYPES, 'application/json; charset="utf-8"', 'text/plain; charset=', 'text/*', '*/*', '',
  'text/html; charset=utf-8; charset=latin1', 'text/html;CHARSET=UTF-8', 'multipart/mixed', 'text', 'a/b/c',
  'application/json, text/plain', 'text/plain ; charset = utf-8', 'text/plain; charset="a\\"b"', 'text/plain; x']

const makeContentType = (r, types = TYPES) =>
  `${r.pick(['Content-Type', 'content-type', 'CONTENT-TYPE'])}: ${r.pick(types)}`

// For each route: how often, its paths, its queries, its own headers and hosts, whether it reads the body, its methods.
const routes = [
  { weight: 1, path: '/' },
  { weight: 8, path: '/inspect', headers: r => r.some(6, () => makeInspected(r)), query: makeQuery },
  { weight: 4, path: '/negotiate', headers: r => r.some(5, () => makeAccept(r)) },
  {
    weight: 4,
    path: '/fresh',
    headers: r => r.some(4, () => makeConditional(r)),
    query: r => r.pick(['', '?weak', '?weak=1', '?WEAK'])
  },
  { weight: 3, path: '/echo', isRead: true, headers: r => r.some(2, () => makeContentType(r)) },
  { weight: 3, path: r => `/body/${r.pick(KINDS)}` },
  { weight: 2, path: r => `/status/${makeStatus(r)}` },
  { weight: 2, path: r => `/status-body/${makeStatus(r)}` },
  {
    weight: 4,
    path: '/redirect',
    headers: r => r.some(2, () => makeAccept(r)),
    query: r => r.pick(['', '?', '?', '?']) && '?' + r.some(2, () => `to=${encode(makeUrl(r))}`).join('&')
  },
  {
    weight: 4,
    path: '/back',
    hosts: ['a', 'a', 'a', 'a:80', 'a:8080', 'A', 'example.com', '[::1]:80', '[::1]', '127.0.0.1', ''],
    headers: r => [...r.some(2, () => makeReferrer(r)), ...r.some(1, () => makeAccept(r))]
  },
  { weight: 4, path: r => `/type/${inPath(r, makeType(r))}` },
  { weight: 4, path: r => `/attachment/${inPath(r, makeFileName(r))}` },
  { weight: 3, path: '/cookies', headers: r => r.some(3, () => makeCookie(r)) },
  { weight: 1, path: '/headers' },
  { weight: 3, path: r => `/throw/${makeStatus(r)}` },
  { weight: 1, path: '/fail' },
  { weight: 1, path: '/assert', query: r => r.pick(['', '?ok', '?ok=', '?ok=1', '?ok=0', '?ok=&ok=', '?OK=1']) },
  { weight: 2, path: r => `/user/${makeSegment(r)}` },
  { weight: 2, path: r => `/pair/${makeSegment(r)}/${makeSegment(r)}` },
  { weight: 2, path: r => `/opt${r.pick(['', '/', `/${makeSegment(r)}`])}` },
  { weight: 2, path: r => `/num/${r.pick(['', '0', '007', String(r.below(1e6)), '1x', '-1', '%31', '1/2'])}` },
  { weight: 2, path: r => `/rest${r.pick(['', '/', '//', '/' + r.some(4, () => makeSegment(r)).join('/')])}` },
  { weight: 1, path: '/only-put', methods: ['PUT', 'PUT', 'GET', 'POST', 'HEAD'] },
  { weight: 1, path: '/only-delete', methods: ['DELETE', 'DELETE', 'GET', 'OPTIONS'] },
  {
    weight: 1,
    path: r => r.pick(['/nope', '/user', '/user/', '/pair/a', '/body', '/inspect/x', '//', '//inspect', '/ws/echo'])
  }
].flatMap(route => Array(route.weight).fill(route))

function makeQuery (r) {
  if (r.one(0.3)) return ''
  const name = () => r.pick(['a', 'a', 'b', 'x-y', 'A', '', ...(r.one(0.1) ? ['10', '2'] : []), 'a[b]', 'a[]',
    '__proto__', 'constructor', 'toString', 'é', '漢', 'a+b', 'a%20b', '%C3%A9', '%', '%4', '%zz', '%ff', '%ED%A0%80',
    '.', '~', '*', '!', '\'', '"', '$', '@', ':'])
  const value = () => r.pick(['', '1', 'v', 'a+b', '%2B', '%26', '%3D', '=', '==', 'é', escape(r, r.pick(CHARACTERS)),
    '%', '%zz', '%e2%82', '%F0%9F%98%80', '%fe', '?', '/', ';', 'x'.repeat(r.below(200))])
  const pair = () => r.one(0.6) ? `${name()}=${value()}` : r.pick([name(), name(), '', '=', '&', '?'])
  return '?' + escapeBytes(r.some(5, pair).join('&')) + (r.one(0.03) ? '#part' : '')
}

// What is not ASCII is escaped, since it is no HTTP.
const escapeBytes = text => text.replace(/[^!-~]/gu, char => encodeURIComponent(char))

const ORIGINS = ['http://a', 'http://127.0.0.1:80', 'HTTP://User@Host', 'https://[::1]:9', 'https://EXAMPLE.com',
  'http://user:pass@a.b.c.d:8080']

// What node escapes only in some URLs: see 'a URL that node parses by url.parse'.
const NOT_IN_A_URL = /["'<>\\^`{|}]/g

function makeTarget (r, route, method) {
  if (method === 'OPTIONS' && r.one(0.2)) return '*'
  let path = typeof route.path === 'function' ? route.path(r) : route.path
  if (r.one(0.06)) path = someCase(r, path)
  if (r.one(0.06)) path += '/'
  if (r.one(0.02)) path = path.replace('/', '//')
  if (r.one(0.02)) path = path.replace(/[a-z]/, char => escape(r, char))
  if (r.one(0.02)) path += r.pick([';x=1', '//', '/.', '/..', '.', '%20', '%2F', '|', '^', '{}', '`', '"', '<>', '[',
    '\\', '#', '#x', '#"'])
  if (r.one(0.02)) path = r.pick(['/.', '/./', '/users/..', '/x/../y']) + path
  const target = path + (route.query?.(r) ?? (r.one(0.1) ? makeQuery(r) : ''))
  if (r.one(0.05)) return r.pick(ORIGINS) + target.replace(NOT_IN_A_URL, '')
  return target.includes('#') ? target.replace(NOT_IN_A_URL, '') : target
}

// --- Headers -------------------------------------------------------------------------------------

const VALUES = ['', '1', 'a, b', '"q"', '\\', ' \t x \t', '\xe9', '\xc3\xa9', '\x80', 'x'.repeat(300)]

const makeInspected = r => r.pick([
  () => makeForwarded(r),
  () => makeForwarded(r),
  () => makeContentType(r, STRANGE_TYPES),
  () => makeReferrer(r),
  () => `Origin: ${r.pick(['http://a', 'null', '', 'https://a:443'])}`,
  () => `${r.pick(['X-Test', 'x-test', 'X-TEST'])}: ${r.pick(VALUES)}`,
  () => `${r.pick(['User-Agent', 'Authorization', 'From', 'Etag', 'Age'])}: ${r.pick(['a', 'b'])}`
])()

// For /back no proxy that makes where we are a URL which is none, or one of another scheme.
const notBack = /^X-Forwarded-(Proto:\s*(?!https?)|Host:.*\xe4)/i

function makeHeaders (r, route) {
  const lines = [
    ...route.headers?.(r) ?? [],
    ...r.some(2, () => r.pick([makeAccept, makeConditional, makeCookie, makeForwarded, makeInspected, makeOtherHeader])(r))
  ]
  return lines.filter(line => route.path !== '/back' || !notBack.test(line)).sort(() => r.below(3) - 1)
}

function make (r) {
  const route = r.pick(routes)
  const method = r.pick(route.methods ?? ['GET', 'GET', 'GET', 'GET', 'HEAD', 'POST', r.pick(METHODS)])
  const target = makeTarget(r, route, method)
  const request = makeRequest(r, {
    method,
    target,
    host: hostFor(r, target, makeHost(r, route.hosts)),
    headers: makeHeaders(r, route),
    isRead: route.isRead && /^\/echo(\?|$)/.test(target) && (method === 'POST' || r.one(0.3)),
    hasBody: method === 'POST' || r.one(0.1)
  })
  return { ...request, differs: request.malformed ?? nameDifference(method, target) ?? request.differs }
}

// --- What is special about an answer, if anything ------------------------------------------------

const anyMethod = /^\/(status|status-body|throw)\/([^/]+)\/?$/i
const getOnly = /^\/((user|body|type|attachment|opt)\/[^/]+|pair\/[^/]+\/[^/]+|rest\/.*)\/?$/i

function nameDifference (method, target) {
  const [, path, query] = /^(?:https?:\/\/[^/]*)?([^?#]*)(?:\?([^#]*))?/i.exec(target)
  if (anyMethod.test(path) || (getOnly.test(path) && ['GET', 'HEAD'].includes(method))) {
    try {
      if (decodeURIComponent(path).includes('\0')) return 'a NUL in a parameter'
    } catch {
      return 'a malformed % in a path'
    }
  }
  const isInspected = /^\/inspect\/?$/i.test(path)
  if (isInspected && query) {
    if (query.includes('%00')) return 'a NUL in a query'
    const names = [...new URLSearchParams(query).keys()]
    if (names.some(name => /^(0|[1-9]\d*)$/.test(name))) return 'numbers as names in JSON'
  }
  const [, route, code] = anyMethod.exec(path) ?? []
  const status = code && Number(decodeURIComponent(code))
  if (/throw/i.test(route) && [204, 205, 304].includes(status)) return 'a thrown 204, 205 or 304'
  if (/status/i.test(route) && status === 205) return 'a status of 205'
  if (/^\/body\/false\/?$/i.test(path) && method === 'HEAD') return 'false, to HEAD'
  if (/^\/attachment\//i.test(path) && /%[cC][23]%/.test(path)) return 'Latin-1 in filename='
}

// --- Pages ---------------------------------------------------------------------------------------

const get = (target, ...headers) => ({ method: 'GET', bytes: joinHead(`GET ${target} HTTP/1.1`, ['Host: a', ...headers]) })

const pages = {
  make,
  strange: [
    ...strangeRequests,
    ...Object.values(aMibAndMore),
    { ...get('/user/%zz'), differs: 'a malformed % in a path' },
    { ...get('/user/%00'), differs: 'a NUL in a parameter' },
    ...['Sun, 31 Feb 2020 02:02:02 GMT', 'sun, 02 feb 2020 02:02:02 gmt'].map(date =>
      ({ ...get('/fresh', `If-Modified-Since: ${date}`), differs: 'a date that is none of HTTP' })),
    { ...get('/fresh', 'If-None-Match: "x",\t"tag-1"'), differs: 'a tab between entity tags' },
    { ...get('/inspect?a=%00b'), differs: 'a NUL in a query' },
    ...['http://a/inspect?"<>{|}^`', '/inspect?"\'#', 'http://a/inspect?x=\'#y'].map(target =>
      ({ ...get(target), differs: 'a URL that node parses by url.parse' })),
    get('/back', 'X-Forwarded-Proto: wss', 'Referer: /x'),
    { ...get('/back', 'Referer: /\xc3\xa9'), differs: 'a byte beyond ASCII in a header' },
    { ...get('/back', 'Referer: ftp://a/'), differs: 'a referrer of another scheme' },
    ...['/status/100', '/status/101', '/status-body/199', '/throw/102'].map(target =>
      ({ ...get(target), differs: 'a status below 200' }))
  ],
  targets: ['/', '/inspect', '/negotiate', '/nope?x'],
  differences
}

const playPages = (twins, kind, count) =>
  playAll(kind, count * scale, (r, i) => makePage(r, i, pages), (page, r, clock) => playRequests(twins, page, r, clock))

// --- Sockets -------------------------------------------------------------------------------------

const handshakes = [...strangeHandshakes({
  path: '/ws/echo',
  protocols: ['chat', 'v2.chat', 'x, chat', 'x, v2.chat', 'v2.chat, chat', 'CHAT', 'x'],
  unmatched: ['/', '/ws', '/ws/', '/ws/room', '/ws/room/', '/ws/room/a/b', '/inspect', '/ws//echo'],
  malformed: ['/ws/room/%zz', '/ws/room/%ff', '/ws/room/%00']
}), ...['999', '1004', '1005', '1016', '5000', 'abc'].map(code =>
  ({ bytes: handshake(`/ws/close/${code}`), differs: 'a close code that may not be sent' }))]
const ends = endings(MIB)
const endsOfBoth = ends.filter(({ differs }) => !differs)
const protocols = ['chat', 'chat, superchat', 'chat,v2.chat', 'v2.chat', 'a ,\tv2.chat', 'a,A', 'v2.chat,chat']

const makeTalk = compresses => (r, i) => {
  const path = r.pick([
    () => '/ws/echo' + r.pick(['', '', '/', '?x=1', '#x']),
    () => `/ws/room/${inPath(r, r.text(10).replace(/[\0-\x1f]/g, '') || 'x')}${r.pick(['', '/',
      makeQuery(r).replace(/%[01].|(?<=[?&])\d+/g, '')])}`,
    () => `/ws/close/${r.pick([1000, 1001, 1002, 1003, 1007, 1008, 1011, 1014, 3000, 3999, 4000, 4999])}`,
    () => '/ws/ping'
  ])()
  return makeConversation(r, i, {
    compresses,
    strange: compresses ? [...strangeOffers('/ws/echo'), ...handshakes] : handshakes,
    ends: compresses ? endingsOfDeflate(MIB) : path.startsWith('/ws/close/') ? endsOfBoth : ends,
    hello: makeHandshake(r, path, protocols, compresses),
    message: (r, hello) => r.one(0.4) ? makeMessage(r, BINARY, binaryOf(r), compresses ? hello : undefined) : makeMessage(r, TEXT, textOf(r), compresses ? hello : undefined)
  })
}

const playTalks = (twins, kind, count, compresses) =>
  playAll(kind, count * scale, makeTalk(compresses), (talk, r, clock) => playConversation(twins, talk, clock))

// --- Both ----------------------------------------------------------------------------------------

describe('alone', () => {
  const twins = new Twins(differences)
  before(() => twins.start('tests/twin/oracle', 'oracle.mjs', { DEFLATE: '0' }))
  test('the same answers to the same requests', () => playPages(twins, 'page', 3000))
  test('the same answers to the same frames', () => playTalks(twins, 'socket', 1000, false))
  test('each difference was seen', () => twins.assertAllSeen())
  test('ours has said nothing on stderr, and ends well', () => twins.stop())
})

describe('with compression', () => {
  const twins = new Twins({ ...differences, ...deflateDifferences })
  before(() => twins.start('tests/twin/oracle', 'oracle.mjs', { DEFLATE: '1' }))
  test('the same answers to the same frames', () => playTalks(twins, 'compressed', 1000, true))
  test('ours has said nothing on stderr, and ends well', () => twins.stop())
})

describe('behind a proxy', () => {
  const twins = new Twins(differences)
  before(() => twins.start('tests/twin/oracle', 'oracle.mjs', { DEFLATE: '0', PROXY: '1' }))
  test('the same answers to the same requests', () => playPages(twins, 'proxied', 1000))
  test('ours has said nothing on stderr, and ends well', () => twins.stop())
})
