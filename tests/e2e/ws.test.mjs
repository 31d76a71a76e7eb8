// WebSockets: what the Autobahn suite asks, to the byte, over sockets of our own; ordinary clients; and what handlers,
// limits and bad company do to each other. The server is support/ws_server.c. Where we mirror ws a real one runs
// beside it, and gets the same bytes.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { isUtf8 } from 'node:buffer'
import { execFile } from 'node:child_process'
import crypto from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { WebSocket as Undici } from 'undici'
import { WebSocketServer } from 'ws'
import {
  ACCEPT, BINARY, CLOSE, CONTINUATION, KEY, KIB, LEAN, MIB, NAMES, PING, PONG, Peer, TEXT, closeFrame, connect, eachOf, frame,
  get, growsBy, isAtRest, part, serverOfTests, shown, statsOf, upgradeRequest
} from './peer.mjs'
import { overTLS } from './over_tls.mjs'
import { eventually, startServer } from './support.mjs'

// --- The server ----------------------------------------------------------------------------------

const WS_SERVER = 'tests/support/ws_server'
const start = (env = {}) => startServer(WS_SERVER, { env: { SILENT: '1', ...env } })
const serverOf = (env = {}) => serverOfTests(WS_SERVER, { SILENT: '1', ...env })

// What is noted of the socket that says ?id.
const notesOf = async (server, id) => (await get(server, `/log?id=${id}`)).split('\n').slice(0, -1)

let ids = 0
const newId = () => `s${++ids}`

// --- Conversations -------------------------------------------------------------------------------

// Send all of this, and tell what comes back. Frames, and after them a close that must be answered if nothing has
// ended it before.
async function converse (server, frames, { path = '/echo/bare', chop } = {}) {
  const peer = await Peer.open(server, path)
  const bytes = Buffer.concat([...frames, closeFrame(1000, 'bye')])
  if (chop) await peer.sendChopped(bytes, chop)
  else peer.send(bytes)
  const all = await peer.rest()
  assert.equal(peer.over, 'end', `${all}`)
  if (all.at(-1) === 'close 1000 bye') all.pop()
  else assert.match(all.at(-1) ?? 'nothing', /^close/)
  return all
}

// { what it is: [frames, what comes back] }
function conversations (server, cases, options) {
  for (const [name, [frames, expected]] of Object.entries(cases)) {
    test(name, async () => {
      await eachOf([0, 1, 7], async chop => {
        assert.deepEqual(await converse(server, frames, { ...options, chop }), expected, `in pieces of ${chop || 'all'}`)
      })
    })
  }
}

const told = (open, more = '') => `/do?open=${encodeURIComponent(open)}${more}`

// --- The handshake -------------------------------------------------------------------------------

describe('handshake', () => {
  const server = serverOf()
  let ws // the real one

  before(async () => {
    ws = { http: http.createServer() }
    const sockets = new WebSocketServer({ server: ws.http })
    sockets.on('connection', socket => socket.on('error', () => {}))
    await new Promise(resolve => ws.http.listen(0, '127.0.0.1', resolve))
    ws.port = ws.http.address().port
  })
  after(() => { ws.http.close(); ws.http.closeAllConnections() })

  // The answer to these bytes: all of it, or the head of a 101.
  async function answer (server, request) {
    const peer = new Peer(server)
    peer.socket.write(request, 'latin1')
    const head = await peer.readHead()
    if (head.startsWith('HTTP/1.1 101')) {
      peer.reset()
      return head
    }
    await peer.when(() => undefined, 'the end')
    peer.socket.destroy()
    return head + peer.received.toString('latin1')
  }

  // A request whose lines are replaced, or taken away by null.
  function request (changes = {}, line = 'GET /echo HTTP/1.1') {
    const fields = {
      Host: 'localhost',
      Upgrade: 'websocket',
      Connection: 'Upgrade',
      'Sec-WebSocket-Key': KEY,
      'Sec-WebSocket-Version': '13',
      ...changes
    }
    const lines = Object.entries(fields).flatMap(([name, value]) =>
      value === null ? [] : [value].flat().map(value => `${name}: ${value}`))
    return [line, ...lines, '', ''].join('\r\n')
  }

  const protocols = value => request({ 'Sec-WebSocket-Protocol': value })
  const version = value => request({ 'Sec-WebSocket-Version': value })
  const key = value => request({ 'Sec-WebSocket-Key': value })
  const upgrade = value => request({ Upgrade: value })
  const extensions = value => request({ 'Sec-WebSocket-Extensions': value })
  const wrong = { 'Sec-WebSocket-Key': 'x', 'Sec-WebSocket-Version': '1', 'Sec-WebSocket-Protocol': ',' }

  const same = {
    'as it should be': request(),
    'version 8': version('8'),
    'another key': key('AAAAAAAAAAAAAAAAAAAAAA=='),
    'a key with + and /': key('+/+/+/+/+/+/+/+/+/+/+/=='),
    POST: request({}, 'POST /echo HTTP/1.1'),
    HEAD: request({}, 'HEAD /echo HTTP/1.1'),
    'POST with everything else wrong': request({ Upgrade: 'x', ...wrong }, 'POST /echo HTTP/1.1'),
    'PUT with a body': request({ 'Content-Length': 3 }, 'PUT /echo HTTP/1.1') + 'abc',
    'GET with a body that is a frame': request({ 'Content-Length': 8 }) + frame(TEXT, 'hi').toString('latin1'),
    'HTTP/1.0': request({ Host: null }, 'GET /echo HTTP/1.0'),
    'Upgrade: h2c': upgrade('h2c'),
    'h2c as curl asks for it': request({
      Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c', 'HTTP2-Settings': 'AAMAAABkAAQCAAAAAAIAAAAA', ...wrong
    }),
    'Upgrade: WebSocket': upgrade('WebSocket'),
    'Upgrade: WEBSOCKET': upgrade('WEBSOCKET'),
    'Upgrade: websocket, h2c': upgrade('websocket, h2c'),
    'Upgrade: websocket/13': upgrade('websocket/13'),
    'Upgrade twice': upgrade(['websocket', 'websocket']),
    'a wrong Upgrade, and everything behind it': request({ Upgrade: 'x', ...wrong }),
    'field names in lower case': request().toLowerCase().replace('get /echo http', 'GET /echo HTTP')
      .replace(KEY.toLowerCase(), KEY),
    'field names in upper case': request({ Upgrade: null, UPGRADE: 'websocket', Connection: null, CONNECTION: 'UPGRADE' }),
    'Connection: keep-alive, Upgrade': request({ Connection: 'keep-alive, Upgrade' }),
    'Connection: upgrade,close': request({ Connection: 'upgrade,close' }),
    'blanks around values': request({ Upgrade: '  websocket \t', 'Sec-WebSocket-Key': ` \t${KEY}  ` }),
    'no key': key(null),
    'an empty key': key(''),
    'a short key': key('dGhlIHNhbXBsZSBub25jZQ='),
    'a long key': key('dGhlIHNhbXBsZSBub25jZQ==='),
    'a key of other characters': key('dGhlIHNhbXBsZSBub25jZ_=='),
    'a key that is not padded': key('dGhlIHNhbXBsZSBub25jZQAA'),
    'two keys': key([KEY, KEY]),
    'two keys, the first wrong': key(['x', KEY]),
    'a wrong key, and everything behind it': request(wrong),
    'no version': version(null),
    'an empty version': version(''),
    'version 7': version('7'),
    'version 14': version('14'),
    'version 130': version('130'),
    'version 1 3': version('1 3'),
    'versions 13, 8': version('13, 8'),
    'two versions': version(['13', '13']),
    'a wrong version, and everything behind it': request({ ...wrong, 'Sec-WebSocket-Key': KEY }),
    'one subprotocol': protocols('chat'),
    'the first of several': protocols('b, a,c'),
    'subprotocols on two lines': protocols(['x', 'y']),
    'blanks and tabs between': protocols('a \t ,\t b'),
    'all token characters': protocols("!#$%&'*+-.^_`|~09azAZ, b"),
    'an empty list': protocols(''),
    'an empty entry': protocols('a,,b'),
    'a blank entry': protocols('a, ,b'),
    'a leading comma': protocols(',a'),
    'a trailing comma': protocols('a,'),
    'a trailing comma and blanks': protocols('a, \t'),
    'a double': protocols('a, b, a'),
    'a double on another line': protocols(['a', 'a']),
    'doubles in another case are two': protocols('a, A'),
    'an empty second line': protocols(['a', '']),
    'a blank within': protocols('a b'),
    'no token: quotes': protocols('"a"'),
    'no token: a slash': protocols('a/b'),
    'no token: parameters': protocols('a;b=c'),
    'no token: beyond ASCII': protocols('\xe4'),
    'unknown extensions': extensions('foo; bar="baz", x-webkit-deflate-frame'),
    'permessage-deflate, which is off': extensions('permessage-deflate; client_max_window_bits'),
    'extensions that are none': extensions(',;=,'),
    'a thousand extensions': extensions(Array(1000).fill('a;b').join(',')),
    'a foreign Origin': request({ Origin: 'https://example.com' })
  }

  for (const [name, bytes] of Object.entries(same)) {
    test(`as ws: ${name}`, async () => {
      const [ours, theirs] = await Promise.all([answer(server, bytes), answer(ws, bytes)])
      assert.equal(ours, theirs)
    })
  }

  test('ws takes a version for a number; we take it for what stands there', async () => {
    for (const value of ['0xd', '13.0', '+13', '013', '1.3e1']) {
      assert.match(await answer(ws, version(value)), /^HTTP\/1\.1 101 /, value)
      assert.match(await answer(server, version(value)), /^HTTP\/1\.1 400 .*\r\n\r\nMissing or invalid Sec-WebSocket-Version header$/s)
    }
  })

  test('the accept value of RFC 6455, the fields in their order', async () => {
    assert.equal(await answer(server, protocols('chat, superchat')), [
      'HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${ACCEPT}`,
      'Sec-WebSocket-Protocol: chat', '', ''
    ].join('\r\n'))
  })

  test('headers of the 101, behind those of the protocol', async () => {
    const path = told('set X-One 1;set Set-Cookie a=b, Path=/;set X-Empty ;set X-One 2')
    assert.equal(await answer(server, request({ 'Sec-WebSocket-Protocol': 'p' }, `GET ${path} HTTP/1.1`)), [
      'HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${ACCEPT}`,
      'Sec-WebSocket-Protocol: p', 'X-One: 2', 'Set-Cookie: a=b, Path=/', 'X-Empty: ', '', ''
    ].join('\r\n'))
  })

  test('headers cannot be split, nor come late', async () => {
    const id = newId()
    const ws = await connect(server, told('set X-A 1\r\nX-B: 2;set A: b;accept;set X-C 3;status 500;text no', `&id=${id}`))
    ws.terminate()
    assert.deepEqual((await notesOf(server, id)).slice(0, 6),
      ['set: EINVAL', 'set: EINVAL', 'accept: 0', 'set: EALREADY', 'status: 0', 'text: EALREADY'])
  })

  test('nothing is left to respond, once the socket is open', async () => {
    const all = 26
    const id = newId()
    const ws = await connect(server, told('accept;respond', `&id=${id}&close=respond`))
    ws.send('respond;send still here')
    assert.equal(await ws.take(), 'still here')
    ws.close(1000)
    await ws.end()
    assert.deepEqual((await notesOf(server, id)).filter(line => line.startsWith('respond')), Array(3).fill(`respond: ${all}`))
  })

  test('a header field as large as a head may be', async () => {
    const cookie = 'c'.repeat(15 * KIB)
    assert.match(await answer(server, request({ Cookie: cookie })), /^HTTP\/1\.1 101 /)
    assert.match(await answer(server, request({ Cookie: cookie + cookie })), /^HTTP\/1\.1 431 /)
  })

  test('four thousand subprotocols', async () => {
    const letters = [...'0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!#']
    const list = letters.flatMap(a => letters.map(b => a + b)).join(',')
    assert.match(await answer(server, protocols(list)), /\r\nSec-WebSocket-Protocol: 00\r\n/)
    assert.match(await answer(server, protocols(`${list},00`)), /^HTTP\/1\.1 400 /)
  })

  const UNAUTHORIZED = ['HTTP/1.1 401 Unauthorized', 'WWW-Authenticate: Basic', 'Content-Type: text/plain; charset=utf-8']

  for (const [name, path, start, body] of [
    ['throws', told('throwheader WWW-Authenticate Basic;throw 401 who are you'), UNAUTHORIZED, 'who are you'],
    ['throws after an await', told('sleep 20;throwheader WWW-Authenticate Basic;throw 401 who'), UNAUTHORIZED, 'who'],
    ['throws what is no status', told('return -2'), ['HTTP/1.1 500 Internal Server Error'], 'Internal Server Error'],
    ['answers by text and status', '/do/once?open=status 403;text go away', ['HTTP/1.1 403 Forbidden'], 'go away'],
    ['answers by a status', '/do/once?open=status 418', ['HTTP/1.1 418 I\'m a Teapot'], "I'm a Teapot"],
    ['answers as for a page', '/do/once?open=text hello', ['HTTP/1.1 200 OK'], 'hello'],
    ['does nothing', '/do/once', ['HTTP/1.1 404 Not Found'], 'Not Found'],
    ['does nothing for a while', '/do/once?open=sleep 20', ['HTTP/1.1 404 Not Found'], 'Not Found'],
    ['is not found', '/nowhere', ['HTTP/1.1 404 Not Found'], 'Not Found'],
    ['meets a % that is none', '/who/%zz', ['HTTP/1.1 400 Bad Request'], undefined]
  ]) {
    test(`refused before the 101: ${name}`, async () => {
      const peer = new Peer(server)
      const url = path.replaceAll(' ', '%20')
      peer.socket.write(upgradeRequest(url))
      const head = await peer.readHead()
      const lines = head.split('\r\n')
      for (const line of start) assert.ok(lines.includes(line), head)
      assert.equal(lines[0], start[0])
      const length = Number(/^Content-Length: (\d+)\r$/m.exec(head)[1])
      const text = (await peer.when(() => peer.length >= length ? peer.take(length) : undefined, 'a body')).toString()
      if (body) assert.equal(text, body)
      // an ordinary answer, but the last one: what follows may be frames
      assert.match(head, /\r\nConnection: close\r\n/)
      assert.deepEqual(await peer.rest(), [])
    })
  }

  test('terminated before it was accepted: cut without an answer, and no error', async () => {
    for (const open of ['terminate', 'sleep 10;terminate', 'terminate;send x', 'pass terminate;send x']) {
      const id = newId()
      const peer = new Peer(server)
      peer.socket.write(upgradeRequest(told(open, `&id=${id}`)))
      assert.equal(await peer.readHead(), null)
      assert.equal(peer.length, 0)
      peer.socket.destroy()
      const notes = await notesOf(server, id)
      assert.ok(notes.includes('terminate: 0'))
      assert.ok(!notes.some(line => line.startsWith('listener')), `${notes}`)
    }
  })

  test('a client that goes while the middleware waits is no error', async () => {
    for (const [leave, expected] of [
      [peer => peer.reset(), ['sleep: 0', 'attach: ENOTCONN']],
      [peer => peer.socket.destroy(), ['sleep: 0', 'attach: 0', 'error EOF the peer has gone without a close frame', 'close 1006 ']]
    ]) {
      const id = newId()
      const peer = new Peer(server)
      peer.socket.write(upgradeRequest(told('pass sleep 800;attach', `&id=${id}`)))
      await eventually(async () => (await statsOf(server)).coroutines > 0, 'the middleware waits')
      leave(peer)
      await isAtRest(server)
      assert.deepEqual(await notesOf(server, id), expected)
    }
  })

  test('a client that closes its side while the middleware waits gets what there is', async () => {
    const peer = new Peer(server)
    peer.socket.end(Buffer.concat([
      Buffer.from(upgradeRequest(told('sleep 20').replaceAll(' ', '%20'))), frame(TEXT, 'send hello')]))
    assert.match(await peer.readHead(), /^HTTP\/1\.1 101 /)
    assert.deepEqual(await peer.rest(), ['text hello'])
  })

  test('frames that came with the request, in one packet or split at every byte', async () => {
    const frames = [frame(TEXT, 'one'), frame(PING, 'p'), part(TEXT, 'tw'), frame(CONTINUATION, 'o'), frame(BINARY, 'x'.repeat(200))]
    const expected = ['text one', 'text two', shown(BINARY, 'x'.repeat(200)), 'close 1000']
    for (const path of ['/echo', '/echo/loop', told('sleep 5;echo', '&unattached').replaceAll(' ', '%20')]) {
      const bytes = Buffer.concat([Buffer.from(upgradeRequest(path)), ...frames, closeFrame(1000)])
      await eachOf(Array(bytes.length).keys(), async at => {
        const peer = new Peer(server)
        await once(peer.socket, 'connect')
        peer.send(bytes.subarray(0, at))
        await sleep(2)
        peer.send(bytes.subarray(at))
        assert.match(await peer.readHead(), /^HTTP\/1\.1 101 /)
        const all = await peer.rest()
        const pong = all.indexOf('pong 70') // it waits for no handler
        assert.ok(pong === 1 || (pong === 0 && path === '/echo/loop'), `${path} split at ${at}: ${all}`)
        assert.deepEqual(all.filter((_, i) => i !== pong), expected, `${path} split at ${at}`)
      }, 64)
    }
  })

  test('a MiB of them', async () => {
    const payload = crypto.randomBytes(100_000)
    for (const path of ['/echo', told('sleep 20;echo', '&unattached').replaceAll(' ', '%20')]) {
      const peer = await Peer.open(server, path, { early: Array(10).fill(frame(BINARY, payload)) })
      for (let i = 0; i < 10; i++) assert.equal(await peer.next(), shown(BINARY, payload))
      await peer.bye()
    }
  })

  test('frames that came with a request that is refused are no request', async () => {
    const peer = new Peer(server)
    peer.send(Buffer.from(upgradeRequest(told('throw 401 no').replaceAll(' ', '%20'))), frame(TEXT, 'x'))
    assert.match(await peer.readHead(), /^HTTP\/1\.1 401 /)
    peer.take(2)
    assert.deepEqual(await peer.rest(), [])
  })

  test('Upgrade without Connection is a request like any other, and so is what belongs to a socket', async () => {
    for (const [lines, status] of [
      ['GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: keep-alive', '200'],
      ['GET / HTTP/1.1\r\nUpgrade: websocket', '200'],
      ['GET / HTTP/1.1\r\nConnection: Upgrade', '200'],
      ['GET /echo HTTP/1.1', '404'],
      ['HEAD /echo HTTP/1.1', '404']
    ]) {
      const peer = new Peer(server)
      peer.socket.write(`${lines}\r\nHost: localhost\r\nSec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n`)
      assert.match(await peer.readHead(), new RegExp(`^HTTP/1\\.1 ${status} `), lines)
      peer.socket.destroy()
    }
  })

  test('as ws: whatever is put together of right and wrong fields', async () => {
    const any = list => list[crypto.randomInt(list.length)]
    const upgrades = ['websocket', 'websocket', 'websocket', 'WebSocket', 'h2c', ['websocket', 'h2c']]
    const keys = [KEY, KEY, KEY, KEY, '+/AZaz0123456789abcdef==', 'x', null, [KEY, KEY]]
    const versions = ['13', '13', '13', '8', '12', null, 'thirteen']
    const lists = [null, null, 'a', 'a, b', 'a,b,a', 'b\t,c', ',', 'a,', ['a', 'b'], ['a', 'a'], 'a b', 'é']
    const others = [{}, { Origin: 'null' }, { Cookie: 'a=b; c' }, { 'Sec-WebSocket-Extensions': 'permessage-deflate' }, { 'X-Y': ['1', '2'] }]
    await eachOf(Array(400), async () => {
      const bytes = request({
        Upgrade: any(upgrades),
        Connection: any(['Upgrade', 'upgrade', 'keep-alive, Upgrade']),
        'Sec-WebSocket-Key': any(keys),
        'Sec-WebSocket-Version': any(versions),
        'Sec-WebSocket-Protocol': any(lists),
        ...any(others)
      }, `${any(['GET', 'GET', 'GET', 'GET', 'GET', 'GET', 'GET', 'OPTIONS', 'DELETE'])} /echo HTTP/1.1`)
      const [ours, theirs] = await Promise.all([answer(server, bytes), answer(ws, bytes)])
      assert.equal(ours, theirs, bytes)
    })
  })

  test('pipelined behind requests that are being answered', async () => {
    const peer = new Peer(server)
    const page = 'GET /sleep?ms=20 HTTP/1.1\r\nHost: localhost\r\n\r\n'
    peer.send(Buffer.from(page + page + upgradeRequest('/echo')), frame(TEXT, 'hello'))
    for (let i = 0; i < 2; i++) {
      assert.match(await peer.readHead(), /^HTTP\/1\.1 200 OK\r\n/)
      assert.equal((await peer.when(() => peer.length >= 5 ? peer.take(5) : undefined, 'a body')).toString(), 'slept')
    }
    assert.match(await peer.readHead(), /^HTTP\/1\.1 101 /)
    assert.equal(await peer.next(), 'text hello')
    await peer.bye()
  })
})

