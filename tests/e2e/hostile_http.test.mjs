// Hostile input: HTTP. H01 to H16 of what broke other servers; the others are in hostile_time, hostile_ws and
// hostile_process.

import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { ANY, BAD_REQUEST, SOME, answerOf, ask, bare, connect, eachOf, flood, getOf, isServed, postOf, survives, target, transcript, transcriptOf } from
  './hostile.mjs'
import { KIB, MIB, get } from './peer.mjs'
import { eventually } from './support.mjs'

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'acacia-hostile-'))
const uploads = path.join(folder, 'uploads')
const root = path.join(folder, 'root')
fs.mkdirSync(uploads)
fs.mkdirSync(root)
fs.writeFileSync(path.join(folder, 'secret.txt'), 'secret')
fs.writeFileSync(path.join(root, 'file.txt'), 'x'.repeat(64 * KIB))
after(() => fs.rmSync(folder, { recursive: true, force: true }))

const CHUNKED = 'Transfer-Encoding: chunked'
const SMUGGLED = getOf('/text', 'X-Smuggled: 1')

// A request with these lines, and another one behind it that must never be answered.
const withLines = (lines, body = '') => ['POST /ignore HTTP/1.1', 'Host: a', ...lines, '', body + SMUGGLED].join('\r\n')

async function isRefused (server, text, answer = BAD_REQUEST) {
  assert.equal(await transcript(server, text), answer, JSON.stringify(text.slice(0, 200)))
}

const serverOfTests = () => target(() => ({ FOLDER: root, UPLOADS: uploads }))

describe('framing', () => {
  const server = serverOfTests()

  test('H01 Content-Length with Transfer-Encoding', () => survives(server, { closed: { BAD_REQUEST: 18 } }, async () => {
    for (const lines of [['Content-Length: 4', CHUNKED], [CHUNKED, 'Content-Length: 4'], ['Content-Length: 0', CHUNKED],
      ['content-length: 4', 'transfer-encoding: Chunked'], ['Content-Length: 4', 'Transfer-Encoding: identity'], ['Content-Length: 4', 'Transfer-Encoding:']]) {
      for (const body of ['0\r\n\r\n', 'abcd', '']) await isRefused(server, withLines(lines, body))
    }
  }))

  test('H02 two Content-Lengths, and one of two numbers', () => survives(server, { closed: { BAD_REQUEST: 8 } }, async () => {
    for (const lines of [['Content-Length: 4', 'Content-Length: 5'], ['Content-Length: 4', 'Content-Length: 4'], ['Content-Length: 1, 1'],
      ['Content-Length: 1,2'], ['Content-Length: 1 1'], ['Content-Length: 0', 'content-length: 4'], ['Content-Length: 1;1'], ['Content-Length: 1\t1']]) {
      await isRefused(server, withLines(lines, 'abcd'))
    }
  }))

  test('H03 chunked, and something behind it or beside it', () => survives(server, { closed: { BAD_REQUEST: 7 } }, async () => {
    for (const lines of [['Transfer-Encoding: chunked, identity'], [CHUNKED, 'Transfer-Encoding: identity'], ['Transfer-Encoding: identity', CHUNKED],
      [CHUNKED, CHUNKED], ['Transfer-Encoding: chunked, chunked'], ['Transfer-Encoding: xchunked'], ['Transfer-Encoding: chunked;a=b']]) {
      await isRefused(server, withLines(lines, '0\r\n\r\n'))
    }
  }))

  const sizes = ['-1', '0x1', '1'.repeat(17), 'f'.repeat(16), '+1', '1_0', ' 1', '1 ', '', 'g']
  test('H04 sizes of chunks that are none, and an extension of a MiB', () => survives(server, { closed: { BAD_REQUEST: sizes.length + 2 } }, async () => {
    for (const size of sizes) {
      const text = await transcript(server, ['POST /echo HTTP/1.1', 'Host: a', CHUNKED, '', `${size}\r\na\r\n0\r\n\r\n${SMUGGLED}`].join('\r\n'))
      assert.match(text, /^HTTP\/1\.1 (400 Bad Request|413 Payload Too Large)\r\n[^]*\r\nConnection: close\r\n/)
      assert.equal(text.match(/HTTP\/1/g).length, 1)
    }
    for (const start of ['1;', '1;a="']) {
      const peer = await connect(server)
      peer.write(['POST /echo HTTP/1.1', 'Host: a', CHUNKED, '', start].join('\r\n'))
      await flood(peer, 'x'.repeat(16 * KIB), 64)
      assert.match(await transcriptOf(peer), /^(HTTP\/1\.1 400 Bad Request\r\n|$)/)
    }
  }))

  const lines = ['GET /text HTTP/1.1\nHost: a\n\n', 'GET /text HTTP/1.1\r\nHost: a\nX: b\r\n\r\n', 'GET /text HTTP/1.1\r\nHost: a\rX: b\r\n\r\n',
    getOf('/text', 'X: a\rb'), getOf('/text', 'X: a', ' b'), getOf('/text', 'X: a', '\tb'), getOf('/text', 'X : a'), getOf('/text', 'X\t: a'),
    getOf('/text', 'X: a\r'), '\n' + getOf('/text'), getOf('/text', CHUNKED + '\nX: a')]
  test('H05 LF alone, CR alone, folded lines, a blank before the colon', () => survives(server, { closed: { BAD_REQUEST: lines.length } }, async () => {
    for (const text of lines) await isRefused(server, text + SMUGGLED)
  }))

  const controls = [...Array(32).keys(), 127].filter(code => !'\t\r\n'.includes(String.fromCharCode(code))).map(code => String.fromCharCode(code))
  test('H06 NUL and control characters in values, names and URLs', () => survives(server, { closed: { BAD_REQUEST: controls.length * 3 } }, async () => {
    for (const char of controls) {
      await isRefused(server, getOf('/text', `X: a${char}b`) + SMUGGLED)
      await isRefused(server, getOf('/text', `X${char}: a`) + SMUGGLED)
      await isRefused(server, getOf(`/te${char}xt`) + SMUGGLED)
    }
  }))
})

