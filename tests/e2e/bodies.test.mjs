// Bodies against koa-bodyparser: random ones, sent to both, must be the same values or the same errors. What differs on
// purpose has a name here. SEED=n for others, SCALE=n for n times as many.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import http from 'node:http'
import { after, before, test } from 'node:test'
import zlib from 'node:zlib'
import Koa from 'koa'
import bodyParser from 'koa-bodyparser'
import { build, startServer, withPatience } from './support.mjs'
import { chance, CHARACTERS, scale } from './traffic/chance.mjs'

const skip = existsSync(`${build}/tests/support/bodies_server`) ? false : 'this build has no JSON'
const BODIES = Math.ceil(3_000 * scale)
const r = chance('bodies')
const times = (n, fn) => Array.from({ length: n }, fn)

let ours, koa
const agent = new http.Agent({ keepAlive: true }) // for ours: node cuts the connection where a body was not read

before(async () => {
  if (skip) return
  ours = await startServer('tests/support/bodies_server')
  const apps = {
    '/usual': bodyParser(),
    '/all': bodyParser({ enableTypes: ['json', 'form', 'text', 'xml'], strict: false })
  }
  const app = new Koa()
  app.silent = true
  app.use((ctx, next) => apps[ctx.path](ctx, next))
  app.use(ctx => { ctx.body = { body: ctx.request.body } })
  koa = await new Promise(resolve => { const server = app.listen(0, '127.0.0.1', () => resolve(server)) })
})

after(() => {
  agent.destroy()
  koa?.close()
})

// A connection that has been silent for too long may be closed just now: then by another one.
async function ask (port, given) {
  try {
    return await askBy(port === ours.port && agent, port, given)
  } catch (error) {
    if (!error.reused) throw error
    return askBy(false, port, given)
  }
}

function askBy (agent, port, { path, method, headers, body, chunked }) {
  return withPatience(new Promise((resolve, reject) => {
    const request = http.request({ port, host: '127.0.0.1', path, method, headers, agent })
    request.on('error', error => reject(Object.assign(error, { reused: request.reusedSocket }))).on('response', async response => {
      let text = ''
      for await (const chunk of response.setEncoding('utf8')) text += chunk
      resolve({ status: response.statusCode, text, body: response.statusCode === 200 ? JSON.parse(text).body : undefined })
    })
    request.setHeader(...chunked ? ['Transfer-Encoding', 'chunked'] : ['Content-Length', body.length])
    for (const piece of chunked ? r.cut(body) : [body]) request.write(piece)
    request.end()
  }), `${method} ${path}`)
}

// --- Bodies ------------------------------------------------------------------------------------

const word = () => r.pick([() => r.text(8), () => r.pick(['a', 'b', 'c', '__proto__', 'constructor', 'toString', '0', '']),
  () => 'x'.repeat(r.below(2000))])()

// Any double, of few digits or of all, the smallest ones too.
function someNumber () {
  const number = r.one(0.5)
    ? Number(`${r.below(2) ? '-' : ''}${r.below(10 ** r.below(16))}e${r.below(50) - 25}`)
    : new DataView(new Uint8Array(r.bytes(8)).buffer).getFloat64(0)
  return r.one(0.05) ? r.pick([5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1, 0.000001, 123456789012345680000]) : Number.isFinite(number) ? number : 0.3
}

function value (depth) {
  const kind = r.below(depth > 0 ? 9 : 6)
  if (kind === 0) return r.pick([0, -0, 1, -1, 1.5, 1e21, 1e-7, 2 ** 53, -(2 ** 53), 12345.678, someNumber()])
  if (kind === 1) return r.pick([true, false, null])
  if (kind < 6) return word()
  if (kind === 6) return times(r.below(4), () => value(depth - 1))
  const object = {}
  for (let n = r.below(4); n > 0; n--) Object.defineProperty(object, word(), { value: value(depth - 1), enumerable: true, configurable: true })
  return object
}

const escaped = text => r.one(0.2)
  ? text.replace(/[a-z_]/g, char => r.one(0.3) ? '\\u' + char.charCodeAt(0).toString(16).padStart(4, '0') : char)
  : text

