// Rooms that span processes: several servers, a real Redis, and what becomes of them when that is killed, stopped,
// locked, or talks nonsense.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { after, afterEach, before, describe, test } from 'node:test'
import { WebSocket } from 'ws'
import { Redis, missing } from './redis.mjs'
import { each, eventually, startProgram, startServer, withPatience } from './support.mjs'

const MIB = 1024 * 1024

const start = env => startServer('tests/support/rooms_server', { env: { RECONNECT_MIN: '10', RECONNECT_MAX: '100', ...env } })
const statsOf = async server => (await fetch(`${server.url}/redis`)).json()
const connected = (server, wanted = true) => eventually(async () => (await statsOf(server)).connected === wanted, `connected: ${wanted}`)

// --- Clients -------------------------------------------------------------------------------------

const clients = new Set()
afterEach(() => {
  for (const socket of clients) socket.terminate()
  clients.clear()
})

// Answers (`= 0`) and messages, each in their order; what is binary as a Buffer.
class Client {
  static async open (server, path = '/') {
    const client = new Client()
    client.messages = []
    client.answers = []
    client.socket = new WebSocket(server.ws + path)
    clients.add(client.socket)
    client.socket.on('error', () => {})
    client.socket.on('message', (data, isBinary) => {
      const message = isBinary ? data : data.toString()
      if (!isBinary && message.startsWith('= ')) client.answers.push(message.slice(2))
      else client.messages.push(message)
    })
    await withPatience(once(client.socket, 'open'), 'a socket opens')
    return client
  }

  async ask (command) {
    this.socket.send(command)
    while (this.answers.length === 0) await withPatience(once(this.socket, 'message'), `an answer to ${command}`)
    return this.answers.shift()
  }

  async join (...rooms) {
    for (const room of rooms) assert.equal(await this.ask(`join ${room}`), '0')
    return this
  }

  async publish (room, text, expected = '0') {
    assert.equal(await this.ask(`publish ${room}\n${text}`), expected)
  }

  hears (...expected) {
    return eventually(() => this.messages.length >= expected.length, () => `hears ${expected}, but ${this.messages}`)
      .then(() => assert.deepEqual(this.messages.splice(0), expected))
  }
}

const joined = async (server, ...rooms) => (await Client.open(server)).join(...rooms)

// Whatever is on its way has come: what comes last has.
async function settle (redis, ...listeners) {
  await redis.ask('PUBLISH', 'acacia:room', 'text test\nthe end')
  for (const client of listeners) {
    await eventually(() => client.messages.at(-1) === 'the end', () => `the end, not ${client.messages}`)
    client.messages.pop()
  }
}

