// Forms with files: against npm's busboy and multer, which read the same bytes; by undici, curl and Chromium, which write
// their own. SEED=n for other forms, SCALE=n for n times as many.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { promisify } from 'node:util'
import busboy from 'busboy'
import Koa from 'koa'
import multer from '@koa/multer'
import { chromium } from 'playwright-core'
import { FormData, File, fetch } from 'undici'
import { build, eventually, startServer, withPatience } from './support.mjs'
import { chance, scale } from './traffic/chance.mjs'

const skip = existsSync(`${build}/tests/support/bodies_server`) ? false : 'this build has no JSON'
const times = (n, fn) => Array.from({ length: n }, fn)

let server, uploads
before(async () => {
  if (skip) return
  uploads = await mkdtemp(path.join(tmpdir(), 'acacia-uploads-'))
  server = await startServer('tests/support/bodies_server', { env: { UPLOADS: uploads } })
})
after(() => uploads && rm(uploads, { recursive: true }))

const agent = new http.Agent({ keepAlive: true })
after(() => agent.destroy())

// Sends the pieces one by one, each when the one before is with the kernel. A connection that has been silent for too long
// may be closed just now: then by another one.
async function post (url, type, pieces, options) {
  try {
    return await postBy(agent, url, type, pieces, options)
  } catch (error) {
    if (!error.reused) throw error
    return postBy(false, url, type, pieces, options)
  }
}

function postBy (agent, url, type, pieces, { port = server.port, chunked = false } = {}) {
  return withPatience(new Promise((resolve, reject) => {
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
    const headers = { 'Content-Type': type, ...(chunked ? {} : { 'Content-Length': length }) }
    const request = http.request({ port, host: '127.0.0.1', path: url, method: 'POST', headers, agent: port === server.port && agent })
    request.on('error', error => reject(Object.assign(error, { reused: request.reusedSocket }))).on('response', async response => {
      let text = ''
      for await (const chunk of response.setEncoding('utf8')) text += chunk
      const json = response.statusCode === 200 && text[0] === '{' && JSON.parse(text)
      resolve({ status: response.statusCode, text, ...json })
    })
    const write = async () => {
      for (const piece of pieces) await new Promise(resolve => request.write(piece, resolve))
      request.end()
    }
    write()
  }), `POST ${url}`)
}

// --- What busboy reads ---------------------------------------------------------------------------

// Browsers escape these three; busboy leaves that to multer.
const unescape = name => name?.replace(/%0A|%0D|%22/gi, escape => decodeURIComponent(escape))

// What a file is called by us: the last part, without what no name should have.
const named = filename => {
  const last = (filename ?? '').split(/[/\\]/).at(-1)
  return last === '.' || last === '..' ? '' : last.replace(/[\0-\x1f\x7f]/g, '_') // eslint-disable-line no-control-regex
}

const text = value => value.replaceAll('\0', '\ufffd')

function readByBusboy (type, body) {
  return new Promise(resolve => {
    const fields = []
    const files = []
    const fail = error => resolve({ error: error.message })
    let parser
    try {
      parser = busboy({ headers: { 'content-type': type }, defParamCharset: 'utf8', preservePath: true })
    } catch (error) {
      return fail(error)
    }
    parser.on('error', fail)
    parser.on('field', (name, value, { mimeType }) => fields.push([unescape(name), text(value), mimeType]))
    parser.on('file', (name, stream, { filename, mimeType }) => {
      const file = [unescape(name), named(unescape(filename)), mimeType, '']
      files.push({ file, isNamed: Boolean(filename) })
      stream.on('data', data => { file[3] += data.toString('hex') }).on('error', fail)
    })
    // Without a name and content it is what browsers send where none was chosen.
    parser.on('close', () => resolve({ fields, files: files.filter(({ file, isNamed }) => isNamed || file[3]).map(({ file }) => file) }))
    setTimeout(() => fail({ message: 'it waits for ever' }), 1000).unref() // as it does for some malformed ones
    parser.end(body)
  })
}

