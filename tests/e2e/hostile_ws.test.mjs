// Hostile input: WebSockets. H21 to H32.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ANY, SOME, answerOf, connect, descriptors, eachOf, flood, isServed, survives, target } from './hostile.mjs'
import { BINARY, CLOSE, CONTINUATION, Deflater, KEY, MIB, PING, Peer, RSV1, TEXT, closeFrame, fragments, frame, part, statsOf } from './peer.mjs'
import { eventually } from './support.mjs'

// A handshake without what it should have, or with what it should not.
function handshake (path, { without, lines = [] } = {}) {
  const all = ['Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Key: ${KEY}`, 'Sec-WebSocket-Version: 13']
  return [`GET ${path} HTTP/1.1`, 'Host: a', ...all.filter(line => !without || !line.startsWith(without)), ...lines, '', ''].join('\r\n')
}

// What the server says to these frames, to the end.
async function fails (server, frames, path = '/echo', options) {
  const peer = await Peer.open(server, path, options)
  peer.send(...frames)
  const all = await peer.rest()
  peer.end()
  return all
}

describe('handshakes', () => {
  const server = target()

  const wrong = [
    ['Upgrade', [], 404], ['Connection', [], 404], ['Sec-WebSocket-Key', [], 400], ['Sec-WebSocket-Version', [], 400],
    ['Upgrade', ['Upgrade: h2c'], 400], ['Upgrade', ['Upgrade:'], 404],
    ['Sec-WebSocket-Key', ['Sec-WebSocket-Key:'], 400], ['Sec-WebSocket-Key', ['Sec-WebSocket-Key: abc'], 400],
    ['Sec-WebSocket-Key', [`Sec-WebSocket-Key: ${'A'.repeat(8000)}`], 400], ['Sec-WebSocket-Key', [`Sec-WebSocket-Key: ${KEY}`, `Sec-WebSocket-Key: ${KEY}`], 400],
    ['Sec-WebSocket-Version', ['Sec-WebSocket-Version: 12'], 400], ['Sec-WebSocket-Version', ['Sec-WebSocket-Version: 13, 8'], 400],
    [null, ['Sec-WebSocket-Protocol: '], 400], [null, ['Sec-WebSocket-Protocol: ,'], 400], [null, ['Sec-WebSocket-Protocol: a,,b'], 400],
    [null, ['Sec-WebSocket-Protocol: a, a'], 400], [null, ['Sec-WebSocket-Protocol: a b'], 400],
    [null, ['Sec-WebSocket-Extensions: ;;;'], 400], [null, ['Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99'], 400],
    [null, ['Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=7'], 400], [null, ['Sec-WebSocket-Extensions: permessage-deflate; a="'], 400]
  ]
  test('H21 handshakes that are none', () => survives(server, { closed: { BAD_REQUEST: ANY } }, async () => {
    for (const [without, lines, status] of wrong) {
      const peer = await connect(server)
      const answer = await answerOf(peer.write(handshake('/echo', { without, lines })))
      assert.equal(answer.status, status, JSON.stringify([without, lines]))
      peer.end()
    }
  }))

  test('H21 a thousand extensions, a thousand protocols, at once', () => survives(server, { closed: { WS_ABNORMAL: ANY } }, () => eachOf(20, async i => {
    const list = i % 2 ? 'Sec-WebSocket-Extensions: ' + Array.from({ length: 800 }, () => 'x-y; a=b').join() : 'Sec-WebSocket-Protocol: ' + Array.from({ length: 2000 }, (_, i) => `p${i}`).join()
    const peer = await connect(server)
    const head = await peer.write(handshake('/echo', { lines: [list] })).readHead()
    assert.match(head, /^HTTP\/1\.1 101 /)
    peer.end()
  })))

  test('H22 a page of another origin, with our cookies', () => survives(server, { counters: { handshakes_refused: 4 }, closed: { WS_ABNORMAL: ANY } }, async () => {
    for (const [lines, status] of [
      [['Origin: http://evil.example', 'Cookie: session=1'], 403], [['Origin: null', 'Cookie: session=1'], 403],
      [['Origin: http://a.evil.example', 'Cookie: session=1'], 403], [['Origin: http://a:81', 'Cookie: session=1'], 403],
      [['Origin: http://a', 'Cookie: session=1'], 101], [['Origin: http://evil.example'], 101]
    ]) {
      const peer = await connect(server)
      assert.equal((await answerOf(peer.write(handshake('/echo', { lines })))).status, status, lines[0])
      peer.end()
    }
  }))

  test('H23 frames that come with the request, also with one that is refused', () => survives(server, { closed: { WS_PROTOCOL: 1, WS_ABNORMAL: ANY } }, async () => {
    const early = [frame(TEXT, 'early'), part(TEXT, 'in '), frame(CONTINUATION, 'parts'), closeFrame(1000)]
    const peer = await Peer.open(server, '/echo', { early })
    assert.deepEqual(await peer.rest(), ['text early', 'text in parts', 'close 1000'])
    const wrong = await Peer.open(server, '/echo', { early: [frame(TEXT, 'early', { key: null })] })
    assert.deepEqual(await wrong.rest(), ['close 1002'])
    const nowhere = await connect(server)
    nowhere.write(Buffer.concat([Buffer.from(handshake('/nowhere')), ...early]))
    assert.equal((await answerOf(nowhere)).status, 404)
    assert.equal(await nowhere.readHead(), null, 'frames are no request')
  }))
})

describe('frames', () => {
  const server = target()

  const frames = {
    'without a mask': frame(TEXT, 'x', { key: null }),
    RSV1: frame(TEXT, 'x', { rsv: 4 }),
    RSV2: frame(TEXT, 'x', { rsv: 2 }),
    RSV3: frame(TEXT, 'x', { rsv: 1 }),
    'opcode 3': frame(3, 'x'),
    'opcode 7': frame(7, ''),
    'opcode 11': frame(11, ''),
    'opcode 15': frame(15, ''),
    'a ping of 126 bytes': frame(PING, 'x'.repeat(126)),
    'a close of 126 bytes': frame(CLOSE, Buffer.concat([Buffer.from([3, 232]), Buffer.alloc(124, 'x')])),
    'half a ping': part(PING, 'x'),
    'half a close': part(CLOSE, ''),
    'a continuation of nothing': frame(CONTINUATION, 'x'),
    'a message within another': Buffer.concat([part(TEXT, 'x'), frame(TEXT, 'y')]),
    'a length that is too long': frame(TEXT, 'x', { lengthBytes: 2 }),
    'one that is much too long': frame(TEXT, 'x', { lengthBytes: 8 }),
    'a close code of one byte': frame(CLOSE, 'x'),
    ...Object.fromEntries([0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535].map(code => [`a close code of ${code}`, closeFrame(code)]))
  }
  const count = Object.keys(frames).length
  // What follows is dropped unread: messages, compressed ones in flight, a close.
  test('H24 frames that are not allowed; nothing behind them is looked at', () => survives(server, { closed: { WS_PROTOCOL: count * 2 } }, async () => {
    for (const [name, wrong] of Object.entries(frames)) {
      for (const offer of [undefined, 'permessage-deflate']) {
        const behind = [frame(TEXT, 'smuggled'), await new Deflater().message('smuggled').then(bytes => frame(TEXT, bytes, { rsv: RSV1 })), closeFrame(4000)]
        if (name === 'RSV1' && offer) { // there it means something, but this is not compressed
          assert.deepEqual(await fails(server, [frame(PING, 'x', { rsv: 4 }), ...behind], '/echo', { offer }), ['close 1002'])
          continue
        }
        assert.deepEqual(await fails(server, [frame(PING, 'before'), wrong, ...behind], '/echo', { offer }), [`pong ${Buffer.from('before').toString('hex')}`, 'close 1002'], name)
      }
    }
  }))

  test('H24 … nor what was compressed and comes before them, but is not complete', () => survives(server, { closed: { WS_PROTOCOL: 1, WS_DEFLATE: 1 } }, async () => {
    const [first, ...rest] = fragments(TEXT, await new Deflater().message('x'.repeat(1000)), 5, { rsv: RSV1 })
    assert.deepEqual(await fails(server, [first, frame(TEXT, 'y'), ...rest], '/echo', { offer: 'permessage-deflate' }), ['close 1002'])
    assert.deepEqual(await fails(server, [frame(TEXT, [7, 7, 7], { rsv: RSV1 }), first, ...rest], '/echo', { offer: 'permessage-deflate' }), ['close 1007'])
  }))

  test('H25 fragments of one byte, and of none, without end', () => survives(server, { grows: 4 * MIB, closed: { WS_FRAGMENTS: 3 } }, async () => {
    for (const [first, next, offer] of [['x', 'x'], ['', ''], ['', '', 'permessage-deflate']]) {
      const peer = await Peer.open(server, '/echo', { offer })
      peer.send(part(TEXT, first, { rsv: offer ? RSV1 : 0 }))
      await flood(peer, Buffer.concat(Array(1000).fill(part(CONTINUATION, next, { key: Buffer.alloc(4) }))).toString('latin1'), 100)
      assert.equal(await peer.next(), 'close 1008')
      peer.end()
    }
  }))

  test('H26 a frame that announces 2^63 - 1 bytes', () => survives(server, { grows: 4 * MIB, closed: { WS_TOO_BIG: 5, WS_PROTOCOL: 1, WS_ABNORMAL: ANY } }, async () => {
    for (const announce of [2n ** 63n - 1n, 2n ** 62n, 2n ** 32n, 2n ** 31n - 1n, BigInt(MIB) + 1n]) {
      assert.deepEqual(await fails(server, [frame(BINARY, '', { announce })]), ['close 1009'])
    }
    assert.deepEqual(await fails(server, [frame(BINARY, '', { announce: 2n ** 63n })]), ['close 1002'])
    const most = await Peer.open(server, '/echo') // as much as there may be is not taken before it comes
    most.send(frame(BINARY, 'x', { announce: MIB }))
    await isServed(server)
    most.send(closeFrame(1000))
    most.end()
  }))

  test('H27 text that is no UTF-8, split anywhere', () => survives(server, { closed: { WS_UTF8: 35 } }, async () => {
    for (const bad of [[0xff], [0xc0, 0xaf], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xf8, 0x88, 0x80, 0x80, 0x80], [0x80]]) {
      const text = Buffer.concat([Buffer.from('κόσμε'), Buffer.from(bad)])
      for (const size of [1, 2, 3, 1000]) {
        assert.deepEqual(await fails(server, fragments(TEXT, text, size)), ['close 1007'])
      }
      const peer = await Peer.open(server, '/echo') // it fails at the first wrong byte, not at the end
      peer.send(frame(TEXT, Buffer.concat([text, Buffer.from('xxx')]), { announce: 100_000 }))
      assert.deepEqual(await peer.rest(), ['close 1007'])
    }
  }))

  test('H28 pings by the thousand, of one who does not read', () => survives(server, { grows: 4 * MIB, closed: { WS_ABNORMAL: ANY, READ_ERROR: ANY, WRITE_ERROR: ANY } }, async () => {
    const peer = await Peer.open(server, '/echo')
    peer.socket.pause()
    await flood(peer, Buffer.concat(Array(1000).fill(frame(PING, 'x'.repeat(125)))).toString('latin1'), 100)
    await isServed(server)
    const { write_buffers: waiting } = await statsOf(server)
    assert.ok(waiting < 64, `${waiting} buffers wait`)
    peer.reset()
  }))

  test('H29 bombs, streams that are none, windows that are too far back', () => survives(server, { grows: 6 * MIB, closed: { WS_TOO_BIG: 2, WS_DEFLATE: 5 } }, async () => {
    const bomb = await new Deflater({ level: 9 }).message(Buffer.alloc(200 * MIB))
    for (const size of [Infinity, 1000]) {
      const all = await fails(server, fragments(BINARY, bomb, size, { rsv: RSV1 }), '/echo', { offer: 'permessage-deflate' })
      assert.deepEqual(all, ['close 1009'])
    }
    for (const bytes of [[0xff, 0xff], [0x07], [0x04, 0x00, 0x01, 0x00], Buffer.alloc(1000, 0x55)]) {
      const all = await fails(server, [frame(TEXT, bytes, { rsv: RSV1 })], '/echo', { offer: 'permessage-deflate' })
      assert.deepEqual(all, ['close 1007'])
    }
    const peer = await Peer.open(server, '/echo', { offer: 'permessage-deflate; client_max_window_bits=9' })
    const far = new Deflater({ bits: 15 })
    const noise = Buffer.from(Array.from({ length: 3000 }, (_, i) => (i * i * 31 + i * 7) >> 3 & 255))
    peer.send(frame(BINARY, await far.message(noise), { rsv: RSV1 }), frame(BINARY, await far.message(noise), { rsv: RSV1 }))
    assert.equal((await peer.message()).payload.length, 3000)
    assert.deepEqual(await peer.rest(), ['close 1007'])
    far.end()
    peer.end()
  }))
})

