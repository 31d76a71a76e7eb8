// The example rest: each of its answers, what it makes of bad input, many clients at once, and another program that has
// the database open as well.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import { after, afterEach, beforeEach, describe, test } from 'node:test'
import { request } from 'undici'
import { build, each, startProgram, startServer, withPatience } from './support.mjs'

const folder = mkdtempSync(path.join(tmpdir(), 'rest-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const skip = !existsSync(`${build}/examples/rest`) && 'it was not built: there is no sqlite3'

let server

async function ask (method, target, { json, body = json && JSON.stringify(json), headers = {} } = {}) {
  const type = body && { 'Content-Type': 'application/json' }
  const response = await request(server.url + target, { method, body, headers: { ...type, ...headers } })
  const text = await response.body.text()
  const header = name => response.headers[name.toLowerCase()]
  return { status: response.statusCode, header, text, json: text && method !== 'HEAD' ? JSON.parse(text) : undefined }
}

const list = (query = '') => ask('GET', `/notes${query}`)
const create = note => ask('POST', '/notes', { json: note })
const ifMatch = tag => ({ 'If-Match': tag })

describe('rest', { skip }, () => {
  beforeEach(async () => { server = await startServer('rest', { env: { DATABASE: ':memory:' } }) })
  afterEach(() => server.stop())

  test('a note is created, read, replaced, changed and deleted', async () => {
    const created = await create({ title: 'Milk', text: 'two bottles' })
    assert.equal(created.status, 201)
    assert.equal(created.header('Location'), '/notes/1')
    assert.equal(created.header('ETag'), '"1"')
    assert.equal(created.header('Content-Type'), 'application/json; charset=utf-8')
    assert.deepEqual(created.json, { id: 1, title: 'Milk', text: 'two bottles' })
    assert.deepEqual((await ask('GET', '/notes/1')).json, created.json)

    const changed = await ask('PATCH', '/notes/1', { json: { title: 'Bread' } })
    assert.deepEqual([changed.status, changed.header('ETag')], [200, '"2"'])
    assert.deepEqual(changed.json, { id: 1, title: 'Bread', text: 'two bottles' })

    const replaced = await ask('PUT', '/notes/1', { json: { title: '漢字 😀' } })
    assert.deepEqual([replaced.status, replaced.header('ETag')], [200, '"3"'])
    assert.deepEqual(replaced.json, { id: 1, title: '漢字 😀', text: '' })
    assert.deepEqual((await ask('GET', '/notes/1')).json, replaced.json)

    const deleted = await ask('DELETE', '/notes/1')
    assert.deepEqual([deleted.status, deleted.text], [204, ''])
    for (const method of ['GET', 'DELETE']) {
      const missing = await ask(method, '/notes/1')
      assert.deepEqual([missing.status, missing.json], [404, { error: 'there is no note 1' }])
    }
    assert.equal((await ask('PUT', '/notes/1', { json: { title: 'x' } })).status, 404)
    assert.equal((await create({ title: 'next' })).json.id, 2) // no id is used twice
  })

  test('a list has pages, and says how many there are in all', async () => {
    assert.deepEqual((await list()).json, { total: 0, notes: [] })
    for (let i = 1; i <= 45; i++) await create({ title: `note ${i}` })
    const seen = []
    let target = '/notes'
    for (let pages = 1; target; pages++) {
      const page = await ask('GET', target)
      assert.equal(page.json.total, 45)
      assert.equal(page.json.notes.length, pages < 3 ? 20 : 5)
      seen.push(...page.json.notes.map(note => note.title))
      target = /^<(.*)>; rel="next"$/.exec(page.header('Link') ?? '')?.[1]
    }
    assert.deepEqual(seen, Array.from({ length: 45 }, (_, i) => `note ${i + 1}`))
    const ids = async query => (await list(query)).json.notes.map(note => note.id)
    assert.deepEqual(await ids('?limit=2'), [1, 2])
    assert.deepEqual(await ids('?limit=2&after=43'), [44, 45])
    assert.deepEqual(await ids('?after=45'), [])
    assert.equal((await ids('?limit=100')).length, 45)
    assert.equal((await list('?limit=45')).header('Link'), undefined)
    assert.equal((await list('?limit=44')).header('Link'), '</notes?limit=44&after=44>; rel="next"')
    assert.deepEqual(await ids(`?after=${2n ** 63n - 1n}`), [])
    for (const query of ['?limit=0', '?limit=101', '?limit=-1', '?limit=x', '?limit=', '?limit=1x', '?limit=1e1',
      '?after=-1', '?after=x', '?limit=99999999999999999999', '?limit=1;DROP TABLE notes', '?limit=1%00']) {
      const wrong = await list(query)
      assert.equal(wrong.status, 400, query)
      assert.match(wrong.json.error, /^(limit|after) must be a number from \d+ to \d+$/)
    }
  })

  test('what the client has already is not sent again', async () => {
    await create({ title: 'a' })
    const get = tag => ask('GET', '/notes/1', { headers: { 'If-None-Match': tag } })
    for (const tag of ['"1"', 'W/"1"', '"0", "1"', '*']) {
      const { status, header, text } = await get(tag)
      assert.deepEqual([status, header('ETag'), text], [304, '"1"', ''], tag)
    }
    assert.equal((await get('"2"')).status, 200)
    await ask('PATCH', '/notes/1', { json: { text: 'x' } })
    assert.equal((await get('"1"')).status, 200)
    const tag = (await list()).header('ETag')
    assert.equal((await ask('GET', '/notes', { headers: { 'If-None-Match': tag } })).status, 304)
    await create({ title: 'b' })
    assert.equal((await ask('GET', '/notes', { headers: { 'If-None-Match': tag } })).status, 200)
  })

  test('a note is not changed by who has not seen its last version', async () => {
    await create({ title: 'a' })
    const patch = (tag, text) => ask('PATCH', '/notes/1', { json: { text }, headers: ifMatch(tag) })
    assert.equal((await patch('"1"', 'one')).status, 200)
    for (const tag of ['"1"', 'W/"2"', '"22"', '2', '"', 'x', '"1", "3"', '"2', ',,']) {
      const refused = await patch(tag, 'never')
      assert.deepEqual([refused.status, refused.json.error], [412, 'the note has changed: it is version 2 now'], tag)
    }
    assert.equal((await ask('GET', '/notes/1')).json.text, 'one')
    assert.equal((await patch('"1" ,\t"2"', 'two')).status, 200)
    assert.equal((await patch('*', 'three')).status, 200)
    assert.equal((await ask('PUT', '/notes/1', { json: { title: 'b' }, headers: ifMatch('"3"') })).status, 412)
    assert.equal((await ask('DELETE', '/notes/1', { headers: ifMatch('"3"') })).status, 412)
    assert.equal((await ask('DELETE', '/notes/1', { headers: ifMatch('"4"') })).status, 204)
    assert.equal((await ask('DELETE', '/notes/1', { headers: ifMatch('*') })).status, 404)
  })

  test('what is wrong with a note is told', async () => {
    const cases = [
      [{}, { title: 'is missing' }],
      [{ text: 'x' }, { title: 'is missing' }],
      [{ title: '' }, { title: 'must not be empty' }],
      [{ title: 'x'.repeat(201) }, { title: 'is too long' }],
      [{ title: 'é'.repeat(101) }, { title: 'is too long' }],
      [{ title: 'x', text: 'x'.repeat(10001) }, { text: 'is too long' }],
      [{ title: 1, text: null }, { title: 'must be a string', text: 'must be a string' }],
      [{ title: ['x'], text: { x: 'x' } }, { title: 'must be a string', text: 'must be a string' }],
      [{ title: 'x', id: 7, version: 7 }, { id: 'is unknown', version: 'is unknown' }]
    ]
    for (const [note, fields] of cases) {
      const refused = await create(note)
      assert.equal(refused.status, 422)
      assert.deepEqual(refused.json, { error: 'the note is wrong', fields })
    }
    for (const body of ['[]', '["title"]']) {
      const refused = await ask('POST', '/notes', { body })
      assert.deepEqual([refused.status, refused.json], [422, { error: 'a note must be an object' }])
    }
    assert.equal((await list()).json.total, 0)
    const largest = { title: 'x'.repeat(200), text: 'é'.repeat(5000) }
    assert.deepEqual((await create(largest)).json, { id: 1, ...largest })
    assert.equal((await ask('PATCH', '/notes/1', { json: { title: '' } })).status, 422)
    assert.equal((await ask('PATCH', '/notes/1', { json: {} })).status, 200)
    assert.equal((await ask('PUT', '/notes/1', { json: { text: 'x' } })).status, 422)
    assert.deepEqual((await ask('GET', '/notes/1')).json, { id: 1, ...largest })
  })

  test('bad JSON, other types and large bodies are refused', async () => {
    const texts = ['', '{', '{"title":"x"', '{"title":"x"} x', '{title:"x"}', '{"title":"\\u0000"}',
      '{"title":"\\ud800"}', '{"title":"a","title":"b"}', '{"title":"\xff"}', '{"title":"x\ny"}', '['.repeat(5000)]
    for (const text of texts) {
      const refused = await ask('POST', '/notes', { body: Buffer.from(text, 'latin1') })
      assert.equal(refused.status, 400, text)
      assert.match(refused.json.error, /^invalid JSON: /)
    }
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'json']) {
      const headers = { 'Content-Type': type }
      assert.equal((await ask('POST', '/notes', { body: '{"title":"x"}', headers })).status, 415)
    }
    const merge = { 'Content-Type': 'application/merge-patch+json' }
    await create({ title: 'a' })
    assert.equal((await ask('PATCH', '/notes/1', { body: '{"title":"b"}', headers: merge })).status, 200)
    const large = `{"title":"x","text":"${'x'.repeat(64 * 1024)}"}`
    assert.equal((await ask('POST', '/notes', { body: large })).status, 413)
    assert.equal((await ask('POST', '/notes', { body: Readable.from([large]) })).status, 413) // chunked
    assert.equal((await list()).json.total, 1)
  })

  test('SQL is text like any other', async () => {
    const texts = ['\'); DROP TABLE notes; --', '" OR ""="', '1; DELETE FROM notes', '\\\'; --', '%\' OR 1=1 --', ':id',
      '?1', '%s%n', '\x1a']
    for (const text of texts) {
      const { json } = await create({ title: text, text })
      assert.deepEqual([json.title, json.text], [text, text])
      assert.equal((await ask('PATCH', `/notes/${json.id}`, { json: { text: text + text } })).json.text, text + text)
    }
    for (const id of ['1%20OR%201=1', '1;DROP%20TABLE%20notes', '1\'', '-1', '0x1', '1.0', 'x', '%31%00', '', '1/2']) {
      const { status, json } = await ask('DELETE', `/notes/${id}`)
      assert.ok([400, 404, 405].includes(status), id)
      assert.equal(typeof json.error, 'string')
    }
    for (const tag of ['\' OR 1=1 --', '"1\' OR \'1\'=\'1"']) {
      assert.equal((await ask('DELETE', '/notes/1', { headers: ifMatch(tag) })).status, 412)
    }
    assert.equal((await list()).json.total, texts.length)
    assert.equal((await ask('GET', '/notes/99999999999999999999')).status, 404)
    assert.equal((await ask('GET', '/notes/0001')).json.id, 1)
  })

  test('methods and paths that there are not', async () => {
    await create({ title: 'a' })
    const allowed = async (method, target, status, allow) => {
      const answer = await ask(method, target)
      assert.deepEqual([answer.status, answer.header('Allow')], [status, allow], `${method} ${target}`)
    }
    await allowed('DELETE', '/notes', 405, 'HEAD, GET, POST')
    await allowed('POST', '/notes/1', 405, 'HEAD, GET, PUT, PATCH, DELETE')
    await allowed('OPTIONS', '/notes/1', 200, 'HEAD, GET, PUT, PATCH, DELETE')
    await allowed('PURGE', '/notes', 501, 'HEAD, GET, POST')
    await allowed('GET', '/', 404, undefined)
    assert.deepEqual((await ask('DELETE', '/notes')).json, { error: 'Method Not Allowed' })
    assert.deepEqual((await ask('GET', '/notes/x')).json, { error: 'Not Found' })
    const head = await ask('HEAD', '/notes/1')
    assert.deepEqual([head.status, head.header('ETag'), head.header('Content-Length')], [200, '"1"', '30'])
  })

  test('nothing is lost when many write at once', async () => {
    const created = await each(200, i => create({ title: `note ${i}` }))
    assert.ok(created.every(({ status }) => status === 201))
    assert.equal(new Set(created.map(({ json }) => json.id)).size, 200)
    assert.equal(new Set(created.map(({ json }) => json.title)).size, 200)
    assert.equal((await list()).json.total, 200)
    const patched = await each(100, i => ask('PATCH', '/notes/1', { json: { text: String(i) } }))
    const versions = patched.map(({ header }) => Number(header('ETag').slice(1, -1))).sort((a, b) => a - b)
    assert.deepEqual(versions, Array.from({ length: 100 }, (_, i) => i + 2))
    const raced = await each(50, i => ask('PUT', '/notes/1', { json: { title: String(i) }, headers: ifMatch('"101"') }))
    assert.deepEqual(raced.map(({ status }) => status).sort(), [200, ...Array(49).fill(412)])
    const deleted = await each(20, () => ask('DELETE', '/notes/1'))
    assert.deepEqual(deleted.map(({ status }) => status).sort(), [204, ...Array(19).fill(404)])
  })
})