const broken = text => {
  const at = r.below(text.length + 1)
  return r.pick([() => text.slice(0, at), () => text.slice(0, at) + r.pick([',', '}', ']', '"', 'x', ' ', '1', '\\', ':', '\n']) + text.slice(at),
    () => text.slice(0, at) + text.slice(at + 1)])()
}

const json = () => {
  let text = JSON.stringify(r.one(0.9) ? r.one(0.5) ? { a: value(3) } : [value(3)] : value(2), null, r.one(0.2) ? ' ' : undefined)
  text = r.one(0.5) ? escaped(text) : text
  if (r.one(0.3)) text = broken(text)
  if (r.one(0.03)) text = r.pick(['', ' ', '\ufeff{}', '{}\n', '\n\t[]', '{"a":1,"a":2}', '[1e400]', '["\\u0000"]', '["\\ud800"]', '[01]', '[.5]',
    '[123456789012345678901]', '[9007199254740993]', '[-0]', '[1.0]', 'nul', '{a:1}', "{'a':1}", '["\t"]', '[1,]', '{"a":1,}', '//\n{}', '[NaN]',
    `${'['.repeat(199)}${']'.repeat(199)}`, `${'['.repeat(300)}${']'.repeat(300)}`])
  return text
}

const name = () => r.pick(['a', 'b', 'c', 'a.b', 'a[b]', 'a[]', 'a[0]', 'a[b][c]', 'a.b[c].d', 'a[', 'a]', '[a]', '.a', 'a..b', '__proto__[x]', 'é'])
const part = text => r.one(0.5) ? encodeURIComponent(text).replace(/%20/g, '+') : text.replace(/[%&+=\0]/g, encodeURIComponent).replace(/ /g, '+')
const form = () => times(r.below(r.one(0.05) ? 1000 : 8), () => r.one(0.1) ? part(name()) : `${part(name())}=${part(r.text(8).replaceAll('\0', ''))}`).join('&')

const types = [['application/json', json], ['application/json; charset=utf-8', json], ['application/vnd.api+json', json],
  ['APPLICATION/JSON', json], ['application/json;', json],
  ['application/problem+json', json], ['text/json', json], ['application/x-www-form-urlencoded', form],
  ['application/x-www-form-urlencoded; charset=UTF-8', form], ['text/plain', () => r.text(40)], ['text/plain;charset=us-ascii', () => r.text(40)],
  ['text/html', () => r.text(40)], ['application/xml', () => r.text(40)], ['text/xml', () => r.text(40)],
  ['application/octet-stream', () => r.text(40)], ['application', json], ['', json]]

const encodings = {
  gzip: zlib.gzipSync,
  deflate: zlib.deflateSync,
  br: data => zlib.brotliCompressSync(data, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 2 } }),
  identity: data => data,
  rot13: data => data
}

// One of a request's properties in a hundred is odd.
function request () {
  const [type, make] = r.pick(r.one(0.7) ? types.slice(0, 9) : types)
  const given = { path: r.pick(['/usual', '/all']), method: r.pick(['POST', 'PUT', 'PATCH', 'GET', 'DELETE']), headers: {}, chunked: r.one(0.3) }
  given.text = r.one(0.01) ? '{"a":"' + 'x'.repeat(r.pick([56 * 1024 - 6, 56 * 1024, 1024 * 1024 - 8, 1024 * 1024])) + '"}' : make()
  if (type) given.headers['Content-Type'] = type
  given.body = Buffer.from(given.text)
  if (r.one(0.05) && given.body.length) {
    given.body[r.below(given.body.length)] = r.below(256)
    given.text = given.body.toString()
    given.damaged = true
  }
  if (r.one(0.3)) {
    const encoding = r.pick(Object.keys(encodings))
    given.headers['Content-Encoding'] = encoding
    given.body = encodings[encoding](given.body)
    given.compressed = !['identity', 'rot13'].includes(encoding)
    if (given.compressed && r.one(0.2)) {
      given.spoiled = true
      const at = r.below(given.body.length)
      given.body = r.one(0.5) ? given.body.subarray(0, at) : Buffer.concat([given.body.subarray(0, at), Buffer.from([r.below(256)]), given.body.subarray(at)])
    }
  }
  return given
}

