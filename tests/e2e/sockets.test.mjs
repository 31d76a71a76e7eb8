// WebSockets among each other: rooms, ids, pieces and fragments, slow receivers, health, who may come in, compression,
// and what bad company costs. The server is support/crowd_server.c.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  BINARY, CLOSE, CONTINUATION, Deflater, KEY, KIB, LEAN, MIB, PING, PONG, Peer, RSV1, TEXT, closeFrame, connect as open, eachOf,
  fragments, frame, get, growsBy, isAtRest, part, serverOfTests, shown, statsOf, upgradeRequest
} from './peer.mjs'
import { eventually, withPatience } from './support.mjs'
import { chance } from './traffic/chance.mjs'

const crowd = env => serverOfTests('tests/support/crowd_server', env)

let ids = 0
const newId = () => `s${++ids}`
const pathOf = (path, query = {}) => `${path}?${new URLSearchParams(query)}`
const notesOf = async (server, id) => (await get(server, `/log?id=${id}`)).split('\n').slice(0, -1)
const at = (server, run, id) => get(server, pathOf('/at', id ? { id, run } : { run }))

async function noted (server, id, line) {
  let notes
  await eventually(async () => (notes = await notesOf(server, id)).includes(line), () => `${id}: ${line}, but ${notes?.join('|')}`)
}

// What the server sends where it may send anything.
const PERIOD = 65536
const pattern = Buffer.from(Array.from({ length: PERIOD }, (_, i) => i * 31 + (i >> 8) * 7 & 255))
const patternOf = size => Buffer.alloc(size, pattern)

// A socket that does as it is told, by an ordinary client.
async function connect (server, query = {}, { path = '/do', ...options } = {}) {
  const id = query.id ?? newId()
  const ws = await open(server, pathOf(path, { ...query, id }), { perMessageDeflate: false, ...options })
  ws.id = id
  ws.ask = async run => {
    ws.send(`?${run}`)
    return ws.take()
  }
  return ws
}

// By a client that sees every byte.
async function meet (server, query = {}, { path = '/do', ...options } = {}) {
  const id = query.id ?? newId()
  const peer = await Peer.open(server, pathOf(path, { ...query, id }), options)
  peer.id = id
  peer.do = run => peer.send(frame(TEXT, `!${run}`))
  peer.isClosed = async close => { // by the server, which waits for an answer
    assert.equal(await peer.next(), close)
    peer.send(frame(CLOSE))
    assert.deepEqual(await peer.rest(), [])
  }
  peer.ask = async run => {
    peer.send(frame(TEXT, `?${run}`))
    return String((await peer.message()).payload)
  }
  return peer
}

const each = (n, fn) => Promise.all(Array.from({ length: n }, (_, i) => fn(i)))

async function byeAll (...sockets) {
  for (const ws of sockets) ws.close(1000)
  for (const ws of sockets) assert.equal(await ws.end(), '1000')
}

// A socket leaves when its connection ends, which a client sees a little earlier.
const isEmpty = (server, room) =>
  eventually(async () => await at(server, `count ${room}`) === '0', `nobody is in ${room}`)

// --- Rooms ---------------------------------------------------------------------------------------

describe('rooms', () => {
  const server = crowd()

  test('in, out, to all, to the others', async () => {
    const [a, b, c] = await each(3, () => connect(server))
    assert.equal(await a.ask('count red;join red;join red;count red'), '0 0 0 1')
    assert.equal(await b.ask('join red;join blue;count blue'), '0 0 1')
    assert.equal(await c.ask('publish red 1;others blue 2;publish nobody 3'), '2 1 0')
    assert.equal(await a.take(), '1')
    assert.deepEqual([await b.take(), await b.take()], ['1', '2'])
    assert.equal(await a.ask('others red 3;leave blue;leave red;leave red;leave red;count red;publish red 4'), '1 0 0 0 0 1 1')
    assert.deepEqual([await b.take(), await b.take()], ['3', '4'])
    assert.equal(await b.ask('publish red 5;leave red;publish red 6'), '5') // its own one comes first
    assert.equal(await b.take(), '1 0 0')
    assert.deepEqual([a.messages, c.messages], [[], []])
    await byeAll(a, b, c)
  })

  test('a name is any string', async () => {
    const names = ['', ' ', 'a', 'A', 'ü'.repeat(500), '%zz', '\t', '漢', 'x'.repeat(10_000)]
    const ws = await connect(server)
    for (const name of names) {
      ws.send(`?join ${name};count ${name || 'nothing'}`)
      assert.equal(await ws.take(), name ? '0 1' : '0 0')
    }
    for (const name of names.filter(Boolean)) assert.equal(await ws.ask(`leave ${name};count ${name}`), '0 0')
    await byeAll(ws)
  })

  test('a socket that closes has left, before its close handler', async () => {
    for (const [leave, code] of [[ws => ws.close(1000), '1000'], [ws => ws.terminate(), '1006'], [ws => ws._socket.resetAndDestroy(), '1006']]) {
      const stays = await connect(server)
      const goes = await connect(server, { on_open: 'join red', on_close: 'count red;publish red gone;join red' })
      assert.equal(await stays.ask('join red;count red'), '0 2')
      leave(goes)
      assert.equal(await stays.take(), 'gone')
      assert.equal(await stays.ask('count red'), '1')
      await noted(server, goes.id, 'on_close: 1 1 -107') // ENOTCONN
      assert.ok((await notesOf(server, goes.id)).some(line => line.startsWith(`close ${code}`)))
      await byeAll(stays)
      await isEmpty(server, 'red')
    }
  })

  test('a socket that is being closed gets nothing more', async () => {
    const peer = await meet(server)
    await peer.ask('join red')
    peer.do('close 4000;publish red late;broadcast late;send late')
    await peer.isClosed('close 4000')
    await isEmpty(server, 'red')
  })

  test('joined before it was accepted: that accepts it', async () => {
    const ws = await connect(server, { first: 'join red;count red' })
    assert.equal(await at(server, 'publish red hello'), '1')
    assert.equal(await ws.take(), 'hello')
    assert.deepEqual(await notesOf(server, ws.id), ['first: 0 1'])
    await byeAll(ws)
  })

  test('each, who leaves, comes back, moves, closes, or tells the others', async () => {
    for (const [what, count, left] of [
      ['hello', 5, 5], ['leave', 5, 0], ['rejoin', 5, 5], ['move', 5, 0], ['empty', 1, 0], ['publish', 30, 5]
    ]) {
      const sockets = await each(5, () => connect(server, { on_open: 'join red' }))
      assert.equal(await at(server, `room red ${what};count red`), `${count} ${left}`, what)
      assert.equal(await at(server, `room red ${what}`), what === 'leave' || what === 'move' || what === 'empty' ? '0' : String(count))
      if (what === 'move') assert.equal(await at(server, 'count elsewhere'), '5')
      for (const ws of sockets) assert.equal(await ws.ask('leave red;join red;count red').then(() => 'well'), 'well')
      await byeAll(...sockets)
      await isAtRest(server)
    }
    assert.equal(await at(server, 'count red;count elsewhere'), '0 0')
  })

  test('each, who is closed or cut', async () => {
    for (const [what, code] of [['close', '4001 each'], ['terminate', '1006']]) {
      for (const run of [`room red ${what}`, `each ${what}`]) {
        const sockets = await each(5, () => connect(server, { on_open: 'join red' }))
        assert.equal(await at(server, `${run};publish red late;broadcast late`), '5 0 0')
        for (const ws of sockets) assert.equal(await ws.end(), code)
        await isAtRest(server)
      }
    }
  })

  test('and by a handler of one of them', async () => {
    const sockets = await each(5, () => connect(server, { on_open: 'join red' }))
    sockets[2].send('!room red close;room red leave;each close')
    for (const ws of sockets) assert.equal(await ws.end(), '4001 each')
    await isAtRest(server)
    assert.equal(await at(server, 'count red;count'), '0 0')
  })

  test('by a text of the query: broadcast_if; and to everybody', async () => {
    const sockets = await each(6, i => connect(server, { tag: i % 2 ? 'odd' : 'even' }))
    assert.equal(await at(server, 'tagged odd;tagged even;tagged none;broadcast all'), '3 3 0 6')
    for (const [i, ws] of sockets.entries()) {
      assert.deepEqual([await ws.take(), await ws.take()], [i % 2 ? 'odd' : 'even', 'all'])
    }
    await byeAll(...sockets)
  })

  test('a thousand rooms of one socket, a thousand sockets in one room', async () => {
    const ws = await connect(server)
    for (let i = 0; i < 1000; i++) ws.send(`?join room${i};count room${i};publish room${i} ${i}`)
    for (let i = 0; i < 1000; i++) assert.deepEqual([await ws.take(), await ws.take()], [`${i}`, '0 1 1'])
    const many = await each(200, () => connect(server, { on_open: 'join all' }))
    assert.equal(await at(server, 'publish all hello'), '200')
    for (const one of many) assert.equal(await one.take(), 'hello')
    many.forEach((one, i) => i % 2 ? one.close(1000) : one.terminate())
    await Promise.all(many.map(one => one.end()))
    await byeAll(ws)
    await isAtRest(server)
    assert.equal(await at(server, 'count all;count room7'), '0 0')
  })

  test('whatever joins, leaves, comes and goes: as a list would have it', async () => {
    const r = chance('rooms')
    const names = Array.from({ length: 12 }, (_, i) => `room${i}`)
    const sockets = []
    for (let step = 0; step < 600; step++) {
      const what = r.below(20)
      const ws = r.pick(sockets.length ? sockets : [null])
      if (!ws || (what === 0 && sockets.length < 20)) {
        const one = await connect(server)
        sockets.push(Object.assign(one, { rooms: new Set() }))
      } else if (what === 1) {
        sockets.splice(sockets.indexOf(ws), 1)
        if (r.one(0.5)) ws.close(1000)
        else ws.terminate()
        await ws.end()
        await eventually(async () => await at(server, 'count') === String(sockets.length), 'it is gone')
      } else if (what < 9) {
        const name = r.pick(names)
        ws.rooms.add(name)
        assert.equal(await ws.ask(`join ${name}`), '0')
      } else if (what < 13) {
        const name = r.pick(names)
        ws.rooms.delete(name)
        assert.equal(await ws.ask(`leave ${name}`), '0')
      } else {
        const name = r.pick(names)
        const members = sockets.filter(one => one.rooms.has(name))
        assert.equal(await at(server, `count ${name};publish ${name} ${step}`), `${members.length} ${members.length}`)
        for (const one of members) assert.equal(await one.take(), `${step}`)
      }
    }
    assert.ok(sockets.every(ws => ws.messages.length === 0))
    await byeAll(...sockets)
    await isAtRest(server)
  })
})

