// serve against koa-static 5: random paths in random encodings, with random Accept-Encoding and
// conditions. Ranges are checked against the RFC itself, since koa-range is wrong.

import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import http from 'node:http'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startBoth, inTurns, names, TIME } from './files.mjs'
import { eventually } from './support.mjs'
import { chance, scale, seed } from './traffic/chance.mjs'

const PATHS = 4000 * scale
const CONDITIONS = 1000 * scale
const RANGES = 3000 * scale

const require = createRequire(import.meta.url)
const Negotiator = createRequire(require.resolve('koa-compress'))('negotiator')

const both = startBoth()

// --- Paths -------------------------------------------------------------------------------------

const prefixes = ['/default', '/default', '/many', '/no-index', '/strict', '/no-gzip', '/no-brotli', '/defer']
const oddSegments = ['', '.', '..', '...', '%2e', '%2E%2e', '.%2e', '..%2f', '%2F', '..%5c', '%5C', '%5c..', 'a', 'nowhere',
  '%', '%zz', '%00', '%c0%af', '%ff', '%ed%a0%80', '%e2%82', '%252e%252e', 'C:', 'c:%5c', 'C:%2F', '~', ';', '*', '%20', 'hello.txt%20', 'hello.txt.', '%7f', '..;']

function encode (r, char) {
  const bytes = [...Buffer.from(char)]
  const mustBe = !/[\w.~!*'(),;:@&=+$/-]/.test(char)
  if (!mustBe && !r.one(0.08)) return char
  return bytes.map(byte => '%' + (r.one(0.5) ? byte.toString(16).toUpperCase() : byte.toString(16)).padStart(2, '0')).join('')
}

function somePath (r) {
  let segments = r.pick(names).split('/').map(segment => Array.from(segment, char => encode(r, char)).join(''))
  while (r.one(0.35)) segments.splice(r.below(segments.length + 1), r.below(2), r.pick(oddSegments))
  if (r.one(0.05)) segments = segments.map(segment => segment.toUpperCase())
  const slash = r.one(0.03) ? '//' : '/'
  return slash + segments.join('/') + (r.one(0.1) ? '/' : '') + (r.one(0.1) ? '?a=/../b' : '')
}

const codings = ['gzip', 'br', 'zstd', 'deflate', 'identity', '*', 'x-gzip', 'GZIP']
const qualities = ['', '', '', ';q=0', ';q=0.5', ';q=0.8', ';q=1', ';q=0.001', ';q=x']

function acceptEncoding (r) {
  if (r.one(0.3)) return undefined
  if (r.one(0.3)) return 'gzip, deflate, br, zstd'
  return r.some(4, () => r.pick(codings) + r.pick(qualities)).join(', ')
}

// --- What differs, and why: docs/differences-from-koa.md -------------------------------------------

const decoded = path => {
  try {
    return decodeURIComponent(path.replace(/[?].*/, ''))
  } catch {
    return undefined
  }
}

// The coded forms of what is there, and the one that we choose.
const forms = { 'script.js': ['br', 'gzip'], 'style.css': ['zstd'], 'only.txt': ['gzip'], 'docs/index.html': ['gzip'] }

function expectedCoding (name, prefix, accept) {
  const off = { '/no-gzip': 'gzip', '/no-brotli': 'br' }[prefix]
  const there = (forms[name] ?? []).filter(coding => coding !== off)
  const offers = [...there, 'identity']
  const best = new Negotiator({ headers: { 'accept-encoding': accept || '' } }).encoding(offers, { preferred: offers })
  return { varies: there.length > 0, coding: best === 'identity' ? undefined : best }
}

// Which of our files is it, by the headers of an answer that is one?
function fileOf (prefix, path) {
  const parts = []
  for (const part of decoded(path).split('/')) {
    if (part === '..') parts.pop()
    else if (part && part !== '.') parts.push(part)
  }
  const name = parts.join('/')
  if (prefix === '/strict' || prefix === '/no-index') return name
  if (name === 'docs' || name === 'links') return 'docs/index.html'
  if (name.startsWith('links/')) return name.replace('links', 'docs')
  if (prefix === '/many' && name === 'only') return 'only.txt'
  return name
}

const ownHeaders = ['etag', 'accept-ranges', 'vary', 'date', 'connection', 'keep-alive']
const bare = ({ status, headers, body }) => ({
  status,
  headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !ownHeaders.includes(name)).sort()),
  body: body.toString('latin1')
})

