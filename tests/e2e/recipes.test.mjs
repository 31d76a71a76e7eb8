// The recipes of ws's README and the six tests of koa-websocket, with ws as the client, against support/recipes_server.c.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { request } from 'undici'
import { WebSocket, createWebSocketStream } from 'ws'
import { authority, issue } from './certificates.mjs'
import { eventually, startServer, withPatience } from './support.mjs'

const start = env => startServer('tests/support/recipes_server', { env })

function serverOf (env = {}) {
  const server = {}
  before(async () => Object.assign(server, await start(env)))
  after(() => server.stop())
  return server
}

// An open socket; what it gets, as it comes.
async function open (server, path, { protocols = [], ...options } = {}) {
  const socket = new WebSocket(server.ws + path, protocols, options)
  socket.messages = []
  socket.on('message', (data, binary) => socket.messages.push(binary ? data : String(data)))
  await withPatience(once(socket, 'open'), `${path} opens`)
  return socket
}

const gets = (socket, messages) => eventually(() => socket.messages.length >= messages.length, () =>
  `${JSON.stringify(messages)}, but ${JSON.stringify(socket.messages)}`).then(() => assert.deepEqual(socket.messages, messages))

async function close (...sockets) {
  for (const socket of sockets) {
    const closed = once(socket, 'close')
    socket.close(1000)
    assert.equal((await withPatience(closed, 'closes'))[0], 1000)
  }
}

// The answer to a handshake that is refused.
async function refusal (server, path, options) {
  const socket = new WebSocket(server.ws + path, options)
  socket.on('error', () => {})
  const [, response] = await withPatience(once(socket, 'unexpected-response'), `${path} is refused`)
  response.resume()
  return response
}

// --- The README of ws ----------------------------------------------------------------------------

describe('recipes of ws', () => {
  const server = serverOf({ WATCH: '200' })

  test('sending and receiving text and binary data', async () => {
    const socket = await open(server, '/')
    const floats = new Float32Array([0, 0.5, 1, 1.5, 2])
    socket.send('something')
    socket.send(floats)
    await gets(socket, ['something', Buffer.from(floats.buffer)])
    await close(socket)
  })

  test('server broadcast: to all, and to all others, of the same kind', async () => {
    const [a, b, c] = [await open(server, '/all'), await open(server, '/others'), await open(server, '/all')]
    a.send('to all')
    for (const socket of [a, b, c]) await gets(socket, ['to all'])
    b.send(Buffer.from([0, 255]))
    for (const socket of [a, c]) await gets(socket, ['to all', Buffer.from([0, 255])])
    b.send('again')
    for (const socket of [a, c]) await gets(socket, ['to all', Buffer.from([0, 255]), 'again'])
    c.terminate() // whoever has gone is no error
    a.send('still there?')
    await gets(b, ['to all', 'still there?'])
    await close(a, b)
  })

  test('several endpoints on one port, each with its clients; no others', async () => {
    const foo = [await open(server, '/foo'), await open(server, '/foo?x')]
    const bar = await open(server, '/bar')
    foo[0].send('foo')
    bar.send('bar')
    for (const socket of foo) await gets(socket, ['foo'])
    await gets(bar, ['bar'])
    await close(...foo, bar)
    assert.equal((await refusal(server, '/baz')).statusCode, 404)
    assert.equal((await request(`${server.url}/foo`)).statusCode, 404, 'no page')
  })

  test('authentication at the upgrade', async () => {
    for (const headers of [{}, { Authorization: 'Bearer ' }, { Authorization: 'Basic eDp5' }]) {
      const { statusCode, headers: { 'www-authenticate': scheme } } = await refusal(server, '/private', { headers })
      assert.deepEqual([statusCode, scheme], [401, 'Bearer'])
    }
    const socket = await open(server, '/private', { headers: { Authorization: 'Bearer ada' } })
    socket.send('hello')
    await gets(socket, ['Received message hello from user ada'])
    await close(socket)
  })

  test('the IP address of the client', async () => {
    const socket = await open(server, '/ip', { headers: { 'X-Forwarded-For': '192.0.2.1' } })
    await eventually(() => socket.messages.length, 'it')
    await close(socket)
    assert.match(socket.messages[0], /^(::ffff:)?127\.0\.0\.1$/, 'nobody is believed')
  })

  test('round-trip time', async () => {
    const socket = await open(server, '/')
    for (let i = 0; i < 3; i++) {
      socket.send(Date.now())
      const [data] = await withPatience(once(socket, 'message'), 'it comes back')
      assert.ok(Date.now() - data >= 0)
    }
    await close(socket)
  })

  test('streams of node', async () => {
    const stream = createWebSocketStream(new WebSocket(`${server.ws}/`))
    const sent = Buffer.alloc(3_000_000, 'streams of node ')
    let received = Buffer.alloc(0)
    stream.on('data', data => { received = Buffer.concat([received, data]) })
    for (let at = 0; at < sent.length; at += 50_000) stream.write(sent.subarray(at, at + 50_000))
    await eventually(() => received.length >= sent.length, 'all of it')
    assert.ok(received.equals(sent))
    stream.end()
    await withPatience(once(stream, 'close'), 'the end')
  })

  test('broken connections, found by hand: who answers pings stays', async () => {
    const [alive, dead] = [await open(server, '/watched'), await open(server, '/watched', { autoPong: false })]
    let pings = 0
    alive.on('ping', () => { pings++ })
    const [code] = await withPatience(once(dead, 'close'), 'it is cut')
    assert.equal(code, 1006)
    await eventually(() => pings >= 4, 'it is asked again')
    await close(alive)
  })

  test('server stats, again and again', async () => {
    const socket = await open(server, '/stats')
    await eventually(() => socket.messages.length >= 5 && socket.messages.at(-1) === '{"websockets":1}', 'stats')
    await close(socket)
  })

  test('sessions that are shared with HTTP', async () => {
    assert.equal((await refusal(server, '/session')).statusCode, 401)
    const { headers } = await request(`${server.url}/login/ada`, { method: 'POST' })
    const cookie = [headers['set-cookie']].flat().map(line => line.split(';')[0]).join('; ')
    const socket = await open(server, '/session', { headers: { cookie } })
    socket.send('hello')
    await gets(socket, ['Received message hello from user ada'])
    await close(socket)
    const forged = cookie.replace(/(?<=sig=)./, first => first === 'A' ? 'B' : 'A')
    assert.equal((await refusal(server, '/session', { headers: { cookie: forged } })).statusCode, 401)
    const foreign = { headers: { cookie }, origin: 'https://evil.example' }
    assert.equal((await refusal(server, '/session', foreign)).statusCode, 403, 'another page\'s')
  })
})