// --- Ids -----------------------------------------------------------------------------------------

describe('ids', () => {
  const server = crowd()

  test('from a thread: in order, then a close; nobody is no error', async () => {
    const sockets = await each(4, () => connect(server))
    for (const ws of sockets) ws.send('!produce 500')
    for (const ws of sockets) {
      for (let i = 0; i < 500; i++) assert.equal(await ws.take(), String(i))
      assert.equal(await ws.end(), '4000 produced')
    }
  })

  test('unlike any other, the same as long as it lives, then nobody', async () => {
    const seen = new Set()
    for (let i = 0; i < 100; i++) {
      const ws = await connect(server)
      const [id, again] = (await ws.ask('id;id')).split(' ')
      assert.ok(Number(id) > 0 && id === again && !seen.has(id))
      seen.add(id)
      assert.equal(await at(server, `found ${id}`), '1')
      if (i % 10 === 0) continue
      ws.terminate()
      await ws.end()
      await eventually(async () => await at(server, `found ${id}`) === '0', 'it is gone')
    }
    assert.equal(await at(server, 'count'), '10')
    const gone = [...seen].filter((id, i) => i % 10)
    assert.equal(await at(server, gone.map(id => `found ${id}`).join(';')), Array(90).fill(0).join(' '))
    assert.equal(await at(server, `produce ${gone[3]} 5;found 0;found 123456789`), '0 0 0')
    assert.equal(await at(server, 'close_id 0 4000;close_id 5 999;close_id 5 1005'), '0 -22 -22')
    await at(server, 'each close')
    await isAtRest(server)
  })

  test('many at once: found by their ids', async () => {
    const sockets = await each(300, () => connect(server))
    const list = await Promise.all(sockets.map(ws => ws.ask('id')))
    assert.equal(new Set(list).size, 300)
    assert.equal(await at(server, list.map(id => `found ${id}`).join(';')), Array(300).fill(1).join(' '))
    assert.equal(await at(server, list.filter((_, i) => i % 3).map(id => `close_id ${id} 4003`).join(';')), Array(200).fill(0).join(' '))
    await Promise.all(sockets.filter((_, i) => i % 3).map(async ws => assert.equal(await ws.end(), '4003')))
    await eventually(async () => await at(server, 'count') === '100', 'the others stay')
    assert.equal(await at(server, list.map(id => `found ${id}`).join(';')), list.map((_, i) => i % 3 ? 0 : 1).join(' '))
    await byeAll(...sockets.filter((_, i) => i % 3 === 0))
  })

  test('in the close handler: none any more', async () => {
    const ws = await connect(server, { on_close: 'id' })
    const id = await ws.ask('id')
    await byeAll(ws)
    await noted(server, ws.id, 'on_close: 0')
    assert.equal(await at(server, `found ${id}`), '0')
  })

  test('of one that is refused: nobody', async () => {
    for (const first of ['id;throw 401', 'id;sleep 5;throw 401', 'id;terminate']) {
      const id = newId()
      const peer = new Peer(server)
      peer.socket.write(upgradeRequest(pathOf('/do', { id, first, refuse: 1 })))
      await peer.readHead()
      peer.end()
      await isAtRest(server)
      const number = /^first: (\d+)/.exec((await notesOf(server, id))[0])[1]
      assert.ok(Number(number) > 0)
      assert.equal(await at(server, `found ${number};close_id ${number} 4000`), '0 0')
    }
  })

  test('of one that is not accepted yet: sent to, and so accepted', async () => {
    const peer = new Peer(server)
    const id = newId()
    peer.socket.write(upgradeRequest(pathOf('/do', { id, first: 'id;produce 3;sleep 100', refuse: 1 })))
    assert.match(await peer.readHead(), /^HTTP\/1\.1 101 /)
    for (const text of ['text 0', 'text 1', 'text 2', 'close 4000 produced']) assert.equal(await peer.next(), text)
    peer.end()
  })
})

// --- Pieces --------------------------------------------------------------------------------------

describe('pieces', () => {
  const server = crowd({ ...LEAN, DEFLATE: '1' })
  const take = async peer => String((await peer.message()).payload)

  // A message of that many bytes, as it goes by: its header says so, and the pattern follows.
  async function sendLong (peer, size) {
    const head = frame(BINARY, '', { announce: size, lengthBytes: 8, key: Buffer.alloc(4) })
    peer.socket.write(head)
    for (let left = size; left > 0; left -= PERIOD) {
      const more = peer.socket.write(left < PERIOD ? pattern.subarray(0, left) : pattern)
      if (!more) await once(peer.socket, 'drain')
    }
  }

  for (const path of ['/parts', '/parts/loop']) {
    test(`${path}: of every size, whole, in fragments, byte by byte`, async () => {
      const peer = await meet(server, {}, { path })
      for (const size of [0, 1, 125, 126, 65535, 65536, 65537, 200_000]) {
        for (const cut of [Infinity, 100, 65536]) {
          peer.send(...fragments(BINARY, patternOf(size), cut))
          assert.match(await take(peer), new RegExp(`^${size} \\d+ \\d+ good$`))
        }
      }
      peer.send(frame(BINARY, ''))
      assert.equal(await take(peer), '0 1 0 good')
      await peer.sendChopped(frame(BINARY, patternOf(1000)), 1)
      assert.match(await take(peer), /^1000 \d+ \d+ good$/)
      await peer.bye()
    })

    test(`${path}: 64 MiB, more than a message may have; memory stays as it is`, async () => {
      const peer = await meet(server, {}, { path })
      await growsBy(server, 6 * MIB, async () => {
        await sendLong(peer, 64 * MIB)
        const [size, pieces, largest, good] = (await take(peer)).split(' ')
        assert.deepEqual([size, good], [String(64 * MIB), 'good'])
        assert.ok(Number(pieces) >= 1024 && Number(largest) <= 65536, `${pieces} ${largest}`)
      })
      await peer.bye()
    })

    test(`${path}: 64 MiB that were 64 KiB when compressed; memory stays as it is`, async () => {
      const peer = await meet(server, {}, { path, offer: 'permessage-deflate' })
      const bytes = await peer.deflater.message(Buffer.alloc(64 * MIB, pattern))
      await growsBy(server, 6 * MIB, async () => {
        for (const cut of [Infinity, 1000]) {
          peer.send(...fragments(BINARY, bytes, cut, { rsv: RSV1 }))
          const [size, , largest, good] = (await take(peer)).split(' ')
          assert.deepEqual([size, good], [String(64 * MIB), 'good'])
          assert.ok(Number(largest) <= 131072, largest)
          if (cut === Infinity) peer.deflater.end() // the same again needs no window
        }
      })
      await peer.bye()
    })
  }

  test('a handler that is slow: the sender is slowed down', async () => {
    const peer = await meet(server, { ms: 5 }, { path: '/parts' })
    await growsBy(server, 6 * MIB, async () => {
      const sent = sendLong(peer, 16 * MIB)
      await sleep(150)
      assert.ok(peer.socket.writableLength > 0 || !peer.over)
      await sent
      assert.match(await take(peer), /^16777216 \d+ \d+ good$/)
    })
    await peer.bye()
  })

  test('pings between two pieces are answered', async () => {
    const peer = await meet(server, {}, { path: '/parts' })
    peer.send(part(BINARY, patternOf(10)), frame(PING, 'p'), frame(CONTINUATION, patternOf(20).subarray(10)))
    assert.equal(await peer.next(), 'pong 70')
    assert.match(await take(peer), /^20 [12] \d+ good$/)
    await peer.bye()
  })

  test('text is checked across pieces, and fails fast', async () => {
    for (const [frames, code] of [
      [[part(TEXT, [0xe2, 0x82]), frame(CONTINUATION, [0xac])], 0],
      [[part(TEXT, [0xe2, 0x82]), part(CONTINUATION, [0x41])], 1007],
      [[part(TEXT, [0xe2, 0x82]), frame(CONTINUATION)], 1007],
      [[part(TEXT, 'ok'), part(CONTINUATION, [0xff])], 1007]
    ]) {
      const peer = await meet(server, {}, { path: '/parts' })
      peer.send(...frames)
      if (code) {
        assert.deepEqual(await peer.rest(), [`close ${code}`])
        await noted(server, peer.id, 'error EILSEQ invalid UTF-8')
      } else {
        assert.match(await take(peer), /^3 /)
        await peer.bye()
      }
    }
  })

  test('fragments are counted, whatever a message weighs', async () => {
    const peer = await meet(server, {}, { path: '/parts' })
    peer.send(part(BINARY, 'x'), ...Array(16_384).fill(part(CONTINUATION, 'x')))
    assert.equal(await peer.next(), 'close 1008')
    peer.end()
  })

  test('an end in the middle of a message', async () => {
    for (const path of ['/parts', '/parts/loop']) {
      for (const end of [peer => peer.send(closeFrame(1000)), peer => peer.reset(), peer => peer.socket.end()]) {
        const peer = await meet(server, {}, { path })
        peer.send(part(BINARY, patternOf(100_000)))
        end(peer)
        peer.socket.resume().end()
        await isAtRest(server)
        const notes = (await notesOf(server, peer.id)).join()
        assert.match(notes, /close 100[06]|over 100[06]/)
        peer.end()
      }
    }
  })

  test('a piece, and then whole messages: what is left of the first is skipped', async () => {
    const peer = await meet(server, {}, { path: '/parts/mixed' })
    peer.send(frame(TEXT, 'a'), frame(TEXT, 'b'))
    assert.equal(await take(peer), 'all of 1, then b')
    peer.send(part(TEXT, 'some'))
    await sleep(20)
    peer.send(part(CONTINUATION, 'more'), frame(PING, 'p'), frame(CONTINUATION, 'rest'), part(TEXT, 'who'), frame(CONTINUATION, 'le'))
    assert.equal(await peer.next(), 'pong 70')
    assert.match(await take(peer), /^some of \d+, then whole$/)
    peer.send(part(BINARY, patternOf(300_000)), frame(CONTINUATION, patternOf(300_000)), frame(TEXT, 'end'))
    assert.match(await take(peer), /^some of \d+, then end$/)
    await peer.bye()
  })
})

