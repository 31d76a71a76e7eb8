// WebSockets to other servers: npm's ws, servers that answer wrongly, and none. The program is
// support/client_driver.c, whose requests say where to connect and how; npm's ws connects to the same places.

import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket, WebSocketServer } from 'ws'
import { BINARY, CLOSE, CONTINUATION, KIB, LEAN, MIB, PING, PONG, RSV1, TEXT, closeFrame, frame, get, growsBy, isAtRest, part, show, statsOf } from './peer.mjs'
import { eventually, startProgram, startServer, withPatience } from './support.mjs'

const driver = {}
before(async () => Object.assign(driver, await startServer('tests/support/client_driver', { env: LEAN })))
const folder = mkdtempSync(path.join(os.tmpdir(), 'acacia-'))
after(() => rmSync(folder, { recursive: true }))

// Parameters whose value is a list are joined as the driver reads it.
function query (options) {
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  return new URLSearchParams(given.map(([name, value]) => [name, [value].flat().join('|')]))
}

// The lines that a handler with ws_connect answers.
const connect = async (url, options = {}, to = driver) => (await get(to, `/connect?${query({ url, close_timeout: 200, ...options })}`)).split('\n')
const failure = async (url, options, to) => (await connect(url, options, to)).join('\n').replace(/^failed /, '')

let ids = 0
const newId = () => `c${++ids}`
const logOf = async (id, of = driver) => (await get(of, `/log?id=${id}`)).split('\n').slice(0, -1)

async function begin (url, options = {}, to = driver) {
  const id = newId()
  assert.equal(await get(to, `/client?${query({ id, url, ...options })}`), 'begun')
  return id
}

async function logs (id, lines, of) {
  let log
  await eventually(async () => (log = await logOf(id, of)).length >= lines.length, () => `${JSON.stringify(lines)}, but ${JSON.stringify(log)}`)
  assert.deepEqual(log.slice(0, lines.length), lines)
}

// --- Servers of ws -------------------------------------------------------------------------------

const running = new Set()
after(() => running.forEach(server => server.close()))

// One that echoes; `requests` are those that it has seen.
async function wsServer (options = {}, onSocket = echo) {
  const web = http.createServer((request, response) => response.end('a page'))
  const server = new WebSocketServer({ server: web, ...options })
  server.requests = []
  server.on('connection', (socket, request) => {
    server.requests.push(request)
    socket.on('error', () => {})
    onSocket(socket, request)
  })
  server.on('headers', headers => headers.push('X-Answer: forty-two'))
  web.listen(options.path ? { path: options.path } : { port: 0, host: options.host ?? '127.0.0.1' })
  await once(web, 'listening')
  server.url = `ws://127.0.0.1:${web.address().port}`
  server.port = web.address().port
  server.end = () => {
    for (const client of server.clients) client.terminate()
    server.close()
    web.close()
    web.closeAllConnections()
  }
  running.add({ close: server.end })
  return server
}

function echo (socket) {
  socket.on('message', (data, binary) => {
    const text = String(data).slice(0, 20)
    if (text.startsWith('close ')) socket.close(Number(text.slice(6)), 'as you say')
    else if (text === 'cut') socket.terminate()
    else socket.send(data, { binary })
  })
}

// --- Servers that know nothing -------------------------------------------------------------------

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const acceptOf = head => crypto.createHash('sha1').update(/\r\nSec-WebSocket-Key: (.*)\r\n/i.exec(head)[1] + GUID).digest('base64')
const good = head => ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${acceptOf(head)}`]
const text = lines => [...lines, '', ''].join('\r\n')

// `answer(head, socket)` is what is written when a request has come. `heads` are the requests.
async function rawServer (answer, listen = { port: 0, host: '127.0.0.1' }) {
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, socket => {
    let head = ''
    server.sockets.add(socket)
    socket.on('error', () => {})
    const read = data => {
      head += data.toString('latin1')
      const end = head.indexOf('\r\n\r\n')
      if (end < 0) return
      socket.off('data', read)
      server.heads.push(head.slice(0, end + 4))
      socket.on('data', data => { socket.received = Buffer.concat([socket.received ?? Buffer.alloc(0), data]) })
      const bytes = answer(head.slice(0, end + 4), socket)
      if (typeof bytes === 'string' || Buffer.isBuffer(bytes)) socket.write(bytes)
    }
    socket.on('data', read)
    socket.on('end', () => socket.end())
  })
  server.heads = []
  server.sockets = new Set()
  await new Promise(resolve => server.listen(listen, resolve))
  server.port = server.address().port
  server.url = `ws://127.0.0.1:${server.port}`
  const close = server.close.bind(server)
  server.close = () => {
    for (const socket of server.sockets) socket.destroy()
    close()
  }
  running.add(server)
  return server
}

// What npm's ws says of it.
function theirs (url, options = {}) {
  const { protocols, ...rest } = options
  const ws = new WebSocket(url, protocols ?? [], rest)
  return withPatience(new Promise(resolve => {
    ws.on('error', error => resolve(error.message))
    ws.on('open', () => { resolve('open'); ws.terminate() })
  }), 'ws')
}

// Frames that have come, and whether they were masked.
function framesOf (bytes) {
  const frames = []
  for (let at = 0; at + 2 <= bytes.length;) {
    const short = bytes[at + 1] & 127
    const size = short < 126 ? 2 : short === 126 ? 4 : 10
    const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2))
    const masked = bytes[at + 1] >= 128
    const start = at + size + (masked ? 4 : 0)
    if (start + length > bytes.length) break
    const key = masked ? bytes.subarray(at + size, at + size + 4) : null
    const payload = Buffer.from(bytes.subarray(start, start + length)).map((byte, i) => byte ^ (key ? key[i & 3] : 0))
    frames.push({ fin: bytes[at] >= 128, rsv: bytes[at] >> 4 & 7, opcode: bytes[at] & 15, key, payload })
    at = start + length
  }
  return frames
}

const unmasked = (opcode, payload, options) => frame(opcode, payload, { ...options, key: null })

// --- With ws -------------------------------------------------------------------------------------

