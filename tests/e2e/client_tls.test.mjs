// WebSockets to other servers by TLS: whom the client trusts, what it shows, and what it says when that goes wrong. The
// program is support/client_driver.c; the servers are npm's ws behind node's https, openssl s_server, and our own.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import fs from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { WebSocketServer } from 'ws'
import { authority, inFolder, issue, openssl } from './certificates.mjs'
import { LEAN, get } from './peer.mjs'
import { eventually, startServer } from './support.mjs'
import { ca, files, good, start } from './tls_support.mjs'

const driver = {}
before(async () => Object.assign(driver, await startServer('tests/support/client_driver', { env: { ...LEAN, SSL_CERT_FILE: ca.cert } })))

// The lines that a handler with ws_connect answers; what it says of a failure.
const connect = async (url, options = {}, to = driver) =>
  (await get(to, `/connect?${new URLSearchParams({ url, close_timeout: 200, ...options })}`)).split('\n')
const failure = async (...args) => (await connect(...args)).join('\n').replace(/^failed /, '')

const running = new Set()
after(() => running.forEach(server => { server.closeAllConnections(); server.close() }))

// An echo over TLS. `requests` are those that have come; `certificate` is that of the last client.
async function echo ({ cert, key, pem, keyPem }, options = {}) {
  const web = https.createServer({ cert: pem ?? fs.readFileSync(cert), key: keyPem ?? fs.readFileSync(key), ...options })
  const server = new WebSocketServer({ server: web })
  web.requests = []
  server.on('connection', (socket, request) => {
    web.requests.push(request)
    web.certificate = request.socket.getPeerCertificate()
    socket.on('error', () => {}).on('message', (data, binary) => socket.send(data, { binary }))
  })
  web.on('tlsClientError', error => { web.error = error })
  web.listen(0, '127.0.0.1')
  await once(web, 'listening')
  running.add(web)
  web.port = web.address().port
  web.wss = `wss://localhost:${web.port}/chat`
  return web
}

const speaks = lines => assert.equal(lines.at(-1), 'text hello', lines.join('\n'))
const hello = { messages: 'hello', receive: 1 }

describe('whom it trusts', () => {
  const other = authority('other')
  const trusts = (ca, rest) => ({ ca: ca.cert, ...hello, ...rest })

  test('an authority in a file', async () => {
    const server = await echo(good)
    const lines = await connect(server.wss, trusts(ca))
    speaks(lines)
    assert.equal(lines[1], 'TLSv1.3 CN=good')
    assert.equal(server.requests[0].url, '/chat')
    assert.equal(server.requests[0].socket.servername, 'localhost')
    assert.equal(server.requests[0].socket.alpnProtocol, 'http/1.1')
    assert.equal(server.requests[0].headers.host, `localhost:${server.port}`)
  })
  test('those of the system', async () => speaks(await connect((await echo(good)).wss, { ...hello, no_tls: 1 })))
  test('an address that the certificate has', async () => {
    const server = await echo(good)
    speaks(await connect(server.wss.replace('localhost', '127.0.0.1'), trusts(ca)))
    assert.equal(server.requests[0].socket.servername, false)
  })
  test('a name with a star', async () => {
    const server = await echo(issue(ca, 'star', { names: ['DNS:*.example.org'] }))
    speaks(await connect(server.wss, trusts(ca, { server_name: 'a.example.org' })))
    assert.equal(server.requests[0].socket.servername, 'a.example.org')
    assert.match(await failure(server.wss, trusts(ca, { server_name: 'a.b.example.org' })), /hostname mismatch \(62\)$/)
  })
  test('a certificate that vouches for itself, if it is the authority', async () => {
    const self = authority('self')
    const server = await echo(self)
    assert.match(await failure(server.wss, trusts(ca)), /self-signed certificate \(18\)$/)
    assert.match(await failure(server.wss, trusts(self)), /hostname mismatch \(62\)$/)
    speaks(await connect(server.wss, trusts(self, { server_name: 'self' })))
  })
  test('a chain', async () => {
    const middle = issue(ca, 'middle', { authority: true })
    const leaf = issue(middle, 'leaf')
    speaks(await connect((await echo({ ...leaf, pem: leaf.pem + middle.pem })).wss, trusts(ca)))
    assert.match(await failure((await echo(leaf)).wss, trusts(ca)), /unable to get local issuer certificate \(20\)$/)
  })

  const refusals = {
    'one that has expired': [issue(ca, 'late', { days: -1 }), {}, 'certificate has expired (10)'],
    'one for another host': [issue(ca, 'elsewhere', { names: ['DNS:example.org'] }), {}, 'hostname mismatch (62)'],
    'one for another host, which has our name as its common name': [issue(ca, 'localhost', { names: ['DNS:example.org'] }), {}, 'hostname mismatch (62)'],
    'one for another address': [issue(ca, 'away', { names: ['IP:192.0.2.1'] }), { host: '127.0.0.1' }, 'IP address mismatch (64)'],
    'one of an unknown authority': [issue(other, 'unknown'), {}, 'unable to get local issuer certificate (20)'],
    'one that is not the name asked for': [good, { server_name: 'example.org' }, 'hostname mismatch (62)'],
    'one for part of a name': [issue(ca, 'part', { names: ['DNS:local*', 'DNS:*'] }), {}, 'hostname mismatch (62)']
  }
  for (const [name, [certificate, { host = 'localhost', ...rest }, reason]] of Object.entries(refusals)) {
    test(`not ${name}`, async () => {
      const server = await echo(certificate)
      const url = server.wss.replace('localhost', host)
      assert.equal(await failure(url, trusts(ca, rest)), `EPROTO 0 0 certificate verify failed: ${reason}`)
      assert.deepEqual(server.requests, [])
      await eventually(() => /alert/.test(server.error?.message), () => `the server is told, not ${server.error}`)
      speaks(await connect(url, { ...hello, ...rest, insecure: 1 }))
    })
  }
  test('ws_client says the same', async () => {
    const server = await echo(issue(ca, 'late2', { days: -1 }))
    await get(driver, `/client?${new URLSearchParams({ id: 'late', url: server.wss, ca: ca.cert })}`)
    await eventually(async () => await get(driver, '/log?id=late') === 'failed EPROTO 0 0 certificate verify failed: certificate has expired\n', () => get(driver, '/log?id=late'))
  })
  test('ws_client speaks it', async () => {
    const server = await echo(good)
    await get(driver, `/client?${new URLSearchParams({ id: 'tls', url: server.wss, ca: ca.cert, greeting: 'hello' })}`)
    await eventually(async () => await get(driver, '/log?id=tls') === 'open /chat\nmessage hello\n', () => get(driver, '/log?id=tls'))
  })
})