describe('size', () => {
  const server = serverOfTests()

  test('H07 ten MB without the end of a line', () => survives(server, { grows: 4 * MIB, closed: { HEAD_TOO_LARGE: 3 } }, async () => {
    for (const [start, answer] of [['GET /', '414 URI Too Long'], ['GET / HTTP/1.1\r\nX: ', '431 Request Header Fields Too Large'],
      ['GET / HTTP/1.1\r\nX', '431 Request Header Fields Too Large']]) {
      const peer = await connect(server)
      peer.write(start)
      await flood(peer, 'x'.repeat(64 * KIB), 160)
      const text = await transcriptOf(peer)
      assert.ok(text === bare(answer) || (text === '' && peer.over !== 'end'), text) // a reset may take the answer away
      peer.end()
    }
  }))

  test('H08 ten thousand header fields', () => survives(server, { closed: { HEAD_TOO_LARGE: 2 } }, async () => {
    for (const field of ['a:\r\n', 'X-Name: value\r\n']) {
      const peer = await connect(server)
      peer.write('GET / HTTP/1.1\r\nHost: a\r\n')
      await flood(peer, field.repeat(100), 100)
      const text = await transcriptOf(peer)
      assert.ok(text === bare('431 Request Header Fields Too Large') || (text === '' && peer.over !== 'end'), text)
      peer.end()
    }
  }))

  const hosts = [[], ['Host: a', 'Host: a'], ['Host: a', 'Host: b'], ['Host:'], ['Host: '], ['Host: u@a'], ['Host: a/b'], ['Host: a b'], ['Host: a,b c'], ['Host: [::1']]
  test('H09 no Host, two of them, an empty or a malformed one', () => survives(server, { closed: { BAD_REQUEST: hosts.length } }, async () => {
    for (const lines of hosts) await isRefused(server, ['GET /text HTTP/1.1', ...lines, '', SMUGGLED].join('\r\n'))
  }))

  test('H10 a thousand pipelined requests whose handlers wait', () => survives(server, { grows: 12 * MIB, counters: {} }, async () => {
    const peer = await connect(server)
    peer.write(Array.from({ length: 1000 }, (_, i) => getOf(`/sleep?ms=${i % 3 ? 0 : 1}&id=${i}`)).join(''))
    let waiting
    for (let i = 0; i < 1000; i++) {
      const { status, body } = await answerOf(peer)
      assert.deepEqual([status, body], [200, String(i)])
      if (i === 500) waiting = JSON.parse(await get(server, '/stats'))
    }
    assert.ok(waiting.coroutines <= 4, `one at a time, not ${waiting.coroutines}`)
    peer.end()
  }))

  test('H12 a body that is too large is refused before it is read, or as soon as it is', () => survives(server, { grows: 6 * MIB, closed: { BODY_NOT_READ: ANY } }, async () => {
    const announced = await connect(server)
    announced.write(['POST /echo HTTP/1.1', 'Host: a', `Content-Length: ${2 ** 40}`, '', ''].join('\r\n'))
    assert.equal((await answerOf(announced)).status, 413) // nothing of the body was sent
    const found = await connect(server)
    found.write(['POST /echo HTTP/1.1', 'Host: a', CHUNKED, '', ''].join('\r\n'))
    for (let i = 0; i < 40 && !found.length && !found.over; i++) {
      found.write(`10000\r\n${'x'.repeat(65536)}\r\n`)
      await new Promise(setImmediate)
    }
    assert.equal((await answerOf(found)).status, 413)
  }))

  test('H12 one beyond all numbers', () => survives(server, { closed: { BAD_REQUEST: 3 } }, async () => {
    for (const [length, answer] of [['9223372036854775808', '413 Payload Too Large'], ['18446744073709551616', '400 Bad Request'], ['9'.repeat(1000), '400 Bad Request']]) {
      await isRefused(server, ['POST /echo HTTP/1.1', 'Host: a', `Content-Length: ${length}`, '', SMUGGLED].join('\r\n'), bare(answer))
    }
  }))
})