describe('two processes', { skip: missing }, () => {
  let redis, one, other
  before(async () => {
    redis = await Redis.start()
    one = await start({ REDIS_URL: redis.unix })
    other = await start({ REDIS_URL: redis.url.replace('127.0.0.1', 'localhost') }) // the name must be looked up
    await connected(one)
    await connected(other)
  })
  after(async () => {
    await one?.stop()
    await other?.stop()
    assert.equal(one.stderr + other.stderr, '')
    redis?.end()
  })

  test('a message reaches all members, each once', async () => {
    const [a, b, c, stranger] = [await joined(one, 'room'), await joined(one, 'room'), await joined(other, 'room'), await joined(other, 'elsewhere')]
    await redis.subscribed('acacia:room', 2)
    await a.publish('room', 'hello')
    await c.publish('room', 'and back')
    await settle(redis, a, b, c)
    assert.deepEqual([...a.messages].sort(), ['and back', 'hello'])
    assert.deepEqual([...b.messages].sort(), ['and back', 'hello'])
    assert.deepEqual([...c.messages].sort(), ['and back', 'hello'])
    assert.deepEqual(stranger.messages, [])
  })

  test('the sender may be left out, here and elsewhere', async () => {
    const [a, b, c] = [await joined(one, 'room'), await joined(one, 'room'), await joined(other, 'room')]
    await redis.subscribed('acacia:room', 2)
    assert.equal(await a.ask('others room\nto you'), '0')
    await settle(redis, a, b, c)
    assert.deepEqual([a, b, c].map(client => client.messages), [[], ['to you'], ['to you']])
  })

  test('what is binary stays binary, down to the last bit; an empty message is one', async () => {
    const [a, b] = [await joined(one, 'room'), await joined(other, 'room')]
    await redis.subscribed('acacia:room', 2)
    const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, i) => i * 7 & 255))
    assert.equal(await a.ask(Buffer.concat([Buffer.from('room\n'), bytes])), '0')
    await a.publish('room', '')
    await a.publish('room', 'a\r\n$3\r\n\0 über')
    await b.hears(bytes, '', 'a\r\n$3\r\n\0 über')
  })

  test('a publisher is heard in its order', async () => {
    const [a, b] = [await joined(one, 'room'), await joined(other, 'room')]
    await redis.subscribed('acacia:room', 2)
    const lines = Array.from({ length: 500 }, (_, i) => `line ${i} ${'x'.repeat(i)}`)
    for (const line of lines) a.socket.send(`others room\n${line}`)
    await b.hears(...lines)
  })

  test('names of rooms are nothing but names', async () => {
    const names = ['*', 'r?om', 'r[a-z]om', '\\*', 'a b', 'ü☃', '{x}', 'x'.repeat(1024)]
    const a = await Client.open(one)
    const everywhere = await joined(other, ...names)
    const plain = await joined(other, 'room')
    for (const name of names) await redis.subscribed(`acacia:${name}`, 1)
    await redis.subscribed('acacia:room', 1)
    await a.publish('room', 'for one room')
    await a.publish('roam', 'for nobody')
    for (const name of names) await a.publish(name, `for ${name}`)
    await everywhere.hears(...names.map(name => `for ${name}`))
    await plain.hears('for one room')
    assert.match(await redis.ask('PUBSUB', 'NUMPAT'), /^:0\r\n$/)
  })

  test('a room needs a name, not too long a one; a message may not be too large', async () => {
    const a = await joined(one, 'room')
    for (const room of ['', 'x'.repeat(1025)]) {
      assert.equal(await a.ask(`join ${room}`), 'EINVAL')
      assert.equal(await a.ask(`publish ${room}\nx`), 'EINVAL')
    }
    const small = await start({ REDIS_URL: redis.unix, MESSAGE_SIZE: '100' })
    const [b, c] = [await joined(small, 'room'), await joined(other, 'room')]
    await redis.subscribed('acacia:room', 3)
    await b.publish('room', 'x'.repeat(101), 'EMSGSIZE')
    await b.publish('room', 'y'.repeat(100))
    await b.hears('y'.repeat(100))
    await c.hears('y'.repeat(100))
    await a.publish('room', 'z'.repeat(101)) // others may be larger: it doesn't take them
    await c.hears('z'.repeat(101))
    await eventually(async () => (await statsOf(small)).invalid === 1, 'it is ignored, and counted')
    assert.deepEqual(b.messages, [])
    await small.stop()
  })

  test('Redis is told once of a room, and when the last member has gone', async () => {
    const [a, b] = [await joined(one, 'shared'), await joined(one, 'shared', 'shared')]
    await redis.subscribed('acacia:shared', 1)
    assert.equal((await statsOf(one)).rooms, 1)
    assert.equal(await a.ask('leave shared'), '0')
    assert.equal(await a.ask('leave shared'), '0')
    assert.equal(await a.ask('leave nowhere'), '0')
    await b.publish('shared', 'still here')
    await b.hears('still here')
    assert.equal(await redis.subscribers('acacia:shared'), 1)
    await a.join('shared')
    b.socket.close()
    a.socket.terminate()
    await redis.subscribed('acacia:shared', 0)
    assert.equal((await statsOf(one)).rooms, 0)
  })

  test('what others put on the channels is ignored and counted, or delivered if it is a message', async () => {
    const a = await joined(one, 'room')
    await redis.subscribed('acacia:room', 1)
    const { invalid } = await statsOf(one)
    const garbage = ['', 'x', 'text', 'text ', 'text \n', 'text a', 'text a b\nx', `text ${'n'.repeat(65)}\nx`, 'TEXT a\nx', 'binary\nx', 'text a\0b\nx',
      Buffer.from('text a\n\xff\xfe', 'latin1'), Buffer.from('text a\n\xed\xa0\x80', 'latin1'), Buffer.from('text a\n\xc3', 'latin1'), '\n', '{"text":"x"}']
    for (const bytes of garbage) await redis.ask('PUBLISH', 'acacia:room', bytes)
    await redis.ask('PUBLISH', 'acacia:room', `text cron\n${'x'.repeat(1024 * 1024 + 1)}`)
    await redis.ask('PUBLISH', 'acacia:room', 'text cron\nfrom elsewhere: ü\0')
    await redis.ask('PUBLISH', 'acacia:room', Buffer.from('binary cron\n\xff\x00', 'latin1'))
    await a.hears('from elsewhere: ü\0', Buffer.from([255, 0]))
    assert.equal((await statsOf(one)).invalid - invalid, garbage.length + 1)
    assert.equal((await statsOf(one)).outages, 0)
  })

  test('one that is much too large costs the connection, not the memory', async () => {
    const server = await start({ REDIS_URL: redis.unix })
    const a = await joined(server, 'room')
    await redis.subscribed('acacia:room', 1)
    const { rss } = await (await fetch(`${server.url}/stats`)).json()
    await redis.ask('PUBLISH', 'acacia:room', 'x'.repeat(16 * MIB)) // Redis itself cuts off whom it has 32 for
    await eventually(() => server.stderr.includes('there again'), 'it is there again')
    assert.equal(server.stderr, 'redis_rooms: trouble with Redis: a message is too large\nredis_rooms: Redis is there again\n')
    assert.ok((await (await fetch(`${server.url}/stats`)).json()).rss - rss < 12 * MIB)
    await redis.subscribed('acacia:room', 1)
    await settle(redis, a)
    await server.stop()
  })

  test('prefixes keep programs apart', async () => {
    const server = await start({ REDIS_URL: `${redis.url}/3`, PREFIX: 'other:' })
    const [a, b] = [await joined(server, 'room'), await joined(one, 'room')]
    await redis.subscribed('other:room', 1)
    await redis.subscribed('acacia:room', 1)
    await a.publish('room', 'x')
    await settle(redis, b)
    assert.deepEqual(b.messages, [])
    await a.hears('x')
    await server.stop()
  })

  test('the last words are heard', async () => {
    const a = await joined(one, 'room')
    const server = await start({ REDIS_URL: redis.url })
    await each(20, () => Client.open(server, '/?last=room').then(client => client.join('lounge')))
    await redis.subscribed('acacia:lounge', 1)
    await redis.subscribed('acacia:room', 1)
    await server.stop()
    await a.hears(...Array(20).fill('gone'))
  })
})