// --- What differs ------------------------------------------------------------------------------

const isJson = given => /json/i.test(given.headers['Content-Type'] || '')
const levels = text => { let most = 0; let level = 0; for (const char of text) { if ('[{'.includes(char)) most = Math.max(most, ++level); if (']}'.includes(char)) level--; } return most }
const wellFormed = text => !/\ufffd/.test(text)

// JSON.parse with what it takes silently told: names that come twice, numbers that don't fit.
function doubtful (text) {
  const numbers = text.replace(/"(?:[^"\\]|\\.)*"/g, '').match(/-?\d+(\.\d+)?(e[+-]?\d+)?/gi) || []
  if (numbers.some(number => !Number.isFinite(Number(number)) || (/^-?\d+$/.test(number) && (BigInt(number) > 2n ** 63n - 1n || BigInt(number) < -(2n ** 63n))))) return 'a number that does not fit'
  if (/\\u0000/.test(text)) return 'a NUL in JSON'
  if (/\\ud[89a-f]/i.test(text)) return 'half of a surrogate pair'
  if (levels(text) > 200) return 'more than 200 levels'
  if (!wellFormed(text)) return 'JSON that is not UTF-8'
  const names = text.match(/"(?:[^"\\]|\\.)*"\s*:/g) || []
  let kept = 0
  JSON.parse(text, function (name, value) { kept += !Array.isArray(this) && name !== ''; return value })
  return names.length > kept && 'a name twice in an object'
}

function difference (given, theirs, mine) {
  if (given.spoiled && given.body.length === 0 && mine.status === 200) return 'nothing, compressed'
  if (given.spoiled && theirs.status === 500 && mine.status === 400) return 'compressed data that is malformed'
  if (given.spoiled && theirs.status === 200 && mine.status === 400) return 'bytes behind compressed data'
  if (given.damaged && /form/.test(given.headers['Content-Type']) && theirs.status === 200 && mine.status === 200) return 'a form with malformed escapes'
  if (isJson(given) && theirs.status === 200 && mine.status === 400) return doubtful(given.text)
  if (theirs.status === mine.status && theirs.status >= 400 && theirs.text !== mine.text) {
    if (theirs.status === 400 && theirs.text === 'Bad Request') return 'the reason why it is no JSON'
    if (theirs.status === 415 && theirs.text === 'Unsupported Media Type') return 'the reason of a 415'
  }
  if (theirs.status === 200 && mine.status === 200 && JSON.stringify(theirs.body).replaceAll('\\u0000', '\ufffd') === JSON.stringify(mine.body)) return 'a NUL in a text or a form'
}

test('bodies as koa-bodyparser', { skip }, async () => {
  const seen = {}
  for (let i = 0; i < BODIES; i++) {
    const given = request()
    const [theirs, mine] = await Promise.all([ask(koa.address().port, given), ask(ours.port, given)])
    const same = theirs.status === mine.status && (theirs.status === 200 || theirs.text === mine.text)
    try {
      if (same && theirs.status === 200) {
        assert.deepEqual(mine.body, theirs.body)
        // JavaScript has names that are numbers first, and large integers rounded.
        if (!/"\d+":|\d{16}/.test(theirs.text + mine.text)) assert.equal(mine.text, theirs.text)
      }
      assert.ok(same)
      seen[mine.status] = (seen[mine.status] || 0) + 1
    } catch {
      const why = difference(given, theirs, mine)
      assert.ok(why, `${i}: ${JSON.stringify({ ...given, text: given.text.slice(0, 400), body: undefined })}\n` +
        `koa-bodyparser: ${theirs.status} ${theirs.text.slice(0, 400)}\nours: ${mine.status} ${mine.text.slice(0, 400)}`)
      seen[why] = (seen[why] || 0) + 1
    }
  }
  if (process.env.VERBOSE) console.log(seen)
  for (const what of [200, 413, 'the reason why it is no JSON', 'the reason of a 415', 'compressed data that is malformed']) {
    assert.ok(seen[what], what)
  }
})

test('the server is as good as new', { skip }, () => ours.stop())
