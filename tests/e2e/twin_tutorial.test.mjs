// The tutorials' app in Koa (twin/tutorial.js) and in C (twin/tutorial.c) get the same traffic, byte for byte and cut
// into the same pieces, and must answer the same, byte for byte. What Acacia does otherwise on purpose stands in one
// table, `differences`, and is asserted on our side; everything else that differs is a failure. (What becomes of
// frames that are cut off in their header is not compared: ws judges the first two bytes, Acacia the whole header.)
//
// The traffic is made of random numbers: SEED repeats a run, SCALE=10 makes it ten times longer, and ONLY='page 17'
// plays one conversation alone, as a failure names it.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import net from 'node:net'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { build, startServer } from './support.mjs'

const seed = Number(process.env.SEED || 20261121) // always the same, so that CI does not flicker; SEED=$RANDOM explores
const scale = Number(process.env.SCALE || 1)
const only = process.env.ONLY

const KIB = 1024
const MIB = 1024 * KIB

// --- The two servers -----------------------------------------------------------------------------

let servers // ours and Koa's

before(async () => {
  console.log(`SEED=${seed}`)
  const koa = fileURLToPath(new URL('../twin/tutorial.js', import.meta.url))
  const paths = ['tests/twin/tutorial', path.relative(build, koa)]
  servers = await Promise.all(paths.map(path => startServer(path, { env: { SILENT: '1' } })))
})

// --- Chance --------------------------------------------------------------------------------------

// Each conversation has numbers of its own, so that it can be repeated alone.
function chance (...key) {
  let state = seed
  for (const char of key.join(' ')) state = Math.imul(state ^ char.charCodeAt(0), 0x01000193)
  function number () { // mulberry32
    state = state + 0x6d2b79f5 | 0
    let t = Math.imul(state ^ state >>> 15, 1 | state)
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32
  }
  const self = {
    below: n => Math.floor(number() * n),
    between: (a, b) => a + Math.floor(number() * (b - a + 1)),
    one: probability => number() < probability,
    pick: list => list[Math.floor(number() * list.length)],
    some: (most, make) => Array.from({ length: self.below(most + 1) }, make),
    bytes: length => {
      const bytes = Buffer.alloc(length)
      for (let i = 0; i < length; i++) bytes[i] = number() * 256
      return bytes
    },
    // Text of characters of all lengths, as a string of at most `length` bytes.
    text: length => {
      let text = ''
      for (let left = length; left > 0;) {
        const char = self.pick(CHARACTERS)
        left -= Buffer.byteLength(char)
        if (left < 0) break
        text += char
      }
      return text
    },
    // The bytes as pieces that leave one after the other.
    cut: bytes => {
      const cuts = self.one(0.4) ? [] : self.one(0.05) && bytes.length < 300
        ? bytes.keys()
        : self.some(5, () => self.below(bytes.length + 1))
      const places = [...new Set([0, ...cuts, bytes.length])].sort((a, b) => a - b)
      return places.slice(1).map((place, i) => bytes.subarray(places[i], place))
    }
  }
  return self
}

const CHARACTERS = [...'abcxyzABC0189 .,-_~!"\'\\/&<>\n\t\0\x01\x1f\x7f\u0080éßÿ\u07ff\u0800漢字€\u2028\uffff\ufeff😀\u{10ffff}']

// --- Raw clients ---------------------------------------------------------------------------------

class Client {
  constructor (port, onEvent) {
    this.chunks = []
    this.closed = false
    this.socket = net.connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
    this.socket.on('data', chunk => {
      this.chunks.push(chunk)
      onEvent()
    })
    this.socket.on('end', () => {
      this.closed = true
      this.socket.end()
      onEvent()
    })
    this.socket.on('error', () => {}) // a reset is an end too
    this.socket.on('close', () => {
      this.closed = true
      onEvent()
    })
  }

  write (bytes) {
    if (!this.closed) this.socket.write(bytes)
  }

  get bytes () {
    if (this.chunks.length > 1) this.chunks = [Buffer.concat(this.chunks)]
    return this.chunks[0] ?? Buffer.alloc(0)
  }
}

// One client of each server, who say the same.
class Pair {
  constructor (clock) {
    this.clock = clock
    this.clients = servers.map(server => new Client(server.port, () => this.note()))
    this.note()
  }

  note () {
    this.heard = Date.now()
    this.wake?.()
  }

  async say (pieces) {
    for (const [i, piece] of pieces.entries()) {
      if (i > 0) await sleep(1)
      for (const client of this.clients) client.write(piece)
    }
    this.note()
  }

  // Until `done` is true of both, or they are closed, or nothing more comes: which is believed later if only one of
  // the two is silent.
  async until (done) {
    for (;;) {
      const undone = this.clients.filter(client => !client.closed && !done(client))
      if (undone.length === 0) return
      const left = this.heard + this.clock.patience * (undone.length === 1 ? 8 : 1) - Date.now()
      if (left <= 0) {
        this.clock.silent = true
        return
      }
      let timer
      await new Promise(resolve => {
        this.wake = resolve
        timer = setTimeout(resolve, left)
      })
      clearTimeout(timer)
    }
  }

  // The clients have said all that they will say; the servers end it.
  async end () {
    for (const client of this.clients) client.socket.end()
    this.note()
    await this.until(client => client.closed)
    for (const client of this.clients) client.socket.destroy()
  }
}

// Play `count` conversations, many at a time. What was taken for silence may have been a busy machine: where that made
// a difference, it is tried again alone, and with patience.
async function playAll (kind, count, make, play) {
  const problems = []
  const playOne = (i, clock) => {
    const r = chance(kind, i)
    return play(make(r, i), r, clock)
  }
  const report = (i, problem) => problem && problems.push(`SEED=${seed} ONLY='${kind} ${i}'\n${problem}`)
  if (only) {
    const [name, i] = only.split(' ')
    if (name === kind) report(i, await playOne(Number(i), { patience: 1000 }))
  } else {
    const doubtful = []
    let next = 0
    await Promise.all(Array.from({ length: 24 }, async () => {
      for (let i = next++; i < count && problems.length < 10; i = next++) {
        const clock = { patience: 250, silent: false }
        const problem = await playOne(i, clock)
        if (problem && clock.silent) doubtful.push(i)
        else report(i, problem)
      }
    }))
    for (const i of doubtful.slice(0, 10)) report(i, await playOne(i, { patience: 2000 }))
  }
  if (problems.length > 0) fail(problems.join('\n\n'))
}