// --- Fragments -----------------------------------------------------------------------------------

describe('fragments', () => {
  const server = crowd()

  test('between them: pongs at once, whole messages behind the last', async () => {
    const peer = await meet(server)
    await peer.ask('join red')
    peer.do('fragment a;fragment b')
    assert.deepEqual([await peer.anyFrame(), await peer.anyFrame()].map(({ fin, opcode, payload }) => `${fin} ${opcode} ${payload}`),
      ['false 1 a', 'false 0 b'])
    assert.equal(await at(server, 'publish red 1;broadcast 2'), '1 1')
    assert.equal(await at(server, 'send 3;ping p', peer.id), '0 0')
    peer.send(frame(PING, 'q'))
    assert.deepEqual([await peer.next(), await peer.next()], ['ping 70', 'pong 71'])
    peer.do('send 4;last c;send 5')
    const { fin, opcode, payload } = await peer.anyFrame()
    assert.deepEqual([fin, opcode, String(payload)], [true, 0, 'c'])
    for (const text of ['text 1', 'text 2', 'text 3', 'text 4', 'text 5']) assert.equal(await peer.next(), text)
    await peer.bye()
  })

  test('only one, empty ones, none of the beginning', async () => {
    const peer = await meet(server)
    peer.do('last whole;fragment ;fragment ;last ;fragment x;last ')
    for (const [text, frames] of [['whole', 1], ['', 3], ['x', 2]]) {
      const message = await peer.message()
      assert.deepEqual([String(message.payload), message.frames, message.opcode], [text, frames, TEXT])
    }
    await peer.bye()
  })

  test('a close in the middle, and what others have sent meanwhile', async () => {
    const peer = await meet(server)
    peer.do('fragment a;send b;close 4000')
    assert.equal(String((await peer.anyFrame()).payload), 'a')
    await peer.isClosed('close 4000')
  })

  test('a handler that waits for its own messages, which wait for its fragments: they are sent all the same', async () => {
    const peer = await meet(server)
    peer.do('fragment a;size 100000;send b;flush;last c;flush')
    const message = await peer.message()
    assert.equal(String(message.payload), 'ac')
    assert.equal((await peer.message()).payload.length, 100_000)
    assert.equal(await peer.nextMessage(), 'text b')
    assert.equal(await peer.ask('buffered'), '0')
    await peer.bye()
  })

  test('32 MiB of them, to one who reads, and one who does not at once', async () => {
    for (const pause of [0, 200]) {
      const peer = await meet(server)
      if (pause) peer.socket.pause()
      peer.do('stream 65536 512;send done')
      if (pause) {
        await sleep(pause)
        await eventually(async () => (await statsOf(server)).coroutines === 1, 'the handler waits')
        assert.equal(await at(server, 'broadcast between'), '1')
        peer.socket.resume()
      }
      const { payload, frames, opcode } = await peer.message()
      assert.deepEqual([frames, opcode], [512, BINARY])
      assert.ok(payload.equals(patternOf(32 * MIB)))
      assert.deepEqual([await peer.nextMessage(), pause ? await peer.nextMessage() : ''], pause ? ['text between', 'text done'] : ['text done', ''])
      await peer.bye()
    }
  })

  test('what waits behind the last is sent, however much it is', async () => {
    const peer = await meet(server)
    await peer.ask('join red')
    for (let round = 0; round < 3; round++) {
      peer.do('fragment a')
      assert.equal(String((await peer.anyFrame()).payload), 'a')
      for (let i = 0; i < 20; i++) assert.equal(await at(server, 'fill red 50000'), '1')
      assert.equal(await at(server, 'last b;publish red c', peer.id), '0 1')
      assert.equal(String((await peer.anyFrame()).payload), 'b')
      for (let i = 0; i < 20; i++) assert.ok((await peer.message()).payload.equals(patternOf(50_000)))
      assert.equal(await peer.next(), 'text c')
    }
    await peer.bye()
  })

  test('counted as one message', async () => {
    const peer = await meet(server)
    await peer.ask('id')
    const { messages_sent: before } = await statsOf(server)
    peer.do('fragment a;fragment b;send x;last c')
    for (const text of ['text abc', 'text x']) assert.equal(await peer.nextMessage(), text)
    assert.equal((await statsOf(server)).messages_sent - before, 2)
    await peer.bye()
  })
})

// --- Slow receivers ------------------------------------------------------------------------------

