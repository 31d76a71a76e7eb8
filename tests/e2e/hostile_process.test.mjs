// Hostile input: the process and what it stands on. H33 to H40, and faults from outside.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ANY, SOME, answerOf, ask, connect, descriptors, eachOf, getOf, isServed, postOf, processorTime, residentSize, start, survives, target, transcript, transcriptOf } from './hostile.mjs'
import { MIB, Peer, TEXT, closeAll, closeFrame, frame, get, statsOf, upgradeRequest } from './peer.mjs'
import { Redis, missing } from './redis.mjs'
import { build, each, eventually, startServer, withPatience } from './support.mjs'

const chunked = (path, ...pieces) => [`POST ${path} HTTP/1.1`, 'Host: a', 'Transfer-Encoding: chunked', '', pieces.join('')].join('\r\n')

describe('clients that go', () => {
  const server = target()

  // deaf goes on: it reads, sets headers and cookies, and writes, though nobody is there any more. The second write to
  // a connection that was reset is where SIGPIPE kills others.
  test('H33 a reset in the middle of a handler', () => survives(server, { closed: { ABORTED: SOME, READ_ERROR: ANY, WRITE_ERROR: ANY } }, () => eachOf(60, async i => {
    const peer = await connect(server)
    peer.write([getOf('/deaf'), chunked('/deaf', '3\r\nabc\r\n'), getOf('/deaf').repeat(3)][i % 3])
    await sleep(i)
    peer.reset()
  })))

  test('H33 … of one that writes a GB', () => survives(server, { grows: 12 * MIB, closed: { ABORTED: SOME, READ_ERROR: ANY, WRITE_ERROR: ANY } }, () => eachOf(30, async i => {
    const peer = await connect(server)
    if (i % 2) peer.socket.pause()
    peer.write(getOf(`/big?size=${2 ** 30}`))
    await eventually(() => peer.length > 0 || i % 2, 'the beginning')
    await sleep(i)
    peer.reset()
  })))
})

describe('descriptors', () => {
  const open = (server, n) => each(n, () => new Promise(resolve => {
    const socket = net.connect(server.port, '127.0.0.1', () => resolve(socket))
    socket.on('error', () => resolve(socket))
    socket.resume()
  }))
  const over = async (pid, fn) => {
    const before = processorTime(pid)
    await fn()
    return processorTime(pid) - before
  }

  for (const [name, env, hold] of [['by the limit of connections', { NOFILE: '80' }, 0], ['by none at all', { NOFILE: '200' }, 150]]) {
    test(`H34 descriptors run out: ${name}`, async () => {
      const server = await start({ KEEP_ALIVE_TIMEOUT: '60000', HEAD_TIMEOUT: '60000', ...env })
      if (hold) await get(server, `/hold?count=${hold}`)
      const good = await connect(server)
      assert.equal((await answerOf(good.write(getOf('/text')))).body, 'hi')
      const sockets = await open(server, 150)
      await eventually(() => sockets.filter(socket => socket.destroyed).length > 50, 'some are refused')
      const took = await over(server.child.pid, () => sleep(500))
      assert.ok(took < 0.3, `it does not spin: ${took} s of the processor in 0.5`)
      assert.equal((await answerOf(good.write(getOf('/text')))).body, 'hi') // who is there already is served
      const { closed } = JSON.parse((await answerOf(good.write(getOf('/stats')))).body)
      if (!hold) assert.ok(closed.OVERLOAD >= 90, JSON.stringify(closed))
      if (!hold) assert.equal((await answerOf(good.write(getOf('/hold?count=20')))).body, '20') // there is room for files
      for (const socket of sockets) socket.destroy()
      await eventually(() => get(server, '/text').then(text => text === 'hi', () => false), 'it recovers')
      good.end()
      await server.stop()
    })
  }
})