// With the text alone: it is long enough.
function fail (text) {
  const error = new Error(text)
  error.stack = text
  throw error
}

const show = bytes => {
  const text = JSON.stringify(bytes.toString('latin1')).replace(/[\x7f-\xff]/g, char => `\\x${char.charCodeAt(0).toString(16)}`)
  return text.length > 1000 ? `${text.slice(0, 600)} … ${text.slice(-200)} (${bytes.length} bytes)` : text
}

// --- What differs on purpose ---------------------------------------------------------------------

// Of requests `check` gets our answer and Koa's, of WebSockets our conversation and Koa's. Where Koa's connection ends
// and ours does not, or the other way round, `then` are the answers that still come from ours before it is closed.
const differences = {
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
      assert.match(ours.text, /^HTTP\/1.1 400 Bad Request\r\n.*Connection: close\n\nrequest aborted$/s)
      assert.notEqual(koa?.status, 200)
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
    check (ours, koa) {
      assert.equal(ours.text, closing(koa.text.replace('HTTP/1.1 100 Continue\n', '')))
    }
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
  'JSON': {
    why: 'Content-Length is known when the body is set, where Koa adds it in the end; and jansson writes \\u001F in capitals',
    check (ours, koa) {
      const lines = text => text.split('\r\n').sort()
      assert.deepEqual(lines(ours.text.replace(/\\u00[01][A-F]/g, code => code.toLowerCase())), lines(koa.text))
    }
  },
  'a malformed % in a path': {
    why: 'it is the client\'s fault: 400. Koa says 500',
    check (ours, koa) {
      assert.equal(ours.head, plain('400 Bad Request', 'malformed percent-encoding in the path', koa.head))
      assert.equal(koa.status, 500)
    }
  },
  'a NUL in a parameter': {
    why: 'no path has one, and a C string would end there: 400',
    check: (ours, koa) => assert.equal(ours.head, plain('400 Bad Request', 'malformed percent-encoding in the path', koa.head))
  },
  'HEAD without Content-Length over HTTP/1.0': {
    why: 'there is no body whose end must be marked, so the connection can go on; node closes it',
    then: ['HTTP/1.1 404 Not Found\r\nX-Response-Time: (some)ms\r\nContent-Type: text/plain; charset=utf-8\r\n' +
      'Content-Length: 9\r\nDate: (now)\r\nConnection: close\n\nNot Found'],
    check: (ours, koa) => assert.equal(closing(ours.text), koa.text)
  },

  'a WebSocket that nothing matched': {
    why: 'it is answered 404 before the upgrade, and never left open and silent',
    check (ours) {
      assert.match(ours.head, /^HTTP\/1.1 404 Not Found\r\nContent-Type: text\/plain; charset=utf-8\r\nContent-Length: 9\r\n/)
      assert.equal(ours.rest, 'Not Found')
    }
  },
  'a malformed % in the path of a WebSocket': {
    why: 'the same, but 400',
    check (ours) {
      assert.match(ours.head, /^HTTP\/1.1 400 Bad Request\r\n/)
      assert.equal(ours.rest, 'malformed percent-encoding in the path')
    }
  },
  'an expectation in a handshake': {
    why: 'as for pages; node does not look at it then',
    check: ours => assert.match(ours.head, /^HTTP\/1.1 417 Expectation Failed\r\n/)
  },
  'a length in more bytes than it takes': {
    why: 'RFC 6455 5.2 forbids it, and wslay refuses it; ws does not look',
    check: ours => assert.equal(ours.code, 1002)
  },
  'a length beyond 2^63': {
    why: 'it has a bit that must be 0 (RFC 6455 5.2), so it is no matter of size',
    check (ours, koa) {
      assert.equal(ours.code, 1002)
      assert.equal(koa.code, 1009)
    }
  },
  'text that is not UTF-8, in a fragment': {
    why: 'it is refused as soon as it is seen, not when the message is complete',
    check: ours => assert.equal(ours.code, 1007)
  },
  'a hundred pings at once': {
    why: 'all are answered; ws cuts the connection after some 60',
    check (ours) {
      assert.equal(ours.frames.filter(frame => frame.opcode === PONG && frame.payload.equals(Buffer.from('ping!'))).length, 100)
      assert.equal(ours.code, 1000)
    }
  }
}

const seen = new Set()

function checkDifference (name, ours, koa) {
  seen.add(name)
  differences[name].check(ours, koa)
}

function bare (status) {
  return `HTTP/1.1 ${status}\r\nConnection: close\n\n`
}

const closing = text => text.replace('Connection: keep-alive\r\nKeep-Alive: timeout=5', 'Connection: close')

// The head for a thrown error with this message, on a connection that goes on as in `like`.
function plain (status, message, like) {
  return `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${message.length}` +
    like.slice(like.indexOf('\r\nDate: '))
}

// --- Requests ------------------------------------------------------------------------------------

const CRLF = '\r\n'

const METHODS = ['ACL', 'BIND', 'CHECKOUT', 'COPY', 'DELETE', 'GET', 'HEAD', 'LINK', 'LOCK', 'M-SEARCH', 'MERGE',
  'MKACTIVITY', 'MKCALENDAR', 'MKCOL', 'MOVE', 'NOTIFY', 'OPTIONS', 'PATCH', 'POST', 'PROPFIND', 'PROPPATCH', 'PURGE',
  'PUT', 'REBIND', 'REPORT', 'SEARCH', 'SOURCE', 'SUBSCRIBE', 'TRACE', 'UNBIND', 'UNLINK', 'UNLOCK', 'UNSUBSCRIBE']

const TYPES = ['text/plain', 'text/plain; charset=latin1', 'text/html', 'application/json', 'application/vnd.api+json',
  'image/svg+xml', 'image/png', 'TEXT/HTML', 'a/b', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x',
  'json', 'html', '.png', 'txt', 'PNG', 'bogus', 'text/plain;', 'text/plain;charset=UTF-8', '; x', '/', 'a/', 'text/xml',
  'application/javascript', 'text/css ; q=1', 'application/octet-stream', 'text', 'application/wasm', 'font/woff2']

function escape (r, text) {
  return Array.from(Buffer.from(text), byte => {
    const digits = byte.toString(16).padStart(2, '0')
    return '%' + (r.one(0.5) ? digits : digits.toUpperCase())
  }).join('')
}

