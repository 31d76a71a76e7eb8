// The examples, each by node's ws and over HTTP: what they say, what they print, and how they end.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { once } from 'node:events'
import fs from 'node:fs/promises'
import http from 'node:http'
import net from 'node:net'
import { Client } from 'undici'
import { WebSocket } from 'ws'
import { PATIENCE, each, eventually, startProgram, startServer, withPatience } from './support.mjs'

const WITH_SOCKETS = ['hello', 'connection', 'routes', 'broadcast', 'request', 'chat']

const source = name => fs.readFile(new URL(`../../examples/${name}`, import.meta.url), 'utf8')

// A server for all tests of one describe().
function serverOf (name) {
  const holder = {}
  before(async () => Object.assign(holder, { server: await startServer(name) }))
  after(() => holder.server?.stop())
  return holder
}

// A client that misses nothing. A text is received as a string, binary as a Buffer.
class Talker {
  constructor (url, options) {
    this.received = []
    this.socket = new WebSocket(url, options)
    this.socket.on('message', (data, binary) => {
      this.received.push(binary ? data : data.toString())
      this.wake?.()
    })
    this.closed = new Promise(resolve => {
      this.socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }))
    })
    this.socket.on('close', () => { this.over = true; this.wake?.() })
    this.socket.on('error', error => { this.error = error })
  }

  static async open (url, options) {
    const talker = new Talker(url, options)
    await withPatience(once(talker.socket, 'open'), `open ${url}`)
    return talker
  }

  send (data) {
    this.socket.send(data)
    return this
  }

  async next () {
    const first = async () => {
      while (this.received.length === 0) {
        assert.ok(!this.over, 'closed before the message came')
        await new Promise(resolve => { this.wake = resolve })
      }
      return this.received.shift()
    }
    return withPatience(first(), 'no message')
  }

  async json () {
    return JSON.parse(await this.next())
  }

  async close (code = 1000, reason = '') {
    this.socket.close(code, reason)
    return withPatience(this.closed, 'no close')
  }
}

// The plain response that refuses a handshake.
function refused (url) {
  const socket = new WebSocket(url)
  const response = new Promise((resolve, reject) => {
    socket.on('open', () => reject(new Error(`${url} was accepted`)))
    socket.on('error', reject)
    socket.on('unexpected-response', (request, response) => resolve(readAll(response)))
  })
  return withPatience(response, `no answer from ${url}`).finally(() => socket.on('error', () => {}).terminate())
}

async function readAll (response) {
  let body = ''
  for await (const text of response.setEncoding('utf8')) body += text
  return { status: response.statusCode, type: response.headers['content-type'], headers: response.headers, body }
}

function ask (server, path, { method = 'GET', ...options } = {}) {
  const response = new Promise((resolve, reject) => {
    http.request({ host: '127.0.0.1', port: server.port, path, method, agent: false, ...options },
      response => resolve(readAll(response))).on('error', reject).end()
  })
  return withPatience(response, `no answer to ${method} ${path}`)
}

async function isPage (server, name) {
  const page = await source(name)
  for (const path of ['/', '/?name=ada&id=1&id=2']) {
    const { status, type, body } = await ask(server, path)
    assert.deepEqual({ status, type }, { status: 200, type: 'text/html; charset=utf-8' })
    assert.equal(body, page)
  }
  const { status, type, headers, body } = await ask(server, '/', { method: 'HEAD' })
  assert.deepEqual({ status, type, body }, { status: 200, type: 'text/html; charset=utf-8', body: '' })
  assert.equal(headers['content-length'], String(Buffer.byteLength(page)))
  for (const [path, method] of [['/nowhere', 'GET'], ['/index.html', 'GET'], ['/', 'POST']]) {
    const { status, type, body } = await ask(server, path, { method })
    assert.deepEqual({ status, type, body }, { status: 404, type: 'text/plain; charset=utf-8', body: 'Not Found' })
  }
}

// --- The tutorials -------------------------------------------------------------------------------

