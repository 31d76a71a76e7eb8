// compression against koa-compress 5, etag against koa-etag 5 and conditional_get against
// koa-conditional-get 3: random bodies, headers and Accept-Encoding.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import http from 'node:http'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import zlib from 'node:zlib'
import { ask, inTurns, makeText, startBoth } from './files.mjs'
import { withPatience } from './support.mjs'
import { chance, scale, seed } from './traffic/chance.mjs'

const BODIES = 2500 * scale
const TAGS = 1200 * scale

const require = createRequire(import.meta.url)
const Negotiator = createRequire(require.resolve('koa-compress'))('negotiator')

const both = startBoth()

const decoders = {
  gzip: zlib.gunzipSync,
  deflate: zlib.inflateSync,
  br: zlib.brotliDecompressSync,
  undefined: body => body
}

const hash = text => createHash('sha1').update(text).digest('hex')
const withoutFraming = ({ status, headers, body }) => {
  const { 'content-length': length, 'transfer-encoding': transfer, date, connection, 'keep-alive': alive, ...rest } = headers
  const decoded = decoders[headers['content-encoding']](body).toString('latin1')
  return { status, headers: rest, length: decoded.length, body: decoded.length > 200 ? hash(decoded) : decoded }
}

const query = params => new URLSearchParams(Object.entries(params).filter(([, value]) => value !== undefined)).toString()

// --- Compression -------------------------------------------------------------------------------

const codings = ['gzip', 'gzip', 'br', 'br', 'deflate', 'identity', '*', 'x-gzip', 'GZip', 'zst']
const qualities = ['', '', '', '', ';q=0', ';q=0.5', ';q=0.8', ';q=1', ';q=0.001', ';q=x', '; q=0.3']
const types = ['text/html', 'application/json', 'image/png', 'text/event-stream', 'application/vnd.api+json', 'image/svg+xml; charset=utf-8',
  'application/octet-stream', 'font/woff2', 'application/wasm', 'x/y', 'multipart/byteranges; boundary=x', 'Text/Plain']

function acceptEncoding (r) {
  if (r.one(0.1)) return undefined
  if (r.one(0.2)) return 'gzip, deflate, br'
  if (r.one(0.1)) return r.pick(['*', '', 'gzip', 'identity;q=0', '*;q=0'])
  return [r.pick(codings), ...r.some(3, () => r.pick(codings))].map(coding => coding + r.pick(qualities)).join(r.pick([', ', ',', ' , ']))
}

function someBody (r) {
  const kind = r.one(0.9) ? r.pick(['text', 'html', 'bytes', 'json', 'stream', 'stream']) : r.pick(['file', 'empty', undefined])
  const length = r.one(0.4) ? r.pick([0, 1, 500, 1011, 1012, 1013, 1023, 1024]) : r.pick([1025, 5000, 16_384, 20_000, 70_000, 150_000])
  return {
    kind,
    length,
    piece: kind === 'stream' ? r.pick([1000, 4096, 16_384, 70_000]) : undefined,
    type: r.one(0.25) ? r.pick(types) : undefined,
    status: r.one(0.15) ? r.pick([201, 206, 404, 500, 204, 205, 304]) : undefined,
    compress: r.one(0.15) ? r.pick(['true', 'false']) : undefined,
    'h-Cache-Control': r.one(0.1) ? r.pick(['no-transform', 'public, no-transform', 'no-transform,x', 'no-transforms', 'max-age=1']) : undefined,
    'h-Content-Encoding': r.one(0.03) ? 'x-own' : undefined,
    'h-Content-Range': r.one(0.03) ? 'bytes 0-1/2' : undefined,
    'h-ETag': r.one(0.2) ? r.pick(['"x"', 'W/"x"']) : undefined,
    'h-Vary': r.one(0.1) ? r.pick(['Origin', '*', 'accept-encoding']) : undefined
  }
}

// Where the client takes none of what there is, not even the body as it is.
const takesNothing = (accept, offers) =>
  accept && accept !== '*' && new Negotiator({ headers: { 'accept-encoding': accept } }).encoding(offers) === undefined