describe('memory', () => {
  let server
  before(async () => { server = await startServer('tests/support/failing_server') })
  after(() => server.stop())

  // Asked again if it is this request that fails.
  const arm = query => eventually(() => get(server, `/arm${query}`).then(text => /^\d+$/.test(text) && { failed: Number(text) }, () => false), 'it answers again')

  // Every allocation fails in turn, until there are no more of them. `attack` returns what came back.
  async function injected (attack, check) {
    let failed = 0
    for (let after = 0, without = 0; without < 3; after++) {
      const { failed: before } = await arm(`?after=${after}`)
      check(await attack(), after)
      const { failed: now } = await arm('') // and the next one is served
      without = now > before ? 0 : without + 1
      failed += now - before
    }
    closeAll()
    return failed
  }

  const good = 'Authorization: Bearer good'
  const send = text => transcript(server, text).catch(error => { throw new Error(`${text}: ${error.message}`) })

  test('H35 an allocation fails: of a request', async () => {
    const failed = await injected(() => send(postOf('/secret', 'x', 'Connection: close', good)), text => {
      if (/^HTTP\/1\.1 200 /.test(text)) assert.match(text, /\r\nX-Read: yes\r\n[^]*\r\n\r\nthe secret, and x$/)
      else assert.match(text, /^(HTTP\/1\.1 (500|503) |$)/)
    })
    assert.ok(failed > 2, `${failed} have failed`)
  })

  test('H35 … of one that is not allowed: nobody comes past the guard', async () => {
    await injected(() => send(postOf('/secret', 'x', 'Connection: close')), text => assert.match(text, /^(HTTP\/1\.1 (401|500|503) |$)/))
    await injected(() => send(postOf('/secret', 'x', 'Connection: close', 'Authorization: Bearer bad')), text => assert.doesNotMatch(text, /secret/))
  })

  test('H35 … of a handshake, and of a broadcast', async () => {
    const failed = await injected(async () => {
      const peer = await connect(server)
      peer.write(Buffer.concat([Buffer.from(upgradeRequest('/room', [good])), frame(TEXT, 'hello'), closeFrame(1000)]))
      return transcriptOf(peer)
    }, text => assert.match(text, /^(HTTP\/1\.1 (101|500|503) |$)/))
    assert.ok(failed > 5, `${failed} have failed`)
    await injected(() => send(upgradeRequest('/room')), text => assert.match(text, /^(HTTP\/1\.1 (401|500|503) |$)/))
  })
})

describe('a ceiling for memory', () => {
  test('beyond it load is shed: 503, 1013, no new connection; below it all is well again', async () => {
    const server = await start({ MEMORY: String(256 * MIB), KEEP_ALIVE_TIMEOUT: '60000' })
    const [one, other] = await each(2, () => connect(server))
    for (const peer of [one, other]) await answerOf(peer.write(getOf('/text')))
    const socket = await Peer.open(server, '/echo')
    const filling = await connect(server) // what has begun is finished
    filling.write(postOf('/fill?mib=300', 'x').slice(0, -1))
    await eventually(() => residentSize(server.child.pid) > 256 * MIB, 'it is full')
    await sleep(100) // it is looked at every 50 ms
    assert.equal(await transcriptOf(one.write(getOf('/text'))), 'HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n')
    socket.send(frame(TEXT, 'x'))
    assert.deepEqual(await socket.rest(), ['close 1013'])
    const refused = await connect(server)
    assert.equal(await transcriptOf(refused.write(getOf('/text'))), '')
    assert.equal((await answerOf(filling.write('x'))).body, 'filled')
    await eventually(() => get(server, '/text').then(text => text === 'hi', () => false), 'it recovers')
    assert.equal((await answerOf(other.write(getOf('/text')))).body, 'hi', 'who said nothing meanwhile is still there')
    await eventually(async () => (await statsOf(server)).closed.OVERLOAD >= 3, 'each of them is counted')
    closeAll()
    await server.stop()
  })
})

describe('signals', () => {
  const PATIENCE = 10_000

  // Clients of every kind, until there is nobody to talk to.
  async function load (server, n) {
    let over = false
    let answers = 0
    const clients = each(n, async i => {
      while (!over) {
        const peer = await connect(server).catch(() => null)
        if (!peer) return
        const text = [getOf('/text'), getOf('/sleep?ms=3&id=x'), postOf('/echo', 'hello'), getOf('/big?size=300000'), upgradeRequest('/echo'), 'GET /hal'][i % 6]
        peer.write(text)
        if (i % 6 === 4) peer.write(frame(TEXT, 'x'))
        await Promise.race([peer.when(() => peer.length > 0 ? true : undefined, 'anything'), sleep(5 + i)]).catch(() => {})
        if (peer.length) answers++
        if (i % 3) peer.reset()
        else peer.end()
      }
    })
    return { answered: () => answers, end: async () => { over = true; await clients } }
  }

  // A hundred rounds take a minute; CI has some of them.
  const rounds = Number(process.env.ROUNDS ?? 12)
  test(`H36 SIGTERM under load, ${rounds} times`, async () => {
    for (let round = 0; round < rounds; round++) {
      const server = await start({ DRAIN_TIMEOUT: '1000' })
      const { answered, end } = await load(server, 24)
      await eventually(() => answered() > 10 * (round % 4), 'answers')
      await sleep(round % 7)
      server.child.kill('SIGTERM')
      if (round % 3 === 0) server.child.kill(['SIGTERM', 'SIGINT'][round % 2]) // at once: may be one, or two
      assert.equal(await server.ended(), 0, server.stderr)
      await end()
      closeAll()
    }
  })

  test('H36 twice: what would take long is cut', async () => {
    const server = await start({ DRAIN_TIMEOUT: '60000' })
    const peers = await each(20, () => connect(server))
    for (const [i, peer] of peers.entries()) peer.write([getOf('/sleep?ms=60000&id=x'), getOf(`/big?size=${2 ** 30}`), upgradeRequest('/echo'), 'GET /'][i % 4])
    for (const peer of peers) peer.socket.pause()
    await eventually(async () => (await statsOf(server)).requests_active >= 15, 'all are under way')
    server.child.kill('SIGTERM')
    await eventually(() => connect(server).then(peer => peer.end(), () => true), 'nobody is let in')
    server.child.kill('SIGTERM')
    assert.equal(await withPatience(server.ended(), 'the end', PATIENCE), 0, server.stderr)
    closeAll()
  })
})