const isSame = (answer, expected) => !differing(answer, expected)

// The first part that is not the same.
function differing (answer, expected) {
  if (expected.error || answer.status !== 200) return `${answer.text}\nbusboy: ${expected.error}`
  const parts = [...answer.fields, ...answer.files].map(part => JSON.stringify(part))
  const others = [...expected.fields, ...expected.files].map(part => JSON.stringify(part))
  const at = (parts.length > others.length ? parts : others).findIndex((part, i) => parts[i] !== others[i])
  return at >= 0 && `${parts[at]?.slice(0, 1000)}\nbusboy: ${others[at]?.slice(0, 1000)}`
}

// --- Forms ---------------------------------------------------------------------------------------

const BOUNDARY = "0123456789'()+_,-./:=?ABCabcXYZ"

function boundary (r) {
  const bytes = times(1 + r.below(r.one(0.1) ? 70 : 30), () => r.pick([...BOUNDARY])).join('')
  return r.one(0.2) ? `----WebKitFormBoundary${bytes.replace(/[^0-9A-Za-z]/g, 'x')}`.slice(0, 70) : bytes
}

const quote = value => `"${value.replace(/[\r\n"]/g, encodeURIComponent)}"`
const name = r => r.pick([() => r.pick(['a', 'b', 'photo', 'a[b]', 'a[]', 'é']), () => r.text(20).replaceAll('\\', '/').replace(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/g, '') || 'x'])() // eslint-disable-line no-control-regex

function filename (r) {
  return r.pick([() => 'photo.jpg', () => name(r), () => 'C:\\dir\\file.txt', () => '../../etc/passwd', () => '..', () => '', () => 'naïve 🌳.png'])()
}

const someCase = (r, header) => r.one(0.2) ? header.toUpperCase() : r.one(0.2) ? header.toLowerCase() : header

// Data in which there is much that looks like a boundary.
function data (r, mark) {
  const piece = () => r.pick([() => r.bytes(r.below(40)), () => Buffer.from(`\r\n--${mark}`.slice(0, r.below(mark.length + 4))),
    () => Buffer.from(r.pick(['\r', '\n', '\r\n', '-', '--', '\r\n--', '\r\r\n', mark.slice(1)])), () => r.bytes(r.one(0.05) ? 20_000 : 1)])()
  return Buffer.concat(times(r.below(8), piece))
}

function part (r, mark) {
  const isFile = r.one(0.5)
  const disposition = [`name=${quote(name(r))}`]
  const isChosen = r.one(0.95)
  if (isFile && isChosen) disposition.push(`filename=${quote(filename(r))}`)
  if (isFile && r.one(0.1)) disposition.push(`filename*=${r.pick(["UTF-8''%e2%82%ac%20rates", "utf-8'en'%41b", "iso-8859-1''%a3%20rates", "UTF-8''%ff"])}`)
  if (r.one(0.1)) disposition.push(r.pick(['x=y', 'x="y z"', 'size=3', 'name="second"']))
  if (r.one(0.1)) disposition.reverse()
  const separator = r.pick(['; ', '; ', '; ', ';', ' ; ', ';\t'])
  const lines = [`${someCase(r, 'Content-Disposition')}:${r.pick([' ', ' ', '', '  '])}${someCase(r, 'form-data')}${separator}${disposition.join(separator)}`]
  // For busboy what has no name is a file only with this type, which browsers give it.
  const isNamed = isFile && isChosen && !disposition.includes('filename=""')
  if (isFile && !isNamed) lines.push('Content-Type: application/octet-stream')
  else if (r.one(isFile ? 0.9 : 0.1)) lines.push(`${someCase(r, 'Content-Type')}: ${r.pick(['image/png', 'text/plain', 'Application/Octet-Stream', 'text/plain; charset=utf-8', 'text/x; charset="utf-8"', 'a/b; x="y;\\"z"', 'nonsense'])}`)
  if (r.one(0.1)) lines.push(r.pick(['Content-Length: 3', 'X: y', 'Content-Transfer-Encoding: binary', 'Content-Disposition: form-data; name=second', 'X-Long: ' + 'x'.repeat(1000)]))
  if (r.one(0.1)) lines.reverse()
  const head = lines.join('\r\n')
  const value = isFile || r.one(0.3) ? data(r, mark) : Buffer.from(r.text(30))
  // A boundary within the data would be one, with whatever follows.
  const safe = value.includes(`\r\n--${mark}`) || value.subarray(0, mark.length + 2).equals(Buffer.from(`--${mark}`)) ? Buffer.from('safe') : value
  return Buffer.concat([Buffer.from(`--${mark}\r\n${r.one(0.05) ? head.replace('; ', ';\r\n ') : head}\r\n\r\n`), safe, Buffer.from('\r\n')])
}

