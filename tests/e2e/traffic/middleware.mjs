// What the stack of middleware in the features twin reads, and what varies in its answers.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import zlib from 'node:zlib'

const sign = (text, key) => createHmac('sha1', key).update(text).digest('base64url')

// --- What varies ---------------------------------------------------------------------------------

// A session in its cookie, with the time at which it ends taken out; and is its signature right?
function readSession (head) {
  const value = /^Set-Cookie: sid=([^;]*)/m.exec(head)?.[1]
  if (value === undefined) return head
  return head
    .replace(/^(Set-Cookie: sid\.sig=)([^;]+)/m, (all, start, signature) => start + (signature === sign(`sid=${value}`, 'newkey') ? '(right)' : '(wrong)'))
    .replace(/^(Set-Cookie: sid=)([^;]+)/m, (all, start, text) =>
      start + Buffer.from(text, 'base64').toString().replace(/"_expire":\d{13}\b/, '"_expire":(later)'))
}

const decoders = { br: zlib.brotliDecompressSync, gzip: zlib.gunzipSync, deflate: zlib.inflateSync }

// What is compressed is as long as the compressor makes it, and in Koa chunked. Its tag is weak here: the bytes are
// others. compression.test.mjs looks at both.
function decode (response) {
  const decoder = decoders[/^Content-Encoding: (.*)$/m.exec(response.head)?.[1].trim()]
  if (!decoder) return
  response.body = decoder(Buffer.from(response.body, 'latin1')).toString('latin1')
  response.head = response.head.replace(/\r\n(Content-Length: \d+|Transfer-Encoding: chunked)(?=\r|$)/g, '')
    .replace(/^ETag: (W\/)?/m, 'ETag: (weak or not) ')
}

// Times: of the files, and until a client may ask again. In whole seconds here, with a fraction in Koa.
export function normal (response) {
  response.head = readSession(response.head)
    .replace(/^(Last-Modified): \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT(?=\r|$)/m, '$1: (then)')
    .replace(/^(ETag: W\/"[0-9a-f]+)-[0-9a-f]{11}"/m, '$1-(then)"')
    .replace(/^(Retry-After|X-RateLimit-Reset): [\d.]+(?=\r|$)/mg, '$1: (soon)')
  decode(response)
  response.body = response.body.replace(/^(Rate limit exceeded, retry in) .*\.$/, '$1 (soon).')
}

// --- Sessions ------------------------------------------------------------------------------------

const sessions = ['{}', '{"n":1}', '{"n":41}', '{"n":-1}', '{"n":0}', '{"a":"b"}', '{"n":1,"a":[{"b":null}]}']
const spoiled = ['', 'x', 'null', '{', '[]', '1'] // not "s": Koa makes {"0":"s"} of it

// One that goes on, has ended, is signed by the older key, or wrongly; or none at all.
export function makeSession (r) {
  const data = r.pick(sessions)
  const ends = Date.now() + r.pick([60000, 60000, 60000, 1e9, -1000])
  const fields = [...data === '{}' ? [] : [data.slice(1, -1)], `"_expire":${ends}`, '"_maxAge":60000']
  const text = r.pick([`{${fields}}`, `{${fields}}`, `{${fields}}`, `{${fields}}`, data, r.pick(spoiled)])
  const value = r.one(0.05) ? text.replace(/[^\w{}:]/g, '') : Buffer.from(text).toString('base64')
  const signature = sign(`sid=${value}`, r.pick(['newkey', 'newkey', 'newkey', 'newkey', 'oldkey', 'otherkey']))
  const pairs = [`sid=${value}`, `sid.sig=${r.one(0.05) ? signature.toLowerCase() : signature}`]
  if (r.one(0.05)) pairs.splice(r.below(2), 1)
  if (r.one(0.2)) pairs.push(r.pick(['plain=1', 'sid=x', 'sid.sig=x']))
  return `Cookie: ${pairs.join('; ')}`
}

// --- Bodies --------------------------------------------------------------------------------------

const word = r => r.pick([() => r.text(8).replaceAll('\0', ''), () => r.pick(['a', 'b', 'ab', '', 'x'.repeat(100)])])()

// Without names that are numbers, which JavaScript has first. See bodies.test.mjs.
function value (r, depth) {
  const kind = r.below(depth > 0 ? 8 : 6)
  if (kind === 0) return r.pick([0, 1, -1, 12345, 2 ** 53 - 1, 1.5, -0.25, 0.1, 1e21, 1e-7])
  if (kind === 1) return r.pick([true, false, null])
  if (kind < 6) return word(r)
  if (kind === 6) return r.some(3, () => value(r, depth - 1))
  return Object.fromEntries(r.some(3, i => [r.pick(['a', 'b', 'c', 'é', 'a b']), value(r, depth - 1)]))
}

function json (r) {
  const text = JSON.stringify(r.one(0.9) ? r.pick([{ a: value(r, 3) }, [value(r, 3)]]) : value(r, 2), null, r.pick([0, 0, 0, 1]))
  if (r.one(0.1)) return text.slice(0, r.below(text.length + 1))
  if (r.one(0.05)) return text + r.pick([',', '}', 'x', ' ', '\n', ' 1'])
  return r.one(0.03) ? `{"a":"${'x'.repeat(r.pick([16000, 16376, 16377, 20000]))}"}` : text
}

const name = r => r.pick(['a', 'b', 'c', 'a.b', 'a[b]', 'a[]', 'a[0]', 'a[b][c]', 'a[', '[a]', 'é'])
const part = (r, text) => (r.one(0.5) ? encodeURIComponent(text) : text.replace(/[%&+=]/g, encodeURIComponent)).replace(/%20| /g, '+')
const form = r => r.some(r.one(0.05) ? 300 : 6, () =>
  r.one(0.1) ? part(r, name(r)) : `${part(r, name(r))}=${part(r, word(r))}`).join('&')
const plain = r => r.text(40).replaceAll('\0', '')

const types = [
  ['application/json', json], ['application/json', json], ['application/json; charset=utf-8', json],
  ['application/vnd.api+json', json], ['APPLICATION/JSON', json], ['application/json;', json],
  ['application/x-www-form-urlencoded', form], ['application/x-www-form-urlencoded', form],
  ['application/x-www-form-urlencoded;charset=UTF-8', form], ['text/plain', plain], ['text/plain; charset=utf-8', plain],
  ['text/html', plain], ['application/xml', plain], ['application/octet-stream', plain], ['multipart/form-data; boundary=x', plain], ['x', json]
]
const encodings = {
  gzip: zlib.gzipSync,
  deflate: zlib.deflateSync,
  br: data => zlib.brotliCompressSync(data, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 2 } }),
  identity: data => data
}