// --- What the Autobahn suite covers --------------------------------------------------------------

describe('frames', () => {
  const server = serverOf()
  const echoed = (opcode, payload) => [[frame(opcode, payload)], [shown(opcode, payload)]]

  // 1, 9
  for (const opcode of [TEXT, BINARY]) {
    for (const size of [0, 1, 125, 126, 127, 128, 65535, 65536, MIB]) {
      test(`${NAMES[opcode]} of ${size} bytes, in one piece and in odd ones`, async () => {
        const payload = opcode === TEXT ? Buffer.alloc(size, '*') : crypto.randomBytes(size)
        const [frames, expected] = echoed(opcode, payload)
        const chops = [0, 997, size < 65535 ? 1 : 65536, ...size < 1000 ? [2, 3, 7] : []]
        for (const chop of chops) {
          assert.deepEqual(await converse(server, frames, { chop }), expected, `in pieces of ${chop || 'all'}`)
        }
      })
    }
  }

  test('65536 bytes, one at a time', async () => {
    assert.deepEqual(await converse(server, ...[echoed(TEXT, 'é'.repeat(32768))[0]], { chop: 1 }), [shown(TEXT, 'é'.repeat(32768))])
  })

  test('a MiB in fragments of every size', async () => {
    const payload = crypto.randomBytes(MIB)
    await eachOf([64, 100, 1021, 4096, 65535, 65536, 500000], async size => {
      const frames = []
      for (let i = 0; i < MIB; i += size) {
        frames.push(frame(i ? CONTINUATION : BINARY, payload.subarray(i, i + size), { fin: i + size >= MIB }))
      }
      assert.deepEqual(await converse(server, frames), [shown(BINARY, payload)], `fragments of ${size}`)
    }, 2)
  })

  test('masks of every kind', async () => {
    const payload = 'the quick brown fox jumps over the lazy dog'
    for (const key of ['00000000', 'ffffffff', '00ff00ff', '01020304', '000000ff']) {
      assert.deepEqual(await converse(server, [frame(TEXT, payload, { key: Buffer.from(key, 'hex') })]), [`text ${payload}`])
    }
  })

  test('random messages in random pieces, mixed with pings', async () => {
    const frames = []
    const expected = []
    for (let i = 0; i < 300; i++) {
      const payload = crypto.randomBytes(crypto.randomInt(i % 30 ? 300 : 70000))
      const cuts = Array.from({ length: crypto.randomInt(4) }, () => crypto.randomInt(payload.length + 1)).sort((a, b) => a - b)
      const ends = [...cuts, payload.length]
      ends.forEach((end, j) => {
        frames.push(frame(j ? CONTINUATION : BINARY, payload.subarray(ends[j - 1] ?? 0, end), { fin: j === cuts.length }))
        if (j === cuts.length) expected.push(shown(BINARY, payload))
        if (crypto.randomInt(3)) return
        const ping = crypto.randomBytes(crypto.randomInt(126))
        frames.push(frame(PING, ping))
        expected.push(shown(PONG, ping))
      })
    }
    const bytes = Buffer.concat([...frames, closeFrame(1000)])
    const peer = await Peer.open(server, '/echo/bare')
    const all = peer.rest()
    for (let i = 0; i < bytes.length;) {
      const n = crypto.randomInt(1, 5000)
      peer.socket.write(bytes.subarray(i, i += n))
      await new Promise(setImmediate)
    }
    assert.deepEqual(await all, [...expected, 'close 1000'])
  })

  test('a NUL is a character as any other', async () => {
    assert.deepEqual(await converse(server, [frame(TEXT, '\0a\0'), frame(TEXT, '\0'), closeFrame(1000, 'a\0b')]),
      [shown(TEXT, '\0a\0'), shown(TEXT, '\0'), 'close 1000 a\0b'])
  })

  test('as ws: whatever is put together of right and wrong frames', async () => {
    const theirs = new WebSocketServer({ port: 0, host: '127.0.0.1', maxPayload: MIB })
    theirs.on('connection', socket => {
      socket.on('error', () => {})
      socket.on('message', (data, binary) => socket.send(data, { binary }))
    })
    await once(theirs, 'listening')
    const any = list => list[crypto.randomInt(list.length)]
    const payloads = ['', 'x', 'hello', 'é€😀', 'x'.repeat(125), 'x'.repeat(126), 'y'.repeat(65535), 'z'.repeat(65536)]
    const good = [
      () => frame(TEXT, any(payloads)), () => frame(BINARY, any(payloads)), () => frame(PING, any(payloads.slice(0, 5))),
      () => frame(PONG, any(payloads.slice(0, 5))), () => Buffer.concat([part(TEXT, any(payloads)), frame(0, any(payloads))]),
      () => Buffer.concat([part(BINARY, any(payloads)), part(0), frame(PING, 'in'), frame(0, any(payloads))])
    ]
    const bad = [
      () => frame(TEXT, [0x61, 0xff]), () => frame(0, 'x'), () => part(0, 'x'), () => frame(3, 'x'), () => frame(11),
      () => frame(TEXT, 'x', { rsv: 4 }), () => frame(PING, '', { rsv: 1 }), () => frame(TEXT, 'x', { key: null }),
      () => frame(PING, '', { fin: false }), () => frame(PING, 'x'.repeat(126)), () => frame(CLOSE, 'x'), () => frame(CLOSE),
      () => closeFrame(any([1000, 1001, 1003, 1004, 1005, 1006, 1014, 1015, 2999, 3000, 4999, 5000])),
      () => closeFrame(1000, [0xff]), () => closeFrame(4000, 'reason'), () => frame(BINARY, '', { announce: MIB + 1 }),
      () => frame(BINARY, '', { announce: 2n ** 60n }), () => Buffer.concat([part(TEXT, 'x'), frame(TEXT, 'y')]),
      () => Buffer.concat([part(TEXT, 'x'.repeat(1000)), frame(0, '', { announce: MIB })])
    ]
    await eachOf(Array(400), async () => {
      const frames = Array.from({ length: crypto.randomInt(8) }, () => any(good)())
      const bytes = Buffer.concat([...frames, any(bad)(), any(good)(), closeFrame(1000)])
      const answers = await Promise.all([server, { port: theirs.address().port }].map(async server => {
        const peer = await Peer.open(server, '/echo/bare')
        if (bytes.length < 1000 && crypto.randomInt(2)) await peer.sendChopped(bytes, 1 + crypto.randomInt(20))
        else peer.send(bytes)
        return peer.rest()
      }))
      assert.deepEqual(answers[0], answers[1], bytes.subarray(0, 1000).toString('hex'))
    })
    theirs.close()
  })

  // 2
  const longest = Buffer.alloc(125, 0xfe)
  conversations(server, {
    'a ping without payload': [[frame(PING)], ['pong ']],
    'a ping with payload': [[frame(PING, 'hello')], ['pong 68656c6c6f']],
    'a ping of what is no text': [[frame(PING, [0, 255, 254, 253, 252, 251, 0, 255])], ['pong 00fffefdfcfb00ff']],
    'a ping of 125 bytes': [[frame(PING, longest)], [shown(PONG, longest)]],
    'a ping of 126 bytes': [[frame(PING, Buffer.alloc(126))], ['close 1002']],
    'a pong nobody asked for': [[frame(PONG)], []],
    'a pong with payload, then a ping': [[frame(PONG, 'unasked'), frame(PING, 'p')], ['pong 70']],
    'a pong of 126 bytes': [[frame(PONG, Buffer.alloc(126))], ['close 1002']],
    'ten pings': [Array.from({ length: 10 }, (_, i) => frame(PING, `${i}`)), Array.from({ length: 10 }, (_, i) => shown(PONG, `${i}`))]
  })

  test('pings of every size', async () => {
    const sizes = [...Array(126).keys()]
    assert.deepEqual(await converse(server, sizes.map(n => frame(PING, Buffer.alloc(n, n)))),
      sizes.map(n => shown(PONG, Buffer.alloc(n, n))))
  })

  // 3, 4: reserved bits and opcodes, behind a message that is answered
  test('reserved bits', async () => {
    for (const rsv of [1, 2, 3, 4, 5, 6, 7]) {
      for (const opcode of [TEXT, BINARY, PING, PONG, CLOSE]) {
        for (const payload of ['', 'x'.repeat(100)]) {
          assert.deepEqual(await converse(server, [frame(TEXT, 'a'), frame(opcode, payload, { rsv }), frame(PING)]),
            ['text a', 'close 1002'], `${rsv} ${opcode}`)
        }
      }
      assert.deepEqual(await converse(server, [part(TEXT, 'a'), frame(CONTINUATION, 'b', { rsv })]), ['close 1002'])
    }
  })

  test('reserved opcodes', async () => {
    for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
      for (const payload of ['', 'hello']) {
        for (const chop of [0, 1]) {
          assert.deepEqual(await converse(server, [frame(TEXT, 'a'), frame(opcode, payload), frame(PING)], { chop }),
            ['text a', 'close 1002'], `${opcode}`)
        }
      }
    }
  })

  // 5
  const control = { fin: false }
  conversations(server, {
    'a ping in fragments': [[frame(PING, 'a', control), frame(CONTINUATION, 'b')], ['close 1002']],
    'a pong in fragments': [[frame(PONG, 'a', control), frame(CONTINUATION, 'b')], ['close 1002']],
    'a close in fragments': [[frame(CLOSE, '\x03\xe8', control)], ['close 1002']],
    'two fragments': [[part(TEXT, 'frag1'), frame(CONTINUATION, 'frag2')], ['text frag1frag2']],
    'a ping between two fragments': [[part(TEXT, 'a'), frame(PING, 'p'), frame(CONTINUATION, 'b')], ['pong 70', 'text ab']],
    'pings between five fragments': [
      [part(TEXT, 'a'), frame(PING, '1'), part(0, 'b'), part(0, 'c'), frame(PING, '2'), frame(PONG), part(0, 'd'), frame(0, 'e')],
      ['pong 31', 'pong 32', 'text abcde']],
    'a close between two fragments': [[part(TEXT, 'a'), closeFrame(1001, 'off'), frame(0, 'b')], ['close 1001 off']],
    'empty fragments': [[part(TEXT), part(0), frame(0)], ['text ']],
    'empty fragments around something': [[part(BINARY), part(0), part(0, 'x'), part(0), frame(0)], ['binary 78']],
    'a continuation of nothing': [[frame(0, 'x')], ['close 1002']],
    'a continuation of nothing, to be continued': [[part(0, 'x')], ['close 1002']],
    'a continuation behind a whole message': [[frame(TEXT, 'a'), frame(0, 'b'), frame(TEXT, 'c')], ['text a', 'close 1002']],
    'a continuation behind fragments': [[part(TEXT, 'a'), frame(0, 'b'), part(0, 'c')], ['text ab', 'close 1002']],
    'a text within a text': [[part(TEXT, 'a'), frame(TEXT, 'b')], ['close 1002']],
    'a binary within a text': [[part(TEXT, 'a'), frame(BINARY, 'b')], ['close 1002']],
    'the beginning of a text within a binary': [[part(BINARY, 'a'), part(TEXT, 'b')], ['close 1002']],
    'without a mask': [[frame(TEXT, 'a'), frame(TEXT, 'b', { key: null })], ['text a', 'close 1002']],
    'an empty one without a mask': [[frame(TEXT, '', { key: null })], ['close 1002']],
    'a ping without a mask': [[frame(PING, '', { key: null })], ['close 1002']],
    'a close without a mask': [[frame(CLOSE, '', { key: null })], ['close 1002']],
    '125 bytes, their length in two': [[frame(TEXT, Buffer.alloc(125), { lengthBytes: 2 })], ['close 1002']],
    'nothing, its length in two': [[frame(TEXT, '', { lengthBytes: 2 })], ['close 1002']],
    '65535 bytes, their length in eight': [[frame(TEXT, Buffer.alloc(65535), { lengthBytes: 8 })], ['close 1002']],
    'one byte, its length in eight': [[frame(TEXT, 'x', { lengthBytes: 8 })], ['close 1002']],
    'a ping, its length in two': [[frame(PING, 'x', { lengthBytes: 2 })], ['close 1002']],
    'a length of 2^63 - 1': [[frame(TEXT, '', { announce: 2n ** 63n - 1n })], ['close 1009']],
    'a length of 2^63': [[frame(TEXT, '', { announce: 2n ** 63n })], ['close 1002']],
    'a length of 2^64 - 1': [[frame(BINARY, '', { announce: 2n ** 64n - 1n })], ['close 1002']],
    'a length of 2^53': [[frame(BINARY, '', { announce: 2n ** 53n })], ['close 1009']],
    'a length of 2^32': [[frame(BINARY, '', { announce: 2n ** 32n })], ['close 1009']],
    'a ping of 2^63 - 1': [[frame(PING, '', { announce: 2n ** 63n - 1n })], ['close 1002']]
  })

  test('HTTP after the handshake', async () => {
    assert.deepEqual(await converse(server, [Buffer.from(upgradeRequest())]), ['close 1002'])
  })

  test('noise', async () => {
    await eachOf(Array(300).keys(), async () => {
      const peer = await Peer.open(server, '/echo/bare')
      peer.socket.end(crypto.randomBytes(crypto.randomInt(1, 3000)))
      assert.match((await peer.rest()).at(-1) ?? 'close', /^close|^pong|^binary/)
    })
  })

  test('frames with one wrong bit', async () => {
    const good = Buffer.concat([
      frame(TEXT, 'hello'), part(BINARY, 'x'.repeat(130)), frame(PING, 'p'), frame(0, 'y'), closeFrame(1000, 'bye')])
    await eachOf(Array(good.length * 8).keys(), async bit => {
      const bad = Buffer.from(good)
      bad[bit >> 3] ^= 1 << (bit & 7)
      const peer = await Peer.open(server, '/echo/bare')
      peer.socket.end(bad)
      const last = (await peer.rest()).at(-1)
      assert.match(last ?? 'close', /^close|^pong|^binary|^text/)
    })
    await isAtRest(server)
  })
})