function form (r) {
  const mark = boundary(r)
  const preamble = r.one(0.1) ? r.pick(['\r\n', 'hello\r\n', '\r\n\r\n', `--${mark.slice(0, -1)}\r\n`]) : ''
  const parts = times(r.below(6), () => part(r, mark))
  const end = `--${mark}--${r.pick(['\r\n', '\r\n', '', '\r\nepilogue', `\r\n--${mark}\r\n\r\nx\r\n--${mark}--`])}`
  const body = Buffer.concat([Buffer.from(preamble), ...parts, Buffer.from(end)])
  return { type: `multipart/form-data; ${r.pick(['boundary', 'Boundary', 'x=y; boundary'])}=${/[^0-9A-Za-z'+_.-]/.test(mark) || r.one(0.3) ? `"${mark}"` : mark}`, mark, body }
}

const FORMS = Math.ceil(1_500 * scale)

test('forms as busboy reads them', { skip }, async () => {
  const seen = { fields: 0, files: 0 }
  for (let i = 0; i < FORMS; i++) {
    const r = chance('form', i)
    const { type, body } = form(r)
    const expected = await readByBusboy(type, body)
    const answer = await post('/memory', type, r.cut(body), { chunked: r.one(0.3) })
    assert.ok(isSame(answer, expected), `form ${i}: ${type}\n${differing(answer, expected)}\n${body.toString('latin1').slice(0, 1000)}`)
    seen.fields += answer.fields.length
    seen.files += answer.files.length
  }
  assert.ok(seen.fields > FORMS && seen.files > FORMS / 2, JSON.stringify(seen))
})

// What is not as it should be is refused, or read as busboy reads it; but nothing is dropped silently.
test('forms that are damaged', { skip }, async () => {
  const seen = { same: 0, refused: 0 }
  for (let i = 0; i < FORMS; i++) {
    const r = chance('damaged', i)
    const { type, body, mark } = form(r)
    const at = r.below(body.length)
    const damage = [() => body.subarray(0, at), () => Buffer.concat([body.subarray(0, at), r.bytes(1), body.subarray(at)]),
      () => Buffer.concat([body.subarray(0, at), body.subarray(at + 1)]), () => Buffer.concat([body.subarray(0, at), Buffer.from(`\r\n--${mark}`), body.subarray(at)]),
      () => { const copy = Buffer.from(body); copy[at] = r.below(256); return copy }]
    const damaged = r.pick(damage)()
    const expected = await readByBusboy(type, damaged)
    const answer = await post('/memory', type, r.cut(damaged))
    const what = `form ${i}: ${type}\n${differing(answer, expected)}\n${damaged.toString('latin1').slice(0, 1000)}`
    if (answer.status === 400 || answer.status === 415) {
      seen.refused++
      continue
    }
    assert.equal(answer.status, 200, what)
    seen.same++
    if (!isSame(answer, expected)) assert.ok(difference(damaged, answer, expected), what)
  }
  assert.ok(seen.same > FORMS / 4 && seen.refused > FORMS / 10, JSON.stringify(seen))
})

