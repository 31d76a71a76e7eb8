// Responses that go on, and what happens when their client goes.

import assert from 'node:assert/strict'
import { stat } from 'node:fs/promises'
import http from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually, startServer, withPatience } from './support.mjs'

let server
const SOCKET = path.join(tmpdir(), `acacia-streams-${process.pid}.sock`)

before(async () => { server = await startServer('tests/support/stream_server', { env: { SOCKET } }) })

const get = (path, headers = {}) => new Promise((resolve, reject) => {
  http.get(server.url + path, { agent: false, headers }, resolve).on('error', reject)
})

async function text (path, headers) {
  let all = ''
  for await (const chunk of await get(path, headers)) all += chunk
  return all
}

// Ask, and go away before there is an answer.
async function askAndGo (path) {
  const request = http.get(server.url + path, { agent: false })
  request.on('error', () => {})
  await sleep(50)
  request.destroy()
}

const sees = async lines => {
  let all = ''
  await eventually(async () => {
    all += await text('/seen')
    return all === lines.map(line => line + '\n').join('')
  }, () => `expected ${lines}, saw ${JSON.stringify(all)}`)
}

for (const how of ['sleep', 'tasks', 'asked']) {
  test(`a handler that does not work for nobody: ${how}`, async () => {
    await askAndGo(`/waits/${how}`)
    await sees(['cancelled', 'and again', 'aborted'])
  })
}

test('a handler that has not asked for that goes on', async () => {
  await askAndGo('/patient')
  await sees(['patient, aborted'])
})

test('events, in an order that continues', async () => {
  const expected = (from, to) => {
    let all = ''
    for (let i = from; i <= to; i++) all += `event: tick\nid: ${i}\nretry: 10\ndata: tick ${i}\ndata: line 2\n\n`
    return all
  }
  const response = await get('/events')
  assert.equal(response.headers['content-type'], 'text/event-stream')
  assert.equal(response.headers['cache-control'], 'no-cache, no-transform')
  assert.equal(response.headers['transfer-encoding'], 'chunked')
  let all = ''
  for await (const chunk of response) all += chunk
  assert.equal(all, expected(1, 3))
  assert.equal(await text('/events', { 'Last-Event-ID': '3' }), expected(4, 6))
})

test('events end when the client goes', async () => {
  const response = await get('/endless-events')
  let all = ''
  for await (const chunk of response) {
    all += chunk
    if (all.length > 50) break
  }
  assert.match(all, /^(: still here\n\n)+$/)
  await sees(['events cancelled'])
})

test('events end well when the server stops', async () => {
  const other = await startServer('tests/support/stream_server')
  const request = http.get(`${other.url}/endless-events`, { agent: false })
  const response = await new Promise(resolve => request.on('response', resolve))
  const begin = Date.now()
  const end = (async () => { for await (const chunk of response) assert.ok(chunk.length) })()
  await other.stop()
  await end // and no error
  assert.ok(Date.now() - begin < 400, 'before the drain deadline of 500 ms')
  assert.equal(other.stderr, '')
})

test('detached: answered by somebody else', async () => {
  const answers = Promise.all([text('/news'), text('/news'), text('/news')])
  await sleep(50)
  assert.equal(await text('/tell?text=hello'), '3 told, 0 aborted')
  assert.deepEqual(await answers, ['news: hello', 'news: hello', 'news: hello'])
  await sees(['gone', 'gone', 'gone'])
})

test('detached: the client goes first', async () => {
  await askAndGo('/news')
  await sleep(50)
  assert.equal(await text('/seen'), '')
  assert.equal(await text('/tell?text=hello'), '1 told, 1 aborted')
  await sees(['gone'])
})

test('detached: a slow reader is reported, and nobody waits for it', async () => {
  const response = await get('/be-flooded')
  assert.equal(await withPatience(text('/flood'), 'the flood ends'), '1')
  let length = 0
  for await (const chunk of response) length += chunk.length
  assert.ok(length > 65536 && length % 65536 === 0)
})

test('a unix socket', async () => {
  assert.equal((await stat(SOCKET)).mode & 0o777, 0o600)
  const response = await new Promise((resolve, reject) => {
    http.get({ socketPath: SOCKET, path: '/seen', agent: false }, resolve).on('error', reject)
  })
  assert.equal(response.statusCode, 200)
  response.resume()
})

test('a detached response that nobody ends is cut when the server stops', async () => {
  const other = await startServer('tests/support/stream_server')
  const request = http.get(`${other.url}/news`, { agent: false })
  const error = new Promise(resolve => request.on('error', resolve))
  await sleep(100)
  await other.stop()
  assert.equal((await withPatience(error, 'the client hears of it')).code, 'ECONNRESET')
})

test('the server ends well', async () => {
  await server.stop()
  await assert.rejects(stat(SOCKET), { code: 'ENOENT' })
})