decoders['x-own'] = body => body

test(`${BODIES} bodies, seed ${seed}`, async t => {
  const seen = { plain: 0, gzip: 0, br: 0, deflate: 0, 'a strong tag is weakened': 0, 'nothing is acceptable': 0, 'a 205 says that it has no body': 0 }
  const requests = Array.from({ length: BODIES }, (_, i) => {
    const r = chance('body', i)
    const prefix = r.pick(['/compress', '/compress', '/compress-other'])
    const accept = acceptEncoding(r)
    const body = someBody(r)
    return { prefix, accept, body, method: r.one(0.1) ? 'HEAD' : 'GET', path: `${prefix}?${query(body)}`, headers: accept === undefined ? {} : { 'Accept-Encoding': accept } }
  })
  await inTurns(requests, 8, async ({ prefix, accept, body, method, path, headers }) => {
    const what = `${method} ${path} ${JSON.stringify(headers)}`
    const [ours, koa] = await both.ask({ method, path, headers })
    const coding = ours.headers['content-encoding']
    seen[decoders[coding] && coding !== 'x-own' && coding ? coding : 'plain']++
    if (takesNothing(accept, prefix === '/compress' ? ['br', 'gzip', 'deflate', 'identity'] : ['deflate', 'br', 'identity'])) {
      // koa-compress looks for a compressor called undefined
      if (koa.body.toString() === 'Internal Server Error' && body.kind) {
        seen['nothing is acceptable']++
        assert.equal(coding, body['h-Content-Encoding'], what)
        return
      }
    }
    if (body.status === 205) {
      seen['a 205 says that it has no body']++
      assert.equal(ours.headers['content-length'], '0', what)
    }
    if (body['h-ETag'] === '"x"' && coding && coding !== 'x-own') {
      seen['a strong tag is weakened']++
      assert.equal(ours.headers.etag, 'W/"x"', what)
      ours.headers.etag = koa.headers.etag
    }
    // A body in memory has a length, compressed or not; a stream has none.
    if (coding && coding !== 'x-own') {
      assert.equal('content-length' in ours.headers, !['stream', 'file'].includes(body.kind), what)
      if ('content-length' in ours.headers) assert.equal(Number(ours.headers['content-length']), ours.body.length, what)
    } else if (method === 'GET' && !['file', 'stream'].includes(body.kind) && body.status !== 205) {
      assert.equal(ours.headers['content-length'], koa.headers['content-length'], what)
    }
    if (body.kind === 'file') delete ours.headers['last-modified'] // which ctx_file sets, and a stream of node's does not
    assert.deepEqual(withoutFraming(ours), withoutFraming(koa), what)
  })
  t.diagnostic(JSON.stringify(seen))
  for (const [name, count] of Object.entries(seen)) assert.ok(count > 3, name)
})

test('a stream that pauses has its bytes out', async () => {
  const request = http.get({ port: both.ours.port, path: '/pauses', agent: false, headers: { 'Accept-Encoding': 'gzip' } })
  const text = await withPatience(new Promise((resolve, reject) => {
    request.on('error', reject).on('response', response => {
      let all = ''
      assert.equal(response.headers['content-encoding'], 'gzip')
      response.pipe(zlib.createGunzip()).on('error', reject).setEncoding('utf8').on('data', piece => {
        all += piece
        if (all === 'before the pause, ') ask(both.ours.port, { path: '/go-on' }).catch(reject)
      }).on('end', () => resolve(all))
    })
  }), 'the bytes before the pause')
  assert.equal(text, 'before the pause, after it')
})

test('a client that goes in the middle of a stream', async () => {
  for (let i = 0; i < 20; i++) {
    await new Promise(resolve => {
      const request = http.get({ port: both.ours.port, path: `/compress?kind=stream&length=2000000&piece=20000&type=text/plain`, agent: false, headers: { 'Accept-Encoding': 'gzip' } }, response => {
        response.once('data', () => request.destroy()).on('error', () => {})
      })
      request.on('error', () => {}).on('close', resolve)
    })
  }
  const answer = await ask(both.ours.port, { path: '/compress?kind=text&length=2000' })
  assert.equal(answer.body.toString(), makeText(2000))
})