function difference (body, answer, expected) {
  const source = body.toString('latin1')
  // RFC 2046 allows blanks behind a boundary, and an end without anything before it; busboy does not know them.
  if (expected.error || expected.fields.length + expected.files.length < answer.fields.length + answer.files.length) return true
  // Types are taken from what is malformed behind them, parameters from a line that ends with ';', and what has an empty
  // name for a file is one, whatever its type.
  return /;[ \t]*\r\n|Content-Type:[^\r]*;[^\r]*\r|filename=""/i.test(source)
}

test('a form that is cut at every place', { skip }, async () => {
  const mark = 'abc'
  const body = Buffer.from(`--abc\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--abc\r\nContent-Disposition: form-data; name="f"; filename="x.bin"\r\nContent-Type: image/png\r\n\r\n\r\n--ab\r\n-\r\n--abc--\r\n`)
  for (let i = 1; i < body.length; i++) {
    const answer = await post('/memory', `multipart/form-data; boundary=${mark}`, [body.subarray(0, i), body.subarray(i)], { chunked: i % 2 })
    assert.deepEqual([answer.fields, answer.files],
      [[['a', '1', 'text/plain']], [['f', 'x.bin', 'image/png', Buffer.from('\r\n--ab\r\n-').toString('hex')]]], `at ${i}`)
  }
})

// --- multer --------------------------------------------------------------------------------------

test('forms as @koa/multer reads them', { skip }, async () => {
  const app = new Koa()
  app.silent = true
  app.use(multer({ defParamCharset: 'utf8' }).any())
  app.use(ctx => {
    const files = ctx.files.map(file => [file.fieldname, file.originalname.replace(/[\0-\x1f\x7f]/g, '_'), file.mimetype, file.buffer.toString('hex')]) // eslint-disable-line no-control-regex
    ctx.body = { files, body: ctx.request.body }
  })
  const koa = app.listen(0, '127.0.0.1')
  await new Promise(resolve => koa.once('listening', resolve))
  let compared = 0
  for (let i = 0; i < FORMS / 5; i++) {
    const r = chance('multer', i)
    const { type, body } = form(r)
    const theirs = await post('/', type, [body], { port: koa.address().port })
    const ours = await post('/memory', type, [body])
    assert.equal(ours.status, 200)
    if (theirs.status !== 200) continue // it refuses some names of fields, such as "a[" beside "a"
    // multer drops what has no name.
    const files = ours.files.filter(file => file[1] !== '')
    assert.deepEqual(files, theirs.files.filter(file => file[1] !== ''), `form ${i}`)
    // Names without brackets are the same; these are read as by qs, not as by append-field.
    for (const [name, value] of Object.entries(theirs.body)) {
      if (/[[\]]|^__proto__$/.test(name) || typeof value === 'object') continue
      assert.equal(ours.nested[name], text(value), `form ${i}`)
      compared++
    }
  }
  koa.close()
  assert.ok(compared > 100)
})

// --- Real clients --------------------------------------------------------------------------------

const NAMES = ['photo.jpg', 'two words.txt', 'naïve café 🌳.png', '"quoted".txt', "it's.txt", 'per%cent%22.txt', 'semi;colon=.txt', 'new\nline.txt', 'back\\slash.txt', '.hidden', 'x'.repeat(200)]
const last = name => name.split('\\').at(-1)

test('undici', { skip }, async () => {
  for (const name of NAMES) {
    const data = new FormData()
    data.append('text', 'ünïcode\r\n🌳')
    data.append(name, '')
    data.append('f', new File([Buffer.from([0, 255, 13, 10])], name, { type: 'image/png' }))
    data.append('f', new File(['hello'], name))
    const answer = await (await fetch(`${server.url}/memory`, { method: 'POST', body: data })).json().catch(error => error)
    if (Buffer.byteLength(name) > 100) { // of the field
      assert.ok(answer instanceof Error)
      continue
    }
    const seen = name.replaceAll('%22', '"') // who escapes '"' and not '%' can't be understood
    const filename = last(seen).replace(/[\r\n]/g, '_')
    assert.deepEqual(answer.fields, [['text', 'ünïcode\r\n🌳', 'text/plain'], [seen.replace('\n', '\r\n'), '', 'text/plain']])
    assert.deepEqual(answer.files.map(file => [file[0], file[1].replace('__', '_'), file[2], file[3]]),
      [['f', filename, 'image/png', '00ff0d0a'], ['f', filename, 'application/octet-stream', '68656c6c6f']])
  }
})