describe('rest: its file', { skip }, () => {
  const file = path.join(folder, 'notes.db')
  const start = async () => { server = await startServer('rest', { env: { DATABASE: file } }) }

  // Another program, that has said `ready` and holds the database until it is told to go on.
  async function lockedByAnother () {
    const program = 'import sqlite3, sys\n' +
      'db = sqlite3.connect(sys.argv[1], isolation_level=None)\n' +
      'db.execute("BEGIN IMMEDIATE")\n' +
      'db.execute("INSERT INTO notes (title, text) VALUES (\'theirs\', \'\')")\n' +
      'print("ready", flush=True)\n' +
      'sys.stdin.read()\n' +
      'db.execute("COMMIT")\n'
    const child = spawn('python3', ['-c', program, file], { stdio: ['pipe', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    return async () => {
      const ended = once(child, 'close')
      child.stdin.end()
      assert.deepEqual(await ended, [0, null])
    }
  }

  test('notes are there again when it has been stopped', async () => {
    await start()
    await create({ title: 'kept' })
    await server.stop('SIGINT')
    assert.deepEqual(readdirSync(folder), ['notes.db'])
    await start()
    assert.deepEqual((await list()).json, { total: 1, notes: [{ id: 1, title: 'kept', text: '' }] })
    await server.stop()
  })

  // A note, up to where its handler waits for the body, and then all of it.
  async function beginToCreate (note) {
    const headers = { 'Content-Type': 'application/json', Expect: '100-continue' }
    const creating = http.request(`${server.url}/notes`, { method: 'POST', headers, agent: false })
    creating.flushHeaders()
    await withPatience(once(creating, 'continue'), 'it wants the body')
    const answered = once(creating, 'response').then(([response]) => response.resume().statusCode)
    creating.end(JSON.stringify(note))
    return { answered }
  }

  test('who waits for the database keeps nobody else waiting', async () => {
    await start()
    const unlock = await lockedByAnother()
    let done = false
    const { answered } = await beginToCreate({ title: 'ours' })
    answered.then(() => { done = true })
    for (let i = 0; i < 20; i++) assert.equal((await ask('GET', '/nowhere')).status, 404)
    assert.equal(done, false)
    await unlock()
    assert.equal(await answered, 201)
    assert.deepEqual((await list()).json.notes.map(note => note.title), ['kept', 'theirs', 'ours'])
    await server.stop()
  })

  test('a request in flight is finished when it is to stop', async () => {
    await start()
    const unlock = await lockedByAnother()
    const { answered } = await beginToCreate({ title: 'last' })
    server.child.kill('SIGTERM')
    await unlock()
    assert.equal(await answered, 201)
    assert.equal(await server.ended(), 0)
  })

  test('a database that can\'t be opened is an error', async () => {
    const program = startProgram('rest', { env: { DATABASE: path.join(folder, 'no', 'such', 'file') } })
    assert.equal(await program.ended(), 1)
    assert.match(program.stderr, /^\/.*\/no\/such\/file: unable to open database file\n$/)
    assert.equal(program.stdout, '')
  })
})