describe('UTF-8', () => {
  const server = serverOf()
  const hex = text => Buffer.from(text.replaceAll(' ', ''), 'hex')

  const valid = [
    '', 'ce ba e1 bd b9 cf 83 ce bc ce b5', // κόσμε
    '00', '7f', 'c2 80', 'df bf', 'e0 a0 80', 'ef bf bf', 'f0 90 80 80', 'f4 8f bf bf', // first and last of each length
    'ed 9f bf', 'ee 80 80', 'ef bf bd', 'f0 90 80 81', 'ef bb bf', // around the surrogates; U+FFFD; a byte order mark
    'ef bf be', 'f0 9f bf be', 'f0 9f bf bf', 'f0 af bf be', 'f3 af bf bf', 'ef b7 90', // no characters, but valid
    'e1 80 80', 'ec bf bf', 'e0 bf bf', 'ed 80 80', 'f1 80 80 80', 'f3 bf bf bf', 'f0 bf bf bf', 'f4 80 80 80'
  ].map(hex)

  const invalid = [
    '80', 'bf', '80 bf', '80 bf 80 bf 80 bf', // lonely continuations
    'c2', 'df', 'e0', 'e0 a0', 'ef bf', 'f0', 'f0 90', 'f0 90 80', 'f4 8f bf', // unfinished
    'c2 20', 'e1 80 20', 'f1 80 80 20', 'e0 20', 'f0 90 20', 'c2 c2 80', 'e1 80 e1 80 80', // interrupted
    'c0 80', 'c0 af', 'c1 bf', 'e0 80 80', 'e0 80 af', 'e0 9f bf', 'f0 80 80 80', 'f0 80 80 af', 'f0 8f bf bf', // overlong
    'ed a0 80', 'ed ad bf', 'ed ae 80', 'ed af bf', 'ed b0 80', 'ed bf bf', 'ed a0 80 ed b0 80', // surrogates
    'f4 90 80 80', 'f5 80 80 80', 'f7 bf bf bf', 'f8 88 80 80 80', 'fb bf bf bf bf', 'fc 84 80 80 80 80', 'fd bf bf bf bf bf',
    'fe', 'ff', 'fe fe ff ff', 'ce ba e1 bd b9 cf 83 ce bc ce b5 ed a0 80 65 64 69 74 65 64'
  ].map(hex)

  // How many bytes of it can begin a text.
  const tails = [] // one, two, three bytes that may follow
  for (const a of [0x80, 0x90, 0xa0, 0xbf]) {
    tails.push([a])
    for (const b of [0x80, 0xbf]) tails.push([a, b], [a, b, 0x80])
  }
  const canBegin = bytes => isUtf8(bytes) || tails.some(tail => isUtf8(Buffer.concat([bytes, Buffer.from(tail)])))
  function good (bytes) {
    let n = bytes.length
    while (!canBegin(bytes.subarray(0, n))) n--
    return n
  }

  const around = bytes => [bytes, Buffer.concat([Buffer.from('abc'), bytes, Buffer.from('x')]), Buffer.concat([Buffer.alloc(61, 'a'), bytes])]

  test('valid text, in a frame, in fragments of every byte, byte by byte', async () => {
    for (const bytes of valid.flatMap(around)) {
      const fragments = [part(TEXT), ...[...bytes].map(byte => part(0, [byte])), frame(0)]
      assert.deepEqual(await converse(server, [frame(TEXT, bytes), ...fragments]), [shown(TEXT, bytes), shown(TEXT, bytes)])
    }
    await eachOf(valid, async bytes => {
      assert.deepEqual(await converse(server, [frame(TEXT, bytes)], { chop: 1 }), [shown(TEXT, bytes)])
    })
  })

  test('every text that is split at every place', async () => {
    const bytes = Buffer.from('aé€😀, κόσμε 𝒳')
    const frames = []
    for (let i = 0; i <= bytes.length; i++) frames.push(part(TEXT, bytes.subarray(0, i)), frame(0, bytes.subarray(i)))
    assert.deepEqual(await converse(server, frames), Array(bytes.length + 1).fill(shown(TEXT, bytes)))
  })

  test('invalid text', async () => {
    for (const bytes of invalid.flatMap(around)) {
      const expected = isUtf8(bytes) ? [shown(TEXT, bytes)] : ['close 1007']
      assert.deepEqual(await converse(server, [frame(TEXT, bytes)]), expected, bytes.toString('hex'))
      assert.deepEqual(await converse(server, [frame(TEXT, bytes)], { chop: 1 }), expected, bytes.toString('hex'))
    }
  })

  test('what is no text may be anything', async () => {
    for (const bytes of invalid) assert.deepEqual(await converse(server, [frame(BINARY, bytes)]), [shown(BINARY, bytes)])
  })

  test('fails at the first wrong byte: of a fragment', async () => {
    await eachOf(invalid.filter(bytes => good(bytes) < bytes.length), async bytes => {
      const n = good(bytes)
      const peer = await Peer.open(server, '/echo/bare')
      peer.send(part(TEXT, bytes.subarray(0, n)), frame(PING, 'still there'))
      assert.equal(await peer.next(), shown(PONG, 'still there'), bytes.toString('hex'))
      peer.send(part(0, bytes.subarray(n, n + 1)))
      assert.deepEqual(await peer.rest(), ['close 1007'], bytes.toString('hex'))
    })
  })

  test('fails at the first wrong byte: of a frame that is not complete', async () => {
    await eachOf(invalid.filter(bytes => good(bytes) < bytes.length), async bytes => {
      const n = good(bytes)
      const peer = await Peer.open(server, '/echo/bare')
      const whole = frame(TEXT, Buffer.concat([bytes, Buffer.alloc(100)]))
      const start = whole.length - bytes.length - 100
      peer.send(whole.subarray(0, start + n))
      await sleep(5)
      assert.equal(peer.length, 0, bytes.toString('hex'))
      peer.send(whole.subarray(start + n, start + n + 1))
      assert.deepEqual(await peer.rest(), ['close 1007'], bytes.toString('hex'))
    })
  })

  test('an unfinished character fails at the end of the message', async () => {
    await eachOf(invalid.filter(bytes => good(bytes) === bytes.length), async bytes => {
      const peer = await Peer.open(server, '/echo/bare')
      peer.send(part(TEXT, bytes), frame(PING))
      assert.equal(await peer.next(), 'pong ')
      peer.send(frame(0))
      assert.deepEqual(await peer.rest(), ['close 1007'])
    })
  })

  test('a message does not hear of the one before', async () => {
    assert.deepEqual(await converse(server, [frame(BINARY, [0xc3]), frame(TEXT, 'a'), part(TEXT, [0xc3]), frame(PING), frame(0, [0xa9])]),
      ['binary c3', 'text a', 'pong ', 'text é'])
  })
})