test(`${PATHS} paths, seed ${seed}`, async t => {
  const seen = { same: 0, files: 0, 'a coded form that koa-static does not look for': 0, 'which of two messages': 0 }
  const statuses = {}
  const requests = Array.from({ length: PATHS }, (_, i) => {
    const r = chance('path', i)
    const accept = acceptEncoding(r)
    return {
      prefix: r.pick(prefixes),
      rest: somePath(r),
      method: r.one(0.1) ? r.pick(['HEAD', 'HEAD', 'POST']) : 'GET',
      headers: accept === undefined ? {} : { 'Accept-Encoding': accept }
    }
  })
  await inTurns(requests, 8, async ({ prefix, rest, method, headers }) => {
    const path = prefix + rest
    const [ours, koa] = await both.ask({ method, path, headers })
    const what = `${method} ${path} ${JSON.stringify(headers)}`
    statuses[ours.status] = (statuses[ours.status] ?? 0) + 1
    const isFile = 'accept-ranges' in ours.headers
    if (isFile) {
      seen.files++
      const name = fileOf(prefix, rest)
      const { varies, coding } = expectedCoding(name, prefix, headers['Accept-Encoding'])
      assert.equal(ours.headers.vary, varies ? 'Accept-Encoding' : undefined, what)
      assert.equal(ours.headers['content-encoding'], coding, what)
      const suffix = coding ? '-' + coding : ''
      const size = Number(ours.headers['content-length']).toString(16)
      assert.equal(ours.headers.etag, `"${size}-${TIME.getTime().toString(16)}${suffix}"`, what)
      if (coding !== koa.headers['content-encoding']) {
        seen['a coded form that koa-static does not look for']++
        assert.equal(ours.status, 200, what)
        if (method === 'GET' && coding) assert.match(ours.body.toString(), /^\(/, what)
        return
      }
    }
    if (koa.status === 400 && /%00/.test(path)) { // each has two complaints to choose from
      seen['which of two messages']++
      assert.equal(ours.status, 400, what)
      return
    }
    assert.deepEqual(bare(ours), bare(koa), what)
    seen.same++
  })
  t.diagnostic(JSON.stringify({ ...seen, statuses }))
  for (const [name, count] of Object.entries(seen)) assert.ok(count > 0, name)
  for (const status of [200, 400, 403]) assert.ok(statuses[status] > PATHS / 50, `${status}`)
})

// --- Conditions --------------------------------------------------------------------------------

const dates = [-2000, -1000, 0, 1000, 1e10].map(ms => new Date(TIME.getTime() + ms).toUTCString())

test(`${CONDITIONS} conditions, seed ${seed}`, async t => {
  const list = ['hello.txt', 'empty.txt', 'docs/', 'large.txt', 'nowhere', 'style.css']
  const sizes = { 'hello.txt': 12, 'empty.txt': 0, 'docs/': 7, 'large.txt': 300_000, nowhere: 1, 'style.css': 3 }
  const statuses = {}
  const requests = Array.from({ length: CONDITIONS }, (_, i) => {
    const r = chance('condition', i)
    const name = r.pick(list)
    const tag = `"${sizes[name].toString(16)}-${TIME.getTime().toString(16)}"`
    const tags = [tag, tag, 'W/' + tag, 'W/' + tag, '"x"', '*', tag.replaceAll('"', ''), '', '"a,b"']
    const headers = {}
    if (r.one(0.7)) headers['If-None-Match'] = [r.pick(tags), ...r.some(2, () => r.pick(tags))].join(r.pick([', ', ',', ' , ']))
    if (r.one(0.5)) headers['If-Modified-Since'] = r.pick(dates)
    if (r.one(0.1)) headers['Cache-Control'] = r.pick(['no-cache', 'max-age=0', 'x, no-cache'])
    return { method: r.pick(['GET', 'GET', 'HEAD']), path: '/tagged/' + name, headers }
  })
  await inTurns(requests, 8, async request => {
    const [ours, koa] = await both.ask(request)
    statuses[ours.status] = (statuses[ours.status] ?? 0) + 1
    for (const answer of [ours, koa]) for (const name of ['date', 'connection', 'keep-alive', 'vary']) delete answer.headers[name]
    assert.deepEqual(ours, koa, JSON.stringify(request))
  })
  t.diagnostic(JSON.stringify(statuses))
  for (const status of [200, 304]) assert.ok(statuses[status] > CONDITIONS / 10, `${status}`)
})

// --- Ranges, by the RFC --------------------------------------------------------------------------

// RFC 9110 14.1.2 and 14.2, written down once more: null is to be ignored, [] not satisfiable.
function wanted (value, length, most) {
  const match = /^bytes=(.*)$/i.exec(value)
  if (!match) return null
  const specs = match[1].split(',').map(spec => spec.replace(/^[ \t]+|[ \t]+$/g, '')).filter(spec => spec)
  if (specs.length === 0 || specs.length > most) return null
  const found = []
  for (const spec of specs) {
    const [, first, last] = /^([0-9]*)-([0-9]*)$/.exec(spec) ?? []
    if (first === undefined || (first === '' && last === '')) return null
    if (first === '') {
      const suffix = BigInt(last)
      if (suffix > 0n && length === 0n) return null
      if (suffix > 0n) found.push([suffix < length ? length - suffix : 0n, length - 1n])
      continue
    }
    if (last !== '' && BigInt(last) < BigInt(first)) return null
    if (BigInt(first) < length) found.push([BigInt(first), last !== '' && BigInt(last) < length ? BigInt(last) : length - 1n])
  }
  const total = found.reduce((sum, [first, last]) => sum + last - first + 1n, 0n)
  return total > length ? null : found
}

function someRange (r, length) {
  const number = () => r.one(0.1) ? r.pick(['', '0', '00', '99999999999999999999', '18446744073709551616', 'x', '-1']) : String(r.below(length + 3))
  const spec = () => {
    const [a, b] = [r.below(length + 1), r.below(length + 1)].sort((a, b) => a - b)
    return r.one(0.5) ? `${a}-${b}` : r.one(0.3) ? `${a}-` : r.one(0.4) ? `-${b}` : r.one(0.5) ? `${number()}-${number()}` : `${a}-${Math.min(a + 1, b)}`
  }
  const few = () => {
    const at = r.below(Math.max(length, 1))
    return r.one(0.2) ? '-1' : `${at}-${at + r.below(Math.ceil(length / 8) + 1)}`
  }
  const specs = r.one(0.5) ? [spec()] : r.one(0.5) ? [few(), few(), ...r.some(3, few)] : r.one(0.03) ? Array.from({ length: 15 + r.below(4) }, () => '0-0') : [spec(), ...r.some(4, spec)]
  const unit = r.one(0.95) ? 'bytes=' : r.pick(['Bytes=', 'bytes', 'items=', 'bytes =', '', 'byte='])
  return unit + specs.join(r.one(0.9) ? ',' : r.pick([', ', ' ,\t', ',,', ';']))
}

function readParts (body, boundary) {
  const parts = []
  let at = 0
  for (;;) {
    const line = `${at ? '\r\n' : ''}--${boundary}`
    assert.equal(body.subarray(at, at + line.length).toString('latin1'), line)
    at += line.length
    if (body.subarray(at).toString('latin1') === '--\r\n') return parts
    const end = body.indexOf('\r\n\r\n', at)
    const head = body.subarray(at, end).toString('latin1')
    const [, type] = /\r\nContent-Type: (.*)/.exec(head)
    const [, first, last, length] = /\r\nContent-Range: bytes (\d+)-(\d+)\/(\d+)/.exec(head)
    at = end + 4 + Number(last) - Number(first) + 1
    parts.push({ type, first, last, length, data: body.subarray(end + 4, at) })
  }
}

test(`${RANGES} ranges, seed ${seed}`, async t => {
  const count = { whole: 0, one: 0, several: 0, none: 0 }
  const list = ['hello.txt', 'empty.txt', 'large.txt', 'bare/file']
  const whole = {}
  for (const name of list) whole[name] = await both.askOurs({ path: '/ranges/' + name })
  const requests = Array.from({ length: RANGES }, (_, i) => {
    const r = chance('range', i)
    const name = r.pick(list)
    const headers = { Range: someRange(r, whole[name].body.length) }
    const { etag, 'last-modified': date } = whole[name].headers
    let may = true
    if (r.one(0.3)) {
      const [condition, matches] = r.pick([[etag, true], ['W/' + etag, false], ['"x"', false], [date, true], [dates[0], false], [dates[4], false], ['*', false], [etag.slice(1), false]])
      headers['If-Range'] = condition
      may = matches
    }
    return { name, may, path: '/ranges/' + name, headers }
  })
  await inTurns(requests, 8, async ({ name, may, path, headers }) => {
    const all = whole[name]
    const length = all.body.length
    const ranges = may ? wanted(headers.Range, BigInt(length), 16) : null
    const answer = await both.askOurs({ path, headers })
    const what = `${path} ${JSON.stringify(headers)}`
    const part = ([first, last]) => all.body.subarray(Number(first), Number(last) + 1)
    if (ranges === null) {
      count.whole++
      assert.equal(answer.status, 200, what)
      assert.ok(answer.body.equals(all.body), what)
      assert.equal(answer.headers['content-range'], undefined)
    } else if (ranges.length === 0) {
      count.none++
      assert.equal(answer.status, 416, what)
      assert.equal(answer.headers['content-range'], `bytes */${length}`)
    } else if (ranges.length === 1) {
      count.one++
      assert.equal(answer.status, 206, what)
      assert.equal(answer.headers['content-range'], `bytes ${ranges[0][0]}-${ranges[0][1]}/${length}`)
      assert.equal(answer.headers['content-type'], all.headers['content-type'])
      assert.ok(answer.body.equals(part(ranges[0])), what)
    } else {
      count.several++
      assert.equal(answer.status, 206, what)
      assert.equal(answer.headers['content-range'], undefined)
      const [, boundary] = /^multipart\/byteranges; boundary=([0-9a-f]{32})$/.exec(answer.headers['content-type'])
      const parts = readParts(answer.body, boundary)
      assert.equal(parts.length, ranges.length, what)
      parts.forEach(({ type, first, last, length: of, data }, i) => {
        assert.deepEqual([first, last, of, type], [...ranges[i].map(String), String(length), all.headers['content-type']], what)
        assert.ok(data.equals(part(ranges[i])), what)
      })
    }
    if (answer.status < 300) assert.equal(Number(answer.headers['content-length']), answer.body.length, what)
    if (answer.status < 300) assert.equal(answer.headers.etag, all.headers.etag)
  })
  t.diagnostic(JSON.stringify(count))
  for (const [kind, n] of Object.entries(count)) assert.ok(n > RANGES / 30, kind)
})

// --- Other ways to send a path -----------------------------------------------------------------

test('a link that leads out of the root is not followed', async () => {
  const [ours] = await both.ask({ path: '/ranges/outside.txt' })
  assert.equal(ours.body.toString(), 'behind')
  const [followed, koa] = await both.ask({ path: '/default/outside.txt' })
  assert.equal(followed.body.toString(), 'beside')
  assert.equal(koa.body.toString(), 'beside')
})

test('ranges of a file that is large: in order, from many at once', async () => {
  const { body } = await both.askOurs({ path: '/ranges/large.txt' })
  const pieces = await Promise.all(Array.from({ length: 30 }, (_, i) =>
    both.askOurs({ path: '/ranges/large.txt', headers: { Range: `bytes=${i * 10_000}-${i * 10_000 + 9_999}` } })))
  assert.ok(Buffer.concat(pieces.map(piece => piece.body)).equals(body))
})

test('clients that go in the middle of a file leave nothing open', { skip: process.platform !== 'linux' }, async () => {
  const count = async () => (await fs.readdir(`/proc/${both.ours.child.pid}/fd`)).length
  const before = await count()
  for (let i = 0; i < 30; i++) {
    await new Promise(resolve => {
      const request = http.get({ port: both.ours.port, path: '/ranges/large.bin', agent: false }, response => {
        response.once('data', () => request.destroy()).on('error', () => {})
      })
      request.on('error', () => {}).on('close', resolve)
    })
  }
  await eventually(async () => await count() <= before + 1, 'its descriptors are closed') // one is kept, with the file
})

test('a client that takes its time gets all of a large file', async () => {
  let length = 0
  await new Promise((resolve, reject) => {
    http.get({ port: both.ours.port, path: '/ranges/large.bin', agent: false }, async response => {
      for await (const chunk of response) {
        assert.ok(chunk.every(byte => byte === 7))
        length += chunk.length
        if (length % 16 === 0) await sleep(1)
      }
      resolve()
    }).on('error', reject)
  })
  assert.equal(length, 20_000_000)
})

test('it ends well', () => both.stop())