describe('ends', () => {
  const server = target({ CLOSE_TIMEOUT: '300', BUFFERED_SIZE: String(MIB), WRITE_TIMEOUT: '60000' })

  test('H30 a close that is wrong, is not answered, or does not come', () => survives(server, { closed: { WS_PROTOCOL: 2, WS_NO_ANSWER: 21, WS_ABNORMAL: SOME, READ_ERROR: ANY } }, async () => {
    assert.deepEqual(await fails(server, [frame(CLOSE, 'x')]), ['close 1002'])
    assert.deepEqual(await fails(server, [closeFrame(1005)]), ['close 1002'])
    const silent = await Peer.open(server, '/misuse')
    silent.send(frame(TEXT, 'close twice'))
    assert.deepEqual(await silent.rest(), ['close 4001 once'])
    await eachOf(20, async () => { // it sends on and on in place of an answer
      const peer = await Peer.open(server, '/misuse')
      peer.send(frame(TEXT, 'close twice'))
      for (let i = 0; i < 20 && !peer.over; i++) {
        peer.send(frame(TEXT, 'x'.repeat(1000)))
        await sleep(20)
      }
      assert.deepEqual(await peer.rest(), ['close 4001 once'])
    })
    const reset = await Peer.open(server, '/echo')
    reset.reset()
    const gone = await Peer.open(server, '/echo')
    gone.end()
    await eventually(async () => (await statsOf(server)).websockets === 0, 'they are gone')
  }))

  test('H31 handlers that close twice, send after it, close at once, and end others while they are told', () =>
    survives(server, { closed: { WS_ABNORMAL: ANY, READ_ERROR: ANY, WS_NO_ANSWER: ANY } }, async () => {
      const closed = async (run, expected, path = '/misuse') => {
        const peer = await Peer.open(server, path)
        if (run) peer.send(frame(TEXT, run))
        const all = []
        for (let next; (next = await peer.next());) {
          all.push(next)
          if (next.startsWith('close')) peer.send(closeFrame(Number(next.split(' ')[1])))
        }
        assert.deepEqual(all, expected, run)
        peer.end()
      }
      for (let i = 0; i < 10; i++) {
        await closed('close twice', ['close 4001 once'])
        await closed('send after close', ['close 4001 closed'])
        await closed('terminate and go on', [])
        await closed(null, ['close 4000 at once'], '/misuse?at-once=1')
      }
      const others = []
      await eachOf(50, async i => others.push(await Peer.open(server, i % 2 ? '/misuse' : '/room')))
      await closed('all of them', [])
      for (const peer of others) assert.deepEqual(await peer.rest(), [])
    }))

  // What each of them gets, as long as it reads.
  async function hears (peer, bytes) {
    for (let left = bytes; left > 0;) {
      assert.equal(peer.over, '', 'one that reads was cut')
      const n = Math.min(left, peer.length)
      if (n) peer.take(n)
      else await peer.when(() => peer.length > 0 ? true : undefined, 'messages')
      left -= n
    }
  }

  async function publish (speaker, good, count) {
    speaker.send(frame(TEXT, String(count)))
    assert.equal(await speaker.next(), 'text published')
    for (const peer of good) await hears(peer, count * (1024 + 4))
  }

  const gone = { WS_NO_ANSWER: ANY, WS_ABNORMAL: ANY, READ_ERROR: ANY, WRITE_ERROR: ANY }
  const SOCKETS = Math.min(Number(process.env.SOCKETS ?? 1000), descriptors - 200)
  test(`H32 a room of ${SOCKETS}, half of which have stalled`, () => survives(server, { grows: 64 * MIB, closed: gone }, async () => {
    const peers = []
    await eachOf(SOCKETS, async i => {
      const peer = await Peer.open(server, '/room')
      if (i % 2) peer.socket.pause()
      peers.push(peer)
    })
    const good = peers.filter(peer => !peer.socket.isPaused())
    const speaker = good.pop()
    for (let round = 0; round < 5; round++) await publish(speaker, good, 10)
    await isServed(server)
    for (const peer of peers) peer.reset()
  }))

  test('H32 … until they are closed, since a MiB waits for them', () => survives(server, { grows: 48 * MIB, closed: { ...gone, WS_SLOW: 10 } }, async () => {
    const peers = []
    for (let i = 0; i < 20; i++) peers.push(await Peer.open(server, '/room'))
    for (const peer of peers.slice(10)) peer.socket.pause()
    const [speaker, ...good] = peers.slice(0, 10)
    await eventually(async () => {
      await publish(speaker, good, 500)
      return (await statsOf(server)).closed.WS_SLOW === 10
    }, 'all slow ones are closed')
    for (const peer of peers) peer.reset()
  }))
})