describe('close', () => {
  const server = serverOf()

  test('every valid code is echoed, with its reason', async () => {
    await eachOf([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999], async code => {
      const id = newId()
      for (const reason of ['', 'why', 'x'.repeat(123), 'é'.repeat(61)]) {
        const peer = await Peer.open(server, `/echo?id=${id}`)
        peer.send(closeFrame(code, reason))
        assert.deepEqual(await peer.rest(), [`close ${code} ${reason}`.trimEnd()])
        assert.equal(peer.over, 'end')
      }
      await eventually(async () => (await notesOf(server, id)).length >= 4, 'all handlers')
      assert.deepEqual(await notesOf(server, id),
        [`close ${code} `, `close ${code} why`, `close ${code} ${'x'.repeat(123)}`, `close ${code} ${'é'.repeat(61)}`])
    })
  })

  test('every code that may not be sent', async () => {
    await eachOf([0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535], async code => {
      const id = newId()
      const peer = await Peer.open(server, `/echo?id=${id}`)
      peer.send(closeFrame(code))
      assert.deepEqual(await peer.rest(), ['close 1002'], `${code}`)
      await eventually(async () => (await notesOf(server, id)).length >= 2, 'all handlers')
      assert.deepEqual(await notesOf(server, id), ['error EPROTO an invalid close code', 'close 1006 '])
    })
  })

  conversations(server, {
    'an empty close': [[frame(CLOSE)], ['close']],
    'a close of one byte': [[frame(CLOSE, [3])], ['close 1002']],
    'a close of 125 bytes': [[closeFrame(1000, 'x'.repeat(123))], [`close 1000 ${'x'.repeat(123)}`]],
    'a close of 126 bytes': [[closeFrame(1000, 'x'.repeat(124))], ['close 1002']],
    'a reason that is no text': [[closeFrame(1000, [0xce, 0xba, 0xed, 0xa0, 0x80])], ['close 1007']],
    'a reason that breaks off': [[closeFrame(1000, [0xe2, 0x82])], ['close 1007']],
    'a ping behind it': [[closeFrame(1000), frame(PING)], ['close 1000']],
    'a text behind it': [[closeFrame(1000), frame(TEXT, 'x')], ['close 1000']],
    'another close behind it': [[closeFrame(1000, 'one'), closeFrame(1001, 'two')], ['close 1000 one']],
    'nonsense behind it': [[closeFrame(1000), frame(7, 'x', { key: null })], ['close 1000']],
    'a text before it': [[frame(TEXT, 'x'), closeFrame(1000)], ['text x', 'close 1000']]
  })

  test('no code is told as 1005', async () => {
    const id = newId()
    const peer = await Peer.open(server, `/echo?id=${id}`)
    peer.send(frame(CLOSE))
    assert.deepEqual(await peer.rest(), ['close'])
    await eventually(async () => (await notesOf(server, id)).length, 'the handler')
    assert.deepEqual(await notesOf(server, id), ['close 1005 '])
  })

  test('much behind it, and before it: our answer still arrives', async () => {
    const megabyte = Array(16).fill(frame(BINARY, Buffer.alloc(65536)))
    await eachOf(Array(20), async () => {
      const peer = await Peer.open(server, '/only-close')
      peer.send(...megabyte, closeFrame(1000, 'bye'), ...megabyte, frame(PING))
      assert.equal(await peer.next(), 'close 1000 bye', peer.over)
      assert.equal(await peer.next(), null)
      assert.equal(peer.over, 'end')
      peer.socket.destroy()
    }, 4)
  })

  test('as its reason a refused message gets none, and the error says why', async () => {
    for (const [bytes, close, error] of [
      [frame(TEXT, [0xff]), 1007, 'EILSEQ invalid UTF-8'],
      [frame(TEXT, 'x', { key: null }), 1002, 'EPROTO a frame without a mask'],
      [frame(TEXT, '', { rsv: 4 }), 1002, 'EPROTO a reserved bit'],
      [frame(3), 1002, 'EPROTO a reserved opcode'],
      [frame(0), 1002, 'EPROTO a continuation of nothing'],
      [frame(CLOSE, 'x'), 1002, 'EPROTO a close frame with one byte'],
      [frame(PING, '', { fin: false }), 1002, 'EPROTO an invalid frame header'],
      [frame(TEXT, '', { announce: MIB + 1 }), 1009, 'EMSGSIZE a message that is too big']
    ]) {
      const id = newId()
      const peer = await Peer.open(server, `/echo?id=${id}`)
      peer.send(bytes)
      assert.deepEqual(await peer.rest(), [`close ${close}`])
      await eventually(async () => (await notesOf(server, id)).length >= 2, 'both handlers')
      assert.deepEqual(await notesOf(server, id), [`error ${error}`, 'close 1006 '])
    }
  })

  test('gone without a close frame', async () => {
    for (const [leave, error] of [
      [peer => peer.socket.end(), 'EOF the peer has gone without a close frame'],
      [peer => peer.socket.end(frame(TEXT, 'half').subarray(0, 7)), 'EOF the peer has gone without a close frame'],
      [peer => peer.socket.end(part(TEXT, 'half')), 'EOF the peer has gone without a close frame'],
      [peer => peer.reset(), 'ECONNRESET connection reset by peer']
    ]) {
      const id = newId()
      const peer = await Peer.open(server, `/echo?id=${id}`)
      leave(peer)
      await eventually(async () => (await notesOf(server, id)).length >= 2, 'both handlers')
      assert.deepEqual(await notesOf(server, id), [`error ${error}`, 'close 1006 '])
      peer.socket.destroy()
    }
  })
})

// --- Handlers ------------------------------------------------------------------------------------