describe('hello', () => {
  const at = serverOf('hello')

  test('a page and a socket on any path', async () => {
    const { server } = at
    for (const path of ['/', '/any/path?at=all']) {
      const { status, type, body } = await ask(server, path)
      assert.deepEqual({ status, type }, { status: 200, type: 'text/plain; charset=utf-8' })
      assert.equal(body, 'Hello, Koa2 with WebSocket!')
    }
    assert.equal((await ask(server, '/', { method: 'POST' })).body, 'Hello, Koa2 with WebSocket!')
    const long = 'x'.repeat(100_000)
    for (const path of ['/', '/any/path?at=all']) {
      const talker = await Talker.open(server.ws + path)
      for (const text of ['hello', '', 'zażółć 你好 🌳', '%s %n %d', long]) {
        assert.equal(await talker.send(text).next(), `You sent: ${text}`)
      }
      assert.equal(await talker.send(Buffer.from('bytes')).next(), 'You sent: bytes')
      assert.deepEqual(await talker.close(1000, 'bye'), { code: 1000, reason: 'bye' })
    }
    const each = ['hello', '', 'zażółć 你好 🌳', '%s %n %d', long, 'bytes']
    const once = each.map(text => `Received message: ${text}\n`).join('') + 'Socket closed\n'
    await server.prints(once + once)
  })
})

describe('connection', () => {
  const at = serverOf('connection')

  test('open, message, close', async () => {
    const { server } = at
    const talker = await Talker.open(server.ws)
    assert.equal(await talker.next(), 'Hello, client!')
    await server.prints('Client connected\n')
    assert.equal(await talker.send('one').next(), 'Received message: one')
    assert.equal(await talker.send('二').next(), 'Received message: 二')
    assert.equal((await talker.close()).code, 1000)
    await server.prints('Client connected\nConnection closed\n')
  })

  test('what is sent at once is answered in order, and a cut is a close', async () => {
    const { server } = at
    const before = server.printed()
    const talker = await Talker.open(server.ws)
    for (let i = 0; i < 100; i++) talker.send(`message ${i}`)
    assert.equal(await talker.next(), 'Hello, client!')
    for (let i = 0; i < 100; i++) assert.equal(await talker.next(), `Received message: message ${i}`)
    talker.socket.terminate()
    await server.prints(before + 'Client connected\nConnection closed\n')
  })

  test('no page', async () => {
    const { status, body } = await ask(at.server, '/')
    assert.deepEqual({ status, body }, { status: 404, body: 'Not Found' })
  })
})

describe('routes', () => {
  const at = serverOf('routes')

  test('the page', () => isPage(at.server, 'routes.html'))

  test('a message comes back as it came', async () => {
    const talker = await Talker.open(at.server.ws)
    assert.equal(await talker.send('第一条数据').next(), '第一条数据')
    assert.equal(await talker.send('').next(), '')
    const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, i) => i % 256))
    assert.deepEqual(await talker.send(bytes).next(), bytes)
    assert.deepEqual(await talker.send(Buffer.alloc(0)).next(), Buffer.alloc(0))
    assert.deepEqual(await talker.send(Buffer.from('text')).next(), Buffer.from('text'))
    assert.deepEqual(await talker.close(3000, '关闭'), { code: 3000, reason: '关闭' })
  })

  test('several clients, each with its own answers', async () => {
    const talkers = await each(5, () => Talker.open(`${at.server.ws}/?a=b`))
    talkers.forEach((talker, i) => talker.send(`from ${i}`))
    for (const [i, talker] of talkers.entries()) assert.equal(await talker.next(), `from ${i}`)
    await Promise.all(talkers.map(talker => talker.close()))
    assert.ok(talkers.every(talker => talker.received.length === 0))
  })

  test('a path without a route', async () => {
    const { status, body } = await refused(`${at.server.ws}/nowhere`)
    assert.deepEqual({ status, body }, { status: 404, body: 'Not Found' })
  })
})