describe('slow receivers', () => {
  const CLOSE_POLICY = 0
  const NEWEST = 1
  const OLDEST = 2
  const server = crowd({ ...LEAN, CLOSE_TIMEOUT: 500 })

  // One that reads nothing, until it is told to.
  async function stalled (query, path = '/configured') {
    const peer = await meet(server, query, { path })
    peer.socket.pause()
    return peer
  }

  // The numbers of what it gets from now on, so many, and how it ends.
  async function numbers (peer, length, count = Infinity) {
    const list = []
    peer.socket.resume()
    for (let next; list.length < count && (next = await peer.message());) {
      if (next.opcode === CLOSE) return [list, next.payload.readUInt16BE()]
      if (next.opcode !== TEXT) continue
      assert.equal(next.payload.length, length, 'whole messages only')
      list.push(parseInt(next.payload))
    }
    return [list]
  }

  const ascends = list => list.every((n, i) => i === 0 || n > list[i - 1])
  const resultsOf = async id => (await notesOf(server, id)).find(line => line.startsWith('sent ')).match(/\d+/g).map(Number)

  test('closed with 1013, by default', async () => {
    const before = await statsOf(server)
    const peer = await stalled({ buffered_size: MIB, overflow: CLOSE_POLICY })
    await at(server, 'numbers 10000 3000', peer.id)
    const [sent, waiting, dropped, failed] = await resultsOf(peer.id)
    assert.ok(sent > 0 && waiting > 0 && dropped === 0 && failed > 0, `${[sent, waiting, dropped, failed]}`)
    const [list, code] = await numbers(peer, 10_000)
    assert.deepEqual(list, Array.from({ length: sent + waiting }, (_, i) => i))
    assert.equal(code, 1013)
    peer.end()
    await isAtRest(server)
    await noted(server, peer.id, 'error ENOBUFS too much waits to be sent')
    const after = await statsOf(server)
    assert.equal(after.closed.WS_SLOW ?? 0, (before.closed.WS_SLOW ?? 0) + 1)
    assert.equal(after.messages_dropped, before.messages_dropped)
    assert.equal(after.messages_sent - before.messages_sent, sent + waiting)
  })

  test('the newest are dropped', async () => {
    const before = await statsOf(server)
    const peer = await stalled({ buffered_size: MIB, overflow: NEWEST })
    await at(server, 'numbers 10000 3000', peer.id)
    const [sent, waiting, dropped, failed] = await resultsOf(peer.id)
    assert.ok(sent > 0 && waiting > 0 && dropped > 0 && failed === 0, `${[sent, waiting, dropped, failed]}`)
    await growsBy(server, 3 * MIB, () => at(server, 'numbers 10000 1000', peer.id))
    const { messages_dropped: total } = await statsOf(server)
    assert.ok(total - before.messages_dropped >= dropped + 900)
    const count = 4000 - (total - before.messages_dropped)
    const [list] = await numbers(peer, 10_000, count)
    const again = list.lastIndexOf(0) > 0 ? list.lastIndexOf(0) : list.findIndex((n, i) => n < list[i - 1])
    assert.ok(ascends(list.slice(0, again)) && ascends(list.slice(again)), 'in order')
    await eventually(async () => await at(server, 'buffered', peer.id) === '0', 'all has gone')
    assert.equal(await at(server, 'numbers 100 3', peer.id), '0')
    assert.deepEqual(await numbers(peer, 100, 3), [[0, 1, 2]])
    assert.equal((await statsOf(server)).messages_sent - before.messages_sent, count + 3)
    await peer.bye()
  })

  test('the oldest are dropped', async () => {
    const before = await statsOf(server)
    const peer = await stalled({ buffered_size: MIB, overflow: OLDEST })
    await growsBy(server, 4 * MIB, () => at(server, 'numbers 10000 5000', peer.id))
    const [sent, waiting, result, failed] = await resultsOf(peer.id)
    assert.deepEqual([sent + waiting, result, failed], [5000, 0, 0])
    const { messages_dropped: total } = await statsOf(server)
    const dropped = total - before.messages_dropped
    assert.ok(dropped > 0)
    const [list] = await numbers(peer, 10_000, 5000 - dropped)
    assert.ok(ascends(list))
    assert.deepEqual([list[0], list.at(-1)], [0, 4999], 'what was on its way already, and what is new')
    await eventually(async () => (await statsOf(server)).messages_sent - before.messages_sent === list.length, 'counted when they go')
    await peer.bye()
  })

  test('the oldest of a room, while the others get all', async () => {
    const peer = await stalled({ buffered_size: MIB, overflow: OLDEST, on_open: 'join red' })
    const others = await each(3, () => connect(server, { on_open: 'join red' }))
    for (let i = 0; i < 100; i++) assert.equal(await at(server, 'fill red 200000'), '4')
    for (const ws of others) {
      for (let i = 0; i < 100; i++) assert.ok((await ws.take()).equals(patternOf(200_000)))
    }
    assert.equal(await at(server, 'publish red end'), '4')
    peer.socket.resume()
    let count = 0
    for (let next; (next = await peer.message()).opcode !== TEXT; count++) assert.ok(next.payload.equals(patternOf(200_000)))
    assert.ok(count < 100 && count > 0, `${count}`)
    for (const ws of others) assert.equal(await ws.take(), 'end')
    await byeAll(...others)
    await peer.bye()
  })

  test('fragments are not dropped: the socket is closed', async () => {
    for (const overflow of [NEWEST, OLDEST]) {
      const peer = await stalled({ buffered_size: MIB, overflow })
      const result = await at(server, 'stream 65536 1000', peer.id)
      assert.match(result, /^-105$/) // ENOBUFS
      peer.socket.resume()
      let closed
      for (let next; (next = await peer.anyFrame());) if (next.opcode === CLOSE) closed = next.payload.readUInt16BE()
      assert.equal(closed, 1013)
      peer.end()
    }
  })

  test('a close behind what waits: all of that still arrives', async () => {
    for (const overflow of [CLOSE_POLICY, NEWEST, OLDEST]) {
      const peer = await stalled({ buffered_size: 64 * MIB, overflow, close_timeout: 5000 })
      await at(server, 'numbers 10000 2000;close 4000', peer.id)
      const [list, code] = await numbers(peer, 10_000)
      assert.deepEqual([list.length, list.at(-1), code], [2000, 1999, 4000])
      peer.end()
    }
  })

  test('a message that is larger than all that may wait', async () => {
    for (const overflow of [CLOSE_POLICY, NEWEST, OLDEST]) {
      const peer = await meet(server, { buffered_size: 1000, overflow }, { path: '/configured' })
      assert.equal(await at(server, 'size 100000', peer.id).then(n => n >= 0), true)
      assert.ok((await peer.message()).payload.equals(patternOf(100_000)))
      await peer.bye()
    }
  })

  test('ws_flush waits for the reader; ws_on_drain tells others', async () => {
    const peer = await stalled({})
    peer.do('size 12000000;flush;buffered;send flushed')
    await sleep(100)
    await eventually(async () => (await statsOf(server)).coroutines === 1, 'it waits')
    peer.socket.resume()
    assert.equal((await peer.message()).payload.length, 12_000_000)
    assert.equal(await peer.nextMessage(), 'text flushed')

    peer.socket.pause()
    assert.equal(await at(server, 'size 12000000;flush', peer.id), '1 1', 'here nobody can wait')
    assert.ok(!(await notesOf(server, peer.id)).includes('drained'))
    peer.socket.resume()
    assert.equal((await peer.message()).payload.length, 12_000_000)
    await noted(server, peer.id, 'drained')
    assert.equal(await at(server, 'flush;buffered', peer.id), '0 0')
    assert.equal((await notesOf(server, peer.id)).filter(line => line === 'drained').length, 1)
    await peer.bye()
  })

  test('a flush that never ends, when the peer goes or is closed', async () => {
    for (const end of [peer => peer.reset(), peer => at(server, 'terminate', peer.id), peer => at(server, 'close 4000', peer.id)]) {
      const peer = await stalled({ on_close: 'state' })
      peer.do('size 12000000;flush;send more')
      await eventually(async () => (await statsOf(server)).coroutines === 1, 'it waits')
      await end(peer)
      peer.end()
      await isAtRest(server)
      await noted(server, peer.id, 'on_close: 3')
    }
  })

  test('one in a room that has stalled delays nobody', async () => {
    const peer = await stalled({ buffered_size: 4 * MIB, on_open: 'join red', close_timeout: 20_000 })
    const others = await each(10, () => connect(server, { on_open: 'join red' }))
    let longest = 0
    for (let i = 0; i < 100; i++) {
      const began = performance.now()
      await at(server, 'fill red 262144')
      for (const ws of others) assert.equal((await ws.take()).length, 262_144)
      longest = Math.max(longest, performance.now() - began)
    }
    assert.ok(longest < 2000, `${longest}`)
    assert.equal(await at(server, 'count red').then(Number) >= 10, true)
    const [, code] = await numbers(peer, 262_144)
    assert.equal(code, 1013)
    peer.end()
    await byeAll(...others)
  })
})

// --- Pausing -------------------------------------------------------------------------------------

describe('pausing', () => {
  const server = crowd({ ...LEAN, MESSAGE_SIZE: 4 * MIB })

  test('nothing is handled, nothing is lost', async () => {
    const peer = await meet(server)
    assert.equal(await at(server, 'pause', peer.id), '0')
    for (let i = 0; i < 100; i++) peer.send(frame(TEXT, `${i}`), frame(PING, `${i}`))
    await sleep(50)
    assert.equal(peer.length, 0)
    assert.equal(await at(server, 'resume;resume', peer.id), '0 0')
    for (let i = 0; i < 100; i++) {
      assert.equal(await peer.next(), `text ${i}`)
      assert.equal(await peer.next(), shown(PONG, `${i}`))
    }
    await peer.bye()
  })

  test('the peer waits, with all that it has; memory stays as it is', async () => {
    const peer = await meet(server)
    await at(server, 'pause', peer.id)
    await growsBy(server, 3 * MIB, async () => {
      for (let i = 0; i < 32; i++) peer.send(frame(BINARY, patternOf(MIB)))
      await sleep(300)
      assert.ok(peer.socket.writableLength > 8 * MIB)
    })
    await at(server, 'resume', peer.id)
    for (let i = 0; i < 32; i++) assert.ok((await peer.message()).payload.equals(patternOf(MIB)))
    await peer.bye()
  })

  test('in its own handler: the next message waits', async () => {
    const ws = await connect(server)
    ws.send('?pause')
    ws.send('?count')
    assert.equal(await ws.take(), '0')
    await sleep(30)
    assert.deepEqual(ws.messages, [])
    await at(server, 'resume', ws.id)
    assert.equal(await ws.take(), '1')
    ws.send('?pause;recv;resume') // who asks for a message gets it all the same
    ws.send('asked for')
    assert.equal(await ws.take(), '0 1 0')
    await noted(server, ws.id, 'received asked for')
    await byeAll(ws)
  })

  test('before it reads anything, and closed while it is paused', async () => {
    const peer = await meet(server, { on_open: 'pause' }, { early: [frame(TEXT, 'early')] })
    await sleep(20)
    assert.equal(peer.length, 0)
    await at(server, 'resume', peer.id)
    assert.equal(await peer.next(), 'text early')
    await at(server, 'pause;close 4000', peer.id)
    await peer.isClosed('close 4000')
    const gone = await meet(server, { on_open: 'pause' })
    gone.reset()
    await isAtRest(server)
  })

  test('a close that comes while it is paused is heard afterwards', async () => {
    const peer = await meet(server)
    await at(server, 'pause', peer.id)
    peer.send(frame(TEXT, 'x'), closeFrame(1001, 'off'))
    await sleep(30)
    assert.equal(peer.length, 0)
    await at(server, 'resume', peer.id)
    assert.deepEqual(await peer.rest(), ['text x', 'close 1001 off'])
  })
})

// --- Health --------------------------------------------------------------------------------------

describe('heartbeat', () => {
  const server = crowd({ HEARTBEAT: 120, READ_AHEAD: 4096 })

  test('who says nothing is asked, and then cut; it is counted', async () => {
    const before = (await statsOf(server)).closed.WS_HEARTBEAT ?? 0
    const peer = await meet(server)
    assert.equal(await peer.next(), 'ping ')
    assert.equal(await peer.next(), null)
    assert.equal(peer.length, 0, 'no more pings')
    await noted(server, peer.id, 'error ETIMEDOUT the peer did not answer a ping')
    await noted(server, peer.id, 'close 1006 ')
    assert.equal((await statsOf(server)).closed.WS_HEARTBEAT, before + 1)
    peer.end()
  })

  test('who answers stays', async () => {
    const peer = await meet(server)
    for (let i = 0; i < 6; i++) {
      assert.equal(await peer.next(), 'ping ')
      peer.send(frame(PONG))
    }
    assert.equal(await peer.ask('state'), '1')
    await peer.bye()
    const ws = await connect(server) // a library does it by itself
    let pings = 0
    ws.on('ping', () => { pings++ })
    await eventually(() => pings >= 4, 'pings')
    await byeAll(ws)
  })

  test('who says anything else stays, too', async () => {
    const peer = await meet(server)
    for (let i = 0; i < 12; i++) {
      peer.send(part(i ? CONTINUATION : BINARY, 'x'))
      await sleep(40)
    }
    assert.equal(peer.over, '')
    peer.send(frame(CONTINUATION, 'y'))
    assert.equal((await peer.message()).payload.length > 0 || true, true)
    peer.end()
  })

  test('who is not read, since the handler is busy, is not cut', async () => {
    const peer = await meet(server)
    peer.do('sleep 700')
    peer.send(...Array(20).fill(frame(BINARY, Buffer.alloc(1000)))) // more than is read ahead
    const all = []
    while (all.filter(text => text.startsWith('binary')).length < 20) all.push(await peer.next())
    assert.ok(!all.includes(null))
    peer.send(frame(PONG))
    await peer.ask('state').then(() => peer.end())
  })

  test('none for a route that wants none', async () => {
    const peer = await meet(server, { heartbeat: String(2n ** 64n - 1n) }, { path: '/configured' })
    await sleep(500)
    assert.deepEqual([peer.over, peer.length], ['', 0])
    await peer.bye()
    const other = await meet(server, { heartbeat: 30 }, { path: '/configured' })
    assert.equal(await other.next(), 'ping ')
    other.end()
  })
})