describe('handlers', () => {
  const server = serverOf({ CLOSE_TIMEOUT: 5000 })

  // What is noted once the socket is gone.
  async function notesAfter (id) {
    await eventually(async () => (await notesOf(server, id)).some(line => /^(close \d|loop over)/.test(line)), 'its end')
    return notesOf(server, id)
  }

  test('an ordinary client: text, binary, nothing, much, pings, the end', async () => {
    const ws = await connect(server, '/echo?id=ordinary')
    const big = crypto.randomBytes(MIB)
    for (const data of ['hello', '', 'κόσμε 😀', big.subarray(0, 3), Buffer.alloc(0), big, 'last']) {
      ws.send(data)
      assert.deepEqual(await ws.take(), data)
    }
    const pong = once(ws, 'pong')
    ws.ping('p')
    assert.equal(String((await pong)[0]), 'p')
    ws.pong('q')
    ws.close(4000, 'bye')
    assert.equal(await ws.end(), '4000 bye')
    assert.deepEqual(await notesAfter('ordinary'), ['ping 1 p', 'pong 1 q', 'close 4000 bye'])
  })

  test('another client: undici', async () => {
    const ws = new Undici(`ws://127.0.0.1:${server.port}/echo?id=undici`, ['a', 'b'])
    ws.binaryType = 'arraybuffer'
    await once(ws, 'open')
    assert.equal(ws.protocol, 'a')
    for (const data of ['hello', 'κόσμε', new Uint8Array([0, 1, 255])]) {
      ws.send(data)
      const [event] = await once(ws, 'message')
      assert.deepEqual(typeof data === 'string' ? event.data : new Uint8Array(event.data), data)
    }
    const closed = once(ws, 'close')
    ws.close(3000, 'enough')
    const [{ code, reason, wasClean }] = await closed
    assert.deepEqual([code, reason, wasClean], [3000, 'enough', true])
    assert.deepEqual(await notesAfter('undici'), ['close 3000 enough'])
  })

  test('another client: websockets, of Python', async t => {
    const script = fileURLToPath(new URL('ws_python.py', import.meta.url))
    for (const python of ['python3', '/usr/bin/python3']) {
      try {
        const { stdout } = await promisify(execFile)(python, [script, String(server.port), ...(overTLS ? ['tls'] : [])])
        assert.equal(stdout, 'ok\n')
        return
      } catch (error) {
        if (error.code !== 'ENOENT' && error.code !== 77) throw error
      }
    }
    t.skip('no python3, or no websockets for it (apt install python3-websockets)')
  })

  test('a loop instead of a callback', async () => {
    const ws = await connect(server, '/echo/loop?id=loop')
    const sent = Array.from({ length: 200 }, (_, i) => i % 3 ? `${i}` : Buffer.alloc(i, i))
    sent.forEach(data => ws.send(data))
    for (const data of sent) assert.deepEqual(await ws.take(), data)
    ws.close(4321, 'over')
    assert.equal(await ws.end(), '4321 over')
    assert.deepEqual(await notesAfter('loop'), ['loop over: 4321 over'])
  })

  test('a loop gets what came before the close', async () => {
    const peer = await Peer.open(server, '/echo/loop?id=loop2', { early: [frame(TEXT, 'a'), frame(TEXT, 'b'), frame(TEXT, 'c'), closeFrame(1001)] })
    assert.deepEqual(await peer.rest(), ['text a', 'text b', 'text c', 'close 1001'])
    assert.deepEqual(await notesAfter('loop2'), ['loop over: 1001 '])
  })

  test('a loop and a callback on one socket, and a loop in the callback', async () => {
    const ws = await connect(server, '/pairs?id=pairs')
    for (let i = 0; i < 7; i++) ws.send(`${i}`)
    for (const text of ['first 0', '1 and 2', '3 and 4', '5 and 6']) assert.equal(await ws.take(), text)
    ws.send('7')
    await eventually(async () => (await statsOf(server)).coroutines === 1, 'the callback waits for the next')
    ws.send('8')
    assert.equal(await ws.take(), '7 and 8')
    assert.equal((await statsOf(server)).messages_active, 0)
    ws.send('9')
    ws.close()
    assert.equal(await ws.end(), '1005')
    assert.deepEqual(await notesAfter('pairs'), ['close 1005 '])
  })

  test('one message at a time and in order, while handlers await', async () => {
    const ws = await connect(server, '/echo/slow?ms=3&id=slow')
    const sent = Array.from({ length: 40 }, (_, i) => `${i}`)
    sent.forEach(text => ws.send(text))
    for (const text of sent) assert.equal(await ws.take(), text)
    ws.close(1000)
    await ws.end()
    assert.deepEqual(await notesAfter('slow'), [...sent.map(text => `slow ${Number(text) + 1} ${text}`), 'close 1000 '])
  })

  test('messages before the close are handled before the close handler', async () => {
    const peer = await Peer.open(server, '/echo/slow?ms=5&id=slow2')
    peer.send(frame(TEXT, 'a'), frame(TEXT, 'b'), frame(TEXT, 'c'), closeFrame(1000, 'end'))
    assert.deepEqual(await peer.rest(), ['text a', 'text b', 'text c', 'close 1000 end'])
    assert.deepEqual(await notesAfter('slow2'), ['slow 1 a', 'slow 2 b', 'slow 3 c', 'close 1000 end'])
  })

  test('messages before an end without close are handled, too', async () => {
    const peer = await Peer.open(server, '/echo/slow?ms=5&id=slow3')
    peer.socket.end(Buffer.concat([frame(TEXT, 'a'), frame(TEXT, 'b'), part(TEXT, 'half')]))
    assert.deepEqual(await peer.rest(), ['text a', 'text b'])
    assert.deepEqual(await notesAfter('slow3'),
      ['slow 1 a', 'slow 2 b', 'error EOF the peer has gone without a close frame', 'close 1006 '])
  })

  test('a slow handler delays nobody else', async () => {
    const slow = await connect(server, '/echo/slow?ms=1000')
    const ws = await connect(server, '/echo')
    slow.send('x')
    const began = performance.now()
    for (let i = 0; i < 20; i++) {
      ws.send('y')
      await ws.take()
      assert.equal(await get(server, '/'), 'hello')
    }
    assert.ok(performance.now() - began < 900)
    assert.equal(await slow.take(), 'x')
    slow.terminate()
    ws.terminate()
  })

  test('large messages, more than there are buffers to leave them in, stay as they came while their handlers wait', async () => {
    const paths = ['/echo', '/echo/loop', '/echo/slow?ms=1', '/echo/slow?ms=10', '/echo/slow?ms=25']
    const sockets = await Promise.all(Array.from({ length: 40 }, (_, i) => connect(server, paths[i % paths.length])))
    await Promise.all(sockets.map(async (ws, i) => {
      for (let round = 0; round < 10; round++) {
        const bytes = crypto.randomBytes(1900 + crypto.randomInt(30_000))
        const data = i % 2 ? bytes.toString('base64') : bytes
        ws.send(data)
        assert.deepEqual(await ws.take(), data)
      }
      ws.close()
      await ws.end()
    }))
    await isAtRest(server)
  })

  test('attached late, after an await: nothing is lost', async () => {
    const peer = await Peer.open(server, told('accept;sleep 50;echo', '&unattached').replaceAll(' ', '%20'), { early: [frame(TEXT, 'a')] })
    peer.send(frame(TEXT, 'b'), frame(PING, 'c'))
    await sleep(10)
    peer.send(frame(TEXT, 'd'))
    for (const expected of ['text a', 'text b', 'pong 63', 'text d']) assert.equal(await peer.next(), expected)
    await peer.bye()
  })

  test('a middleware that only sends, and a handler that takes long: pings are answered, nothing passes a message', async () => {
    const sends = await Peer.open(server, told('accept;sleep 2000'))
    for (let i = 0; i < 100; i++) sends.send(frame(PING, `${i}`))
    for (let i = 0; i < 100; i++) assert.equal(await sends.next(), shown(PONG, `${i}`))
    sends.send(frame(TEXT, 'a message'), frame(PING, 'behind it'))
    await sleep(30)
    assert.deepEqual([sends.over, sends.length], ['', 0])
    sends.reset()
    const busy = await Peer.open(server, '/echo/slow?ms=150')
    busy.send(frame(TEXT, 'one'), frame(PING, '1'), ...[...'23456'].map(text => frame(PING, text)), frame(TEXT, 'two'), frame(PING, '7'), closeFrame(4000))
    for (const expected of [...'123456'].map(text => shown(PONG, text))) assert.equal(await busy.next(), expected)
    assert.deepEqual(await busy.rest(), ['text one', 'pong 37', 'text two', 'close 4000'])
  })

  test('a middleware that only sends: it hears of the close, and ends', async () => {
    for (const [frames, end] of [[[closeFrame(4000, 'enough')], 'close 4000 enough'], [[frame(PING), closeFrame(1000)], 'close 1000'], [[frame(11)], 'close 1002']]) {
      const id = newId()
      const peer = await Peer.open(server, told('accept;' + 'send x;sleep 20;'.repeat(200), `&id=${id}`))
      assert.equal(await peer.next(), 'text x')
      peer.send(...frames)
      const rest = (await peer.rest()).filter(text => text !== 'text x' && text !== 'pong ')
      assert.deepEqual(rest, [end])
    }
    await isAtRest(server)
  })

  test('received one by one by the middleware, the rest by the handler', async () => {
    const ws = await connect(server, told('recv;sleep 20;recv;sleep 20', '&id=recv'))
    for (const text of ['one', 'two', 'send three', 'send four']) ws.send(text)
    assert.equal(await ws.take(), 'three')
    assert.equal(await ws.take(), 'four')
    ws.close(1000)
    await ws.end()
    assert.deepEqual((await notesAfter('recv')).filter(line => line.startsWith('received')), ['received one', 'received two'])
  })

  test('ws_recv after the end, and where nobody can wait', async () => {
    const ws = await connect(server, told('', '&id=nothing&close=recv'))
    ws.send('close 1000;recv;recv')
    assert.equal(await ws.end(), '1000')
    assert.deepEqual((await notesAfter('nothing')).slice(0, 5), ['close: 0', 'received nothing', 'recv: 0', 'received nothing', 'recv: 0'])
  })

  test('only a close handler', async () => {
    const ws = await connect(server, '/only-close?id=only')
    ws.send('into the void')
    ws.close(1000, 'x')
    assert.equal(await ws.end(), '1000 x')
    assert.deepEqual(await notesAfter('only'), ['close 1000 x'])
  })

  test('sends and no handler', async () => {
    const ws = await connect(server, '/send-only')
    for (const text of ['0', '1', '2']) assert.equal(await ws.take(), text)
    ws.send('into the void')
    const pong = once(ws, 'pong')
    ws.ping()
    await pong
    ws.close(1000)
    assert.equal(await ws.end(), '1000')
  })

  test('accepted and no handler', async () => {
    const ws = await connect(server, '/accept-only')
    ws.send('x')
    ws.close(1001)
    assert.equal(await ws.end(), '1001')
  })

  test('detached again', async () => {
    const ws = await connect(server, '/do')
    ws.send('detach;send still')
    assert.equal(await ws.take(), 'still')
    ws.send('send never')
    ws.close(1000)
    assert.equal(await ws.end(), '1000')
    assert.equal(ws.messages.length, 0)
  })

  test('what the request said is there for the life of the socket', async () => {
    const ws = await connect(server, '/who/j%C3%B6rg?q=a%20b&id=who', { headers: { 'X-Who': 'me' } })
    const expected = 'GET /who/j%C3%B6rg?q=a%20b&id=who /who/j%C3%B6rg q=a%20b&id=who jörg|a b|me|127.0.0.1|/who/:name|state of jörg'
    assert.equal((await ws.take()).replace('::ffff:', ''), expected)
    for (let i = 0; i < 3; i++) {
      ws.send('again')
      assert.equal((await ws.take()).replace('::ffff:', ''), expected)
    }
    ws.terminate()
    await eventually(async () => (await notesOf(server, 'who')).length, 'its end')
    assert.deepEqual((await notesOf(server, 'who')).map(line => line.replace('::ffff:', '')), ['jörg a b me 127.0.0.1 /who/j%C3%B6rg state of jörg'])
  })

  test('pings and pongs of the server', async () => {
    const peer = await Peer.open(server, '/do?id=pings')
    peer.send(frame(TEXT, 'ping p;ping;pong unasked;longping 125;longping 126'))
    for (const expected of ['ping 70', 'ping ', shown(PONG, 'unasked'), shown(PING, Buffer.alloc(125))]) {
      assert.equal(await peer.next(), expected)
    }
    peer.send(frame(PONG, 'p'), frame(PONG, ''))
    await peer.bye()
    assert.deepEqual(await notesAfter('pings'), [
      'ping: 0', 'ping: 0', 'pong: 0', 'longping: 0', 'longping: EINVAL', 'pong 1 p', 'pong 0 ', 'close 1000 '])
  })

  test('sends of every kind', async () => {
    const peer = await Peer.open(server, '/do?id=sends')
    peer.send(frame(TEXT, 'send;binary a;sendf 10;sendf 511;sendf 512;sendf 5000;null;state;buffered;count'))
    for (const expected of ['text ', 'binary 61', 'text          |', ...[511, 512, 5000].map(n => shown(TEXT, '|'.padStart(n)))]) {
      assert.equal(await peer.next(), expected)
    }
    await peer.bye()
    assert.deepEqual((await notesAfter('sends')).slice(0, -2),
      ['send: 0', 'binary: 0', 'sendf: 0', 'sendf: 0', 'sendf: 0', 'sendf: 0', 'null: EINVAL', 'state: 1', 'buffered: 1'])
  })

  test('closed by the server: with every code and reason that there may be', async () => {
    await eachOf([1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999], async code => {
      for (const reason of ['', ' why', ` ${'x'.repeat(123)}`]) {
        const ws = await connect(server, '/do')
        ws.send(`close ${code}${reason}`)
        assert.equal(await ws.end(), `${code}${reason}`)
      }
    })
    const ws = await connect(server, '/do')
    ws.send('close 0')
    assert.equal(await ws.end(), '1005')
  })

  test('codes and reasons that there may not be', async () => {
    const wrong = [-1, 1, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65536 + 1000]
    const ws = await connect(server, '/do?id=codes')
    ws.send([...wrong.map(code => `close ${code}`), `close 1000 ${'x'.repeat(124)}`, 'close 0 why'].join(';'))
    ws.close(1000)
    await ws.end()
    assert.deepEqual(await notesAfter('codes'), [...Array(wrong.length + 2).fill('close: EINVAL'), 'close 1000 '])
  })

  // { what the handler does: [the end that the client sees, notes] }
  const ends = {
    'close 1000 one;close 1001 two;close 5;state': ['1000 one', 'close: 0', 'close: 0', 'close: EINVAL', 'state: 2', 'close 1000 one'],
    'close 4000;send a;binary b;sendf 1;ping p;pong p;buffered': [
      '4000', 'close: 0', 'send: ENOTCONN', 'binary: ENOTCONN', 'sendf: ENOTCONN', 'ping: ENOTCONN', 'pong: ENOTCONN', 'buffered: 1', 'close 4000 '],
    'pass close 4000;send a': ['4000', 'close: 0', 'send: ENOTCONN', 'close 4000 '],
    'close 4000;sleep 50;state;send a;close 1000;attach;code': [
      '4000', 'close: 0', 'sleep: 0', 'state: 3', 'send: ENOTCONN', 'close: 0', 'attach: ENOTCONN', 'code: 4000', 'close 4000 '],
    'close 4000;terminate': ['1006', 'close: 0', 'terminate: 0', 'close 1006 '],
    'terminate;state;send a;close 1000;terminate;ping': [
      '1006', 'terminate: 0', 'state: 2', 'send: ENOTCONN', 'close: 0', 'terminate: 0', 'ping: ENOTCONN', 'close 1006 '],
    'pass terminate;send a': ['1006', 'terminate: 0', 'send: ENOTCONN', 'close 1006 '],
    'terminate;sleep 20;state;send a;recv': [
      '1006', 'terminate: 0', 'sleep: 0', 'state: 3', 'send: ENOTCONN', 'received nothing', 'recv: 0', 'close 1006 ']
  }
  for (const [commands, [end, ...notes]] of Object.entries(ends)) {
    test(`in a message handler: ${commands}`, async () => {
      const id = newId()
      const ws = await connect(server, `/do?id=${id}`)
      ws.send(commands)
      assert.equal(await ws.end(), end)
      assert.deepEqual(await notesAfter(id), notes)
    })
    test(`in the middleware: ${commands}`, async () => {
      const id = newId()
      const path = told(commands.replace('pass ', 'pass accept;').replace(/^(?!pass )/, 'accept;'), `&id=${id}`)
      // what is terminated at once has not even sent its 101
      if (commands.includes('terminate')) await assert.rejects(connect(server, path.replace('/do?', '/do/once?')), /hang up/)
      else assert.equal(await (await connect(server, path.replace('/do?', '/do/once?'))).end(), end)
      await isAtRest(server)
      // nobody hears of the end, since no handler was attached
      assert.deepEqual(await notesOf(server, id), ['accept: 0', ...notes.slice(0, -1)])
    })
  }

  test('closed in the middleware, without being accepted before', async () => {
    const ws = await connect(server, told('close 4000 no', '&id=early'))
    assert.equal(await ws.end(), '4000 no')
    assert.deepEqual(await notesAfter('early'), ['close: 0', 'close 4000 no'])
  })

  test('in the close handler: everything is an error value', async () => {
    const id = newId()
    const ws = await connect(server, told('', `&id=${id}&close=${encodeURIComponent('state;code;send a;close 1000;terminate;ping;recv;sleep 10;each x;attach;buffered')}`))
    ws.close(4000, 'r')
    await ws.end()
    await isAtRest(server)
    assert.deepEqual(await notesOf(server, id), ['close 4000 r', 'state: 3', 'code: 4000', 'send: ENOTCONN', 'close: 0', 'terminate: 0',
      'ping: ENOTCONN', 'received nothing', 'recv: 0', 'sleep: 0', 'each: 0', 'attach: ENOTCONN', 'buffered: 0'])
  })

  test('handlers that fail', async () => {
    for (const [command, notes] of [
      ['return -22', ['listener -22 500 late invalid argument']],
      ['return -2', ['listener -2 500 late no such file or directory']],
      ['throw 400 you sent nonsense', ['listener -400 400 exposed late you sent nonsense']],
      ['throw 503 a secret', ['listener -503 503 late a secret']],
      ['pass sleep 10;return -5', ['sleep: 0', 'listener -5 500 late i/o error']],
      ['pass send x;return -32', ['send: 0', 'listener -32 500 late broken pipe']]
    ]) {
      const id = newId()
      const ws = await connect(server, `/do?id=${id}`)
      ws.send(command)
      ws.send('send too late')
      assert.equal(await ws.end(), '1011')
      assert.deepEqual(await notesAfter(id), [...notes, 'close 1011 '])
      assert.ok(!ws.messages.includes('too late'))
    }
  })

  test('memory that runs out in a handler is a failure, whatever it returns', async () => {
    const id = newId()
    const ws = await connect(server, `/do?id=${id}`)
    ws.send('exhaust;send so what')
    assert.equal(await ws.end(), '1011')
    assert.deepEqual(await notesAfter(id), ['exhaust: ENOMEM', 'send: 0', 'listener -12 500 late not enough memory', 'close 1011 '])
  })

  // { what the handler of pings does: [what comes behind the pong, the note] }
  for (const [commands, [end, ...notes]] of Object.entries({
    'send hi;ping p': [['text hi', 'ping 70', 'close 1000'], 'send: 0', 'ping: 0', 'close 1000 '],
    'close 4000 enough;send x': [['close 4000 enough'], 'close: 0', 'send: ENOTCONN', 'close 1000 '],
    'terminate;send x': [[], 'terminate: 0', 'send: ENOTCONN', 'close 1006 '],
    'sleep 1;recv': [['close 1000'], 'sleep: EINVAL', 'received nothing', 'recv: 0', 'close 1000 '],
    'each close': [['close 4001 each'], 'each: 1', 'close 1000 ']
  })) {
    test(`in a ping handler, which must not suspend: ${commands}`, async () => {
      const id = newId()
      await isAtRest(server)
      const peer = await Peer.open(server, `/do?id=${id}&ping=${encodeURIComponent(commands)}`)
      peer.send(frame(PING))
      if (end.length) assert.equal(await peer.next(), 'pong ')
      peer.send(closeFrame(1000))
      assert.deepEqual(await peer.rest(), end)
      assert.deepEqual(await notesAfter(id), notes)
    })
  }

  test('a loop in the middleware that ends before its first message; and then the close handler', async () => {
    const ws = await connect(server, '/pairs?id=early-end')
    ws.close(1000)
    await ws.end()
    assert.deepEqual(await notesAfter('early-end'), ['close 1000 '])
  })

  test('states', async () => {
    const id = newId()
    const ws = await connect(server, told('state;accept;state', `&id=${id}&close=state`))
    ws.send('state;close 1000;state')
    await ws.end()
    await isAtRest(server)
    assert.deepEqual(await notesOf(server, id),
      ['state: 0', 'accept: 0', 'state: 1', 'state: 1', 'close: 0', 'state: 2', 'close 1000 ', 'state: 3'])
  })

  test('what is positive is no failure', async () => {
    const ws = await connect(server, '/do')
    ws.send('return 1')
    ws.send('send on we go')
    assert.equal(await ws.take(), 'on we go')
    ws.terminate()
  })

  test('a middleware that fails after it has accepted', async () => {
    for (const commands of ['accept;throw 400 no', 'accept;sleep 10;return -22', 'send hi;throw 500 no']) {
      const id = newId()
      const ws = await connect(server, told(commands, `&id=${id}`))
      assert.equal(await ws.end(), '1011')
      await isAtRest(server)
      assert.match((await notesOf(server, id)).at(-1), /^listener -(400 400 exposed|22 500|500 500) late /)
    }
  })

  test('each of them, and broadcasts', async () => {
    const members = await Promise.all(Array.from({ length: 5 }, () => connect(server, '/do?id=each')))
    members[2].send('broadcast to all')
    members[2].send('others to others')
    members[2].send('each to each')
    for (const ws of members) {
      assert.equal(await ws.take(), 'to all')
      if (ws !== members[2]) assert.equal(await ws.take(), 'to others')
      assert.equal(await ws.take(), 'to each')
    }
    members[0].send('each close')
    for (const ws of members) assert.equal(await ws.end(), '4001 each')
    await isAtRest(server)
    assert.deepEqual((await notesOf(server, 'each')).slice(0, 3), ['broadcast: 5', 'others: 4', 'each: 5'])
  })

  test('told by a page', async () => {
    const members = [await connect(server, '/do?id=told'), await connect(server, '/echo'), await connect(server, '/who/x')]
    await members[2].take()
    assert.equal(await get(server, '/tell?text=hello'), '3 of 3')
    for (const ws of members) assert.equal(await ws.take(), 'hello')
    members[0].send('paths;close 1000')
    await members[0].end()
    for (const ws of members.slice(1)) {
      ws.close()
      await ws.end()
    }
    await isAtRest(server)
    assert.equal(await get(server, '/tell?text=hello'), '0 of 0')
    assert.deepEqual((await notesOf(server, 'told')).slice(0, 3).sort(), ['/do itself', '/echo itself', '/who/x itself'])
  })

  test('a member that terminates all others, and all with itself, within a broadcast', async () => {
    for (const [what, survivor] of [['others', true], ['terminate', false]]) {
      const members = await Promise.all(Array.from({ length: 20 }, () => connect(server, '/do')))
      members[7].send(`each ${what};broadcast after;each again;count`)
      for (const ws of members) {
        if (survivor && ws === members[7]) continue
        assert.equal(await ws.end(), '1006')
      }
      if (!survivor) continue
      for (const text of ['others', 'after', 'again']) assert.equal(await members[7].take(), text)
      members[7].close()
      await members[7].end()
    }
    await isAtRest(server)
  })

  test('members that say so when they go', async () => {
    const members = await Promise.all(Array.from({ length: 20 }, () => connect(server, `/do?close=${encodeURIComponent('broadcast gone;each again')}`)))
    members.forEach((ws, i) => i % 2 ? ws.close() : ws.terminate())
    for (const ws of members) await ws.end()
    await isAtRest(server)
  })

  test('broadcasts while members come and go', async () => {
    let over = false
    const caller = await connect(server, '/do')
    const rounds = Promise.all(Array.from({ length: 10 }, async (_, i) => {
      while (!over) {
        const ws = await connect(server, i % 2 ? '/echo/slow?ms=2' : '/do').catch(() => null)
        if (!ws) continue
        ws.send(i % 2 ? 'x' : 'broadcast y')
        await sleep(i)
        if (i % 3 === 0) ws.terminate()
        else if (i % 3 === 1) ws.close()
        else ws._socket.resetAndDestroy()
      }
    }))
    for (let i = 0; i < 100; i++) {
      caller.send(i % 25 === 24 ? 'each others' : `broadcast ${i}`)
      await sleep(3)
    }
    over = true
    await rounds
    assert.equal(caller.readyState, 1)
    caller.close()
    await caller.end()
    await isAtRest(server)
  })

  test('reset in the middle of a handler', async () => {
    const id = newId()
    const peer = await Peer.open(server, `/do?id=${id}`)
    peer.send(frame(TEXT, 'pass sleep 600;state;send x'), frame(TEXT, 'send never'))
    await eventually(async () => (await statsOf(server)).coroutines === 1, 'the handler')
    peer.reset()
    assert.deepEqual(await notesAfter(id),
      ['sleep: 0', 'state: 3', 'send: ENOTCONN', 'error ECONNRESET connection reset by peer', 'close 1006 '])
  })

  test('sends to a client that was reset a moment ago', async () => {
    await eachOf(Array(50), async () => {
      const id = newId()
      const peer = await Peer.open(server, `/do?id=${id}`)
      peer.send(frame(TEXT, `pass flood 2000 1000;send x`))
      await peer.next()
      peer.reset()
      const notes = await notesAfter(id)
      assert.ok(!notes.some(line => line.startsWith('listener')), `${notes}`)
      assert.match(notes.at(-1), /^close 1006 /)
    })
  })

  test('memory of a handler goes with the handler', async () => {
    const ws = await connect(server, '/alloc')
    const expect = async (size, n) => {
      for (let i = 0; i < n; i++) ws.send(`${size}`)
      for (let i = 0; i < n; i++) assert.equal(await ws.take(), `${size} 1`)
    }
    await expect(1, 100)
    await expect(100, 100)
    await expect(10000, 20)
    ws.close()
    await ws.end()
  })
})