test('without redis_rooms they are the rooms of one process', async () => {
  const server = await start()
  const [a, b] = [await joined(server, 'room'), await joined(server, 'room')]
  await a.publish('room', 'hello')
  await a.hears('hello')
  await b.hears('hello')
  assert.equal(await a.ask('leave room'), '0')
  await b.publish('room', 'x')
  await b.hears('x')
  assert.deepEqual(a.messages, [])
  assert.deepEqual(Object.values(await statsOf(server)).filter(Boolean), [])
  await server.stop()
})

describe('a Redis that fails', { skip: missing }, () => {
  let redis
  before(async () => { redis = await Redis.start() })
  after(() => redis?.end())

  test('killed in the middle of a broadcast, and started again', async () => {
    const [one, other] = await each(2, () => start({ REDIS_URL: redis.unix }))
    const [a, near, far] = [await Client.open(one), await joined(one, 'room'), await joined(other, 'room')]
    await redis.subscribed('acacia:room', 2)
    let said = 0
    let over = false
    const talking = (async () => {
      for (; !over; said++) await a.publish('room', String(said))
    })()
    await eventually(() => far.messages.length > 100, 'messages')
    await redis.kill()
    await connected(one, false)
    const before = said
    await eventually(() => said > before + 100, 'nobody waits for Redis')
    await redis.begin()
    await redis.subscribed('acacia:room', 2)
    await connected(one)
    await connected(other)
    const heard = far.messages.length
    await eventually(() => far.messages.length > heard + 100, 'messages again')
    over = true
    await talking
    await eventually(() => far.messages.at(-1) === String(said - 1), 'the last one')
    const all = Array.from({ length: said }, (_, i) => String(i))
    await eventually(() => near.messages.length >= said, 'all of them')
    assert.deepEqual(near.messages, all, 'nobody here misses any')
    assert.ok(far.messages.every((text, i) => i === 0 || Number(text) > Number(far.messages[i - 1])), 'in order, none twice')
    const { dropped, outages } = await statsOf(one)
    assert.deepEqual([dropped, outages], [0, 1])
    for (const server of [one, other]) {
      assert.match(server.stderr, /^redis_rooms: trouble with Redis: .*\nredis_rooms: Redis is there again\n$/, 'told once')
      await server.stop()
    }
  })

  test('not there in the beginning: what is published waits, and arrives', async () => {
    await redis.kill()
    const one = await start({ REDIS_URL: redis.url, OUTBOX: '100000' })
    const a = await joined(one, 'room')
    await eventually(() => one.stderr.length > 0, 'it is told')
    for (let i = 0; i < 10; i++) await a.publish('other room', `waits ${i}`)
    assert.ok((await statsOf(one)).buffered > 0)
    const other = await start({ REDIS_URL: redis.unix, RECONNECT_MAX: '10' })
    const b = await joined(other, 'other room')
    // whose subscription is there before the other one has told: it must be slower
    one.child.kill('SIGSTOP')
    await redis.begin()
    await redis.subscribed('acacia:other room', 1)
    one.child.kill('SIGCONT')
    await b.hears(...Array.from({ length: 10 }, (_, i) => `waits ${i}`))
    await connected(one)
    const { dropped, buffered } = await statsOf(one)
    assert.deepEqual([dropped, buffered], [0, 0])
    for (const server of [one, other]) await server.stop()
    assert.equal(one.stderr, 'redis_rooms: trouble with Redis: connection refused\nredis_rooms: Redis is there again\n')
  })

  test('the outbox is bounded: what is too much is dropped and counted', async () => {
    await redis.kill()
    const server = await start({ REDIS_URL: redis.url, OUTBOX: String(MIB) })
    const a = await joined(server, 'room')
    await connected(server, false)
    const { rss } = await (await fetch(`${server.url}/stats`)).json()
    const { dropped, buffered } = await (await fetch(`${server.url}/flood?room=elsewhere&count=20000&size=10000`)).json()
    assert.ok(dropped > 19_800 && dropped < 20_000, `${dropped} dropped`)
    assert.ok(buffered > 0.9 * MIB && buffered <= MIB, `${buffered} wait`)
    assert.ok((await (await fetch(`${server.url}/stats`)).json()).rss - rss < 16 * MIB)
    await a.publish('room', 'x'.repeat(20_000), '1')
    await a.hears('x'.repeat(20_000))
    await redis.begin()
    await eventually(async () => (await statsOf(server)).buffered === 0, 'it is sent')
    await server.stop()
  })

  test('stopped for a while: nobody waits, memory is bounded, it is found out', async () => {
    const server = await start({ REDIS_URL: redis.unix, OUTBOX: String(MIB), TIMEOUT: '500' })
    const a = await joined(server, 'room')
    await redis.subscribed('acacia:room', 1)
    const { rss } = await (await fetch(`${server.url}/stats`)).json()
    redis.stop()
    const { dropped } = await (await fetch(`${server.url}/flood?room=room&count=2000&size=10000`)).json()
    assert.ok(dropped > 1000, `${dropped} dropped`)
    await eventually(() => a.messages.length === 2000, 'all of it is here')
    assert.ok((await (await fetch(`${server.url}/stats`)).json()).rss - rss < 48 * MIB)
    await eventually(async () => (await statsOf(server)).outages === 1, 'it is found out')
    redis.go()
    await connected(server)
    assert.ok((await statsOf(server)).unconfirmed > 0)
    await redis.subscribed('acacia:room', 1)
    a.messages = []
    await settle(redis, a)
    await server.stop()
    assert.equal(server.stderr, 'redis_rooms: trouble with Redis: the outbox is full: messages to other processes are dropped\n' +
      'redis_rooms: trouble with Redis: connection timed out\nredis_rooms: Redis is there again\n')
  })

  test('stopped for a moment only: nothing is lost, and nobody notices', async () => {
    const [one, other] = await each(2, () => start({ REDIS_URL: redis.unix }))
    const [a, b] = [await Client.open(one), await joined(other, 'room')]
    await redis.subscribed('acacia:room', 1)
    redis.stop()
    for (let i = 0; i < 50; i++) await a.publish('room', String(i))
    redis.go()
    await b.hears(...Array.from({ length: 50 }, (_, i) => String(i)))
    for (const server of [one, other]) {
      await server.stop()
      assert.equal(server.stderr, '')
    }
  })

  test('a thousand rooms are subscribed to again', async () => {
    const server = await start({ REDIS_URL: redis.unix })
    const members = await each(10, i => joined(server, ...Array.from({ length: 100 }, (_, k) => `room ${i * 100 + k}`)))
    const count = async () => (await redis.ask('INFO', 'stats')).match(/pubsub_channels:(\d+)/)[1]
    await eventually(async () => await count() === '1000', 'subscribed')
    for (let round = 0; round < 3; round++) {
      await redis.kill()
      await connected(server, false)
      const gone = members.pop() // and some leave, and come, while it is away
      gone.socket.terminate()
      members.unshift(await joined(server, ...Array.from({ length: 100 }, (_, k) => `room ${round} ${k}`)))
      await redis.begin()
      await eventually(async () => await count() === '1000', async () => `subscribed again: ${await count()}`)
    }
    await redis.ask('PUBLISH', 'acacia:room 2 99', 'text test\nhello')
    await members[0].hears('hello')
    await server.stop()
  })

  test('it goes, and the server is told to, at the same time', async () => {
    for (const wait of [0, 1, 5, 20]) {
      const server = await start({ REDIS_URL: [redis.unix, redis.url][wait % 2] })
      const a = await joined(server, 'room')
      await redis.kill()
      a.socket.send('publish room\nx')
      await new Promise(resolve => setTimeout(resolve, wait))
      await server.stop()
      await redis.begin()
    }
  })

  test('the server stops while it connects, and while it waits', async () => {
    redis.stop()
    for (const url of [redis.unix, redis.url, 'unix:/nowhere', 'redis://192.0.2.1', 'redis://nowhere.invalid']) {
      const server = await start({ REDIS_URL: url })
      const a = await joined(server, 'room')
      await a.publish('room', 'x')
      await server.stop()
    }
    redis.go()
  })
})