describe('to a server of ws', () => {
  let server
  before(async () => { server = await wsServer() })

  test('there and back: text, empty, long, and the end', async () => {
    const lines = await connect(`${server.url}/chat?room=1&x=%20`, { messages: ['hello', '', 'κόσμε', 'close 4000'] })
    assert.deepEqual(lines, [
      'open ||/chat|room=1&x=%20|127.0.0.1|forty-two|the state', 'text hello', 'text ', 'text κόσμε', 'closed 4000 as you say'])
    const { headers, url } = server.requests.at(-1)
    assert.equal(url, '/chat?room=1&x=%20')
    assert.equal(headers.host, `127.0.0.1:${server.port}`)
    assert.equal(headers['sec-websocket-version'], '13')
    assert.equal(headers['sec-websocket-extensions'], 'permessage-deflate; client_max_window_bits')
    assert.match(headers['sec-websocket-key'], /^[A-Za-z0-9+/]{22}==$/)
    assert.deepEqual([headers.origin, headers.authorization, headers['sec-websocket-protocol']], [undefined, undefined, undefined])
  })

  test('each time with another key', async () => {
    const first = server.requests.length
    for (let i = 0; i < 20; i++) await connect(server.url, { receive: 0 })
    assert.equal(new Set(server.requests.slice(first).map(({ headers }) => headers['sec-websocket-key'])).size, 20)
  })

  test('large messages', async () => {
    for (const size of [125, 126, 65535, 65536, MIB]) {
      const [, line] = await connect(server.url, { size, receive: 1 })
      assert.match(line, size > 1000 ? new RegExp(`^binary of ${size}$`) : /^binary /)
    }
    const lines = await connect(server.url, { size: 2000, message_size: 1999, receive: 1 })
    assert.equal(lines[1], 'closed 1006 ')
  })

  test('closed by the server, with every code, and cut', async () => {
    for (const code of [1000, 1001, 1011, 3000, 4999]) {
      assert.deepEqual((await connect(server.url, { messages: `close ${code}` })).slice(1), [`closed ${code} as you say`])
    }
    assert.deepEqual((await connect(server.url, { messages: 'cut' })).slice(1), ['closed 1006 '])
  })

  test('URLs', async () => {
    const { port } = server
    for (const [url, target, host] of [
      [`ws://127.0.0.1:${port}`, '/', `127.0.0.1:${port}`], [`WS://127.0.0.1:${port}/`, '/', `127.0.0.1:${port}`],
      [`http://127.0.0.1:${port}/a/../b?c`, '/b?c', `127.0.0.1:${port}`], [`ws://localhost:${port}/x`, '/x', `localhost:${port}`],
      [`ws://LOCALHOST:${port}/ü?ü`, '/%C3%BC?%C3%BC', `localhost:${port}`], [`ws://127.1:${port}/?`, '/?', `127.0.0.1:${port}`]
    ]) {
      assert.match((await connect(url, { receive: 0 }))[0], /^open /, url)
      const request = server.requests.at(-1)
      assert.deepEqual([request.url, request.headers.host], [target, host], url)
    }
  })

  test('IPv6', async t => {
    const six = await wsServer({ host: '::1' }).catch(() => null)
    if (!six) return t.skip('no IPv6')
    assert.match((await connect(`ws://[::1]:${six.port}/x`, { receive: 0 }))[0], /^open \|\|\/x\|\|::1\|/)
    assert.equal(six.requests[0].headers.host, `[::1]:${six.port}`)
  })

  test('a unix socket', async () => {
    const socket = path.join(folder, 'ws.sock')
    const web = http.createServer()
    const sockets = new WebSocketServer({ server: web })
    const requests = []
    sockets.on('connection', (one, request) => { requests.push(request); echo(one) })
    await new Promise(resolve => web.listen(socket, resolve))
    running.add(web)
    for (const [url, target] of [[`ws+unix:${socket}`, '/'], [`ws+unix:${socket}:/a?b`, '/a?b']]) {
      const lines = await connect(url, { messages: ['hello', 'close 4000'] })
      assert.deepEqual(lines.slice(1), ['text hello', 'closed 4000 as you say'])
      assert.deepEqual([requests.at(-1).url, requests.at(-1).headers.host], [target, 'localhost'])
    }
    assert.equal(await failure(`ws+unix:${socket}.none`), 'ENOENT 0 0 no such file or directory')
  })

  test('headers, an origin, a user and a password', async () => {
    await connect(server.url.replace('//', '//us%40er:pa%3Ass%C3%BC@'), {
      receive: 0, headers: ['X-One', '1', 'Cookie', 'a=b; c=d', 'X-One', '2'], origin: 'https://example.org'
    })
    const { headers } = server.requests.at(-1)
    assert.deepEqual([headers['x-one'], headers.cookie, headers.origin], ['1, 2', 'a=b; c=d', 'https://example.org'])
    assert.equal(headers.authorization, `Basic ${Buffer.from('us@er:pa:ssü').toString('base64')}`)
    for (const [user, plain] of [['user@', 'user:'], [':password@', ':password'], ['a:b:c@', 'a:b:c'], ['%zz:x@', '%zz:x']]) {
      await connect(server.url.replace('//', `//${user}`), { receive: 0 })
      assert.equal(server.requests.at(-1).headers.authorization, `Basic ${Buffer.from(plain).toString('base64')}`)
    }
  })

  test('a Host, an Origin, an Authorization of one\'s own take the place of ours', async () => {
    const server = await rawServer(head => text(good(head)))
    await connect(server.url.replace('//', '//user:pass@'), {
      receive: 0, headers: ['HOST', 'example.org', 'origin', 'http://a', 'Authorization', 'Bearer t'], origin: 'http://b'
    })
    const names = server.heads[0].split('\r\n').slice(1, -2).map(line => line.split(': '))
    assert.deepEqual(names.filter(([name]) => /^(host|origin|authorization)$/i.test(name)), [['HOST', 'example.org'], ['origin', 'http://a'], ['Authorization', 'Bearer t']])
  })

  test('subprotocols', async () => {
    assert.match((await connect(server.url, { receive: 0, protocols: ['a', 'b'] }))[0], /^open a\|/)
    assert.equal(server.requests.at(-1).headers['sec-websocket-protocol'], 'a,b')
    const chooses = await wsServer({ handleProtocols: protocols => protocols.has('b') ? 'b' : false })
    assert.match((await connect(chooses.url, { receive: 0, protocols: ['a', 'b'] }))[0], /^open b\|/)
    assert.equal(await failure(chooses.url, { protocols: 'a' }), 'EPROTO 0 0 Server sent no subprotocol')
    assert.match((await connect(chooses.url, { receive: 0 }))[0], /^open \|/)
  })

  test('pings both ways; a heartbeat that is answered', async () => {
    let socket
    const pings = []
    const one = await wsServer({}, client => { socket = client; client.on('ping', data => pings.push(String(data))) })
    const id = await begin(one.url, { heartbeat: 30 })
    await logs(id, ['open /'])
    const pong = once(socket, 'pong')
    socket.ping('are you there')
    assert.equal(String((await pong)[0]), 'are you there')
    await eventually(() => pings.length >= 3, 'heartbeats')
    socket.close(1000)
    await logs(id, ['open /', 'close 1000 ', 'failed - 0 1000 Closed'])
  })

  test('compression, with every combination of parameters', async () => {
    const text = 'the same again '.repeat(300)
    for (const options of [
      true, { threshold: 0 }, { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 0 },
      { serverMaxWindowBits: 9, clientMaxWindowBits: 10, threshold: 0 }
    ]) {
      const squeezes = await wsServer({ perMessageDeflate: options })
      for (const ours of [
        {}, { deflate: 1, own: 1 }, { deflate: 1, own: 1, client_no_context_takeover: 1 }, { deflate: 1, server_no_context_takeover: 1 },
        { deflate: 1, client_max_window_bits: 11, own: 1 }, { deflate: 1, server_max_window_bits: 10 }, { deflate: 1, threshold: 1 }
      ]) {
        const lines = await connect(squeezes.url, { ...ours, messages: [text.slice(0, 900), text.slice(0, 900), '', 'x', 'close 4000'] })
        assert.match(lines[0], /^open \|permessage-deflate\|/, JSON.stringify([options, ours, lines]))
        assert.deepEqual(lines.slice(1), [`text ${text.slice(0, 900)}`, `text ${text.slice(0, 900)}`, 'text ', 'text x', 'closed 4000 as you say'])
        const [, large] = await connect(squeezes.url, { ...ours, size: 500_000, receive: 1 })
        assert.equal(large, 'binary of 500000')
      }
      assert.match((await connect(squeezes.url, { no_deflate: 1, receive: 0 }))[0], /^open \|\|/)
      assert.equal(squeezes.requests.at(-1).headers['sec-websocket-extensions'], undefined)
      squeezes.end()
    }
  })

  test('two hundred at once', async () => {
    const all = await Promise.all(Array.from({ length: 200 }, (_, i) => connect(server.url, { messages: [`${i}`, 'close 4000'] })))
    all.forEach((lines, i) => assert.deepEqual(lines.slice(1), [`text ${i}`, 'closed 4000 as you say']))
  })
})

