// Hostile input: time. H17 to H20, on a server whose deadlines are short; and the same clients, all at once.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { execFile } from 'node:child_process'
import net from 'node:net'
import tls from 'node:tls'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { authority, issue } from './certificates.mjs'
import { SOME, bare, connect, eachOf, getOf, isServed, start, survives, target, transcriptOf } from './hostile.mjs'
import { MIB, get, opened, statsOf } from './peer.mjs'
import { eventually, startServer, withPatience } from './support.mjs'

const TIMEOUT = bare('408 Request Timeout')

// Sends the bytes of `text` one after the other, `ms` apart, until the server has enough.
async function trickle (peer, text, ms) {
  for (let i = 0; i < text.length && !peer.over; i++) {
    peer.write(text[i])
    await sleep(ms)
  }
}

describe('slow clients', () => {
  const server = target({ HEAD_TIMEOUT: '300', REQUEST_TIMEOUT: '600', WRITE_TIMEOUT: '1000', KEEP_ALIVE_TIMEOUT: '300' })

  test('H17 a head, byte by byte', () => survives(server, { closed: { HEAD_TIMEOUT: 80 } }, () => eachOf(80, async i => {
    const peer = await connect(server)
    const text = ['GET /', getOf('/text').slice(0, -2), 'GET / HTTP/1.1\r\nX: ', '\r\nPOST /'][i % 4] + 'x'.repeat(1000)
    const slowly = trickle(peer, text, 20)
    assert.equal(await transcriptOf(peer), TIMEOUT)
    await slowly
    peer.end()
  })))

  test('H17 … and nothing at all', () => survives(server, {}, () => eachOf(50, async () => {
    const peer = await connect(server)
    assert.equal(await transcriptOf(peer), '') // as between two requests: closed, which is no error
    peer.end()
  })))

  test('H18 a body, byte by byte', () => survives(server, { closed: { REQUEST_TIMEOUT: 60 } }, () => eachOf(60, async i => {
    const peer = await connect(server)
    const framing = i % 2 ? 'Content-Length: 1000' : 'Transfer-Encoding: chunked'
    peer.write(['POST /echo HTTP/1.1', 'Host: a', framing, '', i % 2 ? '' : '3e8\r\n'].join('\r\n'))
    const slowly = trickle(peer, 'x'.repeat(1000), 40)
    assert.match(await transcriptOf(peer), /^HTTP\/1\.1 408 Request Timeout\r\n/)
    await slowly
    peer.end()
  })))

  test('H19 a GB that nobody reads', () => survives(server, { grows: 12 * MIB, closed: { WRITE_TIMEOUT: 16 } }, async () => {
    const peers = []
    await eachOf(16, async () => {
      const peer = await connect(server)
      peer.socket.pause()
      peers.push(peer.write(getOf(`/big?size=${2 ** 30}`)))
    })
    await eventually(async () => (await statsOf(server)).coroutines === 16, 'all of them wait')
    await isServed(server)
    await eventually(async () => (await statsOf(server)).connections === 0, 'all of them are cut')
    for (const peer of peers) peer.end()
  }))

  test('H19 … and one that is read in drops', () => survives(server, { grows: 8 * MIB, closed: { ABORTED: SOME } }, async () => {
    const peer = await connect(server)
    peer.write(getOf(`/big?size=${2 ** 30}`))
    for (let i = 0; i < 40 && !peer.over; i++) { // longer than write_timeout: whoever takes something is not cut
      peer.socket.pause()
      await sleep(30)
      peer.take(peer.length)
      peer.socket.resume()
      await sleep(5)
    }
    assert.equal(peer.over, '')
    peer.reset()
  }))

  test('all of them at once', () => survives(server, { grows: 16 * MIB, closed: { HEAD_TIMEOUT: 50, REQUEST_TIMEOUT: 50, WRITE_TIMEOUT: 10 } }, () => eachOf(160, async i => {
    const peer = await connect(server)
    if (i < 10) peer.socket.pause()
    peer.write(i < 10 ? getOf(`/big?size=${2 ** 28}`) : i < 60 ? 'GET / HTT' : i < 110 ? ['POST /echo HTTP/1.1', 'Host: a', 'Content-Length: 9', '', 'x'].join('\r\n') : '')
    if (i < 10) await eventually(async () => (await statsOf(server)).closed.WRITE_TIMEOUT >= 26, 'all of them are cut')
    else await transcriptOf(peer)
    peer.end()
  })))
})

// --- TLS -----------------------------------------------------------------------------------------

const ca = authority('hostile-ca')
const certificate = issue(ca, 'hostile')

async function connectPlain (server) {
  const socket = net.connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  opened.add(socket)
  socket.on('error', () => {})
  const closed = once(socket, 'close')
  let text = ''
  socket.setEncoding('latin1').on('data', data => { text += data }).on('end', () => socket.end())
  await once(socket, 'connect')
  return { socket, text: async () => { await withPatience(closed, () => `the end: got ${text}`); return text } }
}