describe('passwords', { skip: missing }, () => {
  let redis
  before(async () => { redis = await Redis.start('--requirepass', 'p:a/s@s', '--user', ...'ada on >lovelace ~* &acacia:open* +@all'.split(' ')) })
  after(() => redis?.end())

  const reaches = async env => {
    const server = await start(env)
    await eventually(async () => server.stderr || (await statsOf(server)).connected, 'it is in, or not')
    await server.stop()
    return server.stderr
  }

  test('the right one, in the URL or beside it', async () => {
    assert.equal(await reaches({ REDIS_URL: redis.url.replace('//', '//:p%3Aa%2Fs%40s@') }), '')
    assert.equal(await reaches({ REDIS_URL: redis.unix, REDIS_PASSWORD: 'p:a/s@s' }), '')
    assert.equal(await reaches({ REDIS_URL: redis.url.replace('//', '//ada:lovelace@') }), '')
    assert.equal(await reaches({ REDIS_URL: redis.unix, REDIS_USER: 'ada', REDIS_PASSWORD: 'lovelace' }), '')
  })

  test('a wrong one, or none: it is told once, and it goes on without', async () => {
    const told = 'redis_rooms: trouble with Redis: '
    assert.equal(await reaches({ REDIS_URL: redis.unix }), `${told}NOAUTH Authentication required.\n`)
    assert.match(await reaches({ REDIS_URL: redis.unix, REDIS_PASSWORD: 'x' }), /^redis_rooms: trouble with Redis: WRONGPASS [^\n]*\n$/)
    assert.match(await reaches({ REDIS_URL: redis.unix, REDIS_USER: 'ada', REDIS_PASSWORD: 'p:a/s@s' }), /^redis_rooms: trouble with Redis: WRONGPASS [^\n]*\n$/)
    const server = await start({ REDIS_URL: redis.unix, REDIS_PASSWORD: 'x' })
    const a = await joined(server, 'room')
    await a.publish('room', 'hello')
    await a.hears('hello')
    await server.stop()
  })

  test('channels that this user may not use: refused, counted, told once', async () => {
    const server = await start({ REDIS_URL: redis.url.replace('//', '//ada:lovelace@') })
    const a = await joined(server, 'secret', 'open')
    await connected(server)
    for (let i = 0; i < 3; i++) await a.publish('secret', String(i))
    await a.publish('open', 'x')
    await a.hears('0', '1', '2', 'x')
    await eventually(async () => (await statsOf(server)).dropped === 3, 'counted')
    assert.match(server.stderr, /^redis_rooms: trouble with Redis: NOPERM [^\n]*\n$/)
    await server.stop()
  })
})