// --- Wrong answers -------------------------------------------------------------------------------

describe('wrong answers', () => {
  const wrong = (change, lines = []) => head => text([...good(head).map(line => {
    const [name] = line.split(':')
    return name in change ? change[name] && `${name}: ${change[name]}` : line
  }).filter(line => line !== null), ...lines])

  const page = (status, lines = [], body = '') => () => text([`HTTP/1.1 ${status}`, `Content-Length: ${body.length}`, ...lines]) + body

  // What ws says, too, unless `ours` is given.
  const cases = {
    'as it should be': { answer: wrong({}), reason: 'open' },
    'names in other cases': { answer: head => text(['HTTP/1.1 101 Sure', 'UPGRADE: WebSocket', 'connection: keep-alive, UPGRADE', `SEC-WEBSOCKET-ACCEPT: ${acceptOf(head)}`]), reason: 'open' },
    'without a phrase': { answer: head => text(['HTTP/1.1 101 ', ...good(head).slice(1)]), reason: 'open' },
    403: { answer: page('403 Forbidden'), reason: 'Unexpected server response: 403', status: 403 },
    401: { answer: page('401 Unauthorized', ['WWW-Authenticate: Basic'], 'who are you?'), reason: 'Unexpected server response: 401', status: 401 },
    200: { answer: page('200 OK', [], 'hello'), reason: 'Unexpected server response: 200', status: 200 },
    503: { answer: page('503 Service Unavailable'), reason: 'Unexpected server response: 503', status: 503 },
    'a redirect, when none is wanted': { answer: page('302 Found', ['Location: /elsewhere']), reason: 'Unexpected server response: 302', status: 302 },
    'another Upgrade': { answer: wrong({ Upgrade: 'h2c' }), reason: 'Invalid Upgrade header' },
    'two of them': { answer: wrong({ Upgrade: 'websocket, h2c' }), reason: 'Invalid Upgrade header' },
    'an Upgrade twice': { answer: wrong({}, ['Upgrade: websocket']), reason: 'Invalid Upgrade header' },
    'no Upgrade': { answer: wrong({ Upgrade: null }), reason: 'Invalid Upgrade header', ours: true },
    'no Connection': { answer: wrong({ Connection: null }), reason: 'Invalid Connection header', ours: true },
    'another Connection': { answer: wrong({ Connection: 'keep-alive' }), reason: 'Invalid Connection header', ours: true },
    'another Accept': { answer: wrong({ 'Sec-WebSocket-Accept': 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=' }), reason: 'Invalid Sec-WebSocket-Accept header' },
    'an Accept in capitals': { answer: head => wrong({ 'Sec-WebSocket-Accept': acceptOf(head).toUpperCase() })(head), reason: 'Invalid Sec-WebSocket-Accept header' },
    'an Accept with something behind it': { answer: head => wrong({ 'Sec-WebSocket-Accept': acceptOf(head) + '=' })(head), reason: 'Invalid Sec-WebSocket-Accept header' },
    'an Accept twice': { answer: head => wrong({}, [`Sec-WebSocket-Accept: ${acceptOf(head)}`])(head), reason: 'Invalid Sec-WebSocket-Accept header' },
    'no Accept': { answer: wrong({ 'Sec-WebSocket-Accept': null }), reason: 'Invalid Sec-WebSocket-Accept header' },
    'no subprotocol': { answer: wrong({}), protocols: ['a', 'b'], reason: 'Server sent no subprotocol' },
    'another subprotocol': { answer: wrong({}, ['Sec-WebSocket-Protocol: c']), protocols: ['a', 'b'], reason: 'Server sent an invalid subprotocol' },
    'a subprotocol in capitals': { answer: wrong({}, ['Sec-WebSocket-Protocol: A']), protocols: ['a', 'b'], reason: 'Server sent an invalid subprotocol' },
    'two subprotocols': { answer: wrong({}, ['Sec-WebSocket-Protocol: a, b']), protocols: ['a', 'b'], reason: 'Server sent an invalid subprotocol' },
    'two subprotocols on two lines': { answer: wrong({}, ['Sec-WebSocket-Protocol: a', 'Sec-WebSocket-Protocol: b']), protocols: ['a', 'b'], reason: 'Server sent an invalid subprotocol' },
    'a subprotocol that nobody wanted': { answer: wrong({}, ['Sec-WebSocket-Protocol: a']), reason: 'Server sent a subprotocol but none was requested' },
    'an empty subprotocol that nobody wanted': { answer: wrong({}, ['Sec-WebSocket-Protocol:']), reason: 'Server sent a subprotocol but none was requested' },
    'an extension that nobody wanted': { answer: wrong({}, ['Sec-WebSocket-Extensions: permessage-deflate']), plain: true, reason: 'Server sent a Sec-WebSocket-Extensions header but no extension was requested' },
    'an extension as it should be': { answer: wrong({}, ['Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_max_window_bits=10']), reason: 'open' },
    'an extension that is malformed': { answer: wrong({}, ['Sec-WebSocket-Extensions: permessage-deflate;']), reason: 'Invalid Sec-WebSocket-Extensions header' },
    'another extension': { answer: wrong({}, ['Sec-WebSocket-Extensions: x-webkit-deflate-frame']), reason: 'Server indicated an extension that was not requested' },
    'one more extension': { answer: wrong({}, ['Sec-WebSocket-Extensions: permessage-deflate, foo']), reason: 'Server indicated an extension that was not requested' },
    'a parameter of it that is none': { answer: wrong({}, ['Sec-WebSocket-Extensions: permessage-deflate; window=1']), reason: 'Invalid Sec-WebSocket-Extensions header' },
    'a window that is too large': { answer: wrong({}, ['Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=16']), reason: 'Invalid Sec-WebSocket-Extensions header' },
    'a 100 in front': { answer: head => text(['HTTP/1.1 100 Continue']) + text(good(head)), reason: 'open' },
    'two 103 in front': { answer: head => (text(['HTTP/1.1 103 Early Hints', 'Link: </a>']).repeat(2)) + text(good(head)), reason: 'open' },
    'a 102 in front of a 403': { answer: () => text(['HTTP/1.1 102 Processing']) + page('403 Forbidden')(), reason: 'Unexpected server response: 403', status: 403 },
    'HTTP/1.0': { answer: head => text(['HTTP/1.0 101 Switching Protocols', ...good(head).slice(1)]), reason: 'open' },
    'no HTTP at all': { answer: () => 'SSH-2.0-OpenSSH_9.6\r\n\r\n', reason: 'The server\'s answer is no HTTP', ours: true },
    'a status that is none': { answer: () => text(['HTTP/1.1 10x Switching']), reason: 'The server\'s answer is no HTTP', ours: true },
    'a header that is none': { answer: head => text([...good(head), 'no header']), reason: 'The server\'s answer is no HTTP', ours: true },
    'a head that is too long': { answer: () => 'HTTP/1.1 101 Switching Protocols\r\nX: ' + 'x'.repeat(20 * KIB), reason: 'The server\'s answer is too long', error: 'EMSGSIZE', ours: true },
    'an end': { answer: (head, socket) => { socket.end() }, reason: 'connection reset by peer', error: 'ECONNRESET', ours: true },
    'an end in the middle': { answer: (head, socket) => { socket.end('HTTP/1.1 101 Switching') }, reason: 'connection reset by peer', error: 'ECONNRESET', ours: true },
    'a reset': { answer: (head, socket) => { socket.resetAndDestroy() }, reason: 'connection reset by peer', error: 'ECONNRESET', ours: true }
  }

  for (const [name, { answer, reason, status = 0, protocols, plain, error = 'EPROTO', ours }] of Object.entries(cases)) {
    test(name, async () => {
      const server = await rawServer(answer)
      const expected = reason === 'open' ? /^open / : new RegExp(`^${error} ${status} 0 ${reason.replaceAll(/[.()]/g, '\\$&')}$`)
      assert.match(await failure(server.url, { protocols, no_deflate: plain ? 1 : undefined, receive: 0 }), expected)
      if (!ours) assert.equal(await theirs(server.url, { protocols, perMessageDeflate: !plain, handshakeTimeout: 2000 }), reason)
      server.close()
    })
  }

  test('interim answers without end', async () => {
    const server = await rawServer(() => text(['HTTP/1.1 103 Early Hints', `X: ${'x'.repeat(1000)}`]).repeat(20))
    assert.equal(await failure(server.url), 'EMSGSIZE 0 0 The server\'s answer is too long')
  })

  test('byte by byte', async () => {
    const server = await rawServer(async (head, socket) => {
      for (const byte of Buffer.concat([Buffer.from(text(good(head))), unmasked(TEXT, 'hello'), unmasked(CLOSE, [0x0f, 0xa0])])) {
        socket.write(Buffer.from([byte]))
        await new Promise(setImmediate)
      }
    })
    assert.deepEqual((await connect(server.url)).slice(1), ['text hello', 'closed 4000 '])
  })

  test('none at all, and a slow one: Opening handshake has timed out', async () => {
    const silent = await rawServer(() => undefined)
    assert.equal(await failure(silent.url, { handshake_timeout: 60 }), 'ETIMEDOUT 0 0 Opening handshake has timed out')
    assert.equal(await theirs(silent.url, { handshakeTimeout: 60 }), 'Opening handshake has timed out')
    const slow = await rawServer(async (head, socket) => {
      for (const byte of text(good(head)).repeat(20)) {
        socket.write(byte)
        await sleep(5)
      }
    })
    assert.equal(await failure(slow.url, { handshake_timeout: 60 }), 'ETIMEDOUT 0 0 Opening handshake has timed out')
    let hops = 0
    const loop = await rawServer((head, socket) => {
      setTimeout(() => socket.end(page('302 Found', [`Location: /${++hops}`])()), 30)
    })
    assert.equal(await failure(loop.url, { handshake_timeout: 200, redirects: 1000 }), 'ETIMEDOUT 0 0 Opening handshake has timed out')
    await isAtRest(driver)
  })

  test('nobody there', async () => {
    const server = await rawServer(() => undefined)
    const { url } = server
    await new Promise(resolve => { server.once('close', resolve); server.close() })
    assert.equal(await failure(url), 'ECONNREFUSED 0 0 connection refused')
    assert.equal((await connect(url, { blind: 1 }))[0], 'failed')
    assert.match(await failure('ws://nowhere.invalid/', { handshake_timeout: 5000 }), /^(E\w+) 0 0 /)
    await isAtRest(driver)
  })

  test('URLs that are none', async () => {
    for (const url of ['', 'nonsense', '/path', '//host/', 'ftp://127.0.0.1/', 'ws:', 'ws://', 'ws://host/#fragment', 'ws://ho st/', 'ws://host:99999/',
      'ws+unix:', 'ws+unix:/socket:path', 'mailto:x@y', 'ws://[::1', 'ws://a:b:c/']) {
      assert.equal(await failure(url), 'EINVAL 0 0 Invalid URL', url)
      assert.equal(await get(driver, `/client?${query({ id: newId(), url })}`), 'EINVAL', url)
    }
  })

  test('what can\'t be sent', async () => {
    const server = await rawServer(head => text(good(head)))
    for (const [options, reason] of [
      [{ headers: ['X A', '1'] }, 'A header that can\'t be sent'], [{ headers: ['X', 'a\r\nB: c'] }, 'A header that can\'t be sent'],
      [{ headers: ['', '1'] }, 'A header that can\'t be sent'], [{ headers: ['X:', '1'] }, 'A header that can\'t be sent'],
      [{ headers: ['X'] }, 'A header that can\'t be sent'], [{ protocols: ['a b'] }, 'An invalid subprotocol'],
      [{ protocols: ['a', 'b', 'a'] }, 'An invalid subprotocol'], [{ protocols: ['a,b'] }, 'An invalid subprotocol'],
      [{ origin: 'http://a\nb' }, 'An invalid origin'],
      ...['Connection', 'upgrade', 'Sec-WebSocket-Key', 'sec-websocket-protocol', 'Content-Length', 'Transfer-Encoding']
        .map(name => [{ headers: [name, '1'] }, 'A header that can\'t be sent'])
    ]) {
      assert.equal(await failure(server.url, options), `EINVAL 0 0 ${reason}`, JSON.stringify(options))
    }
    assert.deepEqual(server.heads, [])
  })

  test('nothing that is meant for TLS is sent in the clear', async () => {
    const server = await rawServer(head => text(good(head)))
    for (const scheme of ['wss:', 'https:', 'WSS:']) {
      assert.match(await failure(server.url.replace('ws:', scheme), { handshake_timeout: 200 }), /^ETIMEDOUT 0 0 /)
    }
    assert.deepEqual(server.heads, [])
  })
})

// --- Redirects -----------------------------------------------------------------------------------

describe('redirects', () => {
  // Path → an answer; and what came.
  async function redirecting (paths) {
    const server = await rawServer(head => {
      const target = head.split(' ')[1]
      const answer = paths[target]
      if (answer === undefined) return text(good(head))
      const [status, location] = [answer].flat().length === 2 ? answer : [302, answer]
      return text([`HTTP/1.1 ${status} Found`, 'Content-Length: 0', 'Connection: close', ...location === null ? [] : [`Location: ${location}`]])
    })
    return server
  }

  const fieldOf = (head, name) => new RegExp(`^${name}: (.*)\r$`, 'mi').exec(head)?.[1]

  test('each kind, relative and absolute', async () => {
    const server = await redirecting({
      '/301': [301, '/302?x'], '/302?x': [302, '303'], '/303': [303, '/307'], '/307': [307, './308'], '/308': [308, '/a/../end?q=1']
    })
    assert.match((await connect(`${server.url}/301`, { redirects: 5, receive: 0 }))[0], /^open \|\|\/end\|q=1\|/)
    assert.deepEqual(server.heads.map(head => head.split(' ')[1]), ['/301', '/302?x', '/303', '/307', '/308', '/end?q=1'])
    assert.equal(new Set(server.heads.map(head => fieldOf(head, 'Sec-WebSocket-Key'))).size, 6, 'another key each time')
    const keep = await redirecting({ '/': [302, `${server.url}/there`], '/http': [302, `${server.url.replace('ws', 'http')}/there`] })
    for (const from of ['/', '/http']) assert.match((await connect(keep.url + from, { redirects: 1, receive: 0 }))[0], /^open \|\|\/there\|/)
  })

  test('too many', async () => {
    const server = await redirecting({ '/1': '/2', '/2': '/3', '/3': '/4', '/loop': '/loop' })
    assert.match(await failure(`${server.url}/1`, { redirects: 2 }), /^ELOOP 0 0 Maximum redirects exceeded$/)
    assert.match(await failure(`${server.url}/1`, { redirects: 3, receive: 0 }), /^open /)
    assert.equal(await failure(`${server.url}/loop`, { redirects: 20 }), 'ELOOP 0 0 Maximum redirects exceeded')
    assert.equal(await theirs(`${server.url}/1`, { followRedirects: true, maxRedirects: 2 }), 'Maximum redirects exceeded')
    assert.equal(await failure(`${server.url}/1`), 'EPROTO 302 0 Unexpected server response: 302')
  })

  test('to nowhere', async () => {
    const server = await redirecting({
      '/none': [302, null], '/empty': [302, ''], '/bad': 'ws://[', '/fragment': '/x#y', '/ftp': 'ftp://127.0.0.1/', '/304': [304, '/x'], '/300': [300, '/x']
    })
    for (const [target, expected] of [
      ['/none', 'EPROTO 0 0 A redirect without a Location'], ['/bad', 'EINVAL 0 0 A redirect to an invalid URL'],
      ['/fragment', 'EINVAL 0 0 A redirect to an invalid URL'], ['/ftp', 'EINVAL 0 0 A redirect to an invalid URL'],
      ['/304', 'EPROTO 304 0 Unexpected server response: 304'], ['/300', 'EPROTO 300 0 Unexpected server response: 300'],
      ['/empty', 'ELOOP 0 0 Maximum redirects exceeded']
    ]) {
      assert.equal(await failure(server.url + target, { redirects: 3 }), expected, target)
    }
  })

  test('what is meant for one host does not go to another', async () => {
    const other = await redirecting({})
    const server = await redirecting({
      '/same': '/end', '/other': `${other.url}/end`
    })
    const options = { redirects: 3, receive: 0, headers: ['Cookie', 'a=b', 'X-Secret', '1', 'Authorization', 'Bearer t'], origin: 'https://o.example' }
    await connect(`${server.url}/same`, options)
    for (const head of server.heads) {
      assert.deepEqual(['Cookie', 'X-Secret', 'Authorization', 'Origin'].map(name => fieldOf(head, name)), ['a=b', '1', 'Bearer t', 'https://o.example'])
    }
    assert.equal(server.heads.length, 2)
    await connect(`${server.url}/other`, options)
    assert.deepEqual(['Cookie', 'X-Secret', 'Authorization', 'Origin'].map(name => fieldOf(other.heads[0], name)), [undefined, undefined, undefined, 'https://o.example'])
    assert.equal(fieldOf(other.heads[0], 'Host'), `127.0.0.1:${other.port}`)
  })

  test('nor is it sent again, once it was elsewhere', async () => {
    const paths = {}
    const server = await redirecting(paths)
    const other = await redirecting({ '/hop': `${server.url}/end` })
    paths['/start'] = `${other.url}/hop`
    assert.match((await connect(`${server.url}/start`, { redirects: 3, receive: 0, headers: ['Cookie', 'a=b'] }))[0], /^open \|\|\/end/)
    assert.deepEqual([...server.heads, ...other.heads].map(head => fieldOf(head, 'Cookie')), ['a=b', undefined, undefined])
  })

  test('a user and a password stay on their host', async () => {
    const other = await redirecting({})
    const paths = { '/relative': '/end', '/other': `${other.url}/end` }
    const server = await redirecting(paths)
    paths['/absolute'] = `${server.url}/end`
    const basic = `Basic ${Buffer.from('user:pass').toString('base64')}`
    const url = server.url.replace('//', '//user:pass@')
    for (const target of ['/relative', '/absolute']) {
      server.heads.length = 0
      await connect(url + target, { redirects: 1, receive: 0 })
      assert.deepEqual(server.heads.map(head => fieldOf(head, 'Authorization')), [basic, basic], target)
    }
    await connect(`${url}/other`, { redirects: 1, receive: 0 })
    assert.equal(fieldOf(other.heads[0], 'Authorization'), undefined)
    paths['/mallory'] = other.url.replace('//', '//mallory:x@') // nor does another come from there, as in ws
    await connect(`${url}/mallory`, { redirects: 1, receive: 0 })
    assert.equal(fieldOf(other.heads[1], 'Authorization'), undefined)
  })

  test('of a unix socket', async () => {
    const socket = path.join(folder, 'redirects.sock')
    const answer = head => head.startsWith('GET /end') ? text(good(head)) : text(['HTTP/1.1 302 Found', 'Content-Length: 0', 'Location: /end'])
    const server = await rawServer(answer, { path: socket })
    assert.match((await connect(`ws+unix:${socket}:/start`, { redirects: 1, receive: 0 }))[0], /^open \|\|\/end\|/)
    assert.equal(server.heads.length, 2)
    const tricky = await rawServer(head => head.startsWith('GET /end') ? text(good(head)) : text(['HTTP/1.1 302 Found', 'Content-Length: 0', 'Location: /end?u=http://x']), { path: socket + '2' })
    assert.match((await connect(`ws+unix:${socket}2:/start`, { redirects: 1, receive: 0, headers: ['Cookie', 'a'] }))[0], /^open \|\|\/end\|u=http:\/\/x/)
    assert.deepEqual(tricky.heads.map(head => fieldOf(head, 'Cookie')), ['a', 'a'])
    const elsewhere = await redirecting({})
    const leaving = await rawServer(() => text(['HTTP/1.1 302 Found', 'Content-Length: 0', `Location: ${elsewhere.url.replace('127.0.0.1', 'localhost')}/end`]), { path: socket + '3' })
    assert.match((await connect(`ws+unix:${socket}3:/`, { redirects: 1, receive: 0, headers: ['Cookie', 'a'] }))[0], /^open/)
    assert.deepEqual([...leaving.heads, ...elsewhere.heads].map(head => fieldOf(head, 'Cookie')), ['a', undefined])
    const web = await redirecting({ '/': `ws+unix:${socket}:/end` })
    assert.match(await failure(web.url, { redirects: 1, receive: 0 }), /^EINVAL 0 0 A redirect to an invalid URL$/, 'no server sends us to files of ours')
  })
})

// --- Frames --------------------------------------------------------------------------------------

describe('frames', () => {
  test('all that we send is masked, with keys by chance', async () => {
    const server = await rawServer((head, socket) => {
      socket.write(text(good(head)))
      for (let i = 0; i < 100; i++) socket.write(unmasked(PING, `${i}`))
    })
    const id = await begin(server.url, { no_deflate: 1, greeting: 'hello' })
    await logs(id, ['open /'])
    const [socket] = server.sockets
    await eventually(() => framesOf(socket.received ?? Buffer.alloc(0)).length >= 101, 'pongs')
    socket.write(Buffer.concat([unmasked(TEXT, 'close')]))
    await eventually(() => framesOf(socket.received).at(-1).opcode === CLOSE, 'a close')
    const frames = framesOf(socket.received)
    assert.ok(frames.every(({ key, rsv, fin }) => key && rsv === 0 && fin))
    assert.equal(frames.length, 102)
    assert.ok(new Set(frames.map(({ key }) => key.toString('hex'))).size >= 101, 'no two keys are the same')
    const bytes = Buffer.concat(frames.map(({ key }) => key))
    assert.ok(new Set(bytes).size > 150, 'of all bytes')
    assert.ok(frames.some(one => show(one) === 'text hello'))
    assert.deepEqual(frames.filter(({ opcode }) => opcode === PONG).map(({ payload }) => String(payload)), Array.from({ length: 100 }, (_, i) => `${i}`))
    assert.equal(show(frames.at(-1)), 'close 4001 as you say')
    socket.end(unmasked(CLOSE, [0x0f, 0xa1]))
    await logs(id, ['open /', 'message close', 'close 4001 ', 'failed - 0 4001 Closed'])
  })

  test('wrong ones are refused, with the right code', async () => {
    for (const [bytes, code, reason] of [
      [frame(TEXT, 'x'), 1002, 'EPROTO a masked frame'], [frame(PING), 1002, 'EPROTO a masked frame'],
      [unmasked(TEXT, 'x', { rsv: RSV1 }), 1002, 'EPROTO a reserved bit'], [unmasked(TEXT, 'x', { rsv: 1 }), 1002, 'EPROTO a reserved bit'],
      [unmasked(3, 'x'), 1002, 'EPROTO a reserved opcode'], [unmasked(CONTINUATION, 'x'), 1002, 'EPROTO a continuation of nothing'],
      [unmasked(PING, '', { fin: false }), 1002, 'EPROTO an invalid frame header'], [unmasked(TEXT, [0xff]), 1007, 'EILSEQ invalid UTF-8'],
      [unmasked(CLOSE, 'x'), 1002, 'EPROTO a close frame with one byte'], [unmasked(CLOSE, [0x03, 0xed]), 1002, 'EPROTO an invalid close code'],
      [unmasked(BINARY, '', { announce: 2 * MIB }), 1009, 'EMSGSIZE a message that is too big'],
      [Buffer.concat([unmasked(TEXT, 'x', { fin: false }), unmasked(TEXT, 'y')]), 1002, 'EPROTO a new message within a fragmented one']
    ]) {
      const server = await rawServer((head, socket) => Buffer.concat([Buffer.from(text(good(head))), bytes]))
      const id = await begin(server.url, { no_deflate: 1 })
      await eventually(async () => [...server.sockets].some(socket => framesOf(socket.received ?? Buffer.alloc(0)).length > 0), 'an answer')
      for (const socket of server.sockets) assert.deepEqual(framesOf(socket.received).map(show), [`close ${code}`])
      await logs(id, ['open /', `error ${reason}`, 'close 1006 ', `failed ${reason.split(' ')[0]} 0 1006 ${reason.slice(reason.indexOf(' ') + 1)}`])
      server.close()
    }
    await isAtRest(driver)
  })

  test('fragments, pings between, compressed: as a server reads them', async () => {
    const server = await rawServer((head, socket) => Buffer.concat([
      Buffer.from(text([...good(head), 'Sec-WebSocket-Extensions: permessage-deflate'])),
      unmasked(TEXT, 'He', { fin: false }), unmasked(PING, 'p'), unmasked(CONTINUATION, 'llo'),
      unmasked(TEXT, Buffer.from('f248cdc9c90700', 'hex'), { rsv: RSV1 }), unmasked(TEXT, Buffer.from('f200110000', 'hex'), { rsv: RSV1 }),
      unmasked(CLOSE, [0x03, 0xe8])
    ]))
    const lines = await connect(server.url)
    assert.deepEqual(lines.slice(1), ['text Hello', 'text Hello', 'text Hello', 'closed 1000 '])
    const [socket] = server.sockets
    assert.deepEqual(framesOf(socket.received).map(show), ['pong 70', 'close 1000'])
  })

  test('a server that does not answer our close, and one that does not end', async () => {
    const mute = await rawServer(head => text(good(head)))
    const id = await begin(mute.url, { close_timeout: 60 })
    await logs(id, ['open /'])
    for (const socket of mute.sockets) socket.write(unmasked(TEXT, 'close'))
    await logs(id, ['open /', 'message close', 'error ETIMEDOUT the peer did not answer the close frame', 'close 1006 '])
    const stays = await rawServer((head, socket) => Buffer.concat([Buffer.from(text(good(head))), unmasked(CLOSE, [0x0f, 0xa0])]))
    const other = await begin(stays.url, { close_timeout: 60 }) // RFC 6455 7.1.1: the server ends it
    await logs(other, ['open /', 'close 4000 '])
    await isAtRest(driver)
  })

  test('a server that does not read: bounded, the driver lives', async () => {
    const server = await rawServer((head, socket) => {
      socket.pause()
      return text(good(head))
    })
    await growsBy(driver, 24 * MIB, async () => {
      const asked = get(driver, `/connect?${query({ url: server.url, size: 12_000_000, receive: 1 })}`).catch(() => 'cut')
      await sleep(200)
      await eventually(async () => (await statsOf(driver)).coroutines === 1, 'ws_send waits')
      for (const socket of server.sockets) socket.destroy()
      assert.match(await asked, /closed 1006/)
    })
  })
})

// --- With a handler, again and again -------------------------------------------------------------

describe('reconnecting', () => {
  test('when it is lost; not when we close it', async () => {
    for (const [end, expected] of [
      ['close', ['message close', 'close 4001 as you say', 'failed - 0 4001 as you say']], ['terminate', ['message terminate', 'close 1006 ', 'failed - 0 1006 Closed']]
    ]) {
      const sockets = []
      const server = await wsServer({}, socket => sockets.push(socket))
      const id = await begin(`${server.url}/x`, { reconnect: 1, reconnect_min: 5, reconnect_max: 20 })
      const lines = []
      for (const [i, leave] of [socket => socket.close(1001), socket => socket.terminate(), socket => socket.close(4000, 'later')].entries()) {
        await eventually(() => sockets.length === i + 1, 'a connection')
        lines.push('open /x')
        await logs(id, lines)
        leave(sockets[i])
        lines.push(...[
          ['close 1001 ', 'failed - 0 1001 Closed'],
          ['error EOF the peer has gone without a close frame', 'close 1006 ', 'failed EOF 0 1006 the peer has gone without a close frame'],
          ['close 4000 later', 'failed - 0 4000 later']
        ][i])
        await logs(id, lines)
      }
      await eventually(() => sockets.length === 4, 'a connection')
      sockets[3].send(end)
      await logs(id, [...lines, 'open /x', ...expected])
      await sleep(100)
      assert.equal(sockets.length, 4, 'no more')
      server.end()
      await isAtRest(driver)
    }
  })

  test('until the server comes back; the tries begin anew', async () => {
    const first = await wsServer()
    const { port, url } = first
    first.end()
    const id = await begin(url, { reconnect: 1, reconnect_min: 2, reconnect_max: 10, reconnect_tries: 200 })
    await eventually(async () => (await logOf(id)).length >= 5, 'attempts')
    assert.ok((await logOf(id)).every(line => line === 'failed ECONNREFUSED 0 0 connection refused'))
    const web = http.createServer()
    const sockets = new WebSocketServer({ server: web })
    await new Promise(resolve => web.listen(port, '127.0.0.1', resolve))
    const [socket] = await once(sockets, 'connection')
    await eventually(async () => (await logOf(id)).at(-1) === 'open /', 'it is there')
    socket.send('close')
    await eventually(async () => (await logOf(id)).at(-1) === 'failed - 0 4001 as you say', 'its end')
    sockets.close()
    web.close()
    await isAtRest(driver)
  })

  test('so many times and no more; never without the option', async () => {
    const first = await wsServer()
    const { url } = first
    first.end()
    for (const [tries, count] of [[1, 2], [4, 5]]) {
      const id = await begin(url, { reconnect: 1, reconnect_min: 1, reconnect_max: 2, reconnect_tries: tries })
      await eventually(async () => (await logOf(id)).length === count, 'attempts')
      await sleep(50)
      assert.equal((await logOf(id)).length, count)
    }
    const id = await begin(url)
    await eventually(async () => (await logOf(id)).length === 1, 'an attempt')
    await sleep(30)
    assert.equal((await logOf(id)).length, 1)
    await isAtRest(driver)
  })

  test('after each kind of failure', async () => {
    let count = 0
    const server = await rawServer((head, socket) => {
      const turn = count++
      if (turn === 0) return text(['HTTP/1.1 503 Busy', 'Content-Length: 0'])
      if (turn === 1) { socket.resetAndDestroy(); return undefined }
      if (turn === 2) return undefined // silence
      if (turn === 3) return Buffer.concat([Buffer.from(text(good(head))), unmasked(TEXT, [0xff])])
      return Buffer.concat([Buffer.from(text(good(head))), unmasked(TEXT, 'close')])
    })
    const id = await begin(server.url, { reconnect: 1, reconnect_min: 1, reconnect_max: 4, handshake_timeout: 100 })
    await logs(id, [
      'failed EPROTO 503 0 Unexpected server response: 503', 'failed ECONNRESET 0 0 connection reset by peer',
      'failed ETIMEDOUT 0 0 Opening handshake has timed out', 'open /', 'error EILSEQ invalid UTF-8', 'close 1006 ',
      'failed EILSEQ 0 1006 invalid UTF-8', 'open /', 'message close'])
    server.close()
    await isAtRest(driver)
  })

  test('a handler that throws, and one that fails later: told, and closed with 1011', async () => {
    const codes = []
    const server = await wsServer({}, socket => {
      socket.on('close', code => codes.push(code))
      setTimeout(() => socket.send('fail'), 5)
    })
    const thrown = await begin(server.url, { greeting: 'throw' })
    await eventually(() => codes.length === 1, 'its end')
    const failed = await begin(server.url)
    await eventually(() => codes.length === 2, 'its end')
    assert.deepEqual(codes, [1011, 1011])
    assert.deepEqual(await logOf('errors'), ['-400 thrown', '-22 invalid argument'])
    for (const id of [thrown, failed]) assert.match((await logOf(id)).at(-1), /^failed .* 0 \d+/)
  })

  test('without on_failure it is told on stderr; not when all is well', async () => {
    const own = await startServer('tests/support/client_driver')
    const first = await wsServer()
    await begin(`${first.url}/gone`, { quiet: 1, greeting: 'close 1000' }, own)
    await eventually(async () => (await statsOf(own)).connections === 0 && first.requests.length, 'it has come and gone')
    first.end()
    await begin(first.url, { quiet: 1 }, own)
    await eventually(() => own.stderr, 'a line')
    assert.equal(own.stderr, `acacia: ${first.url}: connection refused\n`)
    await own.stop()
  })
})

// --- The end of ours -----------------------------------------------------------------------------

describe('the end', () => {
  const ownDriver = (env = {}) => startServer('tests/support/client_driver', { env })

  test('with clients that wait to try again, or are about to connect, or are open', async () => {
    const closed = []
    const server = await wsServer({}, socket => socket.on('close', code => closed.push(code)))
    const silent = await rawServer(() => undefined)
    const gone = await wsServer()
    gone.end()
    const own = await ownDriver()
    const open = await begin(server.url, { reconnect: 1 }, own)
    await begin(silent.url, { reconnect: 1, quiet: 1 }, own)
    await begin(gone.url, { reconnect: 1, reconnect_min: 60_000, reconnect_max: 60_000, quiet: 1 }, own)
    await logs(open, ['open /'], own)
    await eventually(() => silent.heads.length === 1 && own.stderr, 'all are where they should be')
    await own.stop() // soon: it does not wait for them
    await eventually(() => closed.length, 'its end')
    assert.deepEqual(closed, [1001])
  })

  test('stopped by a request, in the middle of ws_connect', async () => {
    const silent = await rawServer(() => undefined)
    const own = await ownDriver()
    const asked = get(own, `/connect?${query({ url: silent.url })}`).catch(error => error.code)
    await eventually(() => silent.heads.length === 1, 'it connects')
    await get(own, '/stop')
    assert.match(await asked, /ECANCELED/)
    assert.equal(await own.ended(), 0)
  })

  test('cut, while servers do not answer our goodbye', async () => {
    const mute = await rawServer(head => text(good(head)))
    const own = await ownDriver({ DRAIN_TIMEOUT: 200 })
    const id = await begin(mute.url, { reconnect: 1 }, own)
    await logs(id, ['open /'], own)
    const asked = get(own, `/connect?${query({ url: mute.url })}`).catch(error => error.code)
    await eventually(() => mute.heads.length === 2, 'two of them')
    await own.stop()
    assert.ok(await asked)
  })

  test('whoever asked for it has gone: cancelled', async () => {
    const silent = await rawServer(() => undefined)
    for (const url of [silent.url, `ws://localhost:${silent.port}/`]) {
      const id = newId()
      const before = silent.heads.length
      const request = http.get({ port: driver.port, path: `/connect?${query({ url, cancel: 1, id })}`, agent: false })
      request.on('error', () => {})
      await eventually(() => silent.heads.length > before, 'it connects')
      request.destroy()
      await logs(id, ['failed ECANCELED 0 0 operation canceled'])
    }
    await isAtRest(driver)
  })
})

// --- Given up ------------------------------------------------------------------------------------

describe('ws_release', () => {
  let server, closed
  before(async () => {
    closed = []
    server = await wsServer({}, socket => {
      echo(socket)
      socket.on('close', (code, reason) => closed.push(`${code} ${reason}`.trimEnd()))
    })
  })

  test('without a handler for messages: closed with 1000, or as it was before', async () => {
    for (const [release, expected] of [[undefined, '1000'], ['none', '1000'], ['close', '4000 enough'], ['terminate', '1006']]) {
      await connect(server.url, { receive: 0, release })
      await eventually(() => closed.length, 'its end')
      assert.deepEqual(closed.splice(0), [expected])
    }
    await isAtRest(driver)
  })

  test('after it was closed by the server', async () => {
    for (const release of [undefined, 'none', 'callback', 'close', 'terminate']) {
      const lines = await connect(server.url, { messages: ['close 4000'], release })
      assert.deepEqual(lines.slice(1), ['closed 4000 as you say'])
      await eventually(() => closed.length, 'its end')
      assert.deepEqual(closed.splice(0), ['4000 as you say'])
    }
    await isAtRest(driver)
  })

  test('to a handler: which gets what has come meanwhile, and goes on', async () => {
    let socket
    const one = await wsServer({}, client => {
      socket = client
      for (const message of ['1', '2', '3']) client.send(message)
    })
    const before = (await logOf('late')).length
    const lines = await connect(one.url, { receive: 1, release: 'callback' })
    assert.equal(lines[1], 'text 1')
    await eventually(async () => (await logOf('late')).length >= before + 2, 'the others')
    socket.send('4')
    socket.close(4000, 'bye')
    await eventually(async () => (await logOf('late')).includes('close 4000 bye'), 'its end')
    assert.deepEqual((await logOf('late')).slice(before), ['message 2', 'message 3', 'message 4', 'close 4000 bye'])
    await isAtRest(driver)
  })
})

// --- Our own server, and the example -------------------------------------------------------------

test('our own server, with a compressor for each on both sides', async () => {
  const server = await startServer('tests/support/crowd_server', { env: { DEFLATE: '1', OWN: '1' } })
  const lines = await connect(`${server.ws}/do`, { deflate: 1, own: 1, messages: [...Array(20).fill('the same again '.repeat(20)), '!close 4000 done'] })
  assert.match(lines[0], /^open \|permessage-deflate\|/)
  assert.deepEqual(lines.slice(1, 21), Array(20).fill(`text ${'the same again '.repeat(20)}`))
  assert.equal(lines[21], 'closed 4000 done')
  await server.stop()
})

describe('the example', () => {
  const startClient = url => startProgram('client', { args: [url] })

  test('against the example broadcast: as the tutorial has it', async () => {
    const server = await startServer('broadcast')
    const client = startClient(server.ws)
    await eventually(() => client.stdout.includes('Received'), 'a message')
    assert.equal(client.stdout, 'Connected to server\nReceived message => Hello, server!\n')
    await server.prints('New client connected\nReceived message => Hello, server!\n')
    server.child.kill('SIGTERM')
    assert.equal(await client.ended(), 0)
    assert.equal(client.stdout, 'Connected to server\nReceived message => Hello, server!\nDisconnected from server\n')
    assert.equal(client.stderr, '')
    assert.equal(await server.ended(), 0)
    await server.prints('New client connected\nReceived message => Hello, server!\nClient disconnected\n')
  })

  test('against ws, closed by the server, or stopped by a signal', async () => {
    let socket
    const server = await wsServer({}, client => { socket = client; client.on('message', data => client.send(`you said ${data}`)) })
    const client = startClient(server.url)
    await eventually(() => client.stdout.includes('you said'), 'an answer')
    socket.close(1000)
    assert.equal(await client.ended(), 0)
    assert.equal(client.stdout, 'Connected to server\nReceived message => you said Hello, server!\nDisconnected from server\n')
    const other = startClient(server.url)
    await eventually(() => other.stdout.includes('you said'), 'an answer')
    other.child.kill('SIGTERM')
    assert.equal(await other.ended(), 0)
    assert.match(other.stdout, /Disconnected from server\n$/)
  })

  test('nobody there, a page, no URL', async () => {
    const server = await rawServer(() => text(['HTTP/1.1 404 Not Found', 'Content-Length: 0']))
    for (const [url, stderr] of [[server.url, 'Unexpected server response: 404\n'], ['nonsense', 'nonsense: invalid argument\n']]) {
      const client = startClient(url)
      assert.equal(await client.ended(), 1)
      assert.deepEqual([client.stdout, client.stderr], ['', stderr])
    }
    server.close()
    const client = startClient(server.url)
    assert.equal(await client.ended(), 1)
    assert.equal(client.stderr, 'connection refused\n')
  })
})

test('nothing is left', async () => {
  await isAtRest(driver)
  await driver.stop()
  assert.equal(driver.stderr, '')
})
