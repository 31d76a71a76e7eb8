// HTTP/1.1 traffic: requests that are well made, strange or cut off, the answers to them, and what differs in the layer
// below any app.

import assert from 'node:assert/strict'
import { overTLS } from '../over_tls.mjs'
import { KIB, MIB } from './chance.mjs'
import { isHost } from './headers.mjs'
import { Pair, show } from './twins.mjs'

const CRLF = '\r\n'

export const METHODS = ['ACL', 'BIND', 'CHECKOUT', 'COPY', 'DELETE', 'GET', 'HEAD', 'LINK', 'LOCK', 'M-SEARCH', 'MERGE',
  'MKACTIVITY', 'MKCALENDAR', 'MKCOL', 'MOVE', 'NOTIFY', 'OPTIONS', 'PATCH', 'POST', 'PROPFIND', 'PROPPATCH', 'PURGE',
  'PUT', 'REBIND', 'REPORT', 'SEARCH', 'SOURCE', 'SUBSCRIBE', 'TRACE', 'UNBIND', 'UNLINK', 'UNLOCK', 'UNSUBSCRIBE']

export const TYPES = ['text/plain', 'text/plain; charset=latin1', 'text/html', 'application/json', 'application/vnd.api+json',
  'image/svg+xml', 'image/png', 'TEXT/HTML', 'a/b', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x',
  'json', 'html', '.png', 'txt', 'PNG', 'bogus', 'text/plain;', 'text/plain;charset=UTF-8', '; x', '/', 'a/', 'text/xml',
  'application/javascript', 'text/css ; q=1', 'application/octet-stream', 'text', 'application/wasm', 'font/woff2']

// --- What differs on purpose ---------------------------------------------------------------------