describe('what is no Redis', () => {
  const answers = ['HTTP/1.1 400 Bad Request\r\n\r\n', '$1000000000\r\n', '*1000\r\n*1000\r\n*1\r\n'.repeat(5), '-ERR\r\n', ':1\r\n', '+OK\r\n+OK\r\n+OK\r\n*3\r\n$7\r\nmessage\r\n:1\r\n:2\r\n',
    '+OK\r\n*3\r\n$7\r\nmessage\r\n$-1\r\n$-1\r\n', '+OK\r\n*-1\r\n*0\r\n$-1\r\n$0\r\n\r\n', '+OK\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$8\r\ntext a\nb\r\n', '\0\0\0\0', '']
  for (const answer of answers) {
    test(JSON.stringify(answer), async () => {
      let count = 0
      const nonsense = net.createServer(socket => {
        count++
        socket.on('error', () => {})
        socket.on('data', () => socket.end(answer))
      }).listen(0, '127.0.0.1')
      await once(nonsense, 'listening')
      const server = await start({ REDIS_URL: `redis://127.0.0.1:${nonsense.address().port}`, RECONNECT_MAX: '10', TIMEOUT: '100' })
      const a = await joined(server, 'room')
      await a.publish('room', 'x')
      await a.hears('x')
      await eventually(() => count > 6, 'it is tried again')
      await server.stop()
      nonsense.close()
    })
  }
})