const someCase = (r, text) => text.replace(/[a-z]/gi, char => r.one(0.5) ? char.toUpperCase() : char.toLowerCase())

function makeId (r) {
  const pieces = [
    () => String(r.below(1000)),
    () => r.pick(['bob', 'Ann', 'a.b', 'a-b', '~x', '+', 'a+b', ':', '@', '!$&\'()*,;=', '..', '.', '{}', '|', '"']),
    () => escape(r, r.pick(CHARACTERS)),
    () => escape(r, r.pick([...'/%?#& +'])),
    () => 'x'.repeat(r.below(300))
  ]
  const broken = ['%', '%z', '%4', '%zz', '%ff', '%C3', '%c3%28', '%ED%A0%80', '%f4%90%80%80', '%C0%AF', '%u0041']
  if (r.one(0.08)) pieces.push(() => r.pick(broken))
  return Array.from({ length: r.between(1, 3) }, () => r.pick(pieces)()).join('')
}

function makePath (r) {
  let path = r.pick(['/', '/', '/json', `/users/${makeId(r)}`, `/users/${makeId(r)}`, '/users/', '/users', '/echo', '/boom',
    '/teapot', '/nope', '/chat/x', '/users/1/2', '//'])
  if (r.one(0.1)) path = someCase(r, path)
  if (r.one(0.1)) path += '/'
  if (r.one(0.05)) path = path.replace('/', '//')
  if (r.one(0.05)) path = path.replace(/[a-z]/, char => escape(r, char))
  if (r.one(0.05)) path += r.pick([';x=1', '//', '/.', '/..', '.', '%20', '%2F', '|', '^', '{}', '`', '"', '<>', '['])
  if (r.one(0.03)) path = r.pick(['/.', '/./', '/users/..', '/json/../json']) + path
  return path
}

function makeQuery (r) {
  if (r.one(0.75)) return ''
  const pairs = r.some(3, () => r.pick(['a=1', 'a', '=', '', '%zz', 'x=%C3%A9', '?', '/', '/users/1', 'a[b]=1', 'q=a+b', '%']))
  return '?' + pairs.join('&') + r.pick(['', '', '#part'])
}

function makeTarget (r, method) {
  if (method === 'OPTIONS' && r.one(0.3)) return '*'
  const target = makePath(r) + makeQuery(r)
  return r.one(0.06) ? r.pick(['http://a', 'http://127.0.0.1:80', 'HTTP://User@Host', 'https://[::1]:9']) + target : target
}

function makeHeaders (r, version) {
  const lines = []
  if (version === '1.1' || r.one(0.5)) lines.push(r.pick(['Host: a', 'Host: a', 'host: 127.0.0.1:80', 'HOST:a', 'Host: ']))
  if (r.one(0.3)) {
    lines.push(`${r.pick(['Connection', 'connection', 'CONNECTION'])}: ` +
      r.pick(['keep-alive', 'keep-alive', 'Keep-Alive', 'foo', 'keep-alive, foo', 'upgrade', 'close', 'Close', 'foo, close']))
  }
  lines.push(...r.some(4, () => r.pick([
    () => `Accept: ${r.pick(['*/*', 'text/html', ''])}`,
    () => `Cookie: a=${r.below(10)}`,
    () => `User-Agent: ${r.pick(['curl/8', 'Mozilla/5.0'])}`,
    () => `X-${r.pick(['A', 'b', 'Forwarded-For', '!#$%&\'*+.^_`|~'])}: ` +
      r.pick(['', '1', 'a, b', ' \t ', 'x'.repeat(r.below(600)), '\x80\xff']),
    () => `Referer:${r.pick(['', ' ', '\t', '  \t '])}/x${r.pick(['', ' ', '\t '])}`,
    () => 'Upgrade-Insecure-Requests: 1',
    () => 'Content-Encoding: gzip',
    () => `If-None-Match: ${r.pick(['*', '"x"'])}`,
    () => `Range: bytes=0-${r.below(5)}`,
    () => 'TE: trailers',
    () => 'Keep-Alive: timeout=1'
  ])()))
  if (r.one(0.5)) lines.push(...r.some(2, () => `${r.pick(['Content-Type', 'content-type'])}: ${r.pick(TYPES)}`))
  return lines
}

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

const makeBody = r =>
  r.bytes(r.pick([0, 1, r.below(20), r.below(20), r.below(300), r.below(5000), r.one(0.1) ? r.below(200 * KIB) : 2]))

const joinHead = (line, headers) => Buffer.from([line, ...headers, '', ''].join(CRLF), 'latin1')

function makeRequest (r) {
  const method = r.pick(['GET', 'GET', 'GET', 'GET', 'POST', 'POST', 'HEAD', r.pick(METHODS)])
  const target = method === 'POST' && r.one(0.7) ? '/echo' + makeQuery(r) : makeTarget(r, method)
  const version = r.one(0.07) ? '1.0' : '1.1'
  const headers = makeHeaders(r, version)
  const connection = headers.filter(line => /^connection:/i.test(line)).join()
  const closes = version === '1.0' ? !/keep-alive/i.test(connection) : /close/i.test(connection)
  let body = Buffer.alloc(0)
  const isRead = method === 'POST' && /^\/echo(\?|$)/.test(target)
  if ((method === 'POST' || r.one(0.1)) && (isRead || !closes)) { // else the rest of it may make node's answer be lost
    body = makeBody(r)
    const chunked = version === '1.1' && r.one(0.4)
    const framing = chunked
      ? r.pick(['Transfer-Encoding: chunked', 'transfer-encoding: Chunked'])
      : `Content-Length: ${r.pick(['', '', '', '00'])}${body.length}`
    headers.splice(r.below(headers.length + 1), 0, framing)
    if (chunked) body = makeChunks(r, body)
  }
  const head = joinHead(`${method} ${target} HTTP/${version}`, headers)
  const blank = r.pick(['', '', '', '', '', '', '', '', '\r\n', '\r\n\r\n'])
  return {
    method,
    bytes: Buffer.concat([Buffer.from(blank), head, body]),
    closes,
    differs: nameDifference(method, target, version, closes)
  }
}