test('curl', { skip }, async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'acacia-curl-'))
  const file = path.join(directory, 'tree ü.txt')
  await writeFile(file, 'leaves\r\n')
  const curl = async (...args) => JSON.parse((await promisify(execFile)('curl', ['--silent', '--show-error', '--noproxy', '*', ...args, `${server.url}/memory`])).stdout)
  const answer = await curl('-F', 'a=1', '-F', 'ü[x]=2;type=text/html', '-F', `f=@${file}`, '-F', `f=@${file};type=image/png;filename="we\\"ird name.png"`, '-F', `g=<${file}`)
  assert.deepEqual(answer, {
    fields: [['a', '1', 'text/plain'], ['ü[x]', '2', 'text/html'], ['g', 'leaves\r\n', 'text/plain']],
    files: [['f', 'tree ü.txt', 'text/plain', Buffer.from('leaves\r\n').toString('hex')], ['f', 'we"ird name.png', 'image/png', Buffer.from('leaves\r\n').toString('hex')]],
    nested: { a: '1', ü: { x: '2' }, g: 'leaves\r\n' }
  })
  const chunked = await curl('-H', 'Transfer-Encoding: chunked', '-H', 'Expect: 100-continue', '-F', `f=@${file}`)
  assert.equal(chunked.files[0][1], 'tree ü.txt')
  await rm(directory, { recursive: true })
})

describe('Chromium', { skip: skip || (existsSync(process.env.CHROMIUM || '/usr/bin/chromium') ? false : 'no browser') }, () => {
  let browser
  before(async () => { browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] }) })
  after(() => browser.close())

  test('a form and its files', async () => {
    const page = await browser.newPage()
    await page.goto(`${server.url}/received`) // any page of this origin
    await page.setContent(`<form method="post" action="/memory" enctype="multipart/form-data">
      <input name="te&quot;xt" value="ünïcode"><textarea name="lines">one
two</textarea><input type="file" name="none"><input type="file" name="files" multiple><button>send</button></form>`)
    const names = NAMES.filter(name => !/[\n\\]/.test(name))
    await page.setInputFiles('[name=files]', names.map((name, i) => ({ name, mimeType: 'image/png', buffer: Buffer.from([i, 13, 10, 255]) })))
    await Promise.all([page.waitForNavigation(), page.click('button')])
    const answer = JSON.parse(await page.evaluate(() => document.body.innerText)) // eslint-disable-line no-undef
    assert.deepEqual(answer.fields, [['te"xt', 'ünïcode', 'text/plain'], ['lines', 'one\r\ntwo', 'text/plain']])
    assert.deepEqual(answer.files, names.map((name, i) => ['files', name.replaceAll('%22', '"'), 'image/png', Buffer.from([i, 13, 10, 255]).toString('hex')]))
    await page.close()
  })

  test('FormData by fetch', async () => {
    const page = await browser.newPage()
    await page.goto(`${server.url}/received`)
    const answer = await page.evaluate(async names => {
      const data = new FormData() // eslint-disable-line no-undef
      for (const name of names) data.append('f', new Blob(['x']), name) // eslint-disable-line no-undef
      data.append('blob', new Blob(['y'])) // eslint-disable-line no-undef
      return (await fetch('/memory', { method: 'POST', body: data })).json()
    }, NAMES)
    assert.deepEqual(answer.files.map(file => file[1]),
      [...NAMES.map(name => last(name.replaceAll('%22', '"')).replace('\n', '_')), 'blob'])
    await page.close()
  })
})