describe('broadcast', () => {
  const at = serverOf('broadcast')

  test('every message goes to everybody', async () => {
    const { server } = at
    const talkers = []
    for (let i = 0; i < 3; i++) talkers.push(await Talker.open(`${server.ws}/${i}`))
    const everybodyGets = async (expected, among = talkers) => {
      for (const talker of among) assert.deepEqual(await talker.next(), expected)
    }
    talkers[0].send('hello')
    await everybodyGets('hello')
    talkers[1].send('你好')
    await everybodyGets('你好')
    talkers[2].send(Buffer.from('bytes'))
    await everybodyGets(Buffer.from('bytes'))
    await talkers[2].close()
    const head = 'New client connected\n'.repeat(3) +
      ['hello', '你好', 'bytes'].map(text => `Received message => ${text}\n`).join('')
    await server.prints(head + 'Client disconnected\n')
    talkers[0].send('two left')
    await everybodyGets('two left', talkers.slice(0, 2))
    talkers[0].socket.terminate()
    await server.prints(head + 'Client disconnected\nReceived message => two left\nClient disconnected\n')
    await talkers[1].close()
    assert.deepEqual(talkers.map(talker => talker.received), [[], [], []])
  })
})

describe('poll', () => {
  const at = serverOf('poll')
  const ask = (path, { method = 'GET', headers } = {}) => new Promise((resolve, reject) => {
    http.request(at.server.url + path, { method, headers, agent: false }, async response => {
      let body = ''
      for await (const chunk of response) body += chunk
      resolve({ body, status: response.statusCode, headers: response.headers })
    }).on('error', reject).end()
  })
  const vote = (choice, cookie) => ask(`/vote?for=${choice}`, { method: 'POST', headers: cookie && { cookie } })

  test('the page', () => isPage(at.server, 'poll.html'))

  test('votes, told to everybody who looks', async () => {
    let seen = ''
    const watching = http.get(`${at.server.url}/result`, { agent: false }, response => {
      assert.equal(response.headers['content-type'], 'text/event-stream')
      response.setEncoding('utf8').on('data', text => { seen += text })
    })
    const sees = text => eventually(() => seen.endsWith(`data: ${text}\n\n`), () => `${text}, saw ${seen}`)
    await sees('tea 0, coffee 0, water 0')
    const first = await vote('tea')
    assert.deepEqual([first.status, first.body], [200, 'you chose tea'])
    await sees('tea 1, coffee 0, water 0')
    const cookie = first.headers['set-cookie'].map(line => line.split(';')[0]).join('; ')
    assert.match(cookie, /^vote=tea; vote\.sig=[\w-]{27}$/)
    assert.equal((await vote('water', cookie)).body, 'you chose water') // another mind, the same browser
    await sees('tea 0, coffee 0, water 1')
    await vote('tea', cookie.replace('tea', 'water')) // a cookie that was tampered with counts for nothing
    await sees('tea 1, coffee 0, water 1')
    const table = await ask('/result.csv')
    assert.equal(table.headers['content-disposition'], 'attachment; filename="result.csv"')
    assert.equal(table.headers['content-type'], 'text/csv; charset=utf-8')
    assert.equal(table.body, 'tea,1\r\ncoffee,0\r\nwater,1\r\n')
    watching.on('error', () => {}).destroy()
  })

  test('no such choice', async () => {
    for (const choice of ['beer', '', '%00']) {
      assert.deepEqual([(await vote(choice)).status, (await vote(choice)).body], [400, 'there is no such choice'])
    }
    assert.equal((await ask('/vote')).status, 404)
  })

  test('watchers that go take nothing with them', async () => {
    await each(20, async () => {
      const request = http.get(`${at.server.url}/result`, { agent: false })
      const [response] = await once(request, 'response')
      await once(response, 'data')
      request.on('error', () => {})
      request.destroy()
    })
    assert.equal((await vote('tea')).status, 200)
  })
})

