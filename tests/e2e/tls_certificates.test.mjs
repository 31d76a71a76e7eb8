// The certificates of a server and of its clients: several by name, in all kinds of files, stapled, shown, and changed
// while it runs.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import fs from 'node:fs'
import tls from 'node:tls'
import { WebSocket } from 'ws'
import { authority, inFolder, issue, openssl } from './certificates.mjs'
import { eventually, startProgram, withPatience } from './support.mjs'
import { REQUEST, ca, environmentOf, files, get, good, json, run, s_client, serverOf, start } from './tls_support.mjs'

const other = authority('other-ca')

const subjectOf = async (server, servername) => (await get(server, '/', { servername })).subject

// It must not start, and say why.
async function fails (options, reason) {
  const program = startProgram('tests/support/tls_server', { env: environmentOf(options) })
  assert.equal(await program.ended(), 1)
  assert.match(program.stderr, reason)
}

describe('several certificates', () => {
  const names = (...list) => list.map(name => `DNS:${name}`)
  const exact = issue(ca, 'exact', { names: names('a.example.org', 'localhost') })
  const wild = issue(ca, 'wild', { names: names('*.example.org', 'localhost'), kind: 'rsa' })
  const given = issue(ca, 'given', { names: names('unused.example.org') })
  const common = issue(ca, 'common.example.net', { names: [] })
  const dynamic = issue(ca, 'dynamic')
  const server = serverOf({
    sni: [files(wild), files(exact), { ...files(given), names: ['given.example.com', '*.given.example.com'] }, files(common)],
    dynamic: { 'asked.example': files(dynamic), 'broken.example': { cert_file: inFolder('none.pem') } }
  })
  const expected = {
    'a.example.org': 'exact',
    'A.Example.ORG': 'exact',
    'b.example.org': 'wild',
    'a.b.example.org': 'good',
    'example.org': 'good',
    localhost: 'wild', // the first that has it
    'given.example.com': 'given',
    'x.given.example.com': 'given',
    'unused.example.org': 'wild',
    'common.example.net': 'common.example.net',
    'asked.example': 'dynamic',
    'broken.example': 'good',
    'else.example': 'good',
    '': 'good'
  }
  for (const [name, subject] of Object.entries(expected)) {
    test(name || 'no name', async () => {
      const checkServerIdentity = () => undefined
      const { subject: shown } = await get(server, '/', { servername: name, checkServerIdentity })
      assert.equal(shown, subject)
    })
  }
  test('names that are none', async () => {
    for (const name of ['.', '..', '*.example.org', 'x'.repeat(255), `${'x.'.repeat(120)}y`, 'ä.example.org']) {
      const text = await s_client(server, REQUEST, '-servername', name, '-ign_eof')
      assert.match(text, name.endsWith('.example.org') ? /CN = wild/ : /CN = good|alert/, name)
    }
  })
})

describe('files of all kinds', () => {
  const encrypted = inFolder('encrypted.key')
  openssl('pkcs8', '-topk8', '-in', good.key, '-out', encrypted, '-passout', 'pass:sesam')
  const p12 = inFolder('good.p12')
  openssl('pkcs12', '-export', '-in', good.cert, '-inkey', good.key, '-certfile', ca.cert, '-out', p12, '-passout', 'pass:sesam')
  const open = inFolder('open.p12')
  openssl('pkcs12', '-export', '-in', good.cert, '-inkey', good.key, '-out', open, '-passout', 'pass:')
  const both = inFolder('both.pem')
  fs.writeFileSync(both, good.pem + good.keyPem)

  const ways = {
    'certificate and key in one file': { cert_file: both, key_file: undefined },
    'a key with a passphrase': { key_file: encrypted, passphrase: 'sesam' },
    'a key whose passphrase is asked for': { key_file: encrypted, asked: 'sesam' },
    'PKCS#12': { cert_file: undefined, key_file: undefined, pkcs12_file: p12, passphrase: 'sesam' },
    'PKCS#12 whose passphrase is asked for': { cert_file: undefined, key_file: undefined, pkcs12_file: p12, asked: 'sesam' },
    'PKCS#12 without a passphrase': { cert_file: undefined, key_file: undefined, pkcs12_file: open, passphrase: '' }
  }
  for (const [name, options] of Object.entries(ways)) {
    test(name, async t => {
      const server = await start(options)
      t.after(() => server.stop())
      assert.equal((await get(server, '/')).text, 'hello')
    })
  }
  test('a wrong passphrase', () => fails({ key_file: encrypted, passphrase: 'wrong' }, /encrypted\.key: bad decrypt/))
  test('no passphrase', () => fails({ key_file: encrypted }, /encrypted\.key: it is encrypted, and there is no passphrase/))
  test('a wrong one of PKCS#12', () => fails({ pkcs12_file: p12, passphrase: 'wrong' }, /good\.p12: mac verify failure/))
  test('no PKCS#12', () => fails({ pkcs12_file: good.cert }, /good\.pem: /))

  test('a chain', async t => {
    const middle = issue(ca, 'middle', { authority: true })
    const leaf = issue(middle, 'leaf')
    const chain = inFolder('chain.pem')
    fs.writeFileSync(chain, leaf.pem + middle.pem)
    const server = await start({ cert_file: chain, key_file: leaf.key })
    t.after(() => server.stop())
    assert.equal((await get(server, '/')).subject, 'leaf')
    const alone = await start(files(leaf))
    t.after(() => alone.stop())
    await assert.rejects(get(alone, '/'), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })
  })
})