// `check` gets our answer and Koa's. Where a request may or may not meet the difference, `when` tells it by Koa's
// answer. Where Koa's connection ends and ours does not, or the other way round, `then` are the answers that still come
// from ours before it is closed: `lastText` is that to the request `last`.
export const httpDifferences = lastText => ({
  'a request that is no strict HTTP': {
    why: 'two servers in a row could read it differently: what RFC 9112 forbids is refused, whatever node lets pass',
    then: [],
    check: ours => assert.equal(ours.text, bare('400 Bad Request'))
  },
  'another version than 1.0 and 1.1': {
    why: 'it is not spoken, and RFC 9110 15.6.6 has a status for that; node answers some of them',
    then: [],
    check: ours => assert.equal(ours.text, bare('505 HTTP Version Not Supported'))
  },
  'no Host': {
    why: 'what else is malformed is answered without Date and chunks too; node 18 does not mind',
    then: [],
    check: ours => assert.equal(ours.text, bare('400 Bad Request'))
  },
  'a malformed Host': {
    why: 'who is asked must be clear: no user, no path, not empty; node lets all of them pass',
    then: [],
    check: ours => assert.equal(ours.text, bare('400 Bad Request'))
  },
  'a target that is not clear': {
    why: 'a URL whose host is not that of Host: servers differ on which one they believe',
    then: [],
    check: ours => assert.equal(ours.text, bare('400 Bad Request'))
  },
  'more than 100 header fields': {
    why: 'node drops what is beyond 2,000; a limit that is told is better',
    then: [],
    check: ours => assert.equal(ours.text, bare('431 Request Header Fields Too Large'))
  },
  'a URL that is too long': {
    why: 'RFC 9110 15.5.15 has a status for it; node says 431',
    then: [],
    check: ours => assert.equal(ours.text, bare('414 URI Too Long'))
  },
  'a body that is announced to be too long': {
    why: 'the answer comes before the body, which is not waited for: so this connection can serve nothing more',
    then: [],
    check: (ours, koa) => assert.equal(ours.text, closing(koa.text))
  },
  'a body beyond 2^63 bytes': {
    why: 'the same, and no handler has to compute with such a length',
    then: [],
    check: ours => assert.equal(ours.text, bare('413 Payload Too Large'))
  },
  'a malformed body': {
    why: 'the handler that reads it gets the error, and answers 400 itself; node answers for it',
    then: [],
    check (ours, koa) {
      assert.match(ours.head, /^HTTP\/1.1 400 Bad Request\r\n/)
      assert.match(ours.head, /\r\nConnection: close\r\n/)
    }
  },
  'a malformed body that nobody reads': {
    why: 'the answer was given already; node takes it back, or adds another, depending on what came at once',
    then: [],
    check: ours => assert.equal(ours.status, 404)
  },
  'a malformed request right behind a good one': {
    why: 'the good one gets its answer first; from node only if the bytes come separately',
    then: [bare('400 Bad Request')],
    check: ours => assert.equal(ours.status, 200)
  },
  'more bytes behind a request that closes': {
    why: 'they are not looked at; node takes them for malformed, and the answer before them is lost',
    then: [],
    check: ours => assert.equal(ours.status, 200)
  },
  '100-continue where nobody asks for a body': {
    why: 'only a handler that reads the body asks for it (RFC 9110 10.1.1); if none did, and none came, what follows is unclear',
    then: [],
    check: (ours, koa) => assert.equal(ours.text, closing(koa.text.replace('HTTP/1.1 100 Continue\n', '')))
  },
  '100-continue without a body': {
    why: 'there is nothing to wait for',
    check: (ours, koa) => assert.equal(ours.text, koa.text.replace('HTTP/1.1 100 Continue\n', ''))
  },
  'an expectation that is unknown': {
    why: 'whether a body follows is unclear, so the connection ends; node goes on',
    then: [],
    check: ours => assert.equal(ours.text, bare('417 Expectation Failed'))
  },
  'a malformed % in a path': {
    why: 'it is the client\'s fault: 400. Koa says 500',
    check (ours, koa) {
      assert.equal(ours.head, plain('400 Bad Request', MALFORMED_PERCENT, koa.head))
      assert.equal(koa.status, 500)
    }
  },
  'a NUL in a parameter': {
    why: 'no path has one, and a C string would end there: 400',
    check: (ours, koa) => assert.equal(ours.head, plain('400 Bad Request', MALFORMED_PERCENT, koa.head))
  },
  'no Content-Length over HTTP/1.0': {
    why: 'there is no body whose end must be marked, so the connection can go on; node closes it',
    when: koa => !/^Content-Length:/m.test(koa.head) && koa.body === '',
    then: [lastText],
    check: (ours, koa) => assert.equal(closing(ours.text), koa.text)
  }
})