describe('idle', () => {
  const server = crowd({ IDLE_TIMEOUT: 250 })

  test('without a message for so long: 1001; pings are none', async () => {
    const before = (await statsOf(server)).closed.WS_IDLE ?? 0
    const peer = await meet(server)
    const began = performance.now()
    const pings = setInterval(() => peer.send(frame(PING)), 50)
    let next
    while ((next = await peer.next()) === 'pong ');
    clearInterval(pings)
    assert.equal(next, 'close 1001 idle')
    assert.ok(performance.now() - began > 200)
    peer.send(closeFrame(1001))
    await peer.rest()
    await noted(server, peer.id, 'error ETIMEDOUT no message for too long')
    assert.equal((await statsOf(server)).closed.WS_IDLE, before + 1)
  })

  test('messages keep it, in both directions, also one that takes long', async () => {
    const peer = await meet(server, { on_open: 'join red' })
    for (let i = 0; i < 8; i++) {
      peer.send(frame(TEXT, 'x'))
      assert.equal(await peer.next(), 'text x')
      await sleep(70)
    }
    for (let i = 0; i < 8; i++) {
      assert.equal(await at(server, 'publish red x'), '1')
      assert.equal(await peer.next(), 'text x')
      await sleep(70)
    }
    for (let i = 0; i < 8; i++) {
      peer.send(part(i ? CONTINUATION : TEXT, 'x'))
      await sleep(70)
    }
    peer.send(frame(CONTINUATION, 'x'))
    assert.equal(await peer.next(), 'text xxxxxxxxx')
    await peer.bye()
  })
})

describe('message_rate', () => {
  const server = crowd({ MESSAGE_RATE: 10 })

  test('one more in a second: 1008', async () => {
    const peer = await meet(server)
    peer.send(...Array.from({ length: 11 }, (_, i) => frame(TEXT, `${i}`)), frame(PING))
    const all = await peer.rest()
    assert.deepEqual(all, [...Array.from({ length: 10 }, (_, i) => `text ${i}`), 'close 1008'])
    await noted(server, peer.id, 'error EMSGSIZE too many messages in a second')
    assert.equal((await statsOf(server)).closed.WS_RATE, 1)
  })

  test('fragments are one message; pings are none; the next second begins anew', async () => {
    const peer = await meet(server)
    for (let round = 0; round < 2; round++) {
      peer.send(...Array.from({ length: 10 }, () => [part(TEXT, 'a'), frame(PING), part(CONTINUATION), frame(CONTINUATION, 'b')]).flat())
      for (let i = 0; i < 10; i++) assert.deepEqual([await peer.next(), await peer.next()], ['pong ', 'text ab'])
      await sleep(1050)
    }
    await peer.bye()
  })
})

// --- Who may come in -----------------------------------------------------------------------------

// The first line of the answer.
async function knock (server, lines, path = '/do') {
  const peer = new Peer(server)
  peer.socket.write(`GET ${path} HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${KEY}\r\n` +
    [...lines.some(line => /^Sec-WebSocket-Version/.test(line)) ? [] : ['Sec-WebSocket-Version: 13'], ...lines, '', ''].join('\r\n'))
  const head = await peer.readHead()
  peer.end()
  return Number(/^HTTP\/1\.1 (\d+)/.exec(head)[1])
}

const from = (origin, { host = 'example.org', cookie = true, name = 'Origin' } = {}) =>
  [`Host: ${host}`, ...origin === null ? [] : [`${name}: ${origin}`], ...cookie ? ['Cookie: a=b'] : []]

describe('origins', () => {
  describe('by default: foreign ones may not bring cookies', () => {
    const server = crowd()

    test('our own', async () => {
      for (const [origin, host] of [
        ['http://example.org', 'example.org'], ['https://example.org', 'example.org'], ['http://example.org:8080', 'example.org:8080'],
        ['http://example.org', 'example.org:80'], ['http://example.org:80', 'example.org'], ['https://example.org:443', 'example.org'],
        ['https://example.org', 'example.org:443'], ['HTTP://EXAMPLE.org', 'Example.ORG'], ['http://[::1]:8080', '[::1]:8080'],
        ['http://[::1]', '[::1]:80'], ['http://127.0.0.1:3000', '127.0.0.1:3000']
      ]) {
        assert.equal(await knock(server, from(origin, { host })), 101, `${origin} ${host}`)
      }
      assert.equal(await knock(server, from(null)), 101, 'no browser')
    })

    test('foreign ones', async () => {
      const { handshakes_refused: before } = await statsOf(server)
      let count = 0
      for (const [origin, host = 'example.org'] of [
        ['http://evil.example'], ['http://example.org.evil'], ['http://evilexample.org'], ['http://sub.example.org'], ['null'], [''],
        ['http://example.org:8080'], ['https://example.org', 'example.org:80'], ['http://example.org', 'example.org:443'],
        ['http://example.org', 'example.org:8080'], ['example.org'], ['http://'], ['http://example.org/'], ['http://a@example.org'],
        ['file://'], ['http://example.or'], ['http://xample.org'], ['http://::1', '[::1]']
      ]) {
        assert.equal(await knock(server, from(origin, { host })), 403, `${origin} ${host}`)
        count++
        assert.equal(await knock(server, from(origin, { host, cookie: false })), 101, `${origin} ${host}, without cookies`)
      }
      assert.equal((await statsOf(server)).handshakes_refused - before, count)
    })

    test('version 8 calls it Sec-WebSocket-Origin', async () => {
      const version = 'Sec-WebSocket-Version: 8'
      assert.equal(await knock(server, [...from('http://evil.example', { name: 'Sec-WebSocket-Origin' }), version]), 403)
      assert.equal(await knock(server, [...from('http://example.org', { name: 'Sec-WebSocket-Origin' }), version]), 101)
    })
  })

  describe('of a list', () => {
    const server = crowd({ ORIGINS: 'https://example.org,http://localhost:3000,null' })

    test('they, and who has none; nobody else, not even our own', async () => {
      for (const [origin, status] of [
        ['https://example.org', 101], ['HTTPS://Example.org', 101], ['http://localhost:3000', 101], ['null', 101], [null, 101],
        ['http://example.org', 403], ['https://example.org:443', 403], ['http://localhost', 403], ['', 403], ['https://example.orgx', 403]
      ]) {
        for (const cookie of [true, false]) assert.equal(await knock(server, from(origin, { cookie })), status, `${origin} ${cookie}`)
      }
    })
  })

  describe('any', () => {
    const server = crowd({ ANY_ORIGIN: 1 })

    test('whoever it is', async () => {
      for (const origin of ['http://evil.example', 'null', '', null]) assert.equal(await knock(server, from(origin)), 101)
    })
  })
})

describe('handshakes that are none', () => {
  const server = crowd({ SOCKETS: 1 })

  test('the error listener hears of them', async () => {
    const told = async () => (await get(server, '/log?id=odd')).split('\n').slice(0, -1)
    for (const [i, [lines, status, message]] of [
      [['Sec-WebSocket-Version: 7'], 400, 'Missing or invalid Sec-WebSocket-Version header'],
      [['Sec-WebSocket-Protocol: a,,b'], 400, 'Invalid Sec-WebSocket-Protocol header'],
      [['Origin: https://evil.example', 'Cookie: a=b'], 403, 'Foreign origin']
    ].entries()) {
      assert.equal(await knock(server, ['Host: a', ...lines], '/do?id=odd'), status)
      assert.deepEqual((await told()).slice(i), [`listener -${status} ${message}`])
    }
    await isAtRest(server)
    const one = await connect(server)
    assert.equal(await knock(server, ['Host: a'], '/do?id=odd'), 503)
    assert.equal((await told()).length, 3, 'of one too many it does not')
    await byeAll(one)
  })
})