describe('behind a proxy', () => {
  const server = serverOf({ PROXY: '1' })

  test('the IP address of the client', async () => {
    for (const [forwarded, ip] of [['192.0.2.1', '192.0.2.1'], ['192.0.2.1, 198.51.100.1', '198.51.100.1'], ['2001:db8::1', '2001:db8::1']]) {
      const socket = await open(server, '/ip', { headers: { 'X-Forwarded-For': forwarded } })
      await gets(socket, [ip])
      await close(socket)
    }
  })
})

describe('with a heartbeat', () => {
  const server = serverOf({ HEARTBEAT: '300' })

  test('broken connections are found by the server', async () => {
    const [alive, dead] = [await open(server, '/'), await open(server, '/', { autoPong: false })]
    const [code] = await withPatience(once(dead, 'close'), 'it is cut')
    assert.equal(code, 1006)
    alive.send('still there')
    await gets(alive, ['still there'])
    await close(alive)
  })

  test('and by the client, which hears of the server', async () => {
    const socket = await open(server, '/')
    let beats = 0
    socket.on('ping', () => { beats++ })
    await eventually(() => beats >= 3, 'pings')
    await close(socket)
  })
})

// --- The tests of koa-websocket ------------------------------------------------------------------

describe('koa-websocket', () => {
  const server = serverOf({ KOA_WEBSOCKET: '1' })

  for (const [name, path, text] of [
    ['a middleware for all paths', '/anything', '123'],
    ['one route', '/abc', 'abc'],
    ['the other route', '/def', 'def'],
    ['a URL with a query', '/abc?foo=bar', 'abc']
  ]) {
    test(name, async () => {
      const socket = await open(server, path)
      socket.send(text)
      await gets(socket, [text])
      await close(socket)
    })
  }

  test('a subprotocol that is not taken', async () => {
    const socket = new WebSocket(`${server.ws}/abc`, ['bad_protocol'])
    const [error] = await withPatience(once(socket, 'error'), 'an error')
    assert.equal(error.message, 'Server sent no subprotocol')
    const good = await open(server, '/abc', { protocols: ['good_protocol'] })
    assert.equal(good.protocol, 'good_protocol')
    await close(good)
  })
})

test('koa-websocket: over TLS', async () => {
  const ca = authority('ca')
  const { cert, key } = issue(ca, 'localhost')
  const server = await start({ KOA_WEBSOCKET: '1', ACACIA_TLS_CERT: cert, ACACIA_TLS_KEY: key })
  const socket = await open({ ws: server.ws.replace('127.0.0.1', 'localhost') }, '/abc', { ca: ca.pem })
  socket.send('abc')
  await gets(socket, ['abc'])
  assert.match(socket.url, /^wss:/)
  await close(socket)
  await server.stop()
})
