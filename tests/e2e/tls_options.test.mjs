// What the options of TLS say, and what it takes from clients: versions, sessions, deadlines, ends.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { spawn } from 'node:child_process'
import crypto from 'node:crypto'
import fs from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import tls from 'node:tls'
import { WebSocket } from 'ws'
import { inFolder } from './certificates.mjs'
import { eventually, startProgram, withPatience } from './support.mjs'
import { REQUEST, ca, environmentOf, everything, get, json, run, s_client, serverOf, start } from './tls_support.mjs'

const closed = async (server, reason) => (await json(server, '/stats')).closed[reason] || 0
const counts = (server, reason, n) => eventually(async () => await closed(server, reason) === n, async () => `${n} of "${reason}": ${JSON.stringify(await json(server, '/stats'))}`)
const connect = (server, options) => tls.connect({ port: server.port, host: '127.0.0.1', ca: ca.pem, ALPNProtocols: ['http/1.1'], ...options })

describe('versions and ciphers', () => {
  const server = serverOf()
  const refused = /alert protocol version|alert handshake failure|no protocols available/

  for (const version of ['tls1', 'tls1_1']) {
    test(`${version} is refused`, async () =>
      assert.match(await s_client(server, REQUEST, `-${version}`, '-cipher', 'ALL:@SECLEVEL=0'), refused))
  }
  for (const cipher of ['AES128-SHA', 'AES128-GCM-SHA256', 'ECDHE-ECDSA-AES128-SHA', 'ECDHE-ECDSA-AES128-CCM8', 'DHE-RSA-AES128-GCM-SHA256', 'AECDH-AES128-SHA', 'NULL-SHA256']) {
    test(`${cipher} is refused`, async () =>
      assert.match(await s_client(server, REQUEST, '-tls1_2', '-cipher', `${cipher}:@SECLEVEL=0`), refused))
  }
  for (const cipher of ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305']) {
    test(cipher, async () => assert.equal((await json(server, '/where', { maxVersion: 'TLSv1.2', ciphers: cipher })).tls.cipher, cipher))
  }
  for (const cipher of ['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256']) {
    test(cipher, async () => assert.equal((await json(server, '/where', { ciphers: cipher })).tls.cipher, cipher))
  }

  test('only TLS 1.3', async t => {
    const server = await start({ only_1_3: true })
    t.after(() => server.stop())
    assert.equal((await json(server, '/where')).tls.version, 'TLSv1.3')
    await assert.rejects(get(server, '/', { maxVersion: 'TLSv1.2' }), /protocol version/)
  })
  test('ciphers', async t => {
    const server = await start({ ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384', ciphersuites: 'TLS_AES_256_GCM_SHA384' })
    t.after(() => server.stop())
    assert.equal((await json(server, '/where', { maxVersion: 'TLSv1.2' })).tls.cipher, 'ECDHE-ECDSA-AES256-GCM-SHA384')
    assert.equal((await json(server, '/where')).tls.cipher, 'TLS_AES_256_GCM_SHA384')
  })
  test('a log of keys', async t => {
    const file = inFolder('keys.log')
    const server = await start({ key_log_file: file })
    t.after(() => server.stop())
    await get(server, '/')
    await get(server, '/', { maxVersion: 'TLSv1.2' })
    const log = fs.readFileSync(file, 'utf8')
    assert.match(log, /^CLIENT_TRAFFIC_SECRET_0 [0-9a-f]{64} [0-9a-f]{64}$/m)
    assert.match(log, /^CLIENT_RANDOM [0-9a-f]{64} [0-9a-f]{96}$/m)
    assert.equal(fs.statSync(file).mode & 0o777, 0o600)
  })
})

describe('sessions', () => {
  // A connection, and a second one that brings what the first was given. What the second one was, in JSON.
  async function twice (first, second, ...args) {
    const file = inFolder(`${crypto.randomUUID()}.session`)
    const one = await s_client(first, REQUEST, '-ign_eof', '-sess_out', file, ...args)
    assert.match(one, /"resumed":false/)
    if (!fs.existsSync(file)) return 'no session'
    const two = await s_client(second, REQUEST, '-ign_eof', '-sess_in', file, ...args)
    return /"resumed":true/.test(two) ? 'resumed' : 'whole'
  }
  const keys = ['a', 'b'].map(name => {
    fs.writeFileSync(inFolder(`${name}.ticket`), crypto.randomBytes(80))
    return inFolder(`${name}.ticket`)
  })

  for (const version of ['tls1_2', 'tls1_3']) {
    describe(version, () => {
      const server = serverOf()
      const another = serverOf()
      const without = serverOf({ no_tickets: true })
      const shared = serverOf({ ticket_key_files: [keys[0]] })
      const rotated = serverOf({ ticket_key_files: [keys[1], keys[0]] })
      const forgotten = serverOf({ ticket_key_files: [keys[1]] })

      test('are resumed', async () => {
        const before = await json(server, '/stats')
        assert.equal(await twice(server, server, `-${version}`), 'resumed')
        const stats = await json(server, '/stats')
        assert.equal(stats.resumed - before.resumed, 1)
        assert.equal(stats.handshakes - before.handshakes, 3)
      })
      test('not those of another server', async () => assert.equal(await twice(another, server, `-${version}`), 'whole'))
      test('not without tickets', async () => assert.notEqual(await twice(without, without, `-${version}`), 'resumed'))
      test('by another process that has the same keys', async () => assert.equal(await twice(shared, rotated, `-${version}`), 'resumed'))
      test('not by one that has other keys', async () => assert.equal(await twice(shared, forgotten, `-${version}`), 'whole'))
    })
  }

  test('keys change by tls_reload', async t => {
    const [first, second] = ['first', 'second'].map(name => inFolder(`${name}.ticket`))
    fs.copyFileSync(keys[0], first)
    fs.copyFileSync(keys[0], second)
    const server = await start({ ticket_key_files: [first, second] })
    t.after(() => server.stop())
    const file = inFolder('rotated.session')
    await s_client(server, REQUEST, '-ign_eof', '-sess_out', file)
    fs.copyFileSync(keys[1], first)
    assert.equal((await get(server, '/reload')).text, 'ok')
    assert.match(await s_client(server, REQUEST, '-ign_eof', '-sess_in', file), /"resumed":true/)
    fs.copyFileSync(keys[1], second)
    assert.equal((await get(server, '/reload')).text, 'ok')
    assert.match(await s_client(server, REQUEST, '-ign_eof', '-sess_in', file), /"resumed":false/)
    fs.writeFileSync(first, 'short')
    assert.match((await get(server, '/reload')).text, /^EINVAL.*first\.ticket: a key of tickets is 80 bytes/)
  })
  test('files that hold no key', async () => {
    fs.writeFileSync(inFolder('short.ticket'), 'short')
    for (const [list, reason] of [[[inFolder('short.ticket')], /80 bytes/], [[inFolder('none.ticket')], /can't be opened/], [[], /none/], [Array(9).fill(keys[0]), /too many/]]) {
      const program = startProgram('tests/support/tls_server', { env: environmentOf({ ticket_key_files: list }) })
      assert.equal(await program.ended(), 1)
      assert.match(program.stderr, reason)
    }
  })
})

describe('http beside https', () => {
  const server = serverOf({}, { PLAIN: '1' })
  const portOf = what => Number(new RegExp(`^${what} on (\\d+)$`, 'm').exec(server.stdout)[1])
  const ask = (what, path, { method = 'GET', headers } = {}) => withPatience(new Promise((resolve, reject) => {
    http.request({ port: portOf(what), host: '127.0.0.1', path, method, headers, agent: false }, async response => {
      let text = ''
      for await (const chunk of response.setEncoding('utf8')) text += chunk
      resolve({ status: response.statusCode, location: response.headers.location, text })
    }).on('error', reject).end()
  }), path)

  test('is the same app', async () => {
    const { text } = await ask('plain', '/where')
    assert.deepEqual(JSON.parse(text), { secure: false, protocol: 'http', href: `http://127.0.0.1:${portOf('plain')}/where`, tls: null })
  })
  test('a forged X-Forwarded-Proto is not believed', async () => {
    const { text } = await ask('plain', '/where', { headers: { 'X-Forwarded-Proto': 'https' } })
    assert.equal(JSON.parse(text).secure, false)
  })

  const redirected = {
    '/': {},
    '/a/b?c=d&e': {},
    '/%41/%20': {},
    '//example.org/': {},
    '/head': { method: 'HEAD' },
    '/post': { method: 'POST' },
    '/delete?all': { method: 'DELETE' },
    '/host': { headers: { Host: 'example.org' } },
    '/port': { headers: { Host: 'example.org:8080' } },
    '/six': { headers: { Host: '[::1]:80' } },
    'http://example.net/absolute?x': { headers: { Host: 'example.net' } }
  }
  for (const [path, options] of Object.entries(redirected)) {
    test(`${options.method || 'GET'} ${path} is redirected`, async () => {
      const { status, location } = await ask('redirects', path, options)
      const host = (options.headers?.Host || '127.0.0.1').replace(/:\d+$/, '')
      assert.equal(location, `https://${host}:${server.port}${path.replace(/^http:..example.net/, '')}`)
      assert.equal(status, /GET|HEAD/.test(options.method || 'GET') ? 301 : 308)
    })
  }
  test('curl follows', async () => {
    const { stdout } = await run('curl', ['-sSL', '--cacert', ca.cert, `http://127.0.0.1:${portOf('redirects')}/`])
    assert.equal(stdout, 'hello')
  })
  test('WebSockets follow', async () => {
    const ws = new WebSocket(`ws://127.0.0.1:${portOf('redirects')}/`, { ca: ca.pem, followRedirects: true })
    await withPatience(once(ws, 'open'), 'open')
    ws.send('hello')
    assert.equal(String((await withPatience(once(ws, 'message'), 'an echo'))[0]), 'hello')
    ws.close()
    await withPatience(once(ws, 'close'), 'close')
  })
  test('no host, nowhere to go', async () => {
    const socket = net.connect(portOf('redirects'), '127.0.0.1').end('GET / HTTP/1.0\r\n\r\n')
    assert.match(await everything(socket), /^HTTP\/1\.1 400 /)
  })
})

describe('handshakes that don\'t come to an end', () => {
  const hello = Buffer.from('16030100c8010000c40303', 'hex') // how one begins

  for (const [name, bytes] of [['nothing', ''], ['half of one', hello], ['a record, byte by byte', hello.subarray(0, 3)]]) {
    test(name, async t => {
      const server = await start({ handshake_timeout: 300 })
      t.after(() => server.stop())
      const socket = net.connect(server.port, '127.0.0.1')
      socket.write(bytes)
      assert.equal(await everything(socket), '')
      await counts(server, 'TLS handshake not complete in time', 1)
    })
  }
  test('too many at once', async t => {
    const server = await start({ handshakes: 3 })
    t.after(() => server.stop())
    const sockets = []
    for (let i = 0; i < 3; i++) {
      sockets.push(net.connect(server.port, '127.0.0.1').on('error', () => {}))
      await withPatience(once(sockets[i], 'connect'), 'a connection')
    }
    const gone = sockets.map(socket => everything(socket))
    assert.equal((await get(server, '/')).text, 'hello') // and the oldest goes
    await gone[0]
    const { closed, active } = await json(server, '/stats') // and the next
    assert.ok(closed['too many connections or handlers'] >= 1)
    assert.ok(active <= 3)
    sockets.forEach(socket => socket.destroy())
  })
  test('broken ones', async t => {
    const server = await start()
    t.after(() => server.stop())
    for (const bytes of ['1603010005', '160301000501000001', '1503010002', '160301400001', '16030100040100000000', '1603010000'.repeat(40)]) {
      const socket = net.connect(server.port, '127.0.0.1').on('error', () => {})
      socket.end(Buffer.from(bytes, 'hex'))
      await everything(socket)
    }
    const reset = net.connect(server.port, '127.0.0.1')
    await once(reset, 'connect')
    reset.resetAndDestroy()
    await eventually(async () => (await json(server, '/stats')).active === 0, 'nobody is left')
  })
})

describe('after the handshake', () => {
  const server = serverOf()

  test('nothing is renegotiated', async () => {
    const text = await s_client(server, 'R\n', '-tls1_2')
    assert.match(text, /no renegotiation/)
    assert.equal((await get(server, '/')).text, 'hello')
  })
  test('keys are updated, but not without end', async () => {
    const some = await s_client(server, 'k\n'.repeat(5) + 'Q\n', '-tls1_3')
    assert.match(some, /KEYUPDATE\n[^]*DONE/)
    const before = await closed(server, 'a record of TLS is broken')
    const client = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${server.port}`, '-tls1_3'])
    const ended = once(client, 'close')
    client.stdin.on('error', () => {})
    client.stderr.on('data', text => String(text).includes('KEYUPDATE') && client.stdin.write('k\n'))
    client.stdin.write('k\n')
    client.stdout.resume()
    await withPatience(ended, 'the end')
    await counts(server, 'a record of TLS is broken', before + 1)
  })
  test('a broken record', async () => {
    const before = await closed(server, 'a record of TLS is broken')
    const below = net.connect(server.port, '127.0.0.1').on('error', () => {})
    const socket = tls.connect({ socket: below, ca: ca.pem, host: '127.0.0.1' }).on('error', () => {})
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await withPatience(once(socket, 'data'), 'an answer')
    below.write(Buffer.from('1703030020' + '00'.repeat(32), 'hex'))
    await withPatience(once(below, 'close'), 'the end')
    await counts(server, 'a record of TLS is broken', before + 1)
  })

  for (const version of ['tls1_2', 'tls1_3']) {
    test(`close_notify comes before the end, ${version}`, async () => {
      const text = await s_client(server, REQUEST, '-ign_eof', `-${version}`, '-state')
      assert.match(text, /SSL3 alert read:warning:close notify/)
      assert.doesNotMatch(text, /unexpected eof/)
    })
  }
  test('close_notify of a client is an end', async () => {
    const before = await json(server, '/stats')
    const socket = connect(server)
    await withPatience(once(socket, 'secureConnect'), 'hands')
    socket.end()
    assert.equal(await everything(socket), '')
    assert.deepEqual((await json(server, '/stats')).closed, before.closed)
  })

  // A request whose body breaks off; the socket ends with or without a word of TLS.
  const bodies = {
    'with a length': 'Content-Length: 100\r\n\r\nhalf',
    'in chunks': 'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'
  }
  for (const [name, rest] of Object.entries(bodies)) {
    test(`a body ${name} that is cut off`, async () => {
      const before = await closed(server, 'the request broke off without a word of TLS')
      const said = server.stderr.length
      const below = net.connect(server.port, '127.0.0.1')
      const socket = tls.connect({ socket: below, ca: ca.pem, host: '127.0.0.1' }).on('error', () => {})
      await withPatience(once(socket, 'secureConnect'), 'hands')
      socket.write(`POST /upload HTTP/1.1\r\nHost: a\r\n${rest}`)
      below.end()
      await everything(socket)
      await counts(server, 'the request broke off without a word of TLS', before + 1)
      await eventually(() => server.stderr.slice(said) === 'upload: failed after 4 bytes\n', () => server.stderr)
    })
    test(`a body ${name} that is ended`, async () => {
      const before = await closed(server, 'the request broke off without a word of TLS')
      const said = server.stderr.length
      const socket = connect(server)
      socket.end(`POST /upload HTTP/1.1\r\nHost: a\r\n${rest}`)
      await everything(socket)
      await eventually(() => server.stderr.slice(said) === 'upload: failed after 4 bytes\n', () => server.stderr)
      assert.equal(await closed(server, 'the request broke off without a word of TLS'), before)
    })
  }
})

describe('much at once', () => {
  const server = serverOf()
  const sumOf = (length, at = i => i & 255) => {
    let sum = 0
    for (let i = 0; i < length; i++) sum = (Math.imul(sum, 31) + at(i)) >>> 0
    return sum
  }

  for (const piece of [1, 1000, 16384, 100_000]) {
    test(`a download in pieces of ${piece}`, async () => {
      const length = piece === 1 ? 20_000 : 3_000_000
      const { text } = await get(server, `/bytes/${length}?piece=${piece}`)
      assert.equal(text.length, length)
      assert.equal(sumOf(length, i => text.charCodeAt(i)), sumOf(length, i => 97 + i % 26))
    })
  }
  test('an upload', async () => {
    const body = Buffer.from({ length: 3_000_000 }, (_, i) => i).map((_, i) => i & 255)
    const { stdout } = await run('curl', ['-sS', '--cacert', ca.cert, '--data-binary', `@${(fs.writeFileSync(inFolder('body'), body), inFolder('body'))}`, `${server.url}/upload`])
    assert.equal(stdout, `${body.length} ${sumOf(body.length)}`)
  })
  test('small pieces fill up records', async () => {
    // What a reader sees of 20,000 writes of a byte: each chunk has 6 bytes. In a record each they would be 22 more.
    const below = net.connect(server.port, '127.0.0.1')
    const socket = tls.connect({ socket: below, ca: ca.pem, host: '127.0.0.1' })
    await withPatience(once(socket, 'secureConnect'), 'hands')
    socket.write('GET /bytes/20000?piece=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    const text = await everything(socket)
    assert.ok(below.bytesRead < text.length + 5000, `${below.bytesRead} bytes for ${text.length}`)
  })
})