describe('caps', () => {
  describe('on all', () => {
    const server = crowd({ SOCKETS: 3 })

    test('one more is refused; who goes makes room, however it goes', async () => {
      for (const leave of [ws => ws.close(1000), ws => ws.terminate(), ws => ws._socket.resetAndDestroy(), ws => at(server, 'terminate', ws.id)]) {
        const { handshakes_refused: before } = await statsOf(server)
        const sockets = await each(3, () => connect(server))
        assert.equal(await knock(server, ['Host: a']), 503)
        assert.equal(await knock(server, ['Host: a']), 503)
        assert.equal((await statsOf(server)).handshakes_refused - before, 2)
        await leave(sockets[0])
        await sockets[0].end()
        await eventually(async () => await at(server, 'count') === '2', 'it is gone')
        const another = await eventually(() => connect(server).catch(() => null), 'room for another')
        await byeAll(another, sockets[1], sockets[2])
        await isAtRest(server)
      }
    })

    test('who was refused by middleware, or cut before, or went away, counts no more', async () => {
      for (let i = 0; i < 5; i++) {
        assert.equal(await knock(server, ['Host: a'], pathOf('/do', { first: 'throw 401', refuse: 1 })), 401)
        assert.equal(await knock(server, ['Host: a'], '/nowhere'), 404)
        assert.equal(await knock(server, ['Host: a', 'Upgrade: other']), 400)
        for (const first of ['terminate', 'sleep 10;throw 500']) {
          const peer = new Peer(server)
          peer.socket.write(upgradeRequest(pathOf('/do', { first, refuse: 1 })))
          await peer.when(() => undefined, 'the end')
          peer.end()
        }
        await isAtRest(server)
        const peer = new Peer(server)
        peer.socket.write(upgradeRequest(pathOf('/do', { first: 'sleep 500' })))
        await eventually(async () => (await statsOf(server)).coroutines > 0, 'it waits')
        peer.reset()
        await isAtRest(server)
      }
      const sockets = await each(3, () => connect(server))
      await byeAll(...sockets)
    })

    test('those that wait for an answer count, too', async () => {
      await isAtRest(server) // those who said goodbye may count for a moment
      const waiting = await each(3, async () => {
        const peer = new Peer(server)
        peer.socket.write(upgradeRequest(pathOf('/do', { first: 'sleep 2000' })))
        return peer
      })
      await eventually(async () => (await statsOf(server)).coroutines === 3, 'they wait')
      assert.equal(await knock(server, ['Host: a']), 503)
      for (const peer of waiting) assert.match(await peer.readHead(), /^HTTP\/1\.1 101 /)
      for (const peer of waiting) await peer.bye()
    })
  })

  describe('on those from one address', () => {
    const server = crowd({ SOCKETS_PER_IP: 2, PROXY: 1 })
    const meetFrom = ip => meet(server, {}, { lines: [`X-Forwarded-For: ${ip}`] })
    const knockFrom = ip => knock(server, ['Host: a', `X-Forwarded-For: ${ip}`])

    test('one more is refused; others are not; who goes makes room', async () => {
      for (let round = 0; round < 3; round++) {
        const { handshakes_refused: before } = await statsOf(server)
        const sockets = [await meetFrom('10.0.0.1'), await meetFrom('10.0.0.1'), await meetFrom('10.0.0.2'), await meetFrom('::1')]
        assert.equal(await knockFrom('10.0.0.1'), 429)
        assert.equal(await knockFrom('10.0.0.1, 10.0.0.9'), 429)
        assert.equal(await knockFrom('10.0.0.2'), 101)
        assert.equal((await statsOf(server)).handshakes_refused - before, 2)
        await sockets[0].bye()
        await eventually(async () => (await knockFrom('10.0.0.1')) === 101, 'room again')
        for (const peer of sockets.slice(1)) await peer.bye()
        await isAtRest(server)
      }
    })

    test('of a thousand addresses, in any order', async () => {
      const peers = []
      await eachOf(Array(400).keys(), async i => peers.push(await meetFrom(`10.1.${i % 200}.1`)))
      assert.equal(await knockFrom('10.1.7.1'), 429)
      for (const [i, peer] of peers.entries()) i % 2 ? peer.reset() : peer.end()
      await isAtRest(server)
      assert.equal(await knockFrom('10.1.7.1'), 101)
      await isAtRest(server)
    })
  })
})

// --- A route's own limits ------------------------------------------------------------------------

describe('configured', () => {
  const server = crowd({ MESSAGE_SIZE: 5000 })
  const configured = (query, options) => meet(server, query, { path: '/configured', ...options })

  test('message_size, fragment_count, message_rate', async () => {
    for (const [query, frames, code] of [
      [{ message_size: 10 }, [frame(TEXT, 'x'.repeat(11))], 1009],
      [{ message_size: 10 }, [part(TEXT, 'xxxxxxxxxx'), part(CONTINUATION, 'x')], 1009],
      [{ fragment_count: 3 }, [part(TEXT), part(CONTINUATION), part(CONTINUATION), part(CONTINUATION)], 1008],
      [{ message_rate: 1 }, [frame(TEXT, 'x'), frame(TEXT, 'x')], 1008]
    ]) {
      const peer = await configured(query)
      peer.send(...frames)
      assert.equal((await peer.rest()).at(-1), `close ${code}`, JSON.stringify(query))
    }
    const peer = await configured({ message_size: 6000 })
    peer.send(frame(TEXT, 'x'.repeat(6000)))
    assert.equal((await peer.message()).payload.length, 6000)
    await peer.bye()
    const other = await meet(server)
    other.send(frame(TEXT, 'x'.repeat(5001)))
    assert.deepEqual(await other.rest(), ['close 1009'])
  })

  test('close_timeout', async () => {
    const peer = await configured({ close_timeout: 100 })
    const began = performance.now()
    peer.do('close 4000')
    assert.equal(await peer.next(), 'close 4000')
    assert.equal(await peer.next(), null)
    assert.ok(performance.now() - began < 5000)
    peer.end()
  })

  test('twice, and too late', async () => {
    const peer = await meet(server, {}, { path: '/configured/late' })
    assert.equal(await peer.next(), 'text 0 0 EALREADY EALREADY')
    peer.send(part(TEXT, 'x'.repeat(1000)), frame(CONTINUATION))
    assert.match(await peer.next(), /^text of 1000/)
    peer.send(part(TEXT, 'x'), part(CONTINUATION), part(CONTINUATION))
    assert.deepEqual(await peer.rest(), ['close 1008'])
    const large = await meet(server, {}, { path: '/configured/late' })
    await large.next()
    large.send(frame(TEXT, 'x'.repeat(1001)))
    assert.deepEqual(await large.rest(), ['close 1009'])
  })

  test('compression for a route; the offer is malformed, or not acceptable: 400', async () => {
    const peer = await configured({ deflate: 1, threshold: 1 }, { offer: 'permessage-deflate' })
    peer.send(frame(TEXT, 'x'.repeat(100)))
    const { compressed, payload } = await peer.message()
    assert.deepEqual([compressed, String(payload)], [true, 'x'.repeat(100)])
    await peer.bye()
    const plain = await meet(server, {}, { offer: 'permessage-deflate' })
    assert.equal(plain.agreed, null)
    await plain.bye()
    for (const [query, offer] of [
      [{ deflate: 1 }, 'permessage-deflate; server_max_window_bits=7'], [{ deflate: 1 }, 'permessage-deflate; x'],
      [{ deflate: 1, client_max_window_bits: 9 }, 'permessage-deflate'], [{ deflate: 1 }, 'permessage-deflate;']
    ]) {
      assert.equal(await knock(server, ['Host: a', `Sec-WebSocket-Extensions: ${offer}`], pathOf('/configured', query)), 400, offer)
    }
    assert.equal(await knock(server, ['Host: a'], pathOf('/configured', { deflate: 1, server_max_window_bits: 16 })), 500)
  })
})

describe('subprotocols', () => {
  const ask = async (server, protocols, query = {}) => {
    const peer = await meet(server, query, { path: '/choose', lines: protocols ? [`Sec-WebSocket-Protocol: ${protocols}`] : [] })
    const said = /^Sec-WebSocket-Protocol: (.*)\r$/m.exec(peer.head)?.[1]
    const text = String((await peer.message()).payload)
    await peer.bye()
    return [said, text]
  }

  describe('without a list', () => {
    const server = crowd()

    test('the first, another, none', async () => {
      assert.deepEqual(await ask(server, 'a, b,c'), ['a', '<a><b><c>, a, now a, '])
      assert.deepEqual(await ask(server, 'a, b,c', { protocol: 'c' }), ['c', '<a><b><c>, a, now c, '])
      assert.deepEqual(await ask(server, 'a', { protocol: '-' }), [undefined, '<a>, a, now , '])
      assert.deepEqual(await ask(server, null), [undefined, ', , now , '])
    })

    test('what was not offered: EINVAL', async () => {
      for (const protocols of ['a, b', 'A']) {
        assert.equal(await knock(server, ['Host: a', `Sec-WebSocket-Protocol: ${protocols}`], pathOf('/choose', { protocol: 'aa' })), 400)
      }
      assert.equal(await knock(server, ['Host: a'], pathOf('/choose', { protocol: 'a' })), 400)
    })
  })

  describe('with a list', () => {
    const server = crowd({ PROTOCOLS: 'v2,v1' })

    test('the best, or what a handler likes better', async () => {
      assert.deepEqual(await ask(server, 'v1, v2'), ['v2', '<v1><v2>, v2, now v2, '])
      assert.deepEqual(await ask(server, 'v1, v2', { protocol: 'v1' }), ['v1', '<v1><v2>, v2, now v1, '])
      assert.deepEqual(await ask(server, 'v0', { protocol: 'v0' }), ['v0', '<v0>, , now v0, '])
      assert.deepEqual(await ask(server, 'v0'), [undefined, '<v0>, , now , '])
    })
  })
})

// --- Compression ---------------------------------------------------------------------------------