// What is special about its answer, if anything.
function nameDifference (method, target, version, closes) {
  const path = target.replace(/^https?:\/\/[^/]*/i, '').replace(/[?#].*/, '')
  if (method !== 'GET' && method !== 'HEAD') return undefined
  if (/^\/json\/?$/i.test(path)) return 'JSON'
  if (!/^\/users\/[^/]+\/?$/i.test(path)) {
    const found = /^\/(boom|teapot)?\/?$/i.test(path)
    return method === 'HEAD' && version === '1.0' && !found && !closes ? 'HEAD without Content-Length over HTTP/1.0' : undefined
  }
  try {
    return decodeURIComponent(path).includes('\0') ? 'a NUL in a parameter' : 'JSON'
  } catch {
    return 'a malformed % in a path'
  }
}

// --- Strange requests ----------------------------------------------------------------------------

const HOST = 'Host: a'
const CHUNKED = 'Transfer-Encoding: chunked'

const get = (...headers) => ({ bytes: joinHead('GET / HTTP/1.1', [HOST, ...headers]) })
const line = line => ({ bytes: joinHead(line, [HOST]) })
const raw = text => ({ bytes: Buffer.from(text, 'latin1') })
const post = (headers, body = '', target = '/echo', version = '1.1') =>
  ({ method: 'POST', bytes: Buffer.concat([joinHead(`POST ${target} HTTP/${version}`, [HOST, ...headers]), Buffer.from(body, 'latin1')]) })

const strange = {
  'refused by both': [
    line('FOO / HTTP/1.1'), line('get / HTTP/1.1'), line('GETT / HTTP/1.1'), line('GET / HTTP/1.x'), line('GET / HTTP/9.9'),
    line('GET / http/1.1'), line('GET foo HTTP/1.1'), line('GET /users/\x01 HTTP/1.1'), line('GET /users/\0 HTTP/1.1'),
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
    line('POST * HTTP/1.1'), line('GET * HTTP/1.1'), line('GET http://h HTTP/1.1'), line('GET http://h?x HTTP/1.1'),
    raw('GET / HTTP/1.0\r\n\r\n'), raw('\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost:\r\n\r\n'), get('Upgrade: websocket'),
    get('Connection: keep-alive', 'Connection: close'), get('Connection: close, keep-alive'), get('Proxy-Connection: close'),
    post(['Expect: 100-continue', 'Content-Length: 3'], 'abc'), post(['Expect: 100-Continue', CHUNKED], '3\r\nabc\r\n0\r\n\r\n'),
    post(['Expect: 100-continue', 'Content-Length: 3'], 'abc', '/echo', '1.0'), post(['Content-Length: 5 '], 'abcde'),
    post([CHUNKED], `${'10000\r\n' + 'x'.repeat(64 * KIB)}\r\n`.repeat(17) + '0\r\n\r\n'),
    post([`Content-Length: ${MIB}`], 'x'.repeat(MIB)), post([`Content-Length: ${MIB}`], 'x'.repeat(MIB), '/nope')
  ],
  'a request that is no strict HTTP': [
    line('GET  / HTTP/1.1'), line('GET /  HTTP/1.1'), line('GET\t/ HTTP/1.1'), line('GET /'), raw('GET /\r\n\r\n'), line('GET /\tHTTP/1.1'), line('GET / HTTP/1.1 '),
    line(' GET / HTTP/1.1'), line('GET /users/\xc3\xa9 HTTP/1.1'), line('GET /users/\xe9 HTTP/1.1'), line('GET /a\fb HTTP/1.1'),
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
  'a malformed % in a path': [
    line('GET /users/%zz HTTP/1.1'), line('GET /users/%ff HTTP/1.1')
  ],
  'a NUL in a parameter': [
    line('GET /users/%00 HTTP/1.1')
  ],
  'HEAD without Content-Length over HTTP/1.0': [
    { ...raw('HEAD /nope HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'), method: 'HEAD' }
  ],
  'no Host': [
    raw('GET / HTTP/1.1\r\nX: y\r\n\r\n')
  ],
  'more than 100 header fields': [
    get(...Array(100).fill('X: y'))
  ],
  'a URL that is too long': [
    line(`GET /${'y'.repeat(17 * KIB)} HTTP/1.1`), line(`GET /json?${'y'.repeat(17 * KIB)} HTTP/1.1`)
  ],
  'a body that is announced to be too long': [
    post([`Content-Length: ${MIB + 1}`], 'x'.repeat(MIB + 1)), post([`Content-Length: ${MIB + 1}`], 'x'.repeat(MIB + 1), '/nope')
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

// Some are sent whole: node does not wait for the rest of what it refuses, so that its answer may be lost in a reset.
const strangeRequests = Object.entries(strange).flatMap(([name, requests]) => requests.map(request =>
  ({ method: 'GET', differs: name in differences ? name : undefined, whole: name === 'refused by both', ...request })))

// --- HTTP ----------------------------------------------------------------------------------------

function bodyEnd (bytes, at, head) {
  const length = /\r\nContent-Length: (\d+)/.exec(head)?.[1]
  if (length !== undefined) return at + Number(length)
  if (!/\r\nTransfer-Encoding: chunked/.test(head)) return bytes.length // until it is closed
  for (;;) {
    const end = bytes.indexOf(CRLF, at)
    if (end < 0) return Infinity
    const size = parseInt(bytes.latin1Slice(at, end), 16)
    at = end + 2 + size + 2
    if (size === 0) return at
  }
}

const normal = head => head
  .replace(/^(X-Response-Time): \d+ms$/m, '$1: (some)ms')
  .replace(/^(Date): \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/m, '$1: (now)')

// The complete responses to requests by these methods, with what varies taken out; and what is left.
function readResponses (bytes, methods) {
  const responses = []
  let interim = ''
  for (let at = 0; ;) {
    const end = bytes.indexOf('\r\n\r\n', at)
    if (end < 0) return { responses, rest: bytes.latin1Slice(at) }
    const head = normal(bytes.latin1Slice(at, end))
    const status = Number(head.slice(9, 12))
    if (status === 100) {
      interim += `${head}\n`
      at = end + 4
      continue
    }
    const next = methods[responses.length] === 'HEAD' ? end + 4 : bodyEnd(bytes, end + 4, head)
    if (next > bytes.length) return { responses, rest: bytes.latin1Slice(at) }
    responses.push({ status, head, text: `${interim}${head}\n\n${bytes.latin1Slice(end + 4, next)}` })
    interim = ''
    at = next
  }
}

const last = { method: 'GET', bytes: Buffer.from('GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n') }

// The requests, one after the other or all at once; then the `last` one, unless a FIN or the servers end it.
async function playRequests ({ requests, pipelined, fin }, r, clock) {
  const pair = new Pair(clock)
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
    ({ ...readResponses(client.bytes, methods), closed: fin ? client.closed : closed[i] }))
  return compareResponses(all, ours, koa)
}

function compareResponses (requests, ours, koa) {
  const problem = (i, what) => [
    what,
    ...requests.slice(Math.max(i - 1, 0), i + 1).map(request => `< ${show(request.bytes)}`),
    `ours: ${show(ours.responses[i]?.text ?? '(none)')}`,
    `Koa:  ${show(koa.responses[i]?.text ?? '(none)')}`
  ].join('\n')
  for (const [i, { differs }] of requests.entries()) {
    if (!differs) {
      if (ours.responses[i]?.text !== koa.responses[i]?.text) return problem(i, 'different answers')
      continue
    }
    try {
      checkDifference(differs, ours.responses[i], koa.responses[i])
      const { then } = differences[differs]
      if (!then) continue
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

// Small changes to a good head. What is still HTTP is compared; what is none must be refused.
function makeMutant (r) {
  const bytes = [...joinHead(`GET ${r.pick(['/', '/teapot', '/nope?x'])} HTTP/1.1`, [HOST, 'X-A: b', 'Connection: keep-alive', 'Accept: */*'])]
  for (let i = r.between(1, 2); i > 0; i--) {
    const byte = r.one(0.4) ? r.below(256) : r.pick([...Buffer.from(' \t\r\n:;,/%?#\0\x7f0A')])
    bytes.splice(r.below(bytes.length - 1), r.below(2), ...(r.one(0.2) ? [] : [byte]))
  }
  const text = Buffer.from(bytes).toString('latin1').replace(/^(\r\n)+/, '')
  const lines = text.split('\r\n')
  const headers = lines.slice(1, lines.indexOf(''))
  const version = /^[!-~]+ [!-~]+ HTTP\/(\d\.\d)$/.exec(lines[0])
  const isStrict = version && !/[\r\n]/.test(lines.join('')) &&
    headers.every(line => /^[!#$%&'*+.^_`|~\w-]+:[\t -~\x80-\xff]*$/.test(line)) &&
    headers.filter(line => /^host:/i.test(line)).length === 1
  const differs = !isStrict
    ? 'a request that is no strict HTTP'
    : ['0.9', '2.0'].includes(version[1]) ? 'another version than 1.0 and 1.1' : undefined
  return { method: 'GET', bytes: Buffer.from(bytes), differs, whole: !differs }
}

// One that breaks off, and is followed by a FIN.
function makeTruncated (r) {
  if (r.one(0.5)) return { method: 'GET', bytes: joinHead('GET / HTTP/1.1', [HOST, 'X: y']).subarray(0, r.between(1, 33)), fin: true }
  const target = r.pick(['/echo', '/nope'])
  const { bytes } = r.one(0.5) ? post(['Content-Length: 5'], 'abcde', target) : post([CHUNKED], '5\r\nabcde\r\n0\r\n\r\n', target)
  const head = bytes.indexOf('\r\n\r\n') + 4
  return {
    method: 'POST',
    bytes: bytes.subarray(0, r.between(head, bytes.length - 1)),
    differs: target === '/echo' ? 'a malformed body' : 'a malformed body that nobody reads',
    fin: true
  }
}

function makePage (r, i) {
  const requests = []
  const isLast = request => request?.closes || differences[request?.differs]?.then
  for (let left = r.pick([1, 2, 3, r.between(1, 12)]); left > 0 && !isLast(requests.at(-1)); left--) requests.push(makeRequest(r))
  if (i % 3 === 0) return { requests, pipelined: r.one(0.5), fin: i % 12 === 0 && !differences[requests.at(-1).differs]?.then }
  if (i % 3 === 1) return { requests, pipelined: true }
  if (isLast(requests.at(-1))) requests.pop()
  const n = Math.floor(i / 3)
  if (n % 4 < 3) requests.push(strangeRequests[(n - Math.floor(n / 4)) % strangeRequests.length])
  else requests.push(r.one(0.7) ? makeMutant(r) : makeTruncated(r))
  return { requests, fin: requests.at(-1).fin }
}

test('pages: the same answers to the same requests', () => playAll('page', 3000 * scale, makePage, playRequests))

// --- Frames --------------------------------------------------------------------------------------

const CONTINUATION = 0
const TEXT = 1
const BINARY = 2
const CLOSE = 8
const PING = 9
const PONG = 10

// `bytes` takes more than it needs for the length if told so, and `length` may be a lie.
function frame (opcode, payload = '', { fin = true, rsv = 0, masked = true, bytes = 0, length } = {}) {
  const data = Buffer.from(payload)
  length ??= data.length
  const head = Buffer.alloc(10)
  bytes ||= length < 126 ? 1 : length < 65536 ? 2 : 8
  head[0] = (fin ? 0x80 : 0) | rsv << 4 | opcode
  head[1] = (masked ? 0x80 : 0) | (bytes === 1 ? length : bytes === 2 ? 126 : 127)
  if (bytes === 2) head.writeUInt16BE(length, 2)
  if (bytes === 8) head.writeBigUInt64BE(BigInt(length), 2)
  const start = head.subarray(0, bytes === 1 ? 2 : 2 + bytes)
  if (!masked) return Buffer.concat([start, data])
  const mask = [data.length & 255, 0xa5, 0, opcode * 17]
  return Buffer.concat([start, Buffer.from(mask), data.map((byte, i) => byte ^ mask[i & 3])])
}

const closeFrame = (code, reason = '') => frame(CLOSE, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]))

// The answer to the handshake, and the frames behind it as far as they are complete.
function readSocket (bytes) {
  let at = bytes.indexOf('\r\n\r\n') + 4
  if (at < 4) at = bytes.length
  const head = normal(bytes.latin1Slice(0, at))
  const frames = []
  while (head.startsWith('HTTP/1.1 101 ') && bytes.length >= at + 2) {
    const short = bytes[at + 1]
    const start = at + (short < 126 ? 2 : short === 126 ? 4 : 10)
    if (bytes.length < start) break
    const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2))
    if (bytes.length < start + length) break
    frames.push({ first: bytes[at], opcode: bytes[at] & 15, payload: bytes.subarray(start, start + length) })
    at = start + length
  }
  const code = frames.at(-1)?.opcode === CLOSE && frames.at(-1).payload.length >= 2 ? frames.at(-1).payload.readUInt16BE() : undefined
  return { head, frames, code, rest: bytes.latin1Slice(at) }
}

const describe = ({ head, frames, rest }) => [
  show(head),
  ...frames.slice(-12).map(({ first, payload }) => `  ${first.toString(16)} ${show(payload)}`),
  rest ? `  and ${show(rest)}` : ''
].join('\n')

// --- Handshakes ----------------------------------------------------------------------------------

const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
const VERSION = 'Sec-WebSocket-Version: 13'
const UPGRADE = ['Upgrade: websocket', 'Connection: Upgrade']

const handshake = (path, headers = [...UPGRADE, KEY, VERSION], line = `GET ${path} HTTP/1.1`) => joinHead(line, [HOST, ...headers])

const strangeHandshakes = [
  ...[
    [],
    [...UPGRADE],
    [...UPGRADE, VERSION],
    [...UPGRADE, KEY],
    [...UPGRADE, KEY, 'Sec-WebSocket-Version: 7'],
    [...UPGRADE, KEY, 'Sec-WebSocket-Version: 13, 8'],
    [...UPGRADE, KEY, VERSION, VERSION],
    [...UPGRADE, KEY, KEY, VERSION],
    [...UPGRADE, 'Sec-WebSocket-Key: abc', VERSION],
    [...UPGRADE, 'Sec-WebSocket-Key:', VERSION],
    [...UPGRADE, `${KEY}=`, VERSION],
    [...UPGRADE, 'Upgrade: websocket', KEY, VERSION],
    ['Upgrade: h2c', 'Connection: Upgrade', KEY, VERSION],
    ['Upgrade: websocket, h2c', 'Connection: Upgrade', KEY, VERSION],
    ['Upgrade:', 'Connection: Upgrade', KEY, VERSION],
    ['Upgrade: websocket', KEY, VERSION],
    ['Connection: Upgrade', KEY, VERSION],
    ['Upgrade: websocket', 'Connection: keep-alive', KEY, VERSION],
    ...['chat,', ',chat', 'ch at', '', 'chat, chat', 'a;b', 'a,,b'].map(list => [...UPGRADE, KEY, VERSION, `Sec-WebSocket-Protocol: ${list}`]),
    [...UPGRADE, KEY, VERSION, 'Sec-WebSocket-Protocol: a', 'Sec-WebSocket-Protocol: a']
  ].map(headers => ({ bytes: handshake('/', headers) })),
  ...['POST / HTTP/1.1', 'HEAD / HTTP/1.1', 'OPTIONS / HTTP/1.1'].map(line => ({ bytes: handshake('/', undefined, line) })),
  ...['/nope', '/chat/', '/chat', '/chat/a/b', '/json', '/chat//'].map(path =>
    ({ bytes: handshake(path), differs: 'a WebSocket that nothing matched' })),
  ...['/chat/%zz', '/chat/%ff', '/chat/%00'].map(path =>
    ({ bytes: handshake(path), differs: 'a malformed % in the path of a WebSocket' })),
  { bytes: handshake('/', [...UPGRADE, KEY, VERSION, 'Expect: foo']), differs: 'an expectation in a handshake' }
]

function makeHandshake (r, path) {
  const headers = [
    r.pick(['Upgrade: websocket', 'upgrade: WebSocket', 'UPGRADE: websocket ']),
    r.pick(['Connection: Upgrade', 'connection: upgrade', 'Connection: keep-alive, Upgrade', 'Connection: Upgrade, close', 'Connection: foo,upgrade']),
    r.pick([KEY, KEY.toLowerCase().replace(/: .*/, KEY.slice(17)), `Sec-WebSocket-Key:\t ${r.bytes(16).toString('base64')} `]),
    r.pick([VERSION, VERSION, 'sec-websocket-version: 8'])
  ].sort(() => r.below(3) - 1)
  if (r.one(0.2)) headers.push(`Sec-WebSocket-Protocol: ${r.pick(['chat', 'chat, superchat', 'a ,\tb', 'a,A', '!#$%&\'*+-.^_`|~'])}`)
  if (r.one(0.1)) headers.push('Sec-WebSocket-Protocol: second')
  if (r.one(0.1)) headers.push(r.pick(['Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits', 'Sec-WebSocket-Extensions: ;;;']))
  if (r.one(0.2)) headers.push(r.pick(['Origin: http://evil.example', 'Cookie: a=b', 'Expect: 100-continue', 'Content-Length: 0']))
  return handshake(path, headers, `GET ${r.one(0.1) ? 'http://h' : ''}${path} HTTP/1.${r.one(0.03) ? 0 : 1}`)
}

// --- Conversations -------------------------------------------------------------------------------

const SIZES = [0, 1, 10, 124, 125, 126, 127, 128, 500, 4000, 65535, 65536, 70000]

const textOf = r => Buffer.from(r.text(r.one(0.05) ? r.pick(SIZES) : r.below(60)))
const binaryOf = r => r.bytes(r.one(0.05) ? r.pick(SIZES) : r.below(60))

// A message in one frame or in many, with pings and pongs between them.
function makeMessage (r, opcode, data) {
  if (r.one(0.6)) return [frame(opcode, data)]
  const places = [0, ...r.some(4, () => r.below(data.length + 1)).sort((a, b) => a - b), data.length]
  return places.slice(1).flatMap((place, i) => [
    ...(r.one(0.2) ? [makeControl(r)] : []),
    frame(i ? CONTINUATION : opcode, data.subarray(places[i], place), { fin: i === places.length - 2 })
  ])
}

const makeControl = r => frame(r.pick([PING, PING, PONG]), r.bytes(r.pick([0, 1, r.below(125), 125])))

// What ends a conversation. Behind a goodbye, or a mistake, anything may follow: `junk`.
const X = Buffer.from('x')
const hex = text => Buffer.from(text, 'hex')
const open = (opcode, payload) => frame(opcode, payload, { fin: false })

const endings = [
  // Goodbyes
  ...[1000, 1001, 1002, 1003, 1007, 1008, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999].map(code =>
    (r, junk) => [closeFrame(code, r.pick(['', 'bye', 'tschüß', 'x'.repeat(123)])), ...junk]),
  (r, junk) => [frame(CLOSE), ...junk],
  (r, junk) => [open(TEXT, 'he'), closeFrame(1000), ...junk],
  // Wrong ones
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2999, 5000, 65535].map(code =>
    (r, junk) => [closeFrame(code, r.pick(['', 'bye'])), ...junk]),
  (r, junk) => [frame(CLOSE, X), ...junk],
  (r, junk) => [frame(CLOSE, hex('03e8ff')), ...junk],
  (r, junk) => [closeFrame(1000, 'x'.repeat(124)), ...junk],
  // Frames that there are not
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map(opcode => (r, junk) => [frame(opcode, X), ...junk]),
  ...[1, 2, 4, 5, 7].map(rsv => (r, junk) => [frame(r.pick([TEXT, BINARY, PING, CLOSE]), X, { rsv }), ...junk]),
  ...[TEXT, BINARY, PING, PONG, CLOSE].map(opcode => (r, junk) => [frame(opcode, '', { masked: false }), ...junk]),
  (r, junk) => [frame(TEXT, 'a long one without a mask', { masked: false }), ...junk],
  ...[PING, PONG, CLOSE].map(opcode => (r, junk) => [open(opcode), ...junk]),
  ...[PING, PONG].map(opcode => (r, junk) => [frame(opcode, 'x'.repeat(126)), ...junk]),
  // Fragments in the wrong order
  (r, junk) => [frame(CONTINUATION, X), ...junk],
  (r, junk) => [open(CONTINUATION, X), ...junk],
  (r, junk) => [open(TEXT, X), frame(TEXT, X), ...junk],
  (r, junk) => [open(BINARY, X), frame(BINARY, X), ...junk],
  (r, junk) => [open(TEXT, X), frame(CONTINUATION, X), frame(CONTINUATION, X), ...junk],
  // Text that is none
  ...['ff', 'c3', 'c328', 'c0af', 'e28228', 'eda080', 'f0808080', 'f4908080', 'f8888080', '61e282', '80'].map(text =>
    (r, junk) => [frame(TEXT, hex(text)), ...junk]),
  (r, junk) => [open(TEXT, hex('e282')), frame(CONTINUATION), ...junk],
  // Too much
  (r, junk) => [frame(TEXT, X, { length: MIB + 1 }), ...junk],
  (r, junk) => [frame(TEXT, X, { length: 2 ** 53 }), ...junk],
  (r, junk) => [open(BINARY, 'x'.repeat(1000)), frame(CONTINUATION, X, { length: MIB - 999 }), ...junk],
  (r, junk) => [frame(TEXT, Buffer.alloc(MIB, X)), closeFrame(1000)],
  (r, junk) => [open(TEXT, X), ...Array(16382).fill(open(CONTINUATION, X)), frame(CONTINUATION, X), closeFrame(1000)],
  (r, junk) => [open(TEXT, X), ...Array(16384).fill(open(CONTINUATION, X)), ...junk],
  (r, junk) => [...Array(40).fill(frame(PING, 'ping!')), closeFrame(1000)]
].map(make => ({ make }))

endings.push(
  { make: () => [frame(TEXT, 'hello').subarray(0, 5)], fin: true },
  { make: () => [frame(TEXT, 'hello').subarray(0, 9)], fin: true },
  { make: () => [open(TEXT, 'hello')], fin: true },
  { make: () => [], fin: true },
  { make: () => [open(TEXT, hex('ff')), frame(PING, 'still there?'), closeFrame(1000)], differs: 'text that is not UTF-8, in a fragment' },
  { make: (r, junk) => [frame(TEXT, X, { length: 2n ** 63n }), ...junk], differs: 'a length beyond 2^63' },
  { make: (r, junk) => [frame(TEXT, X, { bytes: 2 }), ...junk], differs: 'a length in more bytes than it takes' },
  { make: (r, junk) => [frame(BINARY, 'x'.repeat(200), { bytes: 8 }), ...junk], differs: 'a length in more bytes than it takes' },
  { make: () => [...Array(100).fill(frame(PING, 'ping!')), closeFrame(1000)], differs: 'a hundred pings at once' }
)

function makeConversation (r, i) {
  if (i % 4 === 0) {
    const { bytes, differs } = strangeHandshakes[i / 4 % strangeHandshakes.length]
    return { pieces: r.cut(bytes), differs, fin: true }
  }
  const room = r.one(0.5)
  const path = room ? `/chat/${r.pick(['r', 'R', '%72'])}${i}${r.pick(['', '/', '?x'])}` : r.pick(['/', '/', '//', '/?x=1', '/#x'])
  const frames = []
  for (let left = r.below(8); left > 0; left--) {
    // What the app without rooms makes of binary data is text.
    const binary = r.one(0.4)
    frames.push(...r.one(0.2) ? [makeControl(r)] : makeMessage(r, binary ? BINARY : TEXT, binary && room ? binaryOf(r) : textOf(r)))
  }
  frames.push(frame(PING, 'the end'))
  const junk = [...r.some(2, () => frame(TEXT, 'too late')), ...(r.one(0.3) ? [r.bytes(20)] : [])]
  const { make, differs, fin } = endings[(i - Math.ceil(i / 4)) % endings.length]
  const bytes = Buffer.concat([...frames, ...make(r, junk)])
  const hello = makeHandshake(r, path)
  return r.one(0.5)
    ? { hello, pieces: r.cut(bytes), differs, fin }
    : { pieces: r.cut(Buffer.concat([hello, bytes])), differs, fin }
}

async function playConversation ({ hello, pieces, differs, fin }, r, clock) {
  const pair = new Pair(clock)
  if (hello) {
    await pair.say([hello])
    await pair.until(client => client.bytes.includes('\r\n\r\n'))
  }
  await pair.say(pieces)
  if (!fin) await pair.until(client => client.closed)
  const closed = pair.clients.map(client => client.closed)
  await pair.end()
  const [ours, koa] = pair.clients.map((client, i) => ({ ...readSocket(client.bytes), closed: fin ? client.closed : closed[i] }))
  const problem = what => `${what}\n${hello ? `< ${show(hello)}\n` : ''}< ${pieces.map(show).join('\n  ')}\n` +
    `ours: ${describe(ours)}\nclosed: ${ours.closed}\nKoa: ${describe(koa)}\nclosed: ${koa.closed}`
  try {
    assert.equal(ours.closed, true)
    if (differs) return checkDifference(differs, ours, koa)
  } catch (error) {
    return problem(`${differs}: ${error.message}`)
  }
  if (!pair.clients[0].bytes.equals(pair.clients[1].bytes) && describe(ours) !== describe(koa)) return problem('different answers')
  if (ours.closed !== koa.closed) return problem('only one of them is closed')
}

test('sockets: the same answers to the same frames', () => playAll('socket', 1000 * scale, makeConversation, playConversation))

// --- Rooms ---------------------------------------------------------------------------------------

// What happens in a room, step by step: somebody comes, says something, or goes in one way or the other. After each
// step everybody pings and waits for the pong, so that both servers have done the same when the next one begins.
function makeRoom (r, i) {
  const names = [`/chat/room${i}`, `/Chat/room${i}/`, `/chat/%72oom${i}?x`]
  const steps = []
  const present = new Set()
  let members = 0
  for (let left = r.between(6, 16); left > 0; left--) {
    if (present.size === 0 || (members < 6 && r.one(0.35))) {
      present.add(members++)
      steps.push({ who: members - 1, hello: makeHandshake(r, r.one(0.1) ? `/chat/other${i}` : r.pick(names)) })
      continue
    }
    const who = r.pick([...present])
    if (r.one(0.2)) {
      present.delete(who)
      steps.push({ who, leaves: r.pick(['close', 'fin', 'reset', 'error']) })
    } else {
      const binary = r.one(0.4)
      steps.push({ who, pieces: r.cut(Buffer.concat(makeMessage(r, binary ? BINARY : TEXT, binary ? binaryOf(r) : textOf(r)))) })
    }
  }
  return steps
}

class Member extends Client {
  constructor (port) {
    super(port, () => this.wake?.())
  }

  async until (done) {
    for (const end = Date.now() + 10_000; !done();) {
      if (Date.now() > end) throw new Error('nothing comes')
      await Promise.race([sleep(1000), new Promise(resolve => { this.wake = resolve })])
    }
  }

  async answer (text) {
    this.write(frame(PING, text))
    const pong = Buffer.concat([Buffer.from([0x80 | PONG, text.length]), Buffer.from(text)])
    await this.until(() => this.bytes.includes(pong))
  }
}

async function playSteps (port, steps) {
  const members = []
  const present = new Set()
  for (const [i, { who, hello, pieces, leaves }] of steps.entries()) {
    const member = members[who] ??= new Member(port)
    if (hello) {
      member.write(hello)
      present.add(member)
    } else if (leaves) {
      present.delete(member)
      if (leaves === 'reset') {
        member.socket.resetAndDestroy()
      } else {
        if (leaves === 'fin') member.socket.end()
        else member.write(leaves === 'close' ? closeFrame(1000, 'bye') : frame(3))
      }
      await member.until(() => member.closed)
    } else {
      for (const piece of pieces) {
        member.write(piece)
        await sleep(1)
      }
    }
    if (!leaves) await member.answer(`step ${i}`)
    await Promise.all([...present].map(other => other.answer(`step ${i}, too`)))
  }
  for (const member of present) member.write(closeFrame(1000))
  await Promise.all(members.map(member => member.until(() => member.closed)))
  return members.map(member => readSocket(member.bytes))
}

async function playRoom (steps) {
  const [ours, koa] = await Promise.all(servers.map(server => playSteps(server.port, steps)))
  for (const [i, member] of ours.entries()) {
    if (describe(member) !== describe(koa[i]) || member.frames.length !== koa[i].frames.length) {
      return `member ${i} saw different things\nours: ${describe(member)}\nKoa: ${describe(koa[i])}`
    }
  }
}

test('rooms: everybody sees the same', () => playAll('room', 200 * scale, makeRoom, playRoom))

// Everybody talks at once: everybody must hear all of everybody, and each in the order in which it was said.
function makeCrowd (r, i) {
  const members = Array.from({ length: r.between(2, 6) }, (_, who) => {
    const frames = Array.from({ length: r.between(1, 30) }, (_, n) =>
      makeMessage(r, r.one(0.5) ? TEXT : BINARY, Buffer.from(`${who} ${n} ${'x'.repeat(r.pick([0, r.below(100), r.pick(SIZES)]))}`)))
    return { pieces: r.cut(Buffer.concat(frames.flat())), said: frames.length }
  })
  return { path: `/chat/crowd${i}`, members }
}

async function playCrowdAt (port, { path, members }) {
  const clients = members.map(() => new Member(port))
  await Promise.all(clients.map(async client => {
    client.write(handshake(path))
    await client.answer('here')
  }))
  const all = members.reduce((sum, { said }) => sum + said, 0)
  const heard = client => readSocket(client.bytes).frames.filter(({ opcode }) => opcode === TEXT || opcode === BINARY)
  await Promise.all(members.map(async ({ pieces }, i) => {
    for (const piece of pieces) {
      clients[i].write(piece)
      await sleep(1)
    }
    await clients[i].until(() => heard(clients[i]).length >= all)
  }))
  for (const client of clients) client.write(closeFrame(1000))
  await Promise.all(clients.map(client => client.until(() => client.closed)))
  return clients.map(client => heard(client).map(({ opcode, payload }) => `${payload} ${opcode}`))
}

async function playCrowd (crowd) {
  const [ours, koa] = await Promise.all(servers.map(server => playCrowdAt(server.port, crowd)))
  const ofOne = (list, who) => list.filter(text => text.startsWith(`${who} `)).join()
  for (const [i, list] of ours.entries()) {
    for (const who of crowd.members.keys()) {
      if (ofOne(list, who) !== ofOne(koa[i], who)) return `member ${i} did not hear the same from ${who}`
    }
    if (list.length !== koa[i].length) return `member ${i} heard ${list.length} instead of ${koa[i].length} messages`
  }
}

test('crowds: everybody hears everybody, in order', () => playAll('crowd', 60 * scale, makeCrowd, playCrowd))

test('each difference was seen', { skip: Boolean(only) }, () => {
  assert.deepEqual(Object.keys(differences).filter(name => !seen.has(name)), [])
})

test('ours has said nothing on stderr, and ends well', async () => {
  await servers[0].stop()
  assert.equal(servers[0].stderr, '')
})
