// https and wss, with the clients that there are: what they get, and what becomes of those who don't speak TLS. The
// certificates are made by openssl when the test starts.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import fs from 'node:fs'
import net from 'node:net'
import tls from 'node:tls'
import { Agent, fetch } from 'undici'
import { WebSocket } from 'ws'
import { inFolder, issue } from './certificates.mjs'
import { eventually, startProgram, startServer, withPatience } from './support.mjs'
import { ca, environmentOf, everything, get, good, json, run, s_client, serverOf, startedWith } from './tls_support.mjs'

describe('clients', () => {
  const server = serverOf()

  test('https of node', async () => {
    assert.equal((await get(server, '/')).text, 'hello')
    const { text } = await get(server, '/where', { headers: { Host: 'example.org' }, servername: 'localhost' })
    assert.deepEqual(JSON.parse(text), {
      secure: true,
      protocol: 'https',
      href: 'https://example.org/where',
      tls: { version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', server_name: 'localhost', alpn: 'http/1.1', resumed: false, certificate: null }
    })
  })

  test('undici', async () => {
    const dispatcher = new Agent({ connect: { ca: ca.pem } })
    const response = await fetch(server.url + '/', { dispatcher })
    assert.equal(await response.text(), 'hello')
    await dispatcher.close()
  })

  test('curl', async () => {
    const { stdout } = await run('curl', ['-sS', '--cacert', ca.cert, `${server.url}/`])
    assert.equal(stdout, 'hello')
  })

  for (const version of ['tls1_2', 'tls1_3']) {
    test(`openssl s_client, ${version}`, async () => {
      const text = await s_client(server, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', `-${version}`,
        '-alpn', 'http/1.1', '-ign_eof', '-verify_return_error')
      assert.match(text, /Verify return code: 0 \(ok\)/)
      assert.match(text, /ALPN protocol: http\/1\.1/)
      assert.match(text, /\r\n\r\nhello/)
    })
  }
})

describe('WebSockets', () => {
  const server = serverOf()

  test('of node', async () => {
    const ws = new WebSocket(server.ws, { ca: ca.pem })
    const messages = []
    ws.on('message', data => messages.push(String(data)))
    await withPatience(once(ws, 'open'), 'open')
    const sent = ['hello', 'x'.repeat(100_000), '']
    sent.forEach(text => ws.send(text))
    await eventually(() => messages.length === 3, 'echoes')
    assert.deepEqual(messages, sent)
    ws.close(1000)
    assert.equal((await withPatience(once(ws, 'close'), 'close'))[0], 1000)
  })

  test('of python', async t => {
    const program = `
import asyncio, ssl, websockets
async def main():
    context = ssl.create_default_context(cafile="${ca.cert}")
    async with websockets.connect("${server.ws}", ssl=context) as ws:
        await ws.send("hello")
        print(await ws.recv())
asyncio.run(main())
`
    for (const python of ['python3', '/usr/bin/python3']) {
      try {
        const { stdout } = await withPatience(run(python, ['-c', program]), 'python')
        assert.equal(stdout, 'hello\n')
        return
      } catch (error) {
        if (!/ModuleNotFoundError|ENOENT/.test(error.stderr + error.code)) throw error
      }
    }
    t.skip('no python3, or no websockets for it (apt install python3-websockets)')
  })
})

describe('no TLS', () => {
  const server = serverOf()

  test('plain HTTP is told so', async () => {
    const socket = net.connect(server.port, '127.0.0.1')
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    assert.match(await everything(socket), /^HTTP\/1\.1 400 Bad Request\r\n(.*\r\n)*\r\nPlain HTTP came to a port for https/)
    await everything(net.connect(server.port, '127.0.0.1').end('POST / HTTP/1.1\r\n\r\n'))
    await eventually(async () => (await json(server, '/stats')).closed['plain HTTP came to a port for https'] === 2, 'a count')
    assert.equal(server.stderr, 'acacia: tls: plain HTTP came to a port for https; this is told once\n')
  })

  test('other protocols are refused', async () => {
    for (const bytes of ['\x16\x03\x01\x00\x05hello', '\0\0\0\0\0\0\0\0', '\x80\x2e\x01', 'x'.repeat(100)]) {
      const socket = net.connect(server.port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(bytes, 'latin1')
      socket.end()
      await everything(socket)
    }
    assert.equal((await get(server, '/')).text, 'hello')
  })

  test('ALPN without http/1.1 is refused', async () => {
    const socket = tls.connect({ port: server.port, ca: ca.pem, ALPNProtocols: ['h2'] })
    const [error] = await withPatience(once(socket, 'error'), 'an error')
    assert.match(error.message, /no application protocol/)
  })
})

describe('files that can\'t be right keep it from starting', () => {
  const other = issue(ca, 'other')
  const attempts = {
    'that is not there': [{ cert_file: inFolder('none.pem') }, /none\.pem: No such file or directory/],
    'no certificate': [{ cert_file: good.key }, /good\.key: there is nothing of that kind in it/],
    'no key': [{ key_file: good.cert }, /good\.pem: there is nothing of that kind in it/],
    'another key': [{ key_file: other.key }, /other\.key: the key is not the certificate's/],
    'no cipher': [{ ciphers: 'none' }, /tls: no cipher match/],
    'nobody to ask': [{ require_client_cert: true }, /certificates of clients need a ca_file/]
  }
  for (const [name, [options, reason]] of Object.entries(attempts)) {
    test(name, async () => {
      const program = startProgram('tests/support/tls_server', { env: environmentOf(options) })
      assert.equal(await program.ended(), 1)
      assert.match(program.stderr, reason)
      assert.equal(program.stdout, '')
    })
  }
})

describe('the example secure', () => {
  const CERTIFICATES = inFolder('example')
  fs.mkdirSync(CERTIFICATES)
  const [cert, key] = ['cert', 'key'].map(what => `${CERTIFICATES}/secure.${what}.pem`)
  const server = startedWith(() => startServer('secure', { env: { CERTIFICATES, HTTP_PORT: '0' } }))
  const itself = () => ({ ca: fs.readFileSync(cert) })

  test('has made its certificate, which can be trusted by itself', async () => {
    assert.match(server.stdout, /^made .*secure\.cert\.pem$/m)
    assert.equal(fs.statSync(key).mode & 0o777, 0o600)
    for (const servername of ['localhost', '']) assert.equal((await get(server, '/', { servername, ...itself() })).status, 200)
    await assert.rejects(get(server, '/'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
  })
  test('a page, its script, careful headers', async () => {
    const { headers, text } = await get(server, '/', itself())
    assert.match(headers['strict-transport-security'], /^max-age=31536000/)
    assert.match(text, /<script src="secure\.js">/)
    assert.match((await get(server, '/secure.js', itself())).headers['content-type'], /javascript/)
    assert.equal((await get(server, '/secure.key.pem', itself())).status, 404)
  })
  test('a chat', async () => {
    const talkers = await Promise.all([1, 2].map(async () => {
      const ws = new WebSocket(`${server.ws}/chat`, itself())
      ws.heard = []
      ws.on('message', data => ws.heard.push(String(data)))
      await withPatience(once(ws, 'open'), 'open')
      return ws
    }))
    await eventually(() => talkers.every(ws => /^You are guest \d, by TLSv1\.3 with /.test(ws.heard[0])), 'a welcome')
    talkers[0].send('hello')
    await eventually(() => talkers.every(ws => /^guest \d: hello$/.test(ws.heard[1])), () => JSON.stringify(talkers.map(ws => ws.heard)))
    talkers[0].send(Buffer.from('x'))
    assert.equal((await withPatience(once(talkers[0], 'close'), 'the end'))[0], 1008)
    talkers[1].close()
    await withPatience(once(talkers[1], 'close'), 'the end')
  })
  test('http only redirects', async () => {
    const url = /^redirecting from (http:.*)$/m.exec(server.stdout)[1]
    const response = await fetch(`${url}/x?y`, { redirect: 'manual' })
    assert.equal(response.status, 301)
    assert.equal(response.headers.get('location'), `https://127.0.0.1:${server.port}/x?y`)
  })
  test('starts again with the same', async () => {
    const before = fs.readFileSync(cert, 'utf8')
    const again = await startServer('secure', { env: { CERTIFICATES } })
    assert.equal(fs.readFileSync(cert, 'utf8'), before)
    assert.doesNotMatch(again.stdout, /made/)
    await again.stop()
  })
  test('SIGHUP reads another', async () => {
    fs.copyFileSync(good.cert, cert)
    fs.copyFileSync(good.key, key)
    server.child.kill('SIGHUP')
    await eventually(async () => (await get(server, '/', { rejectUnauthorized: false })).subject === 'good', 'another certificate')
  })
})