describe('request', () => {
  const at = serverOf('request')

  test('the page', () => isPage(at.server, 'request.html'))

  const queries = {
    '/': '{"query":{}}',
    '/?': '{"query":{}}',
    '/?name=ada': '{"query":{"name":"ada"}}',
    '/any/path?name=ada&id=1&id=2': '{"query":{"name":"ada","id":["1","2"]}}',
    '/?a=1+2%203&b&c=': '{"query":{"a":"1 2 3","b":"","c":""}}',
    '/?%E5%90%8D=%E9%98%BF%E8%BE%BE': '{"query":{"名":"阿达"}}',
    '/?a=%22%5C%0A%3C': '{"query":{"a":"\\"\\\\\\n<"}}',
    '/?a=%&b=%zz': '{"query":{"a":"%","b":"%zz"}}',
    '/?a=%FF': '{"query":{"a":"\ufffd"}}'
  }
  for (const [path, text] of Object.entries(queries)) {
    test(`the query of ${path}`, async () => {
      const talker = await Talker.open(at.server.ws + path)
      assert.equal(await talker.next(), 'ws服务端连接成功！')
      assert.equal(await talker.next(), text)
      talker.send('nobody listens')
      assert.equal((await talker.close()).code, 1000)
      assert.deepEqual(talker.received, [])
    })
  }
})

// --- The chat ------------------------------------------------------------------------------------