describe('threads and clocks', () => {
  const server = target({ HEAD_TIMEOUT: '400', KEEP_ALIVE_TIMEOUT: '400' })

  test('H37 eight threads send to sockets, and close them, while they come and go', () =>
    survives(server, { grows: 24 * MIB, closed: { WS_ABNORMAL: ANY, WS_NO_ANSWER: ANY, READ_ERROR: ANY, WRITE_ERROR: ANY } }, () => eachOf(300, async i => {
      const peer = await Peer.open(server, '/watched')
      if (i % 4) assert.match(await peer.next(), /^(text from a thread|close 4008 by a thread)$/)
      if (i % 3 === 0) peer.reset()
      else if (i % 3 === 1) peer.send(closeFrame(1000))
      peer.end()
    })))

  test('H38 the wall clock jumps: no deadline notices', async () => {
    const day = 24 * 3600
    const dateOf = async () => new Date(/\r\nDate: (.*)\r\n/.exec((await ask(server, getOf('/text'))).head)[1])
    const turn = async by => {
      await get(server, `/clock?by=${by}`)
      await eventually(async () => Math.abs(await dateOf() - Date.now() - by * 1000) < 60_000, 'Date follows')
    }
    for (const by of [day, -day, 20 * 365 * day, 0]) {
      const idle = await connect(server)
      await answerOf(idle.write(getOf('/text')))
      const slow = await connect(server)
      slow.write('GET /te')
      const asleep = await connect(server)
      asleep.write(getOf('/sleep?ms=50&id=awake'))
      await turn(by)
      assert.equal((await answerOf(asleep)).body, 'awake')
      assert.equal(await transcriptOf(slow), 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n')
      assert.equal(await transcriptOf(idle), '')
      for (const peer of [idle, slow, asleep]) peer.end()
    }
  })
})

describe('a handler that does not return', () => {
  const server = target({ HEAD_TIMEOUT: '1000', KEEP_ALIVE_TIMEOUT: '1000' })

  // Nothing can stop it, and everybody waits: see docs/limits.md. But who has spoken in time is not cut for that.
  test('who has spoken in time is answered', () => survives(server, { grows: 32 * MIB }, async () => {
    const others = await each(20, () => connect(server))
    await Promise.all(others.map(peer => answerOf(peer.write(getOf('/text')))))
    const culprit = await connect(server)
    culprit.write(getOf('/hang?ms=1800'))
    await sleep(50)
    const late = await connect(server) // by the kernel
    for (const peer of [...others, late]) peer.write(getOf('/text'))
    for (const peer of [...others, late]) assert.equal((await answerOf(peer)).body, 'hi', 'it was sent in time')
    assert.equal((await answerOf(culprit)).body, 'hung')
  }))
})

describe('disks', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'acacia-disk-'))
  after(() => fs.rmSync(folder, { recursive: true, force: true }))
  const server = target({ UPLOADS: folder, FSIZE: String(100_000) })

  const form = size => ['--b', 'Content-Disposition: form-data; name="f"; filename="f"', '', 'x'.repeat(size), '--b--', ''].join('\r\n')
  const upload = (path, size) => postOf(path, form(size), 'Content-Type: multipart/form-data; boundary=b', 'Connection: close')

  test('H39 the disk is full in the middle of an upload', () => survives(server, { closed: { BODY_NOT_READ: ANY, ABORTED: ANY, READ_ERROR: ANY, WRITE_ERROR: ANY } }, async () => {
    assert.match(await transcript(server, upload('/upload', 50_000)), /^HTTP\/1\.1 200 [^]*\r\n\r\nf f 50000,$/)
    for (let i = 0; i < 5; i++) {
      assert.match(await transcript(server, upload('/upload', 300_000)), /^HTTP\/1\.1 507 Insufficient Storage\r\n/)
      assert.match(await transcript(server, upload('/upload/full', 300_000)), /^HTTP\/1\.1 507 Insufficient Storage\r\n/)
    }
    await eachOf(20, async () => { // and those that go in the middle
      const peer = await connect(server)
      peer.write(upload('/upload', 90_000).slice(0, 60_000))
      await sleep(20)
      peer.reset()
    })
    await eventually(() => fs.readdirSync(folder).length === 0, 'nothing is left on it')
  }))

})