describe('what is in it', () => {
  const server = serverOfTests()

  const paths = {
    400: ['//secret.txt', '/%', '/%zz', '/%2', '/%00', '/file.txt%00', '/%c0%ae%c0%ae/secret.txt', '/%ff', '/%ed%a0%80'],
    403: ['/..%5csecret.txt', '/..\\secret.txt', '/../secret.txt', '/..%2fsecret.txt', '/%2e%2e/secret.txt', '/x/../../secret.txt', '/%2e%2e%2fsecret.txt', '/..%5csecret.txt/../../secret.txt'],
    404: ['/%252e%252e/secret.txt', '/....//secret.txt', '/file.txt/', '/file.txt/../x', '/.%2f.%2fx']
  }
  test('H13 paths that lead elsewhere', () => survives(server, {}, async () => {
    for (const [status, list] of Object.entries(paths)) {
      for (const at of list) {
        const answer = await ask(server, getOf(at))
        assert.doesNotMatch(answer.body, /^secret$/)
        assert.equal(answer.status, Number(status), at)
      }
    }
  }))

  test('H14 ten thousand ranges that overlap', () => survives(server, { grows: 4 * MIB, closed: { HEAD_TOO_LARGE: 1 } }, async () => {
    const ranges = n => 'Range: bytes=' + Array.from({ length: n }, (_, i) => `${i % 9}-`).join()
    for (const n of [17, 1000, 4000]) { // more than 16: the file as it is, once
      const { status, body } = await ask(server, getOf('/file.txt', ranges(n)))
      assert.deepEqual([status, body.length], [200, 64 * KIB])
    }
    assert.equal((await ask(server, getOf('/file.txt', 'Range: bytes=0-,0-,0-,0-,0-,0-,0-,0-'))).status, 200) // no byte twice
    assert.equal(await transcript(server, getOf('/file.txt', ranges(10_000))), bare('431 Request Header Fields Too Large'))
  }))

  const multipart = (body, boundary = 'b', path = '/upload') => postOf(path, body, `Content-Type: multipart/form-data; boundary=${boundary}`)
  const part = (head, body = 'x', boundary = 'b') => `--${boundary}\r\n${head}\r\n\r\n${body}\r\n`
  const field = name => `Content-Disposition: form-data; name="${name}"`
  const file = name => `Content-Disposition: form-data; name="f"; filename="${name}"\r\nContent-Type: a/b`

  test('H15 forms: a boundary that never ends, none at the end, 100,000 parts', () => survives(server, { grows: 10 * MIB }, async () => {
    const statuses = {
      'no last boundary': [multipart(part(field('a')) + part(file('f')).slice(0, -2)), 400],
      'the beginnings of a boundary': [multipart(part(file('f'), '\r\n--'.repeat(50_000)) + '--b--'), 200],
      'the beginnings of a long boundary': [multipart(part(file('f'), ('\r\n--' + 'b'.repeat(69)).repeat(3000), 'b'.repeat(70)) + `--${'b'.repeat(70)}--`, 'b'.repeat(70)), 200],
      '100,000 parts': [multipart(part(field('a'), '').repeat(100_000).slice(0, 5 * MIB)), 413],
      'a head that never ends': [multipart('--b\r\n' + 'X: y\r\n'.repeat(10_000)), 413],
      'a line that never ends': [multipart('--b\r\n' + 'x'.repeat(100_000)), 413],
      'a name that never ends': [multipart(part(field('n'.repeat(5000)))), 413],
      'a boundary that is too long': [multipart('', 'b'.repeat(1000)), 400],
      'no boundary': [postOf('/upload', 'x', 'Content-Type: multipart/form-data'), 400]
    }
    for (const [name, [text, status]] of Object.entries(statuses)) {
      const peer = await connect(server)
      peer.write(text)
      const answer = await answerOf(peer)
      assert.equal(answer.status, status, `${name}: ${answer.body.slice(0, 200)}`)
      peer.end()
    }
    assert.deepEqual(fs.readdirSync(uploads), [])
  }))

  test('H15 … and names of files that lead elsewhere', () => survives(server, {}, async () => {
    for (const name of ['../../etc/passwd', '..\\\\..\\\\x', '/etc/passwd', 'C:\\\\x', '%2e%2e%2fx', 'x\0y', '..', '.']) {
      const { body } = await ask(server, multipart(part(file(name)) + '--b--\r\n'))
      assert.doesNotMatch(body, /\.\.[/\\]|etc\/|C:/, name)
    }
    assert.deepEqual(fs.readdirSync(folder).sort(), ['root', 'secret.txt', 'uploads'])
    assert.deepEqual(fs.readdirSync(uploads), [])
  }))

  test('H16 cookies: much of them, many of them, of any kind', () => survives(server, { closed: { HEAD_TOO_LARGE: 1 } }, async () => {
    await isRefused(server, getOf('/cookies', `Cookie: wanted=${'x'.repeat(64 * KIB)}`), bare('431 Request Header Fields Too Large'))
    for (const [cookie, length] of [['a=b; '.repeat(2500) + 'wanted=123', 3], [';'.repeat(15_000) + 'wanted=1', 1], ['='.repeat(15_000), 0],
      ['wanted=1; wanted=22; wanted=333', 1], ['wanted', 0], ['wanted="12"', 2]]) {
      assert.equal((await ask(server, getOf('/cookies', `Cookie: ${cookie}`))).body, String(length), cookie.slice(0, 50))
    }
  }))

  // Every function that puts a text into a head; `value` is what a stranger has sent.
  const setters = ['set', 'setf', 'append', 'throw', 'type', 'message', 'vary', 'etag', 'redirect', 'back', 'attachment', 'attachment-type', 'attachment-fallback',
    'cookie', 'cookie-path', 'cookie-domain', 'cookie-same-site', 'cookie-priority', 'sse-data', 'sse-event', 'sse-id', 'sse-comment']
  const values = ['a\r\nX-Evil: 1', 'a\nX-Evil: 1', 'a\rX-Evil: 1', '\r\nX-Evil: 1', '\r\n\r\nHTTP/1.1 200 OK\r\nX-Evil: 1\r\n\r\n', 'http://a/\r\nX-Evil: 1',
    '/x\r\nSet-Cookie: evil=1', 'a\u2028X-Evil: 1', 'a\u560a\u560dX-Evil: 1', 'text/html;\r\n X-Evil: 1', 'a"\r\nX-Evil: 1', 'a\x00\r\nX-Evil: 1', 'a\x85X-Evil: 1',
    'a\nid: evil\nevent: evil', 'a\n\ndata: evil', 'a\r\rdata: evil']
  for (const way of setters) {
    test(`H16 nobody splits our responses: ${way}`, () => survives(server, {}, async () => {
      for (const value of values) {
        for (const [name, text] of [['X-Name', value], ...(['set', 'setf', 'append', 'throw', 'cookie'].includes(way) ? [[value, 'text']] : [])]) {
          const query = new URLSearchParams({ way, name, value: text })
          const peer = await connect(server)
          const { head, body } = await answerOf(peer.write(getOf(`/set?${query}`, 'Connection: close')))
          const rest = await transcriptOf(peer)
          const of = JSON.stringify([way, name, value])
          assert.match(head, /^HTTP\/1\.1 \d{3} [\x20-\x7e\x80-\xff]*\r\n(?:[\w-]+: [\t\x20-\x7e\x80-\xff]*\r\n)*\r\n$/, of)
          assert.doesNotMatch(head, /^(X-Evil|Set-Cookie: evil)/im, of)
          if (way.startsWith('sse')) assert.doesNotMatch(rest, /[\r\n](id|event|data): evil/, of)
          else assert.equal(rest, '', `${of}: behind ${body}`)
        }
      }
    }))
  }
})

describe('expectations', () => {
  const server = serverOfTests()

  test('H11 Expect: 100-continue, and then nothing', () => survives(server, { closed: { ABORTED: SOME } }, async () => {
    const peers = []
    await eachOf(50, async () => {
      const peer = await connect(server)
      peers.push(peer.write(['POST /echo HTTP/1.1', 'Host: a', 'Content-Length: 1000', 'Expect: 100-continue', '', ''].join('\r\n')))
      assert.equal(await peer.readHead(), 'HTTP/1.1 100 Continue\r\n\r\n')
    })
    await eventually(async () => JSON.parse(await get(server, '/stats')).coroutines === 51, 'all of them wait')
    await isServed(server)
    for (const peer of peers) peer.reset()
  }))
})