describe('chat', () => {
  const at = serverOf('chat')
  const url = (room, name) => `${at.server.ws}/chat/${encodeURIComponent(room)}?name=${encodeURIComponent(name)}`
  const complaint = { type: 'error', text: 'a message is {"text": …} of at most 2000 bytes' }
  let rooms = 0
  const newRoom = () => `room ${++rooms}`

  // Who has joined, and been welcomed.
  async function join (room, name) {
    const talker = await Talker.open(url(room, name))
    talker.welcome = await talker.json()
    assert.equal(talker.welcome.type, 'welcome')
    assert.equal(talker.welcome.room, room)
    return talker
  }

  const say = (talker, text) => talker.send(JSON.stringify({ text }))

  async function hears (talker, name, text) {
    const { time, ...message } = await talker.json()
    assert.deepEqual(message, { type: 'message', name, text })
    assert.ok(Number.isInteger(time) && Math.abs(Date.now() / 1000 - time) < 60, `time ${time}`)
  }

  // The room is forgotten once its server has seen everybody go: who joins then finds nobody, and nothing.
  async function leave (...talkers) {
    await Promise.all(talkers.map(talker => talker.close()))
    assert.deepEqual(talkers.map(talker => talker.received), talkers.map(() => []))
  }

  test('the page', () => isPage(at.server, 'chat.html'))

  test('joining, talking and leaving', async () => {
    const room = newRoom()
    const ada = await join(room, 'Ada')
    assert.deepEqual(ada.welcome, { type: 'welcome', room, name: 'Ada', members: ['Ada'], history: [] })
    const bob = await join(room, 'Bob')
    assert.deepEqual(bob.welcome.members.sort(), ['Ada', 'Bob'])
    assert.deepEqual(await ada.json(), { type: 'joined', name: 'Bob' })
    say(ada, 'hello')
    await hears(ada, 'Ada', 'hello')
    await hears(bob, 'Ada', 'hello')
    say(bob, '你好 "quoted" <b>\n🌳')
    await hears(ada, 'Bob', '你好 "quoted" <b>\n🌳')
    await hears(bob, 'Bob', '你好 "quoted" <b>\n🌳')
    await leave(bob)
    assert.deepEqual(await ada.json(), { type: 'left', name: 'Bob' })
    const cy = await join(room, 'Cy')
    assert.deepEqual(cy.welcome.history.map(({ name, text }) => [name, text]),
      [['Ada', 'hello'], ['Bob', '你好 "quoted" <b>\n🌳']])
    assert.deepEqual(await ada.json(), { type: 'joined', name: 'Cy' })
    ada.socket.terminate()
    assert.deepEqual(await cy.json(), { type: 'left', name: 'Ada' })
    await leave(cy)
  })

  test('a name that is taken gets a number', async () => {
    const room = newRoom()
    const members = []
    for (const name of ['Ada', 'Ada 2', 'Ada 3', 'Ada 4']) {
      const member = await join(room, name === 'Ada 3' ? name : 'Ada')
      assert.equal(member.welcome.name, name)
      for (const other of members) assert.deepEqual(await other.json(), { type: 'joined', name })
      members.push(member)
    }
    assert.deepEqual(members.at(-1).welcome.members.sort(), ['Ada', 'Ada 2', 'Ada 3', 'Ada 4'])
    say(members[1], 'which one?')
    for (const member of members) await hears(member, 'Ada 2', 'which one?')
    await members[1].close()
    for (const member of members) if (member !== members[1]) assert.deepEqual(await member.json(), { type: 'left', name: 'Ada 2' })
    const again = await join(room, 'Ada')
    assert.equal(again.welcome.name, 'Ada 2')
    const long = 'n'.repeat(32)
    assert.equal((await join(room, long)).welcome.name, long)
    assert.equal((await join(room, long)).welcome.name, `${long} 2`)
  })

  test('rooms hear nothing of each other', async () => {
    const [here, there] = [newRoom(), `${newRoom()} / ? # % é 名`.slice(0, 24)]
    const ada = await join(here, 'Ada')
    const other = await join(there, 'Ada')
    assert.deepEqual(other.welcome.members, ['Ada'])
    say(ada, 'here')
    await hears(ada, 'Ada', 'here')
    say(other, 'there')
    await hears(other, 'Ada', 'there')
    await leave(ada, other)
  })

  test('the last 50 messages are for who joins', async () => {
    const room = newRoom()
    const ada = await join(room, 'Ada')
    for (let i = 0; i < 120; i++) say(ada, `message ${i}`)
    for (let i = 0; i < 120; i++) await hears(ada, 'Ada', `message ${i}`)
    const bob = await join(room, 'Bob')
    assert.deepEqual(bob.welcome.history.map(({ text }) => text), Array.from({ length: 50 }, (_, i) => `message ${i + 70}`))
    for (const message of bob.welcome.history) {
      assert.deepEqual(Object.keys(message).sort(), ['name', 'text', 'time', 'type'])
    }
    assert.deepEqual(await ada.json(), { type: 'joined', name: 'Bob' })
    await leave(ada, bob)
  })

  test('a room is forgotten with its last member', async () => {
    const room = newRoom()
    const [ada, bob] = [await join(room, 'Ada'), await join(room, 'Bob')]
    assert.deepEqual(await ada.json(), { type: 'joined', name: 'Bob' })
    say(ada, 'secret')
    await hears(ada, 'Ada', 'secret')
    await hears(bob, 'Ada', 'secret')
    await leave(ada)
    assert.deepEqual(await bob.json(), { type: 'left', name: 'Ada' })
    await leave(bob)
    await eventually(async () => {
      const cy = await join(room, 'Cy')
      await cy.close()
      const { members, history } = cy.welcome
      return members.length === 1 && members[0] === 'Cy' && history.length === 0
    }, 'the room is forgotten')
  })

  test('what is no message is answered, to its sender alone', async () => {
    const room = newRoom()
    const [ada, bob] = [await join(room, 'Ada'), await join(room, 'Bob')]
    assert.deepEqual(await ada.json(), { type: 'joined', name: 'Bob' })
    const bad = ['', 'text', '{', '[]', 'null', '{}', '{"text":1}', '{"text":null}', '{"text":""}', '{"text":{}}',
      '{"Text":"x"}', '{"text":"x"} y', '{"text":"\\u0000"}', '{"text":"\\ud800"}', '['.repeat(100_000),
      JSON.stringify({ text: 'x'.repeat(2001) }), JSON.stringify({ text: '名'.repeat(667) }),
      Buffer.from('{"text":"x"}'), Buffer.from([0xff])]
    for (const data of bad) assert.deepEqual(await ada.send(data).json(), complaint, String(data).slice(0, 50))
    say(ada, 'x'.repeat(2000))
    await hears(ada, 'Ada', 'x'.repeat(2000))
    await hears(bob, 'Ada', 'x'.repeat(2000))
    ada.send('{"text":"x","name":"Eve","type":"left","time":0}')
    await hears(ada, 'Ada', 'x')
    await hears(bob, 'Ada', 'x')
    ada.send('y'.repeat(1024 * 1024 + 1))
    assert.equal((await withPatience(ada.closed, 'no close')).code, 1009)
    assert.deepEqual(await bob.json(), { type: 'left', name: 'Ada' })
    await leave(bob)
  })

  test('no socket without a name and a room', async () => {
    const room = newRoom()
    const message = 'a name and a room of at most 32 bytes each'
    for (const path of ['/chat/a', '/chat/a?name', '/chat/a?name=', '/chat/a?nom=Ada', `/chat/a?name=${'n'.repeat(33)}`,
      `/chat/a?name=${encodeURIComponent('名'.repeat(11))}`, `/chat/${'r'.repeat(33)}?name=Ada`]) {
      const { status, type, body } = await refused(at.server.ws + path)
      assert.deepEqual({ status, type, body }, { status: 400, type: 'text/plain; charset=utf-8', body: message }, path)
    }
    for (const path of ['/', '/?name=Ada', '/chat?name=Ada', '/chat/a/b?name=Ada', '/nowhere?name=Ada']) {
      const { status, body } = await refused(at.server.ws + path)
      assert.deepEqual({ status, body }, { status: 404, body: 'Not Found' }, path)
    }
    assert.equal((await ask(at.server, '/chat/a?name=Ada')).status, 404)
    const strange = await join(room, '\ufffd')
    await leave(strange)
    const bytes = await Talker.open(`${at.server.ws}/chat/${encodeURIComponent(room)}?name=%FF`)
    assert.equal((await bytes.json()).name, '\ufffd')
    await leave(bytes)
  })

  test('a full room', async () => {
    const room = newRoom()
    const members = await each(200, i => join(room, `member ${i}`))
    const { status, body } = await refused(url(room, 'one more'))
    assert.deepEqual({ status, body }, { status: 503, body: 'Service Unavailable' })
    await members[0].close()
    await eventually(() => members[1].received.some(text => JSON.parse(text).type === 'left'), 'one has left')
    await leave(await join(room, 'one more'))
    members.forEach(member => member.socket.terminate())
    await Promise.all(members.map(member => member.closed))
  })
})