// --- The disk ------------------------------------------------------------------------------------

const KIB = 1024
const MIB = 1024 * KIB
const multipart = (...files) => Buffer.concat([...files.flatMap(([name, data]) =>
  [Buffer.from(`--b\r\nContent-Disposition: form-data; name="${name}"; filename="x"\r\n\r\n`), data, Buffer.from('\r\n')]), Buffer.from('--b--\r\n')])
const TYPE = 'multipart/form-data; boundary=b'

test('large files at once, to the disk', { skip }, async () => {
  const r = chance('disk')
  const files = times(4, () => r.bytes(3 * MIB + r.below(1000)))
  await Promise.all(files.map(async (file, i) => {
    const pieces = r.cut(multipart(['other', Buffer.alloc(MIB)], ['f', file]))
    const answer = await post(`/disk?name=${i}`, TYPE, pieces, { chunked: i % 2 })
    assert.deepEqual([answer.status, answer.text], [200, String(file.length)])
  }))
  assert.deepEqual((await readdir(uploads)).sort(), ['0', '1', '2', '3'])
  for (const [i, file] of files.entries()) {
    assert.ok(file.equals(await readFile(path.join(uploads, String(i)))))
    await rm(path.join(uploads, String(i)))
  }
})

test('what is announced to be too large is not read', { skip }, async () => {
  const socket = net.connect(server.port)
  let answer = ''
  socket.setEncoding('utf8').on('data', data => { answer += data })
  socket.write(`POST /disk HTTP/1.1\r\nHost: a\r\nContent-Type: ${TYPE}\r\nContent-Length: ${128 * MIB + 1}\r\nExpect: 100-continue\r\n\r\n`)
  await eventually(() => answer.includes('request entity too large'), 'the answer')
  assert.match(answer, /^HTTP\/1\.1 413 /)
  socket.destroy()
})

test('a client that goes away leaves nothing behind', { skip }, async () => {
  for (const [i, sent] of [0, 1, 30, 200, 100 * KIB, MIB].entries()) {
    const body = multipart(['a', Buffer.alloc(KIB)], ['f', Buffer.alloc(4 * MIB)])
    const request = http.request({ port: server.port, host: '127.0.0.1', path: '/disk?name=gone', method: 'POST', agent: false, headers: { 'Content-Type': TYPE, 'Content-Length': body.length } })
    request.on('error', () => {})
    await new Promise(resolve => request.write(body.subarray(0, sent || 1), resolve))
    if (sent > KIB) await eventually(async () => (await readdir(uploads)).length > 0, 'a file')
    if (i % 2) request.destroy()
    else request.socket.resetAndDestroy()
    await eventually(async () => (await readdir(uploads)).length === 0, 'no file')
  }
})

test('a client is not read faster than its file is written', { skip }, async () => {
  const body = multipart(['f', Buffer.alloc(32 * MIB)])
  const request = http.request({ port: server.port, host: '127.0.0.1', path: '/slow', method: 'POST', agent: false, headers: { 'Content-Type': TYPE, 'Content-Length': body.length } })
  const answered = new Promise((resolve, reject) => request.on('response', resolve).on('error', reject))
  request.end(body)
  const received = async () => Number(await (await fetch(`${server.url}/received`)).text())
  const first = await eventually(received, 'a first piece')
  for (let i = 0; i < 50; i++) { // it has every chance to read on
    await turn()
    assert.equal(await received(), first)
  }
  assert.ok(first < 256 * KIB, `${first} bytes`)
  await fetch(`${server.url}/release`, { method: 'POST' })
  const response = await withPatience(answered, 'the answer')
  let all = ''
  for await (const chunk of response) all += chunk
  assert.equal(all, String(body.length))
})

test('the server is as good as new', { skip }, async () => {
  assert.deepEqual(await readdir(uploads), [])
  await server.stop()
})