// --- All of them together -----------------------------------------------------------------------

test('a file that is compressed as it is sent is known by its tag, but has no parts', async () => {
  const headers = { 'Accept-Encoding': 'gzip' }
  const first = await both.askOurs({ path: '/all/large.txt', headers })
  assert.equal(first.headers['content-encoding'], 'gzip')
  assert.match(first.headers.etag, /^W\/"/)
  assert.equal(first.headers['accept-ranges'], undefined)
  assert.equal(zlib.gunzipSync(first.body).length, 300_000)
  const again = await both.askOurs({ path: '/all/large.txt', headers: { ...headers, 'If-None-Match': first.headers.etag } })
  assert.equal(again.status, 304)
  assert.equal(again.body.length, 0)
  const part = await both.askOurs({ path: '/all/large.txt', headers: { ...headers, Range: 'bytes=5-9', 'If-Range': first.headers.etag } })
  assert.equal(part.status, 200) // a part of the file is none of what was sent
  const plain = await both.askOurs({ path: '/all/large.txt', headers: { ...headers, Range: 'bytes=5-9' } })
  assert.equal(plain.status, 206)
  assert.equal(plain.headers['content-encoding'], undefined)
  assert.equal(plain.body.length, 5)
})

// --- Tags --------------------------------------------------------------------------------------

test(`${TAGS} tags, seed ${seed}`, async t => {
  const seen = { tagged: 0, untagged: 0, fresh: 0, 'an empty Buffer has no tag': 0, 'a 205 says that it has no body': 0 }
  const requests = Array.from({ length: TAGS }, (_, i) => {
    const r = chance('tag', i)
    const body = {
      kind: r.pick(['text', 'html', 'bytes', 'json', 'stream', 'file', 'empty', undefined]),
      length: r.pick([0, 1, 2, 100, 5000, 140_000]),
      piece: 1000,
      type: r.one(0.2) ? r.pick(types) : undefined,
      status: r.one(0.2) ? r.pick([200, 201, 299, 404, 500, 204, 205, 304]) : undefined,
      'h-ETag': r.one(0.2) ? r.pick(['"x"', 'W/"x"']) : undefined
    }
    return { body, method: r.pick(['GET', 'GET', 'HEAD', 'POST']), path: `${r.pick(['/etag', '/weak-etag'])}?${query(body)}`, r }
  })
  await inTurns(requests, 8, async ({ body, method, path, r }) => {
    const what = `${method} ${path}`
    const check = async headers => {
      const [ours, koa] = await both.ask({ method, path, headers })
      if (body.kind === 'file') for (const name of ['last-modified', 'content-length']) delete ours.headers[name]
      if (body.status === 205 && ours.status === 205) seen['a 205 says that it has no body']++
      if (body.kind === 'bytes' && body.length === 0 && !ours.headers.etag && koa.headers.etag) {
        seen['an empty Buffer has no tag']++
        assert.match(koa.headers.etag, /^(W\/)?"0-2jmj7l5rSw0yVb\/vlWAYkK\/YBwk"$/, what)
        return ours
      }
      assert.deepEqual(withoutFraming(ours), withoutFraming(koa), what)
      return ours
    }
    const first = await check({})
    seen[first.headers.etag ? 'tagged' : 'untagged']++
    if (first.headers.etag) {
      const second = await check({ 'If-None-Match': r.pick([first.headers.etag, '"y", ' + first.headers.etag, '*', '"y"']) })
      seen.fresh += second.status === 304
    }
  })
  t.diagnostic(JSON.stringify(seen))
  for (const [name, count] of Object.entries(seen)) assert.ok(count > 3, name)
})

test('it ends well', () => both.stop())