describe('TLS', () => {
  const server = {}
  const HANDSHAKES = 400
  before(async () => {
    const options = { cert_file: certificate.cert, key_file: certificate.key, handshake_timeout: 1500, handshakes: HANDSHAKES }
    Object.setPrototypeOf(server, await startServer('tests/support/tls_server', { env: { TLS: JSON.stringify(options) } }))
  })
  after(() => server.stop())

  const secure = () => withPatience(new Promise((resolve, reject) => {
    const socket = tls.connect({ port: server.port, ca: ca.pem }, () => {
      socket.write(getOf('/stats', 'Connection: close'))
      let text = ''
      socket.setEncoding('utf8').on('data', data => { text += data }).on('end', () => resolve(JSON.parse(text.slice(text.indexOf('{')))))
    }).on('error', reject)
  }), 'the counters')

  // A ClientHello of node's, as it stands on the wire.
  async function hello () {
    const listener = net.createServer().listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const client = tls.connect({ port: listener.address().port, host: '127.0.0.1' })
    client.on('error', () => {})
    const [socket] = await once(listener, 'connection')
    const [bytes] = await once(socket, 'data')
    client.destroy()
    socket.destroy()
    listener.close()
    return bytes
  }

  test('H20 handshakes that stop half way', async () => {
    const bytes = await hello()
    const before = await secure()
    const clients = []
    await eachOf(200, async i => {
      const client = await connectPlain(server)
      client.socket.write([Buffer.alloc(0), bytes.subarray(0, 5), bytes.subarray(0, 100), bytes][i % 4])
      clients.push(client)
    })
    await eventually(async () => (await secure()).active >= 200, 'all of them are under way')
    assert.equal((await secure()).connections, 201)
    await Promise.all(clients.map(client => client.text()))
    const now = await secure()
    assert.equal(now.closed['TLS handshake not complete in time'], 200)
    assert.equal(now.connections, 1)
    assert.ok(now.rss - before.rss < 40 * MIB, `it grew by ${(now.rss - before.rss) >> 10} KiB`)
  })

  test('H20 more of them than there may be: those go that have taken longest', async () => {
    const clients = []
    let gone = 0
    await eachOf(HANDSHAKES + 200, async () => {
      const client = await connectPlain(server)
      client.text().then(() => gone++)
      clients.push(client)
    })
    await eventually(() => gone >= 200, 'the first ones are closed')
    const now = await secure() // this one came in
    assert.ok(now.connections <= HANDSHAKES + 1)
    assert.ok(now.closed['too many connections or handlers'] >= 200)
    for (const { socket } of clients) socket.destroy()
    await eventually(async () => (await secure()).connections === 1, 'all of them are gone')
  })

  test('H20 renegotiation: there is none', async () => {
    const run = promisify(execFile)
    const client = run('openssl', ['s_client', '-connect', `127.0.0.1:${server.port}`, '-CAfile', ca.cert, '-tls1_2'])
    client.child.stdin.end('R\n')
    const { stdout, stderr } = await withPatience(client.catch(error => error), 's_client')
    assert.match(stdout + stderr, /no renegotiation|unexpected message|handshake failure|RENEGOTIATING/)
    assert.doesNotMatch((stdout + stderr).split('RENEGOTIATING')[1] ?? '', /verify return/)
    await secure()
  })

  test('H20 what is no TLS, or no longer', async () => {
    const { closed } = await eventually(async () => {
      const now = await secure()
      return now.connections === 1 && now
    }, 'those before are gone')
    const plain = await connectPlain(server)
    plain.socket.write(getOf('/'))
    assert.match(await plain.text(), /^HTTP\/1\.1 400 Bad Request\r\n[^]*Plain HTTP came to a port for https/)
    for (const bytes of ['\x16\x03\x01\x00\x05hello', '\x16\x03\x01\xff\xff' + 'x'.repeat(70000), '\x80\x2e\x01\0\x02', '\0'.repeat(1000), '\x15\x03\x01\0\x02\x02\x28']) {
      const client = await connectPlain(server)
      client.socket.write(Buffer.from(bytes, 'latin1'))
      client.socket.end()
      await client.text()
    }
    const below = await connectPlain(server) // a record that was changed on its way
    const above = tls.connect({ socket: below.socket, ca: ca.pem, servername: 'localhost' })
    const told = new Promise(resolve => above.once('error', resolve))
    above.write(getOf('/'))
    await withPatience(once(above, 'data'), 'an answer')
    below.socket.write(Buffer.concat([Buffer.from([23, 3, 3, 0, 40]), Buffer.alloc(40, 1)]))
    assert.match((await withPatience(told, 'an alert')).message, /bad record mac/)
    above.destroy()
    const now = (await secure()).closed
    const moved = name => (now[name] ?? 0) - (closed[name] ?? 0)
    assert.equal(moved('plain HTTP came to a port for https'), 1)
    assert.equal(moved('the TLS handshake failed'), 5)
    assert.equal(moved('a record of TLS is broken'), 1)
  })

  test('H20 TLS to a port for http', async () => {
    const plain = await start()
    const client = await connectPlain(plain)
    client.socket.write(await hello())
    assert.equal(await client.text(), bare('400 Bad Request'))
    assert.equal(JSON.parse(await get(plain, '/stats')).closed.BAD_REQUEST, 1)
    await plain.stop()
  })
})