// --- Limits --------------------------------------------------------------------------------------

describe('limits', () => {
  const server = serverOf({ MESSAGE_SIZE: 1000, FRAGMENT_COUNT: 10, CLOSE_TIMEOUT: 200 })
  const full = Buffer.alloc(1000, 'x')
  const parts = (count, payload) => Array.from({ length: count }, (_, i) => frame(i ? 0 : TEXT, payload, { fin: i === count - 1 }))

  conversations(server, {
    'as much as a message may have': [[frame(TEXT, full)], [shown(TEXT, full)]],
    'one byte more': [[frame(TEXT, `${full}x`)], ['close 1009']],
    'one byte more, announced': [[frame(TEXT, '', { announce: 1001 })], ['close 1009']],
    'as much in two fragments': [[part(TEXT, full.subarray(1)), frame(0, 'x')], [shown(TEXT, full)]],
    'one byte more in two fragments': [[part(TEXT, full), frame(0, 'x')], ['close 1009']],
    'one byte more in two fragments, announced': [[part(TEXT, full), frame(0, '', { announce: 1 })], ['close 1009']],
    'empty fragments behind a full message': [[part(TEXT, full), part(0), frame(0)], [shown(TEXT, full)]],
    'the sum that wraps around': [[part(TEXT, 'x'), frame(0, '', { announce: 2n ** 63n - 1n })], ['close 1009']],
    'as many fragments as there may be': [parts(10, 'x'), ['text xxxxxxxxxx']],
    'one fragment more': [parts(11, 'x'), ['close 1008']],
    'as many empty fragments as there may be': [parts(10, ''), ['text ']],
    'one empty fragment more': [parts(11, ''), ['close 1008']],
    'one empty fragment more, to be continued': [[...parts(10, '').slice(0, -1), part(0), part(0)], ['close 1008']],
    'fragments are counted anew for each message': [[...parts(10, 'a'), ...parts(10, 'b')], ['text aaaaaaaaaa', 'text bbbbbbbbbb']],
    'control frames are no fragments': [
      [part(TEXT, 'a'), ...Array(20).fill(frame(PONG)), frame(PING), frame(0, 'b')], ['pong ', 'text ab']],
    'a ping may come when a message may not': [[part(TEXT, full), frame(PING, 'x'.repeat(125)), frame(0)], [shown(PONG, 'x'.repeat(125)), shown(TEXT, full)]]
  })

  test('refused by the header alone', async () => {
    for (const [bytes, code] of [
      [frame(TEXT, '', { announce: 1001 }), 1009],
      [frame(BINARY, '', { announce: 2n ** 31n }), 1009],
      [Buffer.concat([...Array(10).fill(0).map((_, i) => part(i ? 0 : TEXT)), frame(0, '', { announce: 5 })]), 1008]
    ]) {
      const peer = await Peer.open(server, '/echo')
      peer.send(bytes)
      assert.deepEqual(await peer.rest(), [`close ${code}`])
    }
  })

  test('much that was sent behind what was refused does not take our close frame away', async () => {
    await eachOf(Array(10), async () => {
      const peer = await Peer.open(server, '/echo')
      peer.send(frame(BINARY, Buffer.alloc(MIB)), frame(PING))
      assert.deepEqual(await peer.rest(), ['close 1009'])
      assert.equal(peer.over, 'end')
    })
  })

  test('a client that never answers our close', async () => {
    const id = newId()
    const before = await statsOf(server)
    const peer = await Peer.open(server, `/do?id=${id}`)
    peer.send(frame(TEXT, 'close 4000 go'))
    const began = performance.now()
    assert.deepEqual(await peer.rest(), ['close 4000 go'])
    assert.ok(performance.now() - began > 150, 'not before its time')
    await eventually(async () => (await notesOf(server, id)).length === 3, 'both handlers')
    assert.deepEqual(await notesOf(server, id), ['close: 0', 'error ETIMEDOUT the peer did not answer the close frame', 'close 1006 '])
    const { closed } = await isAtRest(server)
    assert.equal(closed.WS_NO_ANSWER, (before.closed.WS_NO_ANSWER || 0) + 1)
  })

  test('one that sends on and on instead', async () => {
    const id = newId()
    const peer = await Peer.open(server, `/do?id=${id}`)
    peer.send(frame(TEXT, 'close 4000 go'))
    const began = performance.now()
    while (!peer.over && performance.now() - began < 5000) {
      peer.send(frame(TEXT, 'send no'), frame(PING), part(TEXT), frame(0))
      await sleep(5)
    }
    assert.ok(performance.now() - began < 2000)
    peer.socket.destroy()
    await isAtRest(server)
    assert.deepEqual(await notesOf(server, id), [
      'close: 0', ...(await notesOf(server, id)).filter(line => line === 'ping 0 '),
      'error ETIMEDOUT the peer did not answer the close frame', 'close 1006 '])
  })

  test('the end without an answer, and an answer that is wrong', async () => {
    for (const [answer, notes] of [
      [[], ['error EOF the peer has gone without a close frame', 'close 1006 ']],
      [[frame(TEXT, 'x', { key: null })], ['error EPROTO a frame without a mask', 'close 1006 ']],
      [[frame(TEXT, full), frame(TEXT, `${full}x`)], ['error EMSGSIZE a message that is too big', 'close 1006 ']],
      [[closeFrame(999)], ['error EPROTO an invalid close code', 'close 1006 ']],
      [[closeFrame(4001, 'another')], ['close 4001 another']]
    ]) {
      const id = newId()
      const peer = await Peer.open(server, `/do?id=${id}`)
      peer.send(frame(TEXT, 'close 4000'))
      assert.equal(await peer.next(), 'close 4000')
      peer.socket.end(Buffer.concat(answer))
      assert.deepEqual(await peer.rest(), [])
      await eventually(async () => (await notesOf(server, id)).length > notes.length, 'both handlers')
      assert.deepEqual(await notesOf(server, id), ['close: 0', ...notes])
    }
  })

  test('each abnormal end is counted under its reason', async () => {
    const before = (await isAtRest(server)).closed
    for (const [bytes, count] of [
      [frame(TEXT, 'x', { key: null }), 3], [frame(TEXT, [0xff]), 4], [frame(TEXT, '', { announce: 1001 }), 2],
      [Buffer.concat(parts(11, '')), 5], [frame(TEXT, 'return -22'), 6], [frame(TEXT, 'terminate'), 1], [closeFrame(1000), 1]
    ]) {
      for (let i = 0; i < count; i++) {
        const peer = await Peer.open(server, '/do')
        peer.send(bytes)
        await peer.next()
        peer.send(closeFrame(1000))
        await peer.rest()
      }
    }
    const { closed } = await isAtRest(server)
    const more = Object.entries(closed).map(([name, n]) => [name, n - (before[name] || 0)]).filter(([, n]) => n)
    assert.deepEqual(Object.fromEntries(more), { WS_PROTOCOL: 3, WS_UTF8: 4, WS_TOO_BIG: 2, WS_FRAGMENTS: 5, WS_HANDLER: 6 })
  })
})