test('the example rooms, in two processes', { skip: missing }, async () => {
  const redis = await Redis.start()
  const [one, other] = await each(2, () => startServer('rooms', { env: { REDIS_URL: redis.url } }))
  const a = await Client.open(one, '/rooms/caf%C3%A9')
  await redis.subscribed('acacia:café', 1)
  const b = await Client.open(other, '/rooms/caf%C3%A9')
  await a.hears('somebody has come', 'somebody has come')
  await redis.subscribed('acacia:café', 2)
  a.socket.send('hello')
  await b.hears('somebody has come', 'hello')
  b.socket.send('hi')
  await a.hears('hello', 'hi')
  assert.equal(await (await fetch(`${one.url}/redis`)).text(), 'connected, 1 rooms, 2 messages of others, 0 lost\n')
  assert.match(await (await fetch(one.url)).text(), /<title>Rooms</)
  b.socket.close()
  await a.hears('somebody has left')
  for (const server of [one, other]) await server.stop()
  redis.end()
})

test('options that can\'t be keep the app from starting', async () => {
  const wrong = [['REDIS_URL', 'localhost', /the URL must be redis:/], ['REDIS_URL', 'rediss://a', /TLS/], ['REDIS_URL', `unix:/${'x'.repeat(200)}`, /too long/],
    ['REDIS_USER', 'ada', /a username needs a password/], ['NODE', 'a b', /a node is/]]
  for (const [name, value, reason] of wrong) {
    const program = startProgram('tests/support/rooms_server', { env: { REDIS_URL: 'unix:/nowhere', [name]: value } })
    assert.equal(await program.ended(), 1)
    assert.match(program.stderr, reason)
  }
})