// Something to read, the headers that say what it is, and whether it will be read.
export function makeContent (r) {
  const [type, make] = r.pick(types)
  const content = Buffer.from(r.one(0.03) ? '' : make(r))
  const isRead = /json|urlencoded|plain/i.test(type)
  if (r.one(0.02)) return { content, headers: [], isRead: false }
  if (r.one(0.85)) return { content, headers: [`Content-Type: ${type}`], isRead }
  const encoding = r.pick(Object.keys(encodings))
  return {
    content: encodings[encoding](content),
    headers: [`Content-Type: ${type}`, `Content-Encoding: ${encoding}`],
    isRead
  }
}

// --- Codings ---------------------------------------------------------------------------------------

// Something is acceptable, and qualities are well formed: Koa has two readers for others. See compression.test.mjs.
const isCoding = text => /^[\w*-]+(;q=(1|0(\.\d+)?))?$/.test(text) && !/^(identity|\*);q=0(\.0)?$/i.test(text)
export const isClear = line => !/^accept-encoding:/i.test(line) || line.slice(16).split(',').every(coding => isCoding(coding.trim()))

// --- Ranges --------------------------------------------------------------------------------------

const LENGTH = 10 // of what is at /ranged

const ranges = ['bytes=0-', 'bytes=0-3', 'bytes=2-5', 'bytes=9-9', 'bytes=0-9', 'bytes=5-', 'bytes=0-1,4-5', 'bytes=4-5, 0-1',
  'bytes=5-2', 'bytes=x', 'bytes=', 'bytes', 'items=0-3', 'bytes=-3', 'bytes=-10', 'bytes=-99', 'bytes=-0', 'bytes=1-2,x', 'BYTES=1-2',
  'bytes=00-01', 'bytes= 1-2', 'bytes=1-2-3', 'bytes=0x1-0x2', 'bytes=3-4,-2', 'bytes=a-b,0-1']
export const tooFar = ['bytes=-', 'bytes=9-20', 'bytes=0-99', 'bytes=10-12', 'bytes=50-', 'bytes=0-10,1-2']