describe('permessage-deflate', () => {
  const server = crowd({ ...LEAN, DEFLATE: '1' })
  const texts = ['', 'x', 'hello '.repeat(10), 'the same again '.repeat(100), 'ü€😀'.repeat(3000), patternOf(100_000), Buffer.alloc(300_000, 'z')]

  test('every combination of parameters, with ws as the client', async () => {
    const r = chance('deflate combinations')
    const cases = []
    for (const own of ['', '1']) {
      for (const [snc, cnc] of [[0, 0], [0, 1], [1, 0], [1, 1], [-1, 0]]) {
        for (const [smwb, cmwb] of [[0, 0], [9, 0], [0, 9], [9, 12], [15, 15], [10, 10], [-1, -1]]) {
          cases.push({ own, server_no_context_takeover: snc, client_no_context_takeover: cnc, server_max_window_bits: smwb, client_max_window_bits: cmwb })
        }
      }
    }
    await eachOf(cases, async params => {
      const query = Object.fromEntries(Object.entries({ deflate: 1, threshold: r.pick([1, 1024]), ...params }).filter(([, value]) => value))
      for (const perMessageDeflate of [
        true, { threshold: 0 }, { serverNoContextTakeover: true, threshold: 0 }, { clientNoContextTakeover: true, threshold: 0 },
        { serverMaxWindowBits: 11, clientMaxWindowBits: 11, threshold: 0 }
      ]) {
        const what = JSON.stringify([query, perMessageDeflate])
        const ws = await connect(server, query, { path: '/configured', perMessageDeflate }).catch(error => error.message)
        const clash = perMessageDeflate !== true &&
          ((params.server_no_context_takeover === -1 && perMessageDeflate.serverNoContextTakeover) ||
           (perMessageDeflate.serverMaxWindowBits && (params.server_max_window_bits > 11 || params.server_max_window_bits === -1)) ||
           (perMessageDeflate.clientMaxWindowBits && params.client_max_window_bits > 11))
        if (clash) {
          assert.equal(typeof ws, 'string', what)
          continue
        }
        assert.equal(typeof ws, 'object', `${what}: ${ws}`)
        assert.match(ws.extensions, /permessage-deflate/)
        for (const text of [...texts.slice(0, 6), texts[3], texts[4]]) {
          ws.send(text)
          const answer = await ws.take()
          assert.ok(Buffer.from(answer).equals(Buffer.from(text)), what)
        }
        await byeAll(ws)
      }
    }, 8)
  })

  test('a threshold; not at all; all of them with a compressor of its own', async () => {
    for (const [query, expected] of [
      [{}, { 1023: false, 1024: true, 0: false }], [{ threshold: 5 }, { 4: false, 5: false, 100: true }],
      [{ own: 1 }, { 0: true, 1: true, 2000: true }], [{ own: 1, server_no_context_takeover: 1 }, { 0: false, 1023: false, 1024: true }],
      [{ own: 1, server_no_context_takeover: 1, threshold: 1 }, { 1: true, 100: true }]
    ]) {
      const peer = await meet(server, { deflate: 1, ...query }, { path: '/configured', offer: 'permessage-deflate' })
      for (const [size, compressed] of Object.entries(expected)) {
        peer.send(frame(TEXT, 'x'.repeat(size)))
        const message = await peer.message()
        assert.equal(message.payload.length, Number(size))
        assert.equal(message.compressed, compressed, `${JSON.stringify(query)} ${size}`)
      }
      peer.do(`plain ${'x'.repeat(2000)}`)
      const { compressed, payload } = await peer.message()
      assert.deepEqual([compressed, payload.length], [false, 2000])
      await peer.bye()
    }
  })

  test('what only becomes longer is sent as it is', async () => {
    const peer = await meet(server, {}, { offer: 'permessage-deflate' })
    const noise = chance('noise').bytes(5000)
    peer.send(frame(BINARY, noise))
    const { compressed, payload } = await peer.message()
    assert.deepEqual([compressed, payload.equals(noise)], [false, true])
    await peer.bye()
  })

  test('with a context the second is small, in both directions', async () => {
    const text = chance('context').bytes(3000).toString('hex')
    for (const [query, remembers] of [[{ own: 1 }, true], [{}, false], [{ own: 1, server_no_context_takeover: 1 }, false]]) {
      const peer = await meet(server, { deflate: 1, ...query }, { path: '/configured', offer: 'permessage-deflate' })
      const sizes = []
      for (let i = 0; i < 3; i++) {
        peer.send(await peer.compressed(TEXT, text))
        const { payload, size } = await peer.message()
        assert.equal(String(payload), text)
        sizes.push(size)
      }
      assert.equal(sizes[1] < 200 && sizes[2] < 200, remembers, `${sizes}`)
      await peer.bye()
    }
  })

  test('from one to many: each with its window, or none, or a compressor of its own', async () => {
    const peers = []
    for (let bits = 8; bits <= 15; bits++) {
      peers.push(await meet(server, { on_open: 'join red' }, { offer: `permessage-deflate; server_max_window_bits=${bits}` }))
      peers.push(await meet(server, { on_open: 'join red', deflate: 1, own: 1 }, { path: '/configured', offer: `permessage-deflate; server_max_window_bits=${bits}` }))
      peers.push(await meet(server, { on_open: 'join red' }, { offer: `permessage-deflate; server_no_context_takeover; server_max_window_bits=${bits}` }))
    }
    peers.push(await meet(server, { on_open: 'join red' }))
    for (let round = 0; round < 3; round++) {
      for (const peer of peers) { // what each has remembered
        peer.send(frame(TEXT, 'remember this '.repeat(100)))
        assert.equal(String((await peer.message()).payload), 'remember this '.repeat(100))
      }
      for (const size of [100, 1024, 100_000]) {
        assert.equal(await at(server, `fill red ${size}`), String(peers.length))
        for (const peer of peers) {
          const { payload, compressed } = await peer.message()
          assert.ok(payload.equals(patternOf(size)), `${size} ${JSON.stringify(peer.agreed)}`)
          if (size === 100_000) assert.equal(compressed, Boolean(peer.agreed))
        }
      }
    }
    for (const peer of peers) await peer.bye()
  })

  test('fragments are compressed by a compressor of one\'s own, with others between', async () => {
    const peer = await meet(server, { deflate: 1, own: 1 }, { path: '/configured', offer: 'permessage-deflate' })
    peer.do('stream 10000 5;stream 10000 5')
    for (let i = 0; i < 2; i++) {
      const { payload, frames, compressed } = await peer.message()
      assert.ok(payload.equals(patternOf(50_000)))
      assert.deepEqual([frames, compressed], [5, true])
    }
    peer.do('fragment abc')
    await at(server, 'broadcast between', peer.id)
    peer.do('last def;send again abcdef abcdef')
    assert.equal(await peer.nextMessage(), 'text abcdef')
    assert.equal(await peer.nextMessage(), 'text between')
    assert.equal(await peer.nextMessage(), 'text again abcdef abcdef')
    await peer.bye()
  })

  test('in fragments, with empty ones, with pings between, with what is not compressed', async () => {
    const peer = await meet(server, {}, { offer: 'permessage-deflate' })
    const text = 'fragments '.repeat(200)
    for (const cut of [1, 3, 7, 1000]) {
      peer.send(await peer.compressed(TEXT, text, cut), frame(TEXT, 'plain'), part(TEXT, 'pl'), frame(CONTINUATION, 'ain'))
      assert.equal(String((await peer.message()).payload), text)
      for (let i = 0; i < 2; i++) assert.equal(await peer.next(), 'text plain')
    }
    const bytes = await peer.deflater.message(text)
    peer.send(part(TEXT, '', { rsv: RSV1 }), frame(PING), part(CONTINUATION, bytes.subarray(0, 9)), part(CONTINUATION), frame(PING),
      part(CONTINUATION, bytes.subarray(9)), frame(CONTINUATION))
    for (let i = 0; i < 2; i++) assert.equal(await peer.next(), 'pong ')
    assert.equal(String((await peer.message()).payload), text)
    peer.send(await peer.compressed(TEXT, ''), frame(TEXT, [0], { rsv: RSV1 }))
    for (let i = 0; i < 2; i++) assert.equal(await peer.next(), 'text ')
    // RFC 7692 7.2.3: stored, fixed, with BFINAL, and in two blocks
    for (const hex of ['000500faff48656c6c6f00', 'f248cdc9c90700', 'f348cdc9c9070000', 'f24805000000ffffcac9c90700']) {
      peer.send(frame(TEXT, Buffer.from(hex, 'hex'), { rsv: RSV1 }))
      assert.equal(await peer.next(), 'text Hello')
    }
    await peer.bye()
  })

  test('a bomb, a thousand to one: 1009, and no more memory than a message', async () => {
    for (const size of [1.1 * MIB, 300 * MIB]) {
      const bomb = await new Deflater({ level: 9 }).message(Buffer.alloc(size))
      for (const cut of [Infinity, 1000]) {
        await growsBy(server, 5 * MIB, async () => {
          const peer = await meet(server, {}, { offer: 'permessage-deflate' })
          peer.send(...fragments(BINARY, bomb, cut, { rsv: RSV1 }))
          assert.deepEqual(await peer.rest(), ['close 1009'])
          await noted(server, peer.id, 'error EMSGSIZE a message that is too big')
        })
      }
    }
    const peer = await meet(server, {}, { offer: 'permessage-deflate' })
    peer.send(await peer.compressed(BINARY, Buffer.alloc(MIB)))
    assert.equal((await peer.message()).payload.length, MIB, 'as large as it may be')
    await peer.bye()
  })

  test('what can\'t be inflated: 1007; text that is none: 1007; too many fragments: 1008', async () => {
    const deflated = text => new Deflater().message(text)
    for (const [frames, close, error] of [
      [[frame(TEXT, [0xff, 0xff, 0xff], { rsv: RSV1 })], 1007, 'EILSEQ compressed data that is none'],
      [[frame(TEXT, [0x07], { rsv: RSV1 })], 1007, 'EILSEQ compressed data that is none'],
      [[frame(TEXT, (await deflated('x'.repeat(1000))).subarray(0, 5), { rsv: RSV1 })], 1007, 'EILSEQ compressed data that is none'],
      [[frame(TEXT, Buffer.from('04000100', 'hex'), { rsv: RSV1 })], 1007, 'EILSEQ compressed data that is none'],
      [[frame(TEXT, await deflated(Buffer.from([0x61, 0xff])), { rsv: RSV1 })], 1007, 'EILSEQ invalid UTF-8'],
      [[part(TEXT, await deflated(Buffer.from([0xe2, 0x82])), { rsv: RSV1 }), frame(CONTINUATION)], 1007, 'EILSEQ invalid UTF-8'],
      [[part(TEXT, '', { rsv: RSV1 }), ...Array(16384).fill(part(CONTINUATION))], 1008, 'EMSGSIZE too many fragments']
    ]) {
      const peer = await meet(server, {}, { offer: 'permessage-deflate' })
      peer.send(...frames)
      assert.deepEqual(await peer.rest(), [`close ${close}`])
      await noted(server, peer.id, `error ${error}`)
    }
    assert.ok((await statsOf(server)).closed.WS_DEFLATE >= 4)
  })

  test('RSV1 where it means nothing: 1002', async () => {
    for (const [frames, offer] of [
      [[frame(TEXT, 'x', { rsv: RSV1 })], null], [[part(TEXT, 'x'), frame(CONTINUATION, 'y', { rsv: RSV1 })], 'permessage-deflate'],
      [[frame(PING, '', { rsv: RSV1 })], 'permessage-deflate'], [[frame(CLOSE, '', { rsv: RSV1 })], 'permessage-deflate'],
      [[frame(TEXT, 'x', { rsv: 6 })], 'permessage-deflate'], [[frame(TEXT, 'x', { rsv: 1 })], 'permessage-deflate'],
      [[frame(3, 'x', { rsv: RSV1 })], 'permessage-deflate'], [[frame(CONTINUATION, 'x', { rsv: RSV1 })], 'permessage-deflate']
    ]) {
      const peer = await meet(server, {}, { offer })
      peer.send(...frames)
      assert.deepEqual(await peer.rest(), ['close 1002'])
    }
  })

  test('further back than what was agreed on: 1007', async () => {
    const text = chance('far').bytes(3000).toString('latin1')
    const peer = await meet(server, {}, { offer: 'permessage-deflate; client_max_window_bits=9' })
    assert.equal(peer.agreed.client.bits, 9)
    const far = new Deflater({ bits: 15 })
    peer.send(frame(BINARY, await far.message(Buffer.from(text, 'latin1')), { rsv: RSV1 }))
    assert.equal((await peer.message()).payload.length, 3000)
    peer.send(frame(BINARY, await far.message(Buffer.from(text, 'latin1')), { rsv: RSV1 }))
    assert.deepEqual(await peer.rest(), ['close 1007'])
  })

  test('random messages, both ways', async () => {
    const r = chance('random deflate')
    await eachOf(Array(24), async (_, i) => {
      const query = i % 3 ? { deflate: 1, own: i % 2 || '', server_no_context_takeover: i % 5 ? 0 : 1 } : { deflate: 1 }
      const offer = `permessage-deflate; server_max_window_bits=${9 + i % 7}${i % 4 ? '' : '; client_no_context_takeover'}; client_max_window_bits=${9 + i % 5}`
      const peer = await meet(server, query, { path: '/configured', offer })
      for (let n = 0; n < 30; n++) {
        const text = r.one(0.3) ? r.bytes(r.below(3000)) : Buffer.from(r.text(r.below(5000)))
        const opcode = r.one(0.3) ? TEXT : BINARY
        const payload = opcode === TEXT ? Buffer.from('.' + text.toString('latin1')) : text
        peer.send(r.one(0.7) ? await peer.compressed(opcode, payload, r.one(0.5) ? 1 + r.below(500) : Infinity) : frame(opcode, payload))
        const message = await peer.message()
        assert.ok(message.opcode === opcode && message.payload.equals(payload))
      }
      await peer.bye()
    }, 4)
  })

  test('a compressor of one\'s own is given back after a heartbeat\'s silence: it begins anew', async () => {
    const peer = await meet(server, { deflate: 1, own: 1, heartbeat: 200 }, { path: '/configured', offer: 'permessage-deflate' })
    const text = chance('silence').bytes(2000).toString('hex')
    const sizes = []
    for (const run of [text, text, 'ping', text, text, 'fragments', text, 'ping', text, text]) {
      if (run === 'ping') {
        assert.equal(await peer.next(), 'ping ')
        peer.send(frame(PONG))
      } else if (run === 'fragments') {
        peer.do('fragment abc;last def')
        assert.equal(await peer.nextMessage(), 'text abcdef')
      } else {
        peer.send(frame(TEXT, text))
        const { payload, size } = await peer.message()
        assert.equal(String(payload), text)
        sizes.push(size > 1000 ? 'large' : 'small')
      }
    }
    assert.deepEqual(sizes, ['large', 'small', 'large', 'small', 'small', 'large', 'small'])
    await peer.bye()
  })
})