// --- Ports and ends ------------------------------------------------------------------------------

describe('the port', () => {
  test('is PORT of the environment', async () => {
    const first = await startServer('hello')
    assert.ok(first.port > 0)
    await first.stop()
    const second = await startServer('hello', { env: { PORT: String(first.port) } })
    assert.equal(second.port, first.port)
    assert.equal((await ask(second, '/')).status, 200)

    const third = startProgram('hello', { env: { PORT: String(first.port) } })
    assert.notEqual(await third.ended(), 0)
    assert.equal(third.stderr, `acacia: can't listen on port ${first.port}: address already in use\n`)
    assert.equal(third.stdout, '')
    await second.stop()
  })

  for (const PORT of ['http', '-1', '65536', '80 80', '3000x', '0x50']) {
    test(`is not ${PORT}`, async () => {
      const program = startProgram('hello', { env: { PORT } })
      const code = await program.ended()
      assert.ok(Number.isInteger(code) && code !== 0, `exit code ${code}`)
      assert.equal(program.stderr, `acacia: PORT is not a port: ${PORT}\n`)
      assert.equal(program.stdout, '')
    })
  }
})

// A client that completes the handshake, and never answers, nor closes, nor even reads if it doesn't listen.
async function mute (server, path, reads) {
  const socket = net.connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true })
  const client = { socket, received: Buffer.alloc(0) }
  socket.on('error', () => {})
  socket.on('data', data => {
    client.received = Buffer.concat([client.received, data])
    if (!reads) socket.pause()
  })
  socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
    'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n')
  await eventually(() => client.received.includes('\r\n\r\n'), 'the handshake')
  assert.match(client.received.toString('latin1'), /^HTTP\/1\.1 101 Switching Protocols\r\n/)
  return client
}