const number = r => r.pick([String(r.below(12)), String(r.below(10)), '', '00', '1e0'])
const makeRanges = r => `bytes=${[...r.some(1, () => ''), ...r.some(3, () => `${number(r)}-${number(r)}`)].join(r.pick([',', ', ']))}`

// Without those for which koa-range promises too much.
export function makeRange (r) {
  const value = r.one(0.5) ? r.pick(ranges) : makeRanges(r)
  const [, first, last] = /^bytes (\w+)-(\d+)/.exec(koaWants(value)) ?? [0, 0, 0]
  return `Range: ${first <= last && last < LENGTH ? value : 'bytes=0-3'}`
}

// What RFC 9110 14 has for a value: the Content-Range of a part or of a refusal, "whole", or "malformed".
function wanted (value) {
  if (!/^bytes=/i.test(value)) return 'whole'
  const specs = value.slice(6).split(/[ \t]*,[ \t]*/).map(spec => spec.trim()).filter(Boolean)
  const pairs = specs.map(spec => /^(\d*)-(\d*)$/.exec(spec)?.slice(1))
  const isRight = pair => pair && pair.join('') && (pair.includes('') || Number(pair[0]) <= Number(pair[1]))
  if (pairs.length === 0 || !pairs.every(isRight)) return 'malformed'
  const found = pairs.map(([first, last]) => first === ''
    ? [Math.max(LENGTH - Number(last), 0), LENGTH - 1]
    : [Number(first), last === '' ? LENGTH - 1 : Math.min(Number(last), LENGTH - 1)]).find(([first, last]) => first <= last)
  return `bytes ${found?.join('-') ?? '*'}/${LENGTH}`
}

// And koa-range's answer.
function koaWants (value) {
  const [unit, list, more] = value.split('=')
  if (unit !== 'bytes' || list === undefined || more !== undefined) return 'malformed'
  const [found] = list.split(',').map(pair => pair.split('-').map(number => number === '' ? Infinity : Number(number)))
    .filter(([first, last]) => first <= last)
  return found ? `bytes ${found[0]}-${found[1] === Infinity ? LENGTH - 1 : found[1]}/${LENGTH}` : 'malformed'
}

const rangeOf = lines => lines.filter(line => /^range:/i.test(line)).map(line => line.slice(6).trim()).join(', ')

// Does that request meet something that koa-range does otherwise?
export function rangeDifference (method, lines) {
  const value = rangeOf(lines)
  if (!value) return
  if (method !== 'GET') return 'a range of another method'
  return wanted(value) === koaWants(value) ? undefined : 'a range that koa-range misreads'
}

export const middlewareDifferences = {
  'a condition on what has begun': {
    why: 'its head has gone, as 200; koa-conditional-get takes the body away all the same',
    when: koa => koa?.body === '',
    check: (ours, koa) => assert.equal(ours.text, `${koa.text}id: 1\ndata: tick 1\n\nid: 2\ndata: tick 2\n\nid: 3\ndata: tick 3\n\n`)
  },
  'If-Match, or If-Unmodified-Since': {
    why: 'serve obeys them, too (RFC 9110 13.1); koa-static does not look',
    check: (ours, koa) => ours.status === 412 || assert.equal(ours.text, koa.text)
  },
  'a range of another method': {
    why: 'it has no meaning (RFC 9110 14.2); koa-range refuses it if it is malformed, and any PUT',
    check: ours => assert.doesNotMatch(ours.head, /^Content-Range|^HTTP\S+ (206|416)/m)
  },
  'a range that koa-range misreads': {
    why: 'RFC 9110 14 has "-3", and units in capitals; it ignores other units, and what is malformed refuses all',
    check: (ours, koa, request) => ours.status === 304 || assertRange(ours, request)
  },
  'a range beyond the end': {
    why: 'koa-range promises more bytes than there are, and the client waits for them',
    then: [],
    check: (ours, koa, request) => assertRange(ours, request)
  }
}

function assertRange (ours, { bytes }) {
  const expected = wanted(rangeOf(bytes.toString('latin1').split('\r\n')))
  const [, first, last] = /^bytes (\d+)-(\d+)/.exec(expected) ?? []
  assert.equal(ours.status, expected === 'whole' ? 200 : first ? 206 : 416)
  assert.equal(/^Content-Range: (.*)\r$/m.exec(ours.head)?.[1], expected.startsWith('bytes') ? expected : undefined)
  assert.equal(ours.body, ours.status === 416 ? 'Range Not Satisfiable' : '0123456789'.slice(first ?? 0, Number(last ?? 9) + 1))
}