// --- The end of a socket, from everywhere --------------------------------------------------------

describe('closed from everywhere', () => {
  const server = crowd({ CLOSE_TIMEOUT: 1000 })

  for (const [how, run, expected] of [
    ['closed', 'close 4000 one;close 4001 two;state', 'close 4000 one'],
    ['closed empty', 'close 0;close 4001 two', 'close'],
    ['closed, then cut', 'close 4000;terminate;close 4001', null],
    ['cut, twice', 'terminate;terminate;send x;close 4000', null]
  ]) {
    for (const [handler, provoke] of [
      ['first', () => {}], ['on_open', () => {}], ['on_ping', peer => peer.send(frame(PING, 'p'))], ['on_pong', peer => peer.send(frame(PONG, 'p'))],
      ['message', peer => peer.do(run)], ['outside', async peer => at(server, run, peer.id)]
    ]) {
      test(`${how}, by ${handler}`, async () => {
        const id = newId()
        const peer = new Peer(server)
        await once(peer.socket, 'connect')
        peer.socket.write(upgradeRequest(pathOf('/do', { id, [handler]: run, on_close: 'close 4000;terminate;send x;state', on_error: 'close 4000;terminate' })))
        const head = await peer.readHead()
        if (handler === 'first' && how.startsWith('cut')) {
          assert.equal(head, null)
          peer.end()
          return
        }
        peer.id = id
        peer.do = text => peer.send(frame(TEXT, `!${text}`))
        if (head) await provoke(peer)
        let last = null
        for (let next; (next = await peer.next());) {
          if (next.startsWith('close')) peer.send(frame(CLOSE))
          if (!next.startsWith('pong')) last = next
        }
        if (expected !== null || last !== null) assert.equal(last, expected ?? 'close 4000')
        peer.end()
        await isAtRest(server)
        const notes = await notesOf(server, id)
        assert.equal(notes.filter(line => line.startsWith('close ')).length, 1, `${notes}`)
        assert.ok(notes.includes('on_close: 0 0 -107 3'), `${notes}`)
      })
    }
  }

  test('by ws_on_drain', async () => {
    for (const run of ['close 4000;close 4001', 'terminate;terminate']) {
      const peer = await meet(server, { on_drain: run })
      peer.socket.pause()
      assert.equal(await at(server, 'size 12000000', peer.id), '1')
      peer.socket.resume()
      let last
      for (let next; (next = await peer.anyFrame());) {
        last = next
        if (next.opcode === CLOSE) peer.send(frame(CLOSE))
      }
      if (run.startsWith('close')) assert.equal(last.payload.readUInt16BE(), 4000)
      peer.end()
      await isAtRest(server)
    }
  })

  test('errors of handlers, each: 1011, told once', async () => {
    for (const run of ['return -22', 'throw 400', 'sleep 1;return -22']) {
      const peer = await meet(server)
      peer.do(run)
      await peer.isClosed('close 1011')
      await isAtRest(server)
      assert.equal((await notesOf(server, peer.id)).filter(line => line.startsWith('listener')).length, 1)
    }
  })
})

// --- Bad company ---------------------------------------------------------------------------------

describe('bad company', () => {
  const server = crowd({ ...LEAN, DEFLATE: '1' })

  // Others are served meanwhile.
  async function served (fn) {
    const ws = await connect(server)
    let over = false
    let rounds = 0
    const others = (async () => {
      while (!over) {
        assert.equal(await ws.ask('state'), '1')
        rounds++
        await sleep(5)
      }
    })()
    await withPatience(fn(), 'bad company', 30_000)
    over = true
    await others
    assert.ok(rounds > 0)
    await byeAll(ws)
  }

  test('a million fragments of one byte: 1008, soon', async () => {
    for (const path of ['/do', '/parts']) {
      await served(() => growsBy(server, 4 * MIB, async () => {
        const peer = await meet(server, {}, { path })
        const many = Buffer.concat(Array(1000).fill(part(CONTINUATION, 'x')))
        peer.send(part(TEXT, 'x'))
        peer.socket.on('error', () => {})
        for (let i = 0; i < 1000 && !peer.over; i++) {
          peer.send(many)
          if (i % 10 === 0) await new Promise(setImmediate)
        }
        assert.equal(await peer.next(), 'close 1008')
        peer.end()
      }))
    }
  })

  test('a header that announces 2 GiB: 1009, at once', async () => {
    await served(() => growsBy(server, 2 * MIB, async () => {
      for (const announce of [2 * 1024 * MIB, 2n ** 62n]) {
        const peer = await meet(server)
        peer.send(frame(BINARY, '', { announce }))
        assert.deepEqual(await peer.rest(), ['close 1009'])
      }
      const peer = await meet(server, {}, { path: '/parts' }) // where a message may be that long it costs nothing
      peer.send(frame(BINARY, 'x', { announce: 2 * 1024 * MIB }))
      await sleep(20)
      assert.equal(peer.over, '')
      peer.end()
    }))
  })

  test('100,000 pings by one who does not read', async () => {
    await served(() => growsBy(server, 4 * MIB, async () => {
      const peer = await meet(server)
      peer.socket.pause()
      const many = Buffer.concat(Array(1000).fill(frame(PING, 'x'.repeat(125))))
      for (let i = 0; i < 100; i++) {
        peer.send(many)
        await new Promise(setImmediate)
      }
      await eventually(() => peer.socket.writableLength === 0, 'all have been taken')
      peer.end()
    }))
    await isAtRest(server)
  })

  test('a reader that stopped: no more memory than may wait', async () => {
    await served(() => growsBy(server, 4 * MIB, async () => {
      const peer = await meet(server, { buffered_size: MIB }, { path: '/configured' })
      peer.socket.pause()
      await at(server, 'numbers 1000 100000', peer.id)
      const [, failed] = /failed (\d+)/.exec((await notesOf(server, peer.id)).join())
      assert.ok(failed > 0, 'it is being closed')
      peer.end()
    }))
    await isAtRest(server)
  })

  test('half a header, half a frame, half a message, of many, who then say nothing', async () => {
    await growsBy(server, 8 * MIB, async () => {
      const peers = await each(200, () => meet(server, {}, { offer: 'permessage-deflate' }))
      for (const [i, peer] of peers.entries()) {
        const half = [frame(TEXT, 'x').subarray(0, 3), frame(TEXT, 'x'.repeat(200)).subarray(0, 100), part(TEXT, 'x'), part(TEXT, [0x4b], { rsv: RSV1 })]
        peer.send(half[i % 4])
      }
      await served(() => sleep(50))
      for (const peer of peers) peer.reset()
    })
    await isAtRest(server)
  })
})