// One more, for apps whose answers can hold such a thing.
export const latin1InFileName = {
  why: 'it is sent as "?", beside the real name in filename*; node sends bytes that nobody can read, often alone',
  check (ours, koa) {
    const expected = koa.text.replace(/(?<=filename="[^\r]*)(\xef\xbf\xbd|[\x80-\xff])/g, '?')
    const isBoth = expected.includes('filename*=')
    assert.equal(isBoth ? ours.text : ours.text.replace(/; filename\*=[^\r]*/, ''), expected)
  }
}

const MALFORMED_PERCENT = 'malformed percent-encoding in the path'

export function bare (status) {
  return `HTTP/1.1 ${status}\r\nConnection: close\n\n`
}

export const closing = text => text.replace('\r\nConnection: keep-alive', '\r\nConnection: close').replace('\r\nKeep-Alive: timeout=5', '')

// The head for a thrown error with this message, on a connection that goes on as in `like`.
function plain (status, message, like) {
  const field = name => like.split(CRLF).filter(line => line.startsWith(`${name}: `))
  return [`HTTP/1.1 ${status}`, ...field('Connection'), `Content-Length: ${message.length}`,
    'Content-Type: text/plain; charset=utf-8', ...field('Date'), ...field('Keep-Alive')].join(CRLF)
}

// --- Requests ------------------------------------------------------------------------------------

export const joinHead = (line, headers) => Buffer.from([line, ...headers, '', ''].join(CRLF), 'latin1')

function makeChunks (r, body) {
  const pieces = []
  for (let at = 0; at < body.length;) {
    const size = Math.min(body.length - at, r.pick([1, r.between(1, 30), r.between(1, 1000), body.length]))
    let line = size.toString(16)
    if (r.one(0.3)) line = line.toUpperCase()
    if (r.one(0.1)) line = '0'.repeat(r.between(1, 8)) + line
    if (r.one(0.1)) line += r.pick([';a', ';a=b', ';a="b c"']) // not ;a=b;c=d, which llhttp 8.1 refuses
    pieces.push(line + CRLF, body.subarray(at, at += size), CRLF)
  }
  pieces.push(r.pick(['0', '0', '0', '000', '0;last']) + CRLF)
  if (r.one(0.1)) pieces.push(`X-Trailer: ${r.below(10)}${CRLF}`)
  return Buffer.concat([...pieces, CRLF].map(piece => Buffer.from(piece)))
}

export const makeBody = r =>
  r.bytes(r.pick([0, 1, r.below(20), r.below(20), r.below(300), r.below(5000), r.one(0.1) ? r.below(200 * KIB) : 2]))

function makeConnection (r) {
  if (r.one(0.7)) return []
  return [`${r.pick(['Connection', 'connection', 'CONNECTION'])}: ` +
    r.pick(['keep-alive', 'keep-alive', 'Keep-Alive', 'foo', 'keep-alive, foo', 'upgrade', 'close', 'Close', 'foo, close'])]
}

// Headers that nobody looks at.
export const makeOtherHeader = r => r.pick([
  () => `User-Agent: ${r.pick(['curl/8', 'Mozilla/5.0'])}`,
  () => `X-${r.pick(['A', 'b', '!#$%&\'*+.^_`|~'])}: ` + r.pick(['', '1', 'a, b', ' \t ', 'x'.repeat(r.below(600)), '\x80\xff']),
  () => 'Upgrade-Insecure-Requests: 1',
  () => 'Content-Encoding: gzip',
  () => `Range: bytes=0-${r.below(5)}`,
  () => 'TE: trailers',
  () => 'Keep-Alive: timeout=1'
])()

const hostOf = line => line.replace(/^host:[ \t]*|[ \t]*$/gi, '')
const hasHost = line => isHost(hostOf(line))

// Does a target, with this line of Host or none, mean the same to all servers?
function isClear (target, host) {
  const authority = /^https?:\/\/([^/?#]*)/i.exec(target)?.[1]
  return authority === undefined
    ? /^[/*]/.test(target)
    : isHost(authority) && (!host || authority.toLowerCase() === hostOf(host).toLowerCase())
}

// For a whole URL mostly the host that it names.
export function hostFor (r, target, otherwise) {
  const authority = /^https?:\/\/(?:[^/?#]*@)?([^/?#]*)/i.exec(target)?.[1]
  return authority && r.one(0.8) ? `Host: ${authority}` : otherwise
}

// A request with these headers, framed in one of the many ways. It has a body only if its handler reads one, or if it
// does not end the connection: else the rest of the body may make node's answer be lost.
export function makeRequest (r, { method, target, host, headers, isRead = false, hasBody = false, content }) {
  const others = [...makeConnection(r), ...headers]
  const connection = others.filter(line => /^connection:/i.test(line)).join()
  const version = r.one(0.07) && (method !== 'HEAD' || !/keep-alive/i.test(connection)) ? '1.0' : '1.1'
  const lines = [...(version === '1.1' || r.one(0.5) ? [host] : []), ...others]
  const closes = version === '1.0' ? !/keep-alive/i.test(connection) : /close/i.test(connection)
  let body = Buffer.alloc(0)
  if (isRead || (hasBody && !closes)) {
    body = content ?? makeBody(r)
    const chunked = version === '1.1' && r.one(0.4)
    const framing = chunked
      ? r.pick(['Transfer-Encoding: chunked', 'transfer-encoding: Chunked'])
      : `Content-Length: ${r.pick(['', '', '', '00'])}${body.length}`
    lines.splice(r.below(lines.length + 1), 0, framing)
    if (chunked) body = makeChunks(r, body)
  }
  const blank = r.pick(['', '', '', '', '', '', '', '', CRLF, CRLF + CRLF])
  return {
    method,
    bytes: Buffer.concat([Buffer.from(blank), joinHead(`${method} ${target} HTTP/${version}`, lines), body]),
    closes,
    malformed: lines.includes(host) && !hasHost(host)
      ? 'a malformed Host'
      : isClear(target, lines.includes(host) && host) ? undefined : 'a target that is not clear',
    differs: version === '1.0' && !closes ? 'no Content-Length over HTTP/1.0' : undefined
  }
}

// --- Strange requests ----------------------------------------------------------------------------

export const HOST = 'Host: a'
const CHUNKED = 'Transfer-Encoding: chunked'

const get = (...headers) => ({ bytes: joinHead('GET / HTTP/1.1', [HOST, ...headers]) })
const line = line => ({ bytes: joinHead(line, [HOST]) })
const raw = text => ({ bytes: Buffer.from(text, 'latin1') })
const post = (headers, body = '', target = '/echo', version = '1.1') =>
  ({ method: 'POST', bytes: Buffer.concat([joinHead(`POST ${target} HTTP/${version}`, [HOST, ...headers]), Buffer.from(body, 'latin1')]) })

// For an app that has /echo, which reads the body, and nothing at /nope.
const strange = {
  'refused by both': [
    line('FOO / HTTP/1.1'), line('get / HTTP/1.1'), line('GETT / HTTP/1.1'), line('GET / HTTP/1.x'), line('GET / HTTP/9.9'),
    line('GET / http/1.1'), line('GET foo HTTP/1.1'), line('GET /x/\x01 HTTP/1.1'), line('GET /x/\0 HTTP/1.1'),
    raw('hello there\r\n\r\n'), raw('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'), raw('\0\0\0\0'), line('GET / HTTP/1.2'),
    line('CONNECT a:1 HTTP/1.1'), get('Content-Length: x'), get('Content-Length: +5'), get('Content-Length: -5'),
    get('Content-Length: 0x5'), get('Content-Length: 99999999999999999999'), post(['Content-Length: 5 5'], 'abcde'),
    post(['Content-Length: 5', 'Content-Length: 5'], 'abcde'), post(['Content-Length: 5', 'Content-Length: 6'], 'abcde'),
    post(['Content-Length: 5', CHUNKED], '0\r\n\r\n'), post([CHUNKED, 'Content-Length: 5'], '0\r\n\r\n'),
    post(['Transfer-Encoding: gzip']), post(['Transfer-Encoding: chunked, gzip']), post(['Transfer-Encoding: xchunked']),
    get(`X: ${'y'.repeat(17 * KIB)}`), get(...Array(10).fill(`X: ${'y'.repeat(1700)}`)), get(`${'X'.repeat(17 * KIB)}: y`)
  ],
  'served by both': [
    get(...Array(99).fill('X: y')), get(`X: ${'y'.repeat(15 * KIB)}`), line(`GET /${'y'.repeat(15 * KIB)} HTTP/1.1`),
    line('POST * HTTP/1.1'), line('GET * HTTP/1.1'), line('GET http://a HTTP/1.1'), line('GET HTTP://A?x HTTP/1.1'),
    line('GET /#x HTTP/1.1'), line('GET http://a/?x#y HTTP/1.1'),
    raw('GET / HTTP/1.0\r\n\r\n'), raw('\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost:a\r\n\r\n'), get('Upgrade: websocket'),
    get('Connection: keep-alive', 'Connection: close'), get('Connection: close, keep-alive'), get('Proxy-Connection: close'),
    post(['Expect: 100-continue', 'Content-Length: 3'], 'abc'), post(['Expect: 100-Continue', CHUNKED], '3\r\nabc\r\n0\r\n\r\n'),
    post(['Expect: 100-continue', 'Content-Length: 3'], 'abc', '/echo', '1.0'), post(['Content-Length: 5 '], 'abcde'),
    post([CHUNKED], `${'10000\r\n' + 'x'.repeat(64 * KIB)}\r\n`.repeat(15) + '0\r\n\r\n'),
    post([`Content-Length: ${MIB}`], 'x'.repeat(MIB)), post([`Content-Length: ${MIB}`], 'x'.repeat(MIB), '/nope')
  ],
  'a request that is no strict HTTP': [
    line('GET  / HTTP/1.1'), line('GET /  HTTP/1.1'), line('GET\t/ HTTP/1.1'), line('GET /'), raw('GET /\r\n\r\n'), line('GET /\tHTTP/1.1'), line('GET / HTTP/1.1 '),
    line(' GET / HTTP/1.1'), line('GET /x/\xc3\xa9 HTTP/1.1'), line('GET /x/\xe9 HTTP/1.1'), line('GET /a\fb HTTP/1.1'),
    line('GET /\x7f HTTP/1.1'), get(': x'), get('foo'), get('Fo o: x'), get('Foo : x'), get('Foo\t: x'), get('F\xc3\xa9: x'),
    get('F\0o: x'), get('F(o): x'), get('Foo: a\0b'), get('Foo: a\x01b'), get('Foo: a\x7fb'), get('Foo: a\fb'), get('Foo: a\vb'),
    get('Foo: a', ' b'), get('Foo: a', '\tb'), get('Foo: a', ' '), raw('GET / HTTP/1.1\r\n Foo: a\r\nHost: a\r\n\r\n'),
    raw('GET / HTTP/1.1\nHost: a\n\n'), raw('GET / HTTP/1.1\r\nHost: a\nFoo: b\r\n\r\n'), raw('GET / HTTP/1.1\r\nHost: a\r\n\n'),
    get('Foo: a\rb'), raw('GET / HTTP/1.1\rHost: a\r\n\r\n'), get('Foo: a\r\rb: c'), raw('GET / HTTP/1.1\r\nHost: a\r\r\n\r\n'),
    raw('\nGET / HTTP/1.1\r\nHost: a\r\n\r\n'), raw('\rGET / HTTP/1.1\r\nHost: a\r\n\r\n'), get('Host: b'), get(HOST),
    post(['Content-Length : 5'], 'abcde'), post(['Transfer-Encoding : chunked'], '0\r\n\r\n'), post(['Content Length: 5'], 'abcde'),
    post([CHUNKED, CHUNKED], '0\r\n\r\n'), post(['Transfer-Encoding: gzip', CHUNKED], '0\r\n\r\n'), post([CHUNKED], '0\r\n\r\n', '/echo', '1.0')
  ],
  'another version than 1.0 and 1.1': [
    line('GET / HTTP/0.9'), line('GET / HTTP/2.0')
  ],
  'no Content-Length over HTTP/1.0': [
    { ...raw('HEAD /nope HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'), method: 'HEAD' }
  ],
  'no Host': [
    raw('GET / HTTP/1.1\r\nX: y\r\n\r\n')
  ],
  'a malformed Host': [
    raw('GET / HTTP/1.1\r\nHost:\r\n\r\n'), raw('GET / HTTP/1.0\r\nHost: u@h\r\n\r\n'), raw('GET / HTTP/1.1\r\nHost: a/b\r\n\r\n')
  ],
  'a target that is not clear': [
    line('GET http://h HTTP/1.1'), line('GET http://h?x HTTP/1.1'), line('GET http://u@a/ HTTP/1.1'),
    line('GET http://a:80/ HTTP/1.1')
  ],
  'more than 100 header fields': [
    get(...Array(100).fill('X: y'))
  ],
  'a URL that is too long': [
    line(`GET /${'y'.repeat(17 * KIB)} HTTP/1.1`), line(`GET /json?${'y'.repeat(17 * KIB)} HTTP/1.1`)
  ],
  'a body that is announced to be too long': [
    post([`Content-Length: ${MIB + 1}`], 'x'.repeat(MIB + 1), '/nope')
  ],
  'a body beyond 2^63 bytes': [
    { ...get('Content-Length: 9223372036854775808'), fin: true }, { ...get('Content-Length: 18446744073709551615'), fin: true }
  ],
  'a malformed body': [
    'x\r\n', '3\r\nabcX\r\n0\r\n\r\n', 'fffffffffffffffff\r\n', '3\nabc\n0\n\n', '3\r\nabc\n0\r\n\r\n', '3 \r\nabc\r\n0\r\n\r\n',
    ' 3\r\nabc\r\n0\r\n\r\n', '0x3\r\nabc\r\n0\r\n\r\n', '-3\r\nabc\r\n0\r\n\r\n', '3;\x01\r\nabc\r\n0\r\n\r\n', '3;a\nabc\r\n0\r\n\r\n',
    '0\r\nfoo\r\n\r\n', '0\r\nX: y\n\r\n', '0\r\nX: y\r\n z\r\n\r\n', `0;${'x'.repeat(17 * KIB)}\r\n\r\n`, `0\r\nX: ${'x'.repeat(17 * KIB)}\r\n\r\n`
  ].map(body => post([CHUNKED], body)),
  'a malformed body that nobody reads': [
    post([CHUNKED], 'x\r\n', '/nope'), post([CHUNKED], '3\r\nabcX\r\n', '/nope')
  ],
  'a malformed request right behind a good one': [
    raw('GET / HTTP/1.1\r\nHost: a\r\n\r\nfoo\r\n\r\n'), post(['Content-Length: 3'], 'abcfoo\r\n\r\n')
  ],
  'more bytes behind a request that closes': [
    raw('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nfoo'), raw('GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n')
  ],
  '100-continue where nobody asks for a body': [
    post(['Expect: 100-continue', 'Content-Length: 3'], 'abc', '/nope')
  ],
  '100-continue without a body': [
    get('Expect: 100-continue')
  ],
  'an expectation that is unknown': [
    get('Expect: foo'), get('Expect:'), post(['Expect: 100-continue, foo', 'Content-Length: 3'], 'abc')
  ]
}

// Some are sent whole: who does not wait for the rest resets the connection, and the answer may be lost with it.
export const strangeRequests = Object.entries(strange).flatMap(([name, requests]) => requests.map(request => ({
  method: 'GET',
  differs: name.endsWith('by both') ? undefined : name,
  whole: name === 'refused by both' || name === 'more bytes behind a request that closes',
  ...request
})))

// Two more, for an app that reads a MiB at most, or as much as comes.
export const aMibAndMore = {
  chunked: post([CHUNKED], `${'10000\r\n' + 'x'.repeat(64 * KIB)}\r\n`.repeat(17) + '0\r\n\r\n'),
  announced: post([`Content-Length: ${MIB + 1}`], 'x'.repeat(MIB + 1))
}

// Small changes to a good head. What is still HTTP is compared; what is none must be refused.
export function makeMutant (r, targets) {
  const bytes = [...joinHead(`GET ${r.pick(targets)} HTTP/1.1`, [HOST, 'X-A: b', 'Connection: keep-alive', 'Accept: */*'])]
  for (let i = r.between(1, 2); i > 0; i--) {
    const byte = r.one(0.4) ? r.below(256) : r.pick([...Buffer.from(' \t\r\n:;,/%?#\0\x7f0A')])
    bytes.splice(r.below(bytes.length - 1), r.below(2), ...(r.one(0.2) ? [] : [byte]))
  }
  const text = Buffer.from(bytes).toString('latin1').replace(/^(\r\n)+/, '')
  const lines = text.split(CRLF)
  const headers = lines.slice(1, lines.indexOf(''))
  const version = /^[!-~]+ ([!-~]+) HTTP\/(\d\.\d)$/.exec(lines[0])
  const isStrict = version && !/[\r\n]/.test(lines.join('')) &&
    headers.every(line => /^[!#$%&'*+.^_`|~\w-]+:[\t -~\x80-\xff]*$/.test(line)) &&
    headers.filter(line => /^host:/i.test(line)).length === 1 && headers.every(line => !/^host:/i.test(line) || hasHost(line))
  const differs = !isStrict
    ? 'a request that is no strict HTTP'
    : ['0.9', '2.0'].includes(version[2])
        ? 'another version than 1.0 and 1.1'
        : isClear(version[1], headers.find(line => /^host:/i.test(line))) ? undefined : 'a target that is not clear'
  return { method: 'GET', bytes: Buffer.from(bytes), differs, whole: !differs }
}

// One that breaks off, and is followed by a FIN.
export function makeTruncated (r, reads) {
  if (r.one(0.5)) return { method: 'GET', bytes: joinHead('GET / HTTP/1.1', [HOST, 'X: y']).subarray(0, r.between(1, 33)), fin: true }
  const target = reads ? r.pick(['/echo', '/nope']) : '/nope'
  const { bytes } = r.one(0.5) ? post(['Content-Length: 5'], 'abcde', target) : post([CHUNKED], '5\r\nabcde\r\n0\r\n\r\n', target)
  const head = bytes.indexOf('\r\n\r\n') + 4
  return {
    method: 'POST',
    bytes: bytes.subarray(0, r.between(head, bytes.length - 1)),
    differs: target === '/echo' ? 'a malformed body' : 'a malformed body that nobody reads',
    fin: true
  }
}

// --- Answers -------------------------------------------------------------------------------------

// The lines of a head, with what varies taken out. In which order different fields come means nothing (RFC 9110 5.3):
// they are sorted by their names, and repeated ones keep their order.
export function normalHead (head) {
  const [start, ...fields] = head.split(CRLF)
  const name = field => field.slice(0, field.indexOf(':')).toLowerCase()
  const order = (a, b) => name(a) < name(b) ? -1 : name(a) > name(b) ? 1 : 0
  return [start, ...fields.sort(order)].join(CRLF)
    .replace(/^(X-Response-Time): \d+ms$/m, '$1: (some)ms')
    .replace(/^(Set-Cookie: .*; expires=)(?!Thu, 01 Jan 1970)[^;]*/mg, '$1(later)')
    .replace(/^(Date): \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/m, '$1: (now)')
}

// The body that starts at `at`, and where it ends; undefined if it isn't complete.
function readBody (bytes, at, head) {
  const length = /\r\nContent-Length: (\d+)/.exec(head)?.[1]
  if (length !== undefined) {
    const end = at + Number(length)
    return end <= bytes.length ? { body: bytes.latin1Slice(at, end), end } : undefined
  }
  if (!/\r\nTransfer-Encoding: chunked/.test(head)) return { body: bytes.latin1Slice(at), end: bytes.length } // until it is closed
  for (let body = ''; ;) { // however it was cut into chunks
    const start = bytes.indexOf(CRLF, at) + 2
    if (start < 2) return undefined
    const size = parseInt(bytes.latin1Slice(at, start), 16)
    at = start + size + 2
    if (at > bytes.length) return undefined
    body += bytes.latin1Slice(start, start + size)
    if (size === 0) return { body, end: at }
  }
}

// The complete responses to requests by these methods, with what varies taken out, by `normal` what else varies; and what
// is left.
export function readResponses (bytes, methods, normal) {
  const responses = []
  let interim = ''
  for (let at = 0; ;) {
    const end = bytes.indexOf('\r\n\r\n', at)
    if (end < 0) return { responses, rest: bytes.latin1Slice(at) }
    const head = normalHead(bytes.latin1Slice(at, end))
    const status = Number(head.slice(9, 12))
    if (status === 100) {
      interim += `${head}\n`
      at = end + 4
      continue
    }
    const isEmpty = methods[responses.length] === 'HEAD' || status === 204 || status === 304
    const content = isEmpty ? { body: '', end: end + 4 } : readBody(bytes, end + 4, head)
    if (!content) return { responses, rest: bytes.latin1Slice(at) }
    const response = { status, head, body: content.body }
    normal?.(response)
    responses.push({ ...response, text: `${interim}${response.head}\n\n${response.body}` })
    interim = ''
    at = content.end
  }
}

export const last = { method: 'GET', bytes: Buffer.from('GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n') }

// The requests, one after the other or all at once; then the `last` one, unless a FIN or the servers end it.
export async function playRequests (twins, { requests, pipelined, fin }, r, clock) {
  const pair = new Pair(twins, clock)
  const all = fin || requests.at(-1).closes ? requests : [...requests, last]
  const methods = all.map(request => request.method)
  const count = client => readResponses(client.bytes, methods).responses.length
  if (pipelined) {
    await pair.say(r.cut(Buffer.concat(all.map(request => request.bytes))))
  } else {
    for (const [i, request] of all.entries()) {
      await pair.say(request.whole ? [request.bytes] : r.cut(request.bytes))
      if (i + 1 < all.length) await pair.until(client => count(client) > i)
    }
  }
  if (!fin) await pair.until(client => client.closed)
  const closed = pair.clients.map(client => client.closed)
  await pair.end()
  const [ours, koa] = pair.clients.map((client, i) =>
    ({ ...readResponses(client.bytes, methods, twins.normal), closed: fin ? client.closed : closed[i] }))
  return compareResponses(twins, all, ours, koa, fin)
}

function compareResponses (twins, requests, ours, koa, fin) {
  const problem = (i, what) => [
    what,
    ...requests.slice(Math.max(i - 1, 0), i + 1).map(request => `< ${show(request.bytes)}`),
    `ours: ${show(ours.responses[i]?.text ?? '(none)')}`,
    `Koa:  ${show(koa.responses[i]?.text ?? '(none)')}`
  ].join('\n')
  for (const [i, { differs, closes }] of requests.entries()) {
    const difference = twins.difference(differs)
    const applies = twins.differences[differs]?.when?.(koa.responses[i]) !== false
    if (!difference && twins.differences[differs]?.then && applies) return // node does not do the same every time
    if (!difference || !applies) {
      // Who has seen the FIN already says that the connection ends.
      const textOf = ({ responses }) => fin && i + 1 === requests.length ? closing(responses[i]?.text ?? '') : responses[i]?.text
      if (textOf(ours) !== textOf(koa)) return problem(i, 'different answers')
      continue
    }
    try {
      twins.check(differs, ours.responses[i], koa.responses[i], requests[i])
      if (!difference.then) continue
      const then = closes ? [] : difference.then
      assert.deepEqual(ours.responses.slice(i + 1).map(response => response.text), then)
      assert.equal(ours.rest, '')
      assert.equal(ours.closed, true, 'it should have been closed')
      return
    } catch (error) {
      return problem(i, `${differs}: ${error.message}`)
    }
  }
  if (ours.rest !== koa.rest) return problem(requests.length - 1, `and then\nours: ${show(ours.rest)}\nKoa:  ${show(koa.rest)}`)
  if (ours.closed !== koa.closed) return problem(requests.length - 1, `closed: ours ${ours.closed}, Koa ${koa.closed}`)
}

// A few requests of `make`, one after the other, at once, or followed by one that is strange. What takes its time to
// answer (isSlow) is not followed by a FIN, nor by what is refused, which would end that in node, and where only node ends the connection nothing
// comes behind, which would reset it. `reads`: /echo reads its body.
export function makePage (r, i, { make, strange, targets, differences, reads = true }) {
  const requests = []
  const ends = request => Boolean(differences[request?.differs]?.then)
  const isLast = request => request?.closes || ends(request)
  for (let left = r.pick([1, 2, 3, r.between(1, 12)]); left > 0 && !isLast(requests.at(-1)); left--) requests.push(make(r))
  if (i % 3 < 2) {
    const isQuiet = ends(requests.at(-1))
    return {
      requests,
      pipelined: !isQuiet && (i % 3 === 1 || r.one(0.5)),
      // node's https gives up answers when the client ends its side
      fin: !isQuiet && !overTLS && i % 12 === 0 && !requests.some(request => request.isSlow)
    }
  }
  while (isLast(requests.at(-1)) || requests.at(-1)?.isSlow) requests.pop()
  const n = Math.floor(i / 3)
  if (n % 4 < 3) requests.push(strange[(n - Math.floor(n / 4)) % strange.length])
  else requests.push(r.one(0.7) ? makeMutant(r, targets) : makeTruncated(r, reads))
  return { requests, fin: requests.at(-1).fin }
}