// Some at once, since most of it is waiting.
describe('the end', { concurrency: 4 }, () => {
  const pathOf = name => name === 'chat' ? '/chat/a?name=Ada' : '/'
  const goodbye = Buffer.from([0x88, 2, 1001 >> 8, 1001 & 255])

  for (const name of WITH_SOCKETS) {
    for (const signal of ['SIGTERM', 'SIGINT']) {
      test(`of ${name}, by ${signal}`, { timeout: 6 * PATIENCE }, async () => {
        const server = await startServer(name)
        const path = pathOf(name)
        const talkers = await each(3, () => Talker.open(server.ws + path))
        const agent = new http.Agent({ keepAlive: true })
        await ask(server, '/', { agent })
        const deaf = await mute(server, path, false)
        const silent = await mute(server, path, true)
        const begun = net.connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true })
        begun.on('error', () => {}).write('GET / HTTP/1.1\r\nHost:')
        await server.stop(signal) // within 5 s, with exit code 0
        for (const talker of talkers) assert.equal((await withPatience(talker.closed, 'no close')).code, 1001)
        assert.ok(silent.received.includes(goodbye), 'the mute client is told as well')
        for (const { socket } of [deaf, silent, { socket: begun }]) socket.destroy()
        agent.destroy()
        if (name === 'broadcast') assert.equal(server.printed().match(/^Client disconnected$/mg)?.length, 5)
        assert.equal(server.stderr, '')
      })
    }
  }

  test('of poll, with those who watch the result', async () => {
    const server = await startServer('poll')
    const request = http.get(`${server.url}/result`, { agent: false })
    const [response] = await once(request, 'response')
    const begin = Date.now()
    await server.stop()
    assert.ok(Date.now() - begin < 2000, `it took ${Date.now() - begin} ms`)
    let all = ''
    for await (const chunk of response) all += chunk // to its end, and no error
    assert.equal(all, 'data: tea 0, coffee 0, water 0\n\n')
    assert.equal(server.stderr, '')
  })

  test('comes at once when everybody answers', async () => {
    const server = await startServer('chat')
    const talkers = await each(20, () => Talker.open(server.ws + pathOf('chat')))
    const begin = Date.now()
    await server.stop()
    assert.ok(Date.now() - begin < 2000, `it took ${Date.now() - begin} ms`)
    for (const talker of talkers) assert.equal((await talker.closed).code, 1001)
  })
})

// --- Many at once --------------------------------------------------------------------------------

for (const name of ['routes', 'chat']) {
  test(`200 sockets and 200 keep-alive connections on the port of ${name}`, async () => {
    const N = 200
    const server = await startServer(name)
    const path = i => name === 'chat' ? `/chat/${i % 10}?name=${i}` : '/'
    const text = i => name === 'chat' ? JSON.stringify({ text: `text ${i}` }) : `text ${i}`
    const page = await source(`${name}.html`)
    const connected = Array(N).fill(0)
    const disconnected = Array(N).fill(0)
    const clients = await each(N, i => new Client(server.url)
      .on('connect', () => { connected[i]++ }).on('disconnect', () => { disconnected[i]++ }))
    const get = async client => {
      const { statusCode, body } = await client.request({ method: 'GET', path: '/' })
      assert.equal(statusCode, 200)
      assert.equal(await body.text(), page)
    }
    const hears = async (talker, i, round) => {
      talker.send(text(`${i} ${round}`))
      for (;;) if ((await talker.next()).includes(`text ${i} ${round}`)) return
    }
    const [talkers] = await Promise.all([each(N, i => Talker.open(server.ws + path(i))), ...clients.map(get)])
    for (let round = 0; round < 3; round++) {
      await Promise.all([...talkers.map((talker, i) => hears(talker, i, round)), ...clients.map(get)])
    }
    assert.ok(talkers.every(talker => talker.socket.readyState === WebSocket.OPEN))
    assert.deepEqual(connected, Array(N).fill(1))
    assert.deepEqual(disconnected, Array(N).fill(0))
    await server.stop()
    for (const talker of talkers) assert.equal((await withPatience(talker.closed, 'no close')).code, 1001)
    await Promise.all(clients.map(client => client.destroy()))
  })
}

test('a signal at the very moment of the listening line drains', async () => {
  for (let i = 0; i < 10; i++) {
    const program = startProgram('hello', {})
    program.child.stdout.once('data', () => program.child.kill('SIGTERM'))
    assert.equal(await program.ended(), 0, program.stderr)
  }
})