describe('a client that takes nothing', () => {
  const server = serverOf({ WRITE_TIMEOUT: 1000 })

  test('is cut when it has taken nothing for so long, but not while it takes a little', async () => {
    const mute = await Peer.open(server, '/do?id=mute')
    mute.send(frame(TEXT, `pass flood 800 ${64 * KIB};send x`))
    mute.socket.pause()
    await eventually(async () => (await statsOf(server)).websockets === 0, 'it is cut')
    const notes = await notesOf(server, 'mute')
    assert.match(notes[0], /^flood \d+: ENOTCONN/)
    assert.deepEqual(notes.slice(1), ['flood: 0', 'send: ENOTCONN', 'error ETIMEDOUT connection timed out', 'close 1006 '])
    assert.deepEqual((await isAtRest(server)).closed, { WRITE_TIMEOUT: 1 })
    mute.socket.destroy()

    const slow = await Peer.open(server, '/do')
    slow.send(frame(TEXT, `flood 200 ${64 * KIB};send done`))
    let bytes = 0
    slow.socket.removeAllListeners('data')
    slow.socket.on('data', data => { bytes += data.length })
    for (let i = 0; i < 8 && bytes < 100 * 64 * KIB; i++) {
      const before = bytes
      slow.socket.pause()
      await sleep(250)
      while (bytes - before < 256 * KIB) { // of less the kernel does not tell the server
        slow.socket.resume()
        await sleep(overTLS ? 20 : 1)
        slow.socket.pause()
      }
    }
    slow.socket.resume()
    await eventually(() => bytes === 200 * (64 * KIB + 10) + 6, () => `all of it: ${bytes}`)
    slow.reset()
  })
})

describe('as many handlers as there may be', () => {
  const server = serverOf({ COROUTINES: 2 })

  test('one more: 503 to a request, 1013 to a message; close handlers wait', async () => {
    const other = await connect(server, '/do?id=other')
    const third = await connect(server, '/do?id=third')
    const busy = await connect(server, '/do')
    busy.send('sleep 1000;send done')
    await eventually(async () => (await statsOf(server)).coroutines === 1, 'one is busy')
    other.send('sleep 1000')
    await sleep(100)
    await assert.rejects(connect(server, '/do'), /503/)
    const error = new Promise(resolve => third.once('error', resolve))
    third.send('send never')
    assert.equal(await third.end(), '1013')
    void error
    other.terminate()
    assert.equal(await busy.take(), 'done')
    busy.close()
    await busy.end()
    const { closed } = await isAtRest(server)
    assert.equal(closed.OVERLOAD, 2)
    assert.deepEqual(await notesOf(server, 'third'), ['error EAGAIN too many handlers are at work', 'close 1006 '])
    assert.match((await notesOf(server, 'other')).at(-1), /^close 1006 /)
  })
})

describe('as many connections as there may be', () => {
  const server = serverOf({ CONNECTIONS: 3 })

  test('one more is closed at once, and counted', async () => {
    const sockets = [await connect(server, '/echo'), await connect(server, '/echo'), await connect(server, '/echo')]
    await assert.rejects(connect(server, '/echo'), /hang up|ECONNRESET|disconnected/)
    sockets[0].close()
    await sockets[0].end()
    await eventually(() => connect(server, '/echo').then(ws => { sockets[0] = ws; return true }, () => false), 'room for another')
    for (const ws of sockets) {
      ws.close()
      await ws.end()
    }
    assert.ok((await isAtRest(server)).closed.OVERLOAD >= 1)
  })
})

// --- Backpressure and memory ---------------------------------------------------------------------

describe('backpressure', () => {
  const server = serverOf({ ...LEAN, BUFFERED_SIZE: 4 * MIB, CLOSE_TIMEOUT: 1000, FRAGMENT_COUNT: 2_000_000, MESSAGE_SIZE: 8 * MIB })
  const HIGH_WATER = 64 * KIB

  const grows = (limit, fn) => growsBy(server, limit, fn)

  test('what comes in while a handler awaits fills the socket, not us', async () => {
    const peer = await Peer.open(server, '/echo/slow?ms=300')
    await grows(4 * MIB, async () => {
      for (let i = 0; i < 64; i++) peer.send(frame(BINARY, Buffer.alloc(MIB)))
      await sleep(300)
      const left = peer.socket.writableLength
      const { read_buffers: reads, messages_active: messages } = await statsOf(server)
      assert.ok(left > 32 * MIB, `${left} still here`)
      assert.ok(reads <= 1 && messages <= 1)
    })
    peer.reset()
    await isAtRest(server)
  })

  test('and so when a loop is busy, and when nobody has attached yet', async () => {
    for (const path of [told('recv;sleep 1000'), told('accept;sleep 1000')]) {
      const peer = await Peer.open(server, path.replaceAll(' ', '%20'))
      await grows(4 * MIB, async () => {
        for (let i = 0; i < 64; i++) peer.send(frame(BINARY, Buffer.alloc(MIB)))
        await sleep(300)
        const left = peer.socket.writableLength
        const { coroutines } = await statsOf(server)
        assert.ok(left > 32 * MIB || !coroutines, `${left} still here`)
      })
      peer.reset()
      await isAtRest(server)
    }
  })

  test('a client that sends and does not read is not read any more', async () => {
    const peer = await Peer.open(server, '/echo/bare')
    peer.socket.pause()
    await grows(4 * MIB, async () => {
      for (let i = 0; i < 64 * 16; i++) peer.send(frame(BINARY, Buffer.alloc(65536)))
      await sleep(500)
      const stats = await statsOf(server)
      assert.equal(stats.coroutines, 1, 'the handler waits in ws_send')
      assert.ok(stats.write_buffers <= 10, `${stats.write_buffers} chunks`)
      assert.ok(peer.socket.writableLength > MIB)
    })
    // once it reads, all of it is answered
    let bytes = 0
    peer.socket.removeAllListeners('data')
    peer.socket.on('data', data => { bytes += data.length })
    peer.socket.resume()
    await eventually(() => bytes === 64 * 16 * (65536 + 10), () => `all of it: ${bytes}`)
    peer.reset()
  })

  test('a slow reader: the sender is suspended, and goes on', async () => {
    const peer = await Peer.open(server, '/do?id=flood')
    peer.send(frame(TEXT, `flood 800 ${64 * KIB}`), frame(TEXT, 'send after'))
    peer.socket.pause()
    await grows(4 * MIB, async () => {
      await sleep(300)
      const stats = await statsOf(server)
      assert.equal(stats.coroutines, 1)
      assert.ok(stats.write_buffers <= 10, `${stats.write_buffers} chunks`)
      assert.deepEqual(await notesOf(server, 'flood'), [])
    })
    peer.socket.resume()
    for (let i = 0; i < 800; i++) assert.equal((await peer.frame()).payload.length, 64 * KIB)
    assert.equal(await peer.next(), 'text after')
    await peer.bye()
    const [, most] = /^flood 800: -, at most (\d+)$/.exec((await notesOf(server, 'flood'))[0])
    assert.ok(most <= HIGH_WATER + 64 * KIB + 100, most)
  })

  test('a slow reader that goes: the sender hears of it', async () => {
    for (const leave of [peer => peer.reset(), peer => peer.socket.destroy()]) {
      const id = newId()
      const peer = await Peer.open(server, `/do?id=${id}`)
      peer.socket.pause()
      peer.send(frame(TEXT, `flood 800 ${64 * KIB}`))
      await sleep(100)
      leave(peer)
      await isAtRest(server)
      const notes = await notesOf(server, id)
      assert.match(notes[0], /^flood \d+: ENOTCONN/)
      assert.match(notes.at(-1), /^close 1006 /)
    }
  })

  test('a slow reader that is closed by others, and terminated', async () => {
    for (const what of ['close', 'terminate']) {
      const id = newId()
      const peer = await Peer.open(server, `/do?id=${id}`)
      peer.socket.pause()
      peer.send(frame(TEXT, `flood 800 ${64 * KIB};send x`))
      await sleep(100)
      const other = await connect(server, '/do')
      other.send(`each ${what}`)
      await sleep(50)
      if (what === 'close') {
        peer.socket.resume()
        const all = await peer.rest()
        assert.equal(all.at(-1), 'close 4001 each')
      }
      await other.end()
      peer.reset()
      await isAtRest(server)
      assert.match((await notesOf(server, id))[0], /^flood \d+: ENOTCONN/)
      assert.equal((await notesOf(server, id))[2], 'send: ENOTCONN')
    }
  })

  test('a reader that is too slow for a broadcast: 1013, the others do not notice', async () => {
    const before = await statsOf(server)
    const slow = await Peer.open(server, '/do?id=toslow')
    slow.socket.pause()
    const reader = await Peer.open(server, '/do')
    const caller = await connect(server, '/do?id=blast')
    let bytes = 0
    reader.socket.removeAllListeners('data')
    reader.socket.on('data', data => { bytes += data.length })
    const COUNT = 40
    await grows(10 * MIB, async () => {
      for (let i = 0; i < COUNT; i++) {
        caller.send(`blast 1 ${512 * KIB};send ok`)
        assert.equal(await caller.take(), 'ok')
        await eventually(() => bytes >= (i + 1) * 512 * KIB, 'the reader gets it at once')
      }
    })
    assert.equal(bytes, COUNT * (512 * KIB + 10))
    const lines = (await notesOf(server, 'blast')).filter(line => line.startsWith('blast: sent'))
    assert.ok(lines.includes('blast: sent 1, waiting 1, full 0, gone 0') || lines.includes('blast: sent 0, waiting 2, full 0, gone 0'))
    assert.equal(lines.filter(line => / full 1, gone 0$/.test(line)).length, 1, `${lines}`)
    assert.match(lines.at(-1), / gone 1$| full 0, gone 0$/)
    assert.equal((await statsOf(server)).closed.WS_SLOW ?? 0, 0, 'it has a second to answer')
    slow.socket.resume()
    const all = await slow.rest()
    assert.equal(all.at(-1), 'close 1013')
    assert.ok(all.slice(0, -1).every(text => text.startsWith(`binary of ${512 * KIB}:`)))
    caller.close()
    await caller.end()
    reader.reset()
    const { closed } = await isAtRest(server)
    assert.equal(closed.WS_SLOW, (before.closed.WS_SLOW || 0) + 1)
    assert.equal((await notesOf(server, 'toslow'))[0], 'error ENOBUFS too much waits to be sent')
  })

  test('and one that never reads again', async () => {
    const slow = await Peer.open(server, '/do?id=never')
    slow.socket.pause()
    const caller = await connect(server, '/do')
    caller.send(`blast 40 ${512 * KIB};send ok`)
    assert.equal(await caller.take(), 'ok')
    await eventually(async () => (await statsOf(server)).websockets === 1, 'it is gone after its second')
    assert.deepEqual(await notesOf(server, 'never'), ['error ENOBUFS too much waits to be sent', 'close 1006 '])
    slow.socket.destroy()
    caller.close()
    await caller.end()
  })

  test('one message that is larger than what may wait', async () => {
    const ws = await connect(server, '/do', { maxPayload: 64 * MIB })
    ws.send(`flood 1 ${10 * MIB};send ok`)
    assert.equal((await ws.take()).length, 10 * MIB)
    assert.equal(await ws.take(), 'ok')
    ws.terminate()
  })

  test('pings while the handler awaits are answered; it is not delayed', async () => {
    const peer = await Peer.open(server, '/echo/slow?ms=300')
    await grows(4 * MIB, async () => {
      peer.send(frame(TEXT, 'x'))
      const pings = Buffer.concat(Array(50_000).fill(frame(PING, 'x'.repeat(120))))
      peer.send(pings, frame(TEXT, 'y'))
      const pong = shown(PONG, 'x'.repeat(120))
      let pongs = 0
      assert.equal(await peer.next(), pong)
      for (const text of ['text x', 'text y']) {
        for (let next; (next = await peer.next()) !== text; pongs++) assert.equal(next, pong)
      }
      peer.send(closeFrame(1000))
      const rest = await peer.rest() // perhaps with the pong that had to wait
      assert.equal(rest.pop(), 'close 1000')
      assert.deepEqual(rest, Array(rest.length).fill(pong))
      pongs += rest.length
      assert.ok(pongs > 0 && pongs <= 50_000)
    })
  })

  test('a flood of pings by a client that does not read: at most one pong waits', async () => {
    const peer = await Peer.open(server, '/echo/bare')
    peer.socket.pause()
    const payload = i => String(i).padStart(125, '.')
    await grows(4 * MIB, async () => {
      for (let i = 0; i < 300; i++) {
        peer.send(...Array.from({ length: 500 }, (_, j) => frame(PING, payload(i * 500 + j), { key: Buffer.alloc(4) })))
        if (i % 50 === 0) await new Promise(setImmediate)
      }
      await eventually(() => peer.socket.writableLength === 0, 'all have been taken')
      const stats = await statsOf(server)
      assert.equal(stats.messages_active, 0)
      assert.ok(stats.write_buffers <= 10, `${stats.write_buffers} chunks`)
    })
    peer.socket.resume()
    let last, count = 0
    while (last !== payload(149_999)) {
      const { opcode, payload } = await peer.frame()
      assert.equal(opcode, PONG)
      assert.ok(last === undefined || last < String(payload), 'in order')
      last = String(payload)
      count++
    }
    assert.ok(count < 150_000, 'some were left out')
    await peer.bye()
  })

  test('a million fragments of one byte', async () => {
    const peer = await Peer.open(server, '/echo/bare')
    const key = Buffer.alloc(4)
    const middle = Buffer.concat(Array(10_000).fill(frame(0, 'x', { fin: false, key })))
    await grows(12 * MIB, async () => {
      peer.send(part(TEXT, 'x'))
      for (let i = 0; i < 100; i++) {
        peer.send(middle)
        await new Promise(setImmediate)
      }
      peer.send(frame(0, 'x'))
      assert.equal(await peer.next(), shown(TEXT, Buffer.alloc(1_000_002, 'x')))
    })
    await peer.bye()
  })

  test('announced bytes are not believed before they come', async () => {
    await grows(8 * MIB, async () => {
      const peers = await Promise.all(Array.from({ length: 100 }, () => Peer.open(server, '/echo/bare')))
      for (const peer of peers) peer.send(frame(BINARY, 'x', { announce: 8 * MIB }))
      await sleep(100)
      assert.equal((await statsOf(server)).messages_active, 100)
      for (const peer of peers) peer.reset()
      await isAtRest(server)
    })
  })

  test('a socket that lives long does not grow', async () => {
    const ws = await connect(server, '/alloc')
    const round = async n => {
      for (let i = 0; i < n; i++) {
        ws.send('1000')
        ws.ping('x')
      }
      for (let i = 0; i < n; i++) assert.equal(await ws.take(), '1000 1')
    }
    await round(200)
    await grows(MIB, () => round(2000))
    ws.close()
    await ws.end()
  })
})