describe('what it shows', () => {
  const ada = issue(ca, 'ada')
  const p12 = inFolder('ada.p12')
  openssl('pkcs12', '-export', '-in', ada.cert, '-inkey', ada.key, '-out', p12, '-passout', 'pass:sesam')
  const demanding = () => echo(good, { ca: ca.pem, requestCert: true, rejectUnauthorized: true })

  test('a certificate in PEM', async () => {
    const server = await demanding()
    speaks(await connect(server.wss, { ...hello, ca: ca.cert, cert: ada.cert, key: ada.key }))
    assert.equal(server.certificate.subject.CN, 'ada')
  })
  test('in PKCS#12', async () => {
    const server = await demanding()
    speaks(await connect(server.wss, { ...hello, ca: ca.cert, pkcs12: p12, passphrase: 'sesam' }))
    assert.equal(server.certificate.subject.CN, 'ada')
  })
  for (const only of ['TLSv1.2', 'TLSv1.3']) {
    test(`none where one is demanded, ${only}`, async t => {
      const server = await start({ require_client_cert: true, ca_file: ca.cert, ...(only === 'TLSv1.3' ? { only_1_3: true } : {}) })
      t.after(() => server.stop())
      const client = only === 'TLSv1.2' ? await echo(good, { ca: ca.pem, requestCert: true, rejectUnauthorized: true, maxVersion: only }) : null
      const url = client ? client.wss : `wss://localhost:${server.port}`
      assert.match(await failure(url, { ...hello, ca: ca.cert }), /^EPROTO 0 0 .*alert (certificate required|handshake failure|unknown ca|bad certificate)$/)
    })
  }

  const mistakes = {
    'no such file': [{ ca: inFolder('none.pem') }, /^EINVAL 0 0 .*none\.pem: No such file or directory$/],
    'no authority in it': [{ ca: ada.key }, /^EINVAL 0 0 .*ada\.key: there is nothing of that kind/],
    'no key': [{ cert: ada.cert }, /^EINVAL 0 0 .*ada\.pem: there is nothing of that kind/],
    'another key': [{ cert: ada.cert, key: good.key }, /^EINVAL 0 0 .*good\.key: the key is not the certificate's/],
    'a wrong passphrase': [{ pkcs12: p12, passphrase: 'x' }, /^EINVAL 0 0 .*ada\.p12: mac verify failure/]
  }
  for (const [name, [options, reason]] of Object.entries(mistakes)) {
    test(name, async () => {
      const server = await echo(good)
      assert.match(await failure(server.wss, options), reason)
      assert.deepEqual(server.requests, [])
    })
  }
})

describe('what is spoken', () => {
  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    test(version, async () => {
      const server = await echo(good, { minVersion: version, maxVersion: version })
      assert.match((await connect(server.wss, hello))[1], new RegExp(`^${version} `))
    })
  }
  test('not TLS 1.2 if that is too old', async () => {
    const server = await echo(good, { maxVersion: 'TLSv1.2' })
    assert.match(await failure(server.wss, { only_1_3: 1 }), /^EPROTO 0 0 .*protocol version$/)
  })
  test('not TLS 1.1', async () => {
    const server = await echo(good, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' })
    assert.match(await failure(server.wss), /^EPROTO 0 0 .*(protocol|version)/)
  })
  test('secrets in a log', async () => {
    const server = await echo(good)
    const file = inFolder('client.log')
    speaks(await connect(server.wss, { ...hello, key_log: file }))
    assert.match(fs.readFileSync(file, 'utf8'), /^CLIENT_TRAFFIC_SECRET_0 /m)
  })
  test('much', async () => {
    const server = await echo(good)
    assert.equal((await connect(server.wss, { size: 900_000, receive: 1, no_deflate: 1 })).at(-1), 'binary of 900000')
  })
  test('with our own server', async t => {
    const server = await start(files(good))
    t.after(() => server.stop())
    speaks(await connect(`wss://localhost:${server.port}`, hello))
  })
  test('files are read once, and anew after tls_reload', async () => {
    const file = inFolder('changing.pem')
    const server = await echo(good)
    fs.copyFileSync(ca.cert, file)
    speaks(await connect(server.wss, { ...hello, ca: file }))
    fs.writeFileSync(file, 'nonsense')
    speaks(await connect(server.wss, { ...hello, ca: file }))
    assert.equal(await get(driver, '/reload'), 'ok')
    assert.match(await failure(server.wss, { ca: file }), /^EINVAL 0 0 .*changing\.pem/)
  })
  test('many kinds of options at once', async () => {
    const server = await echo(good)
    const kinds = Array.from({ length: 20 }, (_, i) => inFolder(`kind-${i}.pem`))
    kinds.forEach(file => fs.copyFileSync(ca.cert, file))
    for (const file of [...kinds, ...kinds]) speaks(await connect(server.wss, { ...hello, ca: file }))
  })
})

describe('servers that fail', () => {
  async function raw (onSocket) {
    const server = net.createServer(socket => onSocket(socket.on('error', () => {})))
    server.closeAllConnections = () => {}
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    running.add(server)
    return `wss://127.0.0.1:${server.address().port}`
  }
  test('no TLS', async () =>
    assert.equal(await failure(await raw(socket => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')))),
      'EPROTO 0 0 wrong version number: it may be no TLS at all'))
  test('gone in the middle of it', async () =>
    assert.equal(await failure(await raw(socket => socket.once('data', () => socket.end()))), 'ECONNRESET 0 0 the other side went away in the middle of it'))
  test('a reset', async () =>
    assert.match(await failure(await raw(socket => socket.once('data', () => socket.resetAndDestroy()))), /^ECONNRESET 0 0 /))
  test('silence', async () =>
    assert.equal(await failure(await raw(() => {}), { handshake_timeout: 200 }), 'ETIMEDOUT 0 0 Opening handshake has timed out'))
  test('nobody', async () =>
    assert.match(await failure('wss://127.0.0.1:1'), /^ECONNREFUSED 0 0 /))
  test('a name that is too long', async () =>
    assert.match(await failure((await echo(good)).wss, { server_name: 'x'.repeat(300) }), /^EINVAL 0 0 A host whose name can't be one/))
  test('one that speaks first', async () => {
    const server = spawn('openssl', ['s_server', '-cert', good.cert, '-key', good.key, '-accept', '127.0.0.1:0', '-naccept', '1'])
    let said = ''
    server.stdout.on('data', text => { said += text })
    const [, port] = await eventually(() => /ACCEPT 127\.0\.0\.1:(\d+)/.exec(said), () => said)
    server.stdin.write('Who is there?\n')
    const result = await failure(`wss://127.0.0.1:${port}`, { handshake_timeout: 2000 })
    server.kill()
    assert.match(result, /^(EPROTO|ETIMEDOUT) 0 0 /)
  })
  test('an end without close_notify is one without a close frame', async () => {
    const server = await echo(good)
    server.on('upgrade', (request, socket) => setTimeout(() => socket._handle && socket.destroy(), 50))
    assert.match((await connect(server.wss)).at(-1), /^closed 1006 /)
  })
  test('ws to a port for TLS', async t => {
    const server = await start(files(good))
    t.after(() => server.stop())
    assert.equal(await failure(`ws://localhost:${server.port}`), 'EPROTO 400 0 Unexpected server response: 400')
  })
  test('the program stops meanwhile', async () => {
    const own = await startServer('tests/support/client_driver', { env: LEAN })
    const url = await raw(() => {})
    const asked = failure(url, {}, own).catch(() => 'cut')
    await eventually(async () => /"connections":[2-9]/.test(await get(own, '/stats')), () => get(own, '/stats'))
    await own.stop()
    await asked
  })
})

describe('redirects', () => {
  // One that sends on to `location`, over TLS or not.
  async function sender (location, secure) {
    const web = secure ? https.createServer({ cert: good.pem, key: good.keyPem, ca: ca.pem, requestCert: true, rejectUnauthorized: false }) : http.createServer()
    web.headers = []
    web.on('upgrade', (request, socket) => {
      web.headers.push(request.headers)
      web.certificate = secure && request.socket.getPeerCertificate()
      socket.end(`HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`)
    })
    web.listen(0, '127.0.0.1')
    await once(web, 'listening')
    running.add(web)
    return `${secure ? 'wss' : 'ws'}://user:secret@localhost:${web.address().port}/`
  }
  const following = { ...hello, ca: ca.cert, redirects: 2, headers: 'Cookie|a=b|X-Secret|c' }
  const ada = issue(ca, 'ada2')
  const asAda = { cert: ada.cert, key: ada.key }

  test('from ws to wss: the secrets stay', async () => {
    const server = await echo(good)
    speaks(await connect(await sender(server.wss, false), following))
    const { cookie, authorization, 'x-secret': secret } = server.requests[0].headers
    assert.deepEqual({ cookie, authorization, secret }, { cookie: undefined, authorization: undefined, secret: undefined })
  })
  test('from wss to wss on another port: so does the certificate', async () => {
    const server = await echo(good, { ca: ca.pem, requestCert: true, rejectUnauthorized: false })
    speaks(await connect(await sender(server.wss, true), { ...following, ...asAda }))
    assert.equal(server.requests[0].headers.cookie, undefined)
    assert.deepEqual(server.certificate, {})
  })
  test('a name that is asked for is that of the first server', async () => {
    const server = await echo(good)
    speaks(await connect((await sender(server.wss, true)).replace('localhost', '127.0.0.1'), { ...following, server_name: 'localhost' }))
    assert.equal(server.requests[0].socket.servername, 'localhost')
    const elsewhere = await echo(issue(ca, 'else', { names: ['DNS:else.example'] }))
    assert.match(await failure(await sender(elsewhere.wss, true), { ...following, server_name: 'localhost' }), /hostname mismatch \(62\)$/)
  })
  test('within the same server all goes with them', async () => {
    const server = await echo(good, { ca: ca.pem, requestCert: true, rejectUnauthorized: false })
    server.prependListener('upgrade', (request, socket) => {
      if (request.url !== '/first') return
      socket.end('HTTP/1.1 307 Temporary Redirect\r\nLocation: /second\r\nContent-Length: 0\r\n\r\n')
      request.url = '/ignored'
    })
    const before = await connect(server.wss.replace('/chat', '/first').replace('//', '//user:secret@'), { ...following, ...asAda })
    speaks(before)
    assert.equal(server.certificate.subject.CN, 'ada2')
    const last = server.requests.at(-1)
    assert.equal(last.url, '/second')
    assert.equal(last.headers['x-secret'], 'c')
    assert.match(last.headers.authorization, /^Basic /)
  })
  test('from wss to ws: nothing secret goes there', async () => {
    const plain = http.createServer()
    const server = new WebSocketServer({ server: plain })
    const seen = []
    server.on('connection', (socket, request) => {
      seen.push(request.headers)
      socket.on('message', data => socket.send(String(data)))
    })
    plain.listen(0, '127.0.0.1')
    await once(plain, 'listening')
    running.add(plain)
    speaks(await connect(await sender(`ws://localhost:${plain.address().port}/`, true), following))
    assert.equal(seen[0].authorization ?? seen[0].cookie ?? seen[0]['x-secret'], undefined)
  })
  test('to a server that can\'t be trusted', async () => {
    const server = await echo(issue(ca, 'late3', { days: -1 }))
    assert.match(await failure(await sender(server.wss, false), following), /certificate has expired \(10\)$/)
  })
})

test('nothing is left', () => driver.stop())