describe('brokers', { skip: missing || (!fs.existsSync(`${build}/tests/support/rooms_server`) && 'no hiredis') }, () => {
  let redis
  before(async () => { redis = await Redis.start() })
  after(() => redis.end())
  const server = target(() => ({ REDIS_URL: redis.unix }))

  const enter = n => each(n, () => Peer.open(server, '/shared'))

  // The one who talks waits for what he has said to come back from his own process, and never for Redis.
  test('H40 a broker that dies in the middle of a broadcast', () => survives(server, { grows: 16 * MIB, closed: { READ_ERROR: ANY, WRITE_ERROR: ANY, WS_ABNORMAL: ANY } }, async () => {
    const other = await start({ REDIS_URL: redis.url })
    const [talker, ...near] = await enter(10)
    const far = await each(10, () => Peer.open(other, '/shared'))
    await redis.subscribed('acacia:shared', 2)
    const heard = far.map(() => 0)
    const last = far.map(() => -1)
    const listening = far.map(async (peer, i) => {
      for (let text; (text = await peer.next())?.startsWith('text '); heard[i]++) {
        const number = Number(text.slice(5))
        assert.ok(number > last[i], `${number} behind ${last[i]}`)
        last[i] = number
      }
    })
    let said = 0
    const talkUntil = async (condition, what) => {
      for (const end = Date.now() + 10_000; !condition(); said++) {
        assert.ok(Date.now() < end, what)
        talker.send(frame(TEXT, String(said)))
        for (const peer of [talker, ...near]) assert.equal(await peer.next(), `text ${said}`)
      }
    }
    for (let round = 0; round < 3; round++) {
      const before = [...heard]
      await talkUntil(() => heard.every((n, i) => n > before[i] + 50), 'all hear')
      const at = said
      const killed = redis.kill()
      await talkUntil(() => said > at + 200, 'nobody waits')
      await killed
      if (round === 1) for (const peer of near.splice(0, 4)) peer.reset() // and some go meanwhile
      await redis.begin()
      await redis.subscribed('acacia:shared', 2)
    }
    await talkUntil(() => last.every(number => number > said - 5), 'all hear again')
    await other.stop() // which says goodbye to those who listen
    await Promise.all(listening)
  }))
})

describe('crowds', () => {
  const server = target({ HEAD_TIMEOUT: '120000', KEEP_ALIVE_TIMEOUT: '120000' })

  // Each costs a descriptor, here and there: as many as there are, where they are few.
  const crowd = Math.min(Number(process.env.CROWD ?? 10_000), descriptors - 300)

  test(`${crowd} idle connections don't hurt the next thousand`, async () => {
    const idle = []
    let at = 0
    const add = n => each(50, async () => {
      while (at < n) {
        at++
        const socket = net.connect({ port: server.port, host: '127.0.0.1' })
        socket.on('error', () => {})
        idle.push(socket)
        await once(socket, 'connect')
      }
    })
    const ask1000 = () => each(20, async () => {
      for (let i = 0; i < 50; i++) await isServed(server)
    })
    await ask1000()
    const alone = await processorTimeOf(ask1000)
    const { rss } = await statsOf(server)
    await add(crowd)
    await eventually(async () => (await statsOf(server)).connections === crowd, 'all of them are in')
    const each1 = ((await statsOf(server)).rss - rss) / crowd
    const among = await processorTimeOf(ask1000)
    assert.ok(among < 3 * alone + 0.3, `${among} s among them, ${alone} s alone`)
    assert.ok(each1 < 4096, `${each1} bytes for each of them`)
    for (const socket of idle) socket.destroy()
    await eventually(async () => (await statsOf(server)).connections === 0, 'all of them are gone')
  })

  async function processorTimeOf (fn) {
    const before = processorTime(server.child.pid)
    await fn()
    return processorTime(server.child.pid) - before
  }
})