// --- Many ----------------------------------------------------------------------------------------

describe('many', () => {
  const server = serverOf({ ...LEAN, KEEP_ALIVE_TIMEOUT: 20_000 })

  test('200 sockets and 200 keep-alive connections at once', async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 200 })
    const page = () => new Promise((resolve, reject) => {
      http.get({ port: server.port, path: '/', agent }, async response => {
        let text = ''
        for await (const chunk of response) text += chunk
        resolve(text)
      }).on('error', reject)
    })
    const sockets = await Promise.all(Array.from({ length: 200 }, (_, i) => connect(server, ['/echo', '/echo/loop', '/echo/slow?ms=1'][i % 3])))
    for (let round = 0; round < 3; round++) {
      await Promise.all([
        ...sockets.map(async (ws, i) => {
          ws.send(`${round} ${i}`)
          assert.equal(await ws.take(), `${round} ${i}`)
        }),
        ...Array.from({ length: 200 }, async () => assert.equal(await page(), 'hello'))
      ])
    }
    const stats = await statsOf(server)
    assert.equal(stats.websockets, 200)
    assert.ok(stats.connections >= 390, `${stats.connections}`)
    agent.destroy()
    sockets.forEach((ws, i) => i % 2 ? ws.close() : ws.terminate())
    await Promise.all(sockets.map(ws => ws.end()))
    await isAtRest(server)
  })

  test('an idle socket holds nothing', async () => {
    const peers = await Promise.all(Array.from({ length: 100 }, () => Peer.open(server, '/echo')))
    for (const peer of peers) {
      peer.send(frame(TEXT, 'x'), part(TEXT, 'y'), frame(PING), frame(0, 'z'))
      for (const expected of ['text x', 'pong ', 'text yz']) assert.equal(await peer.next(), expected)
    }
    await isAtRest(server, 100)
    // half a message, a quarter of a header: memory, but no coroutine and no context
    for (const peer of peers) peer.send(part(TEXT, 'y'), frame(0, 'z').subarray(0, 1))
    await eventually(async () => (await statsOf(server)).messages_active === 100, 'a hundred beginnings')
    const { coroutines, frame_contexts: contexts, read_buffers: reads } = await statsOf(server)
    assert.deepEqual([coroutines, contexts, reads], [0, 0, 0])
    for (const peer of peers) peer.send(frame(0, 'z').subarray(1))
    for (const peer of peers) peer.socket.destroy()
    await isAtRest(server)
  })

  test('everything at once, cut off anywhere', async () => {
    const paths = ['/echo', '/echo/loop', '/echo/slow?ms=2', '/only-close', '/send-only?count=100', '/nowhere', '/pairs', '/alloc',
      told('sleep 3').replaceAll(' ', '%20'), '/who/x']
    const good = Buffer.concat([
      frame(TEXT, '100'), part(BINARY, 'x'.repeat(130)), frame(PING, 'p'), frame(0, 'y'.repeat(70000)), frame(TEXT, '5'), closeFrame(1000, 'bye')])
    await eachOf(Array(1500), async (_, i) => {
      const peer = new Peer(server)
      const bytes = Buffer.concat([Buffer.from(upgradeRequest(paths[i % paths.length])), good])
      peer.send(bytes.subarray(0, crypto.randomInt(i % 3 ? 600 : bytes.length)))
      await sleep(crypto.randomInt(8))
      if (i % 2) peer.reset()
      else peer.socket.destroy()
    }, 50)
    await isAtRest(server)
  })
})

// --- The end of the server -----------------------------------------------------------------------

describe('the end of the server', () => {
  test('SIGTERM closes sockets with 1001', async () => {
    const server = await start()
    const sockets = await Promise.all(Array.from({ length: 20 }, (_, i) => connect(server, i % 2 ? '/echo' : '/echo/loop')))
    const began = performance.now()
    const stopped = server.stop()
    for (const ws of sockets) assert.equal(await ws.end(), '1001')
    await stopped
    assert.ok(performance.now() - began < 1000)
  })

  test('stopped by a message', async () => {
    const server = await start()
    const ws = await connect(server, '/do')
    const other = await connect(server, '/do')
    ws.send('stop;send too late')
    assert.equal(await ws.end(), '1001')
    assert.equal(await other.end(), '1001')
    assert.equal(await server.ended(), 0)
  })

  test('handlers in flight come to their end', async () => {
    const server = await start()
    const ws = await connect(server, '/echo/slow?ms=200')
    ws.send('x')
    await eventually(async () => (await statsOf(server)).coroutines === 1, 'it is at work')
    const began = performance.now()
    await server.stop()
    assert.ok(performance.now() - began > 100)
    assert.equal(await ws.end(), '1001')
  })

  test('exits in time with mute clients, and with those that read nothing', async () => {
    const server = await start()
    const mute = await Promise.all([...Array(3).fill('/echo'), ...Array(3).fill('/echo/loop'), '/do', '/do'].map(path => Peer.open(server, path)))
    mute.at(-1).socket.pause()
    mute.at(-1).send(frame(TEXT, `flood 800 ${64 * KIB}`))
    mute.at(-2).send(frame(TEXT, 'sleep 60000;send x'))
    await eventually(async () => (await statsOf(server)).coroutines === 5, 'two handlers and three loops')
    const began = performance.now()
    await server.stop()
    assert.ok(performance.now() - began < 5000)
    for (const peer of mute.slice(0, -1)) assert.equal(await peer.next(), 'close 1001')
    mute.forEach(peer => peer.socket.destroy())
  })

  test('a second signal cuts at once', async () => {
    const server = await start({ DRAIN_TIMEOUT: 60_000 })
    const peer = await Peer.open(server, '/echo')
    server.child.kill('SIGTERM')
    assert.equal(await peer.next(), 'close 1001')
    const began = performance.now()
    await server.stop()
    assert.ok(performance.now() - began < 1000)
    peer.socket.destroy()
  })

  test('while sockets come and go', async () => {
    await eachOf(Array(8), async (_, i) => {
      const server = await start({ DRAIN_TIMEOUT: 1000 })
      let over = false
      const clients = Promise.all(Array.from({ length: 10 }, async (_, j) => {
        while (!over) {
          const ws = await connect(server, ['/echo', '/echo/slow?ms=5', told('sleep 2;attach'), '/echo/loop'][j % 4]).catch(() => null)
          if (!ws) return
          ws.send('x')
          await sleep(j)
          if (j % 2) ws.terminate()
          else ws.close()
        }
      }))
      await sleep(100 + 20 * i)
      await server.stop()
      over = true
      await clients
    }, 2)
  })

  test('DEBUG=ws tells each abnormal end', async () => {
    for (const [DEBUG, expected] of [
      ['ws', ['ws: closed: a frame that the protocol does not allow (1002)', 'ws: closed: gone without a close frame (1006): end of file',
        'ws: closed: a handler failed (1011)']],
      ['other, ws', ['ws: closed: a frame that the protocol does not allow (1002)', 'ws: closed: gone without a close frame (1006): end of file',
        'ws: closed: a handler failed (1011)']],
      ['http', []],
      ['', []]
    ]) {
      const server = await start({ DEBUG })
      for (const bytes of [frame(CLOSE, 'x'), closeFrame(1000), null, frame(TEXT, 'terminate'), frame(TEXT, 'return -22')]) {
        const peer = await Peer.open(server, '/do')
        if (bytes) peer.send(bytes)
        else peer.socket.end()
        await peer.next()
        peer.send(closeFrame(1000))
        await peer.rest()
        await isAtRest(server)
      }
      await server.stop()
      assert.deepEqual(server.stderr.split('\n').slice(0, -1), expected)
    }
  })

  test('without a listener errors of handlers are printed, but not those that the client was told', async () => {
    const server = await start({ NO_LISTENER: 1, SILENT: 0 })
    for (const command of ['return -22', 'throw 400 your fault', 'throw 500 our fault']) {
      const ws = await connect(server, '/do?x=1')
      ws.send(command)
      assert.equal(await ws.end(), '1011')
    }
    await server.stop()
    assert.equal(server.stderr, '\n  Error: invalid argument\n      at GET /do?x=1\n\n\n  Error: our fault\n      at GET /do?x=1\n\n')
  })
})