describe('OCSP', () => {
  const chain = inFolder('stapled.pem')
  fs.writeFileSync(chain, good.pem + ca.pem)

  // What the authority says of a certificate: V for good, R for revoked.
  function answer (name, state, certificate = good) {
    const serial = openssl('x509', '-in', certificate.cert, '-noout', '-serial').trim().split('=')[1]
    const date = new Date(Date.now() - 60_000).toISOString().replace(/[-:T]|\.\d+/g, '').slice(2)
    const [index, file] = [inFolder(`${name}.txt`), inFolder(`${name}.der`)]
    fs.writeFileSync(index, `${state}\t361231235959Z\t${state === 'R' ? date : ''}\t${serial}\tunknown\t/CN=x\n`)
    openssl('ocsp', '-index', index, '-rsigner', ca.cert, '-rkey', ca.key, '-CA', ca.cert, '-issuer', ca.cert, '-serial', `0x${serial}`, '-respout', file, '-ndays', '1', '-noverify')
    return file
  }
  const said = answer('said', 'V')
  const expired = inFolder('expired.der')
  fs.writeFileSync(expired, fs.readFileSync(said, 'latin1').replaceAll(/20\d{12}Z/g, '20200101000000Z'), 'latin1')

  for (const version of ['tls1_2', 'tls1_3']) {
    test(`is stapled, ${version}`, async t => {
      const server = await start({ cert_file: chain, ocsp_file: said })
      t.after(() => server.stop())
      const text = await s_client(server, REQUEST, '-status', '-ign_eof', `-${version}`)
      assert.match(text, /OCSP Response Status: successful \(0x0\)/)
      assert.match(text, /Cert Status: good/)
      assert.doesNotMatch(await s_client(server, REQUEST, '-ign_eof'), /OCSP/)
    })
  }
  test('is not when it has expired', async t => {
    const server = await start({ cert_file: chain, ocsp_file: expired })
    t.after(() => server.stop())
    assert.match(await s_client(server, REQUEST, '-status', '-ign_eof'), /OCSP response: no response sent/)
  })
  test('of a revoked certificate', () => fails({ cert_file: chain, ocsp_file: answer('revoked', 'R') }, /revoked\.der: the certificate is revoked/))
  test('of another one', () => fails({ cert_file: chain, ocsp_file: answer('another', 'V', issue(ca, 'another')) }, /another\.der: it is for another certificate/))
  test('without the authority\'s certificate', () => fails({ ocsp_file: said }, /said\.der: the chain lacks the authority's certificate/))
  test('that is none', () => fails({ cert_file: chain, ocsp_file: good.key }, /good\.key: /))
})

describe('clients show theirs', () => {
  const ada = issue(ca, 'ada', { names: ['email:ada@example.org', 'URI:urn:ada', 'DNS:ada.example.org'], subject: '/O=Ünits/CN=ada' })
  const eve = issue(other, 'eve')
  const late = issue(ca, 'late', { days: -1 })
  const as = ({ pem, keyPem }) => ({ cert: pem, key: keyPem })

  // TLS 1.3 tells a client of its certificate when it reads first.
  const refused = promise => assert.rejects(promise, error => /alert|ECONNRESET|EPIPE|socket hang up/.test(error.message + error.code))

  describe('if they have one', () => {
    const server = serverOf({ request_client_cert: true, ca_file: ca.cert })
    test('none', async () => assert.equal((await json(server, '/where')).tls.certificate, null))
    test('a good one', async () => {
      const { certificate } = (await json(server, '/where', as(ada))).tls
      const { not_before: from, not_after: until, serial, fingerprint, ...rest } = certificate
      assert.deepEqual(rest, {
        subject: 'CN=ada,O=Ünits',
        common_name: 'ada',
        issuer: 'CN=ca,O=Tests',
        names: ['email:ada@example.org', 'URI:urn:ada', 'DNS:ada.example.org'],
        verified: true,
        error: null
      })
      const shown = openssl('x509', '-in', ada.cert, '-noout', '-serial', '-fingerprint', '-sha256')
      assert.ok(shown.includes(`serial=${serial}`) && shown.includes(`=${fingerprint}\n`), shown)
      assert.equal(until - from, 30 * 24 * 3600)
    })
    test('of an unknown authority', () => refused(get(server, '/', as(eve))))
    test('that has expired', () => refused(get(server, '/', as(late))))
    test('for a WebSocket', async () => {
      const ws = new WebSocket(server.ws, { ca: ca.pem, ...as(ada) })
      await withPatience(once(ws, 'open'), 'open')
      ws.send('tls')
      const [data] = await withPatience(once(ws, 'message'), 'an answer')
      assert.equal(JSON.parse(data).certificate.common_name, 'ada')
      ws.close()
      await withPatience(once(ws, 'close'), 'close')
    })
    test('of curl', async () => {
      const { stdout } = await run('curl', ['-sS', '--cacert', ca.cert, '--cert', ada.cert, '--key', ada.key, `${server.url}/where`])
      assert.equal(JSON.parse(stdout).tls.certificate.common_name, 'ada')
    })
    for (const version of ['tls1_2', 'tls1_3']) {
      test(`a session that is resumed still has it, ${version}`, async () => {
        const session = inFolder(`client-${version}.session`)
        const args = [`-${version}`, '-ign_eof', '-cert', ada.cert, '-key', ada.key]
        assert.match(await s_client(server, REQUEST, ...args, '-sess_out', session), /"resumed":false.*"common_name":"ada"/)
        assert.match(await s_client(server, REQUEST, ...args, '-sess_in', session), /"resumed":true.*"common_name":"ada"/)
      })
    }
  })

  describe('or stay outside', () => {
    const server = serverOf({ require_client_cert: true, ca_file: ca.cert })
    test('none', async () => {
      await refused(get(server, '/'))
      await eventually(async () => (await json(server, '/stats', as(ada))).closed['the TLS handshake failed'] === 1, 'a count')
    })
    test('none, TLS 1.2', () => refused(get(server, '/', { maxVersion: 'TLSv1.2' })))
    test('a good one', async () => assert.equal((await json(server, '/where', as(ada))).tls.certificate.common_name, 'ada'))
    test('of an unknown authority', () => refused(get(server, '/', as(eve))))
  })

  describe('and any will do', () => {
    const server = serverOf({ any_client_cert: true, ca_file: ca.cert })
    test('none', async () => assert.equal((await json(server, '/where')).tls.certificate, null))
    test('of an unknown authority', async () => {
      const { certificate } = (await json(server, '/where', as(eve))).tls
      assert.equal(certificate.common_name, 'eve')
      assert.equal(certificate.verified, false)
      assert.match(certificate.error, /unable to (get local issuer|verify the first) certificate/)
    })
    test('a good one', async () => assert.equal((await json(server, '/where', as(ada))).tls.certificate.verified, true))
  })
})

describe('other files while it runs', () => {
  const bad = issue(ca, 'bad', { days: -1 })
  const next = issue(ca, 'next')
  let count = 0

  // A server whose files are its own, to be changed.
  async function changeable (t, options) {
    const [cert, key] = ['.pem', '.key'].map(end => inFolder(`changing-${count}${end}`))
    count++
    const put = files => { fs.writeFileSync(cert, files.pem); fs.writeFileSync(key, files.keyPem) }
    put(good)
    const server = await start({ cert_file: cert, key_file: key, ...options })
    t.after(() => server.stop())
    return { server, put, cert, key }
  }

  test('tls_reload', async t => {
    const { server, put } = await changeable(t)
    const ws = new WebSocket(server.ws, { ca: ca.pem })
    await withPatience(once(ws, 'open'), 'open')
    assert.equal(await subjectOf(server), 'good')
    put(next)
    assert.equal(await subjectOf(server), 'good')
    assert.equal((await get(server, '/reload')).text, 'ok')
    assert.equal(await subjectOf(server), 'next')
    ws.send('still there?')
    assert.equal(String((await withPatience(once(ws, 'message'), 'an answer'))[0]), 'still there?')
    assert.equal(ws._socket.getPeerCertificate().subject.CN, 'good')
    ws.close()
    await withPatience(once(ws, 'close'), 'close')
  })

  test('SIGHUP', async t => {
    const { server, put } = await changeable(t)
    put(next)
    server.child.kill('SIGHUP')
    await eventually(async () => await subjectOf(server) === 'next', 'another certificate')
    assert.equal(server.stderr, '')
    put(bad)
    server.child.kill('SIGHUP')
    await eventually(() => /^acacia: tls: not reloaded: the certificate has expired\n$/.test(server.stderr), () => server.stderr)
    assert.equal(await subjectOf(server), 'next')
  })

  const mistakes = {
    'has expired': [({ put }) => put(bad), /^EINVAL.*the certificate has expired/],
    'lacks its key': [({ key }) => fs.writeFileSync(key, next.keyPem), /^EINVAL.*key: the key is not the certificate's/],
    'is not there': [({ cert }) => fs.rmSync(cert), /^EINVAL.*No such file or directory/],
    'is none': [({ cert }) => fs.writeFileSync(cert, 'nonsense'), /^EINVAL.*there is nothing of that kind in it/],
    'is cut off': [({ cert }) => fs.writeFileSync(cert, next.pem.slice(0, 300)), /^EINVAL.*pem: /],
    'is empty': [({ cert }) => fs.writeFileSync(cert, ''), /^EINVAL/]
  }
  for (const [name, [break_, reason]] of Object.entries(mistakes)) { // eslint-disable-line camelcase
    test(`that ${name}`, async t => {
      const changing = await changeable(t)
      break_(changing)
      assert.match((await get(changing.server, '/reload')).text, reason)
      assert.equal(await subjectOf(changing.server), 'good')
      changing.put(next)
      assert.equal((await get(changing.server, '/reload')).text, 'ok')
      assert.equal(await subjectOf(changing.server), 'next')
    })
  }

  test('of a second name', async t => {
    const cert = inFolder('second.pem')
    fs.writeFileSync(cert, good.pem)
    const { server } = await changeable(t, { sni: [{ cert_file: cert, key_file: good.key, names: ['localhost'] }] })
    fs.writeFileSync(cert, next.pem)
    assert.match((await get(server, '/reload')).text, /^EINVAL.*good\.key: the key is not the certificate's/)
    assert.equal(await subjectOf(server, 'localhost'), 'good')
  })

  test('sessions are resumed as before, but not under other authorities', async t => {
    const trusted = inFolder('trusted.pem')
    fs.writeFileSync(trusted, ca.pem)
    const { server, put } = await changeable(t, { request_client_cert: true, ca_file: trusted })
    const connect = session => json(server, '/where', { session })
    const socket = tls.connect({ port: server.port, host: '127.0.0.1', ca: ca.pem, ALPNProtocols: ['http/1.1'] })
    const [session] = await withPatience(once(socket, 'session'), 'a session')
    socket.end()
    put(next)
    assert.equal((await get(server, '/reload')).text, 'ok')
    assert.equal((await connect(session)).tls.resumed, true)
    fs.writeFileSync(trusted, other.pem)
    assert.equal((await get(server, '/reload')).text, 'ok')
    assert.equal((await connect(session)).tls.resumed, false)
  })
})
