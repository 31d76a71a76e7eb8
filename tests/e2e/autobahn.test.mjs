// What the fuzzing client of the Autobahn test suite asks of a server, over sockets of our own: its cases under its
// numbers, from the text of RFC 6455, RFC 7692 and RFC 3629, against examples/echo, which is the server for the suite
// itself. Strict where the suite says so: what comes before a mistake is answered, and nothing behind it.
//
// SCALE=n for n times as many messages in 9.7, 9.8, 12 and 13; with 50 it is what the suite sends.

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import {
  BINARY, CLOSE, CONTINUATION, KIB, MIB, PING, PONG, Peer, TEXT, closeAll, closeFrame, eachOf, fragments, frame, part, shown
} from './peer.mjs'
import { startServer } from './support.mjs'
import { chance, scale } from './traffic/chance.mjs'

// --- How a case goes -----------------------------------------------------------------------------

const bytesOf = hex => Buffer.from(hex.replaceAll(' ', ''), 'hex')
const PROTOCOL = 'close 1002'
const NO_TEXT = 'close 1007'

// All at once; each frame when the one before it has gone; or `chop` bytes at a time.
async function sendFrames (peer, frames, chop) {
  if (!chop) peer.send(...frames)
  else if (chop !== 'frames') await peer.sendChopped(Buffer.concat(frames), chop)
  else for (const one of frames) await peer.sendChopped(one, one.length)
}

// The frames, a goodbye if they have none, and what must come back; `close` is how it must end.
function talk (frames, expected, { chop, close = 'close 1000 bye' } = {}) {
  return async server => {
    const peer = await Peer.open(server, '/')
    const answers = peer.rest()
    await sendFrames(peer, frames, chop)
    if (close === 'close 1000 bye') peer.send(closeFrame(1000, 'bye'))
    assert.deepEqual(await answers, [...expected, close])
    assert.equal(peer.over, 'end', 'the server ends the connection, in order')
  }
}

const echoes = (opcode, payload, options) => talk([frame(opcode, payload)], [shown(opcode, payload)], options)

// What must end it, by the server, behind a message that comes back and in front of a ping that does not.
const failsBehind = (frames, close, options) =>
  talk([frame(TEXT, 'Hello, world!'), ...frames, frame(PING)], [shown(TEXT, 'Hello, world!')], { ...options, close })
const fails = (frames, close, options) => talk(frames, [], { ...options, close })

const cases = {}

// --- 1: framing ----------------------------------------------------------------------------------

for (const [i, size] of [0, 125, 126, 127, 128, 65535, 65536, 65536].entries()) {
  const chop = i === 7 ? 997 : undefined
  cases[`1.1.${i + 1}: text of ${size} bytes`] = echoes(TEXT, '*'.repeat(size), { chop })
  cases[`1.2.${i + 1}: binary of ${size} bytes`] = echoes(BINARY, Buffer.alloc(size, 0xfe), { chop })
}

// --- 2: pings and pongs --------------------------------------------------------------------------

const NOT_TEXT = bytesOf('00 ff fe fd fc fb 00 ff')
const LONGEST = Buffer.alloc(125, 0xfe)
const TEN = Array.from({ length: 10 }, (_, i) => `payload-${i}`)
const tenPings = chop => talk(TEN.map(text => frame(PING, text)), TEN.map(text => shown(PONG, text)), { chop })
const pings = (payload, options) => talk([frame(PING, payload)], [shown(PONG, payload)], options)

Object.assign(cases, {
  '2.1: a ping without payload': pings(''),
  '2.2: a ping with text': pings('Hello, world!'),
  '2.3: a ping with what is no text': pings(NOT_TEXT),
  '2.4: a ping of 125 bytes': pings(LONGEST),
  '2.5: a ping of 126 bytes': fails([frame(PING, Buffer.alloc(126, 0xfe))], PROTOCOL),
  '2.6: a ping of 125 bytes, byte by byte': pings(LONGEST, { chop: 1 }),
  '2.7: a pong nobody asked for': talk([frame(PONG)], []),
  '2.8: a pong nobody asked for, with payload': talk([frame(PONG, 'unsolicited')], []),
  '2.9: a pong nobody asked for, then a ping': talk([frame(PONG, 'unsolicited'), frame(PING, 'ping')], [shown(PONG, 'ping')]),
  '2.10: ten pings': tenPings(),
  '2.11: ten pings, byte by byte': tenPings(1)
})

// --- 3: reserved bits ----------------------------------------------------------------------------

Object.assign(cases, {
  '3.1: text with RSV 1': fails([frame(TEXT, 'Hello, world!', { rsv: 1 })], PROTOCOL),
  '3.2: text with RSV 2, behind another': failsBehind([frame(TEXT, 'x', { rsv: 2 })], PROTOCOL),
  '3.3: text with RSV 3, behind another, frame by frame': failsBehind([frame(TEXT, 'x', { rsv: 3 })], PROTOCOL, { chop: 'frames' }),
  '3.4: text with RSV 4, behind another, byte by byte': failsBehind([frame(TEXT, 'x', { rsv: 4 })], PROTOCOL, { chop: 1 }),
  '3.5: binary with RSV 5': fails([frame(BINARY, NOT_TEXT, { rsv: 5 })], PROTOCOL),
  '3.6: a ping with RSV 6': fails([frame(PING, 'Hello, world!', { rsv: 6 })], PROTOCOL),
  '3.7: a close with RSV 7': fails([frame(CLOSE, '', { rsv: 7 })], PROTOCOL)
})

// --- 4: opcodes ----------------------------------------------------------------------------------

for (const [group, opcodes] of [[1, [3, 4, 5, 6, 7]], [2, [11, 12, 13, 14, 15]]]) {
  for (const [i, opcode] of opcodes.entries()) {
    const one = frame(opcode, i % 2 ? 'reserved opcode payload' : '')
    const last = frame(opcode, 'reserved opcode payload')
    cases[`4.${group}.${i + 1}: opcode ${opcode}`] = i < 2 ? fails([one], PROTOCOL)
      : i < 4 ? failsBehind([one], PROTOCOL) : failsBehind([last], PROTOCOL, { chop: 1 })
  }
}

// --- 5: fragments --------------------------------------------------------------------------------

const two = [part(TEXT, 'fragment1'), frame(CONTINUATION, 'fragment2')]
const TWO = [shown(TEXT, 'fragment1fragment2')]
const parted = [two[0], frame(PING, 'ping payload'), two[1]]
const PARTED = [shown(PONG, 'ping payload'), ...TWO]
const nothing = fin => [frame(CONTINUATION, 'non-continuation payload', { fin }), frame(TEXT, 'Hello, world!')]
const thrice = fin => Array(2).fill([frame(CONTINUATION, 'fragment1', { fin }), part(TEXT, 'fragment2'), frame(CONTINUATION, 'fragment3')]).flat()

// Two pings among five fragments, the first of which is answered before the rest is there.
const five = chop => async server => {
  const peer = await Peer.open(server, '/')
  await sendFrames(peer, [part(TEXT, 'fragment1'), part(CONTINUATION, 'fragment2'), frame(PING, 'pongme 1!')], chop)
  assert.equal(await peer.next(), shown(PONG, 'pongme 1!'))
  await sendFrames(peer, [
    part(CONTINUATION, 'fragment3'), part(CONTINUATION, 'fragment4'), frame(PING, 'pongme 2!'), frame(CONTINUATION, 'fragment5')], chop)
  assert.equal(await peer.next(), shown(PONG, 'pongme 2!'))
  assert.equal(await peer.next(), shown(TEXT, 'fragment1fragment2fragment3fragment4fragment5'))
  await peer.bye()
}

Object.assign(cases, {
  '5.1: a ping in two fragments': fails([part(PING, 'fragment1'), frame(CONTINUATION, 'fragment2')], PROTOCOL),
  '5.2: a pong in two fragments': fails([part(PONG, 'fragment1'), frame(CONTINUATION, 'fragment2')], PROTOCOL),
  '5.3: a text in two fragments': talk(two, TWO),
  '5.4: a text in two fragments, frame by frame': talk(two, TWO, { chop: 'frames' }),
  '5.5: a text in two fragments, byte by byte': talk(two, TWO, { chop: 1 }),
  '5.6: a ping between two fragments': talk(parted, PARTED),
  '5.7: a ping between two fragments, frame by frame': talk(parted, PARTED, { chop: 'frames' }),
  '5.8: a ping between two fragments, byte by byte': talk(parted, PARTED, { chop: 1 }),
  '5.18: two fragments that both say text': fails([part(TEXT, 'fragment1'), frame(TEXT, 'fragment2')], PROTOCOL),
  '5.15: a continuation behind a message': talk([...two, part(CONTINUATION, 'fragment3'), frame(TEXT, 'fragment4')], TWO, { close: PROTOCOL }),
  '5.16: continuations of nothing, not the last ones': fails(thrice(false), PROTOCOL),
  '5.17: continuations of nothing, the last ones': fails(thrice(true), PROTOCOL),
  '5.19: pings among five fragments': five(),
  '5.20: pings among five fragments, frame by frame': five('frames')
})
for (const [i, chop] of [undefined, 'frames', 1].entries()) {
  cases[`5.${9 + i}: the last continuation of nothing, in pieces of ${chop ?? 'all'}`] = fails(nothing(true), PROTOCOL, { chop })
  cases[`5.${12 + i}: a continuation of nothing, in pieces of ${chop ?? 'all'}`] = fails(nothing(false), PROTOCOL, { chop })
}

// --- 6: UTF-8 ------------------------------------------------------------------------------------

const GREEK = bytesOf('ce ba e1 bd b9 cf 83 ce bc ce b5') // κόσμε
const HELLO = Buffer.from('Hello-µ@ßöäüàá-UTF-8!!')
const SURROGATE = Buffer.concat([GREEK, bytesOf('ed a0 80'), Buffer.from('edited')])
const BEYOND = Buffer.concat([GREEK, bytesOf('f4 90 80 80'), Buffer.from('edited')])

// Fails at the byte that makes it invalid, and not before: in frames of their own, or within one.
function failsAt (parts, inOneFrame) {
  return async server => {
    const peer = await Peer.open(server, '/')
    const whole = frame(TEXT, Buffer.concat(parts))
    const start = whole.length - Buffer.concat(parts).length
    const at = n => start + Buffer.concat(parts.slice(0, n)).length
    const send = i => peer.send(inOneFrame ? whole.subarray(i ? at(i) : 0, at(i + 1)) : part(i ? CONTINUATION : TEXT, parts[i]))
    send(0)
    if (!inOneFrame) { // it has been read, and found good
      peer.send(frame(PING, 'still there'))
      assert.equal(await peer.next(), shown(PONG, 'still there'))
    } else {
      await new Promise(resolve => setTimeout(resolve, 50))
      assert.equal(peer.length, 0)
    }
    send(1)
    assert.deepEqual(await peer.rest(), [NO_TEXT])
    assert.equal(peer.over, 'end')
  }
}

Object.assign(cases, {
  '6.1.1: an empty text': echoes(TEXT, ''),
  '6.1.2: three empty fragments': talk([part(TEXT), part(CONTINUATION), frame(CONTINUATION)], [shown(TEXT, '')]),
  '6.1.3: an empty fragment in front and one behind': talk([part(TEXT), part(CONTINUATION, 'middle frame payload'), frame(CONTINUATION)], [shown(TEXT, 'middle frame payload')]),
  '6.2.1: valid text': echoes(TEXT, HELLO),
  '6.2.2: valid text, cut between two characters': talk(fragments(TEXT, HELLO, 13), [shown(TEXT, HELLO)]),
  '6.2.3: valid text, byte by byte': talk(fragments(TEXT, HELLO, 1), [shown(TEXT, HELLO)]),
  '6.2.4: Greek text, byte by byte': talk(fragments(TEXT, GREEK, 1), [shown(TEXT, GREEK)]),
  '6.3.1: invalid text': fails([frame(TEXT, SURROGATE)], NO_TEXT),
  '6.3.2: invalid text, byte by byte': fails(fragments(TEXT, SURROGATE, 1), NO_TEXT),
  '6.4.1: invalid in its second frame': failsAt([BEYOND.subarray(0, 11), BEYOND.subarray(11, 15), BEYOND.subarray(15)]),
  '6.4.2: invalid in its second frame, which ends there': failsAt([BEYOND.subarray(0, 12), BEYOND.subarray(12, 13), BEYOND.subarray(13)]),
  '6.4.3: invalid in a second piece of a frame': failsAt([BEYOND.subarray(0, 11), BEYOND.subarray(11, 15), BEYOND.subarray(15)], true),
  '6.4.4: invalid in a second piece of a frame, which ends there': failsAt([BEYOND.subarray(0, 12), BEYOND.subarray(12, 13), BEYOND.subarray(13)], true)
})

// Markus Kuhn's tests of decoders: groups of what is valid and (!) what is not.
const join = (from, to, then = '') => Array.from({ length: to - from }, (_, i) => (from + i).toString(16) + then).join('')
const lacking = ['c0', 'e080', 'f08080', 'f8808080', 'fc80808080', 'df', 'efbf', 'f7bfbf', 'fbbfbfbf', 'fdbfbfbfbf']
const greek = GREEK.toString('hex')
const nonCharacters = ['efbfbe', 'efbfbf', ...['f0', 'f1', 'f2', 'f3', 'f4'].flatMap(a => ['8f', '9f', 'af', 'bf'].flatMap(b => ['be', 'bf'].map(c => `${a}${b}bf${c}`)))]
const utf8 = [
  ['valid text', ...['$', '¢', '€', '𤭢'].map(c => Buffer.from(`hello${c}world`).toString('hex')), greek],
  ['beginnings of valid text', ...Array.from({ length: 11 }, (_, i) => ([2, 5, 7, 9, 11].includes(i + 1) ? '' : '!') + greek.slice(0, 2 * i + 2))],
  ['the first of each length', '00', 'c280', 'e0a080', 'f0908080'],
  ['the first of five and six bytes', '!f888808080', '!fc8480808080'],
  ['the last of each length', '7f', 'dfbf', 'efbfbf', 'f48fbfbf'],
  ['the last of four, five and six bytes', '!f7bfbfbf', '!fbbfbfbfbf', '!fdbfbfbfbfbf'],
  ['other boundaries', 'ed9fbf', 'ee8080', 'efbfbd', 'f48fbfbf', '!f4908080'],
  ['continuations of nothing', ...[1, 2, 3, 4, 5, 6, 7].map(n => '!' + (n === 2 ? 'bf' : '80bf'.repeat(4).slice(0, n === 1 ? 2 : 2 * (n - 1)))), '!' + join(0x80, 0xbf)],
  ['lonely beginnings', ...[[0xc0, 0xdf], [0xe0, 0xef], [0xf0, 0xf7], [0xf8, 0xfb], [0xfc, 0xfd]].map(([a, b]) => '!' + join(a, b, '20'))],
  ['the last byte is missing', ...lacking.map(hex => '!' + hex)],
  ['all of these behind each other', '!' + lacking.join('')],
  ['impossible bytes', '!fe', '!ff', '!fefeffff'],
  ['too long for ASCII', '!c0af', '!e080af', '!f08080af', '!f8808080af', '!fc80808080af'],
  ['the greatest that are too long', '!c1bf', '!e09fbf', '!f08fbfbf', '!f887bfbfbf', '!fc83bfbfbfbf'],
  ['too long for NUL', '!c080', '!e08080', '!f0808080', '!f880808080', '!fc8080808080'],
  ['surrogates', '!eda080', '!edadbf', '!edae80', '!edafbf', '!edb080', '!edbe80', '!edbfbf'],
  ['pairs of them', ...['eda080', 'edadbf', 'edae80', 'edafbf'].flatMap(a => ['edb080', 'edbfbf'].map(b => '!' + a + b))],
  ['no characters, but valid', ...nonCharacters.filter(hex => !/^f08f/.test(hex) && !/^f4[^8]/.test(hex))],
  ['specials', ...['b9', 'ba', 'bb', 'bc', 'bd', 'be', 'bf'].map(last => 'efbf' + last)]
]
for (const [i, [name, ...texts]] of utf8.entries()) {
  for (const [j, text] of texts.entries()) {
    const payload = Buffer.from(text.replace('!', ''), 'hex')
    cases[`6.${i + 5}.${j + 1}: ${name}: ${text.slice(0, 40)}`] = text.startsWith('!') ? fails([frame(TEXT, payload)], NO_TEXT) : echoes(TEXT, payload)
  }
}

// --- 7: closing ----------------------------------------------------------------------------------

const closes = (code, reason) => fails([closeFrame(code, reason)], `close ${code} ${reason ?? ''}`.trimEnd())
const big = Buffer.alloc(256 * KIB, 'BAsd7&jh23')

Object.assign(cases, {
  '7.1.1: a text, then a close': echoes(TEXT, 'Hello World!'),
  '7.1.2: two closes': fails([closeFrame(1000), frame(CLOSE)], 'close 1000'),
  '7.1.3: a ping behind a close': fails([closeFrame(1000), frame(PING)], 'close 1000'),
  '7.1.4: a text behind a close': fails([closeFrame(1000), frame(TEXT, 'Hello World!')], 'close 1000'),
  '7.1.5: a close between two fragments': fails([part(TEXT, 'fragment1'), closeFrame(1000), frame(CONTINUATION, 'fragment2')], 'close 1000'),
  '7.1.6: 256 KiB, a text, a close, a ping': talk([frame(TEXT, big), frame(TEXT, 'Hello World!'), closeFrame(1000), frame(PING)],
    [shown(TEXT, big), shown(TEXT, 'Hello World!')], { close: 'close 1000' }),
  '7.3.1: an empty close': fails([frame(CLOSE)], 'close'),
  '7.3.2: a close of one byte': fails([frame(CLOSE, 'a')], PROTOCOL),
  '7.3.3: a close of two bytes': closes(1000),
  '7.3.4: a close with a reason': closes(1000, 'Hello World!'),
  '7.3.5: a close with a reason of 123 bytes': closes(1000, '*'.repeat(123)),
  '7.3.6: a close with a reason of 124 bytes': fails([closeFrame(1000, '*'.repeat(124))], PROTOCOL),
  '7.5.1: a reason that is no text': fails([closeFrame(1000, SURROGATE)], NO_TEXT),
  '7.13.1: code 5000': fails([closeFrame(5000)], PROTOCOL),
  '7.13.2: code 65535': fails([closeFrame(65535)], PROTOCOL)
})
for (const [i, code] of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999].entries()) {
  cases[`7.7.${i + 1}: code ${code}`] = closes(code)
}
for (const [i, code] of [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999].entries()) {
  cases[`7.9.${i + 1}: code ${code}`] = fails([closeFrame(code)], PROTOCOL)
}

// --- 9: much -------------------------------------------------------------------------------------

const much = {}
const textOf = size => Buffer.alloc(size, 'BAsd7&jh23')
const binaryOf = size => Buffer.alloc(size, bytesOf('00 fe 23 fa f0'))

for (const [i, size] of [64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB].entries()) {
  much[`9.1.${i + 1}: text of ${size} bytes`] = server => echoes(TEXT, textOf(size))(server)
  much[`9.2.${i + 1}: binary of ${size} bytes`] = server => echoes(BINARY, binaryOf(size))(server)
}
for (const [i, size] of [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB].entries()) {
  for (const [group, opcode, payload] of [[3, TEXT, textOf], [4, BINARY, binaryOf]]) {
    much[`9.${group}.${i + 1}: 4 MiB in fragments of ${size} bytes`] = async server => {
      const whole = payload(4 * MIB)
      await talk(fragments(opcode, whole, size), [shown(opcode, whole)])(server)
    }
  }
}
for (const [i, chop] of [64, 128, 256, 512, 1024, 2048].entries()) {
  much[`9.5.${i + 1}: 1 MiB of text in pieces of ${chop} bytes`] = server => echoes(TEXT, textOf(MIB), { chop })(server)
  much[`9.6.${i + 1}: 1 MiB of binary in pieces of ${chop} bytes`] = server => echoes(BINARY, binaryOf(MIB), { chop })(server)
}
for (const [i, size] of [0, 16, 64, 256, KIB, 4 * KIB].entries()) {
  for (const [group, opcode, payload] of [[7, TEXT, textOf], [8, BINARY, binaryOf]]) {
    much[`9.${group}.${i + 1}: messages of ${size} bytes, one when the other has come back`] = async server => {
      const peer = await Peer.open(server, '/')
      for (let n = Math.min(1000, 100 * scale); n > 0; n--) {
        peer.send(frame(opcode, payload(size)))
        assert.equal(await peer.next(), shown(opcode, payload(size)))
      }
      await peer.bye()
    }
  }
}

// --- 10: in fragments by themselves --------------------------------------------------------------

much['10.1.1: 65536 bytes in fragments of 1300'] = async server => {
  const whole = Buffer.alloc(65536, '*')
  assert.equal(fragments(TEXT, whole, 1300).length, 51)
  await talk(fragments(TEXT, whole, 1300), [shown(TEXT, whole)])(server)
}

// --- 12, 13: compression -------------------------------------------------------------------------

// What the suite has in files: text that repeats itself, a picture, a poem, a page, and what is compressed already.
const r = chance('autobahn')
const words = ['Habe', 'nun', 'ach', 'Philosophie', 'Juristerei', 'und', 'Medizin', 'leider', 'auch', 'Theologie', 'für', 'ewig', 'größer']
const upTo = (size, make) => {
  let text = ''
  for (let i = 0; text.length < size; i++) text += make(i)
  return text
}
const json = upTo(200_000, i => JSON.stringify({ id: i, guid: r.bytes(8).toString('hex'), name: `${r.pick(words)} ${r.pick(words)}`, tags: [r.pick(words), 'ü'], balance: r.below(10_000) / 100 }))
const page = upTo(200_000, i => `<li class="entry"><a href="/${r.pick(words)}/${i}">${r.pick(words)} ${r.pick(words)}</a></li>\n`)
const poem = upTo(200_000, i => r.pick(words) + (i % 8 ? ' ' : ',\n'))
const picture = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i >> 2 & 127) + (i >> 9 & 63) + r.below(5)))
const data = [[TEXT, json], [BINARY, picture], [BINARY, Buffer.from(poem)], [TEXT, page], [BINARY, r.bytes(200_000)]]

// Length of a message, and of its fragments.
const sizes = [
  [16], [64], [256], [1024], [4096], [8192], [16384], [32768], [65536], [131072],
  [8192, 256], [16384, 256], [32768, 256], [65536, 256], [131072, 256], [131072, 1024], [131072, 4096], [131072, 32768]
]

// A piece of it, going on where the one before has ended: of a string that many characters.
function pieces (whole) {
  let at = 0
  return size => {
    const end = (at + size) % whole.length
    const piece = end > at ? whole.slice(at, end) : typeof whole === 'string' ? whole.slice(at) + whole.slice(0, end) : Buffer.concat([whole.subarray(at), whole.subarray(0, end)])
    at = end
    return Buffer.from(piece)
  }
}

function exchanges (opcode, whole, [size, cut = Infinity], offer, agreed) {
  return async server => {
    const peer = await Peer.open(server, '/', { offer })
    const next = pieces(whole)
    assert.deepEqual(peer.agreed, agreed)
    let saved = 0
    for (let n = Math.min(1000, scale * Math.ceil(Math.min(20, 256 * KIB / size))); n > 0; n--) {
      const payload = next(size)
      peer.send(await peer.compressed(opcode, payload, cut))
      const answer = await peer.message()
      assert.equal(answer.opcode, opcode)
      assert.ok(answer.payload.equals(payload), 'the same bytes')
      saved += answer.compressed
    }
    const worthwhile = size >= 1024 && !Buffer.isBuffer(whole)
    if (worthwhile) assert.ok(saved > 0, 'its answers are compressed')
    await peer.bye()
  }
}

const DEFAULT = 'permessage-deflate; client_no_context_takeover; client_max_window_bits'
const agreed = (server = {}, client = {}) => ({ client: { bits: 15, forgets: true, ...client }, server: { bits: 15, forgets: false, ...server } })
const squeezed = {}

for (const [i, [opcode, whole]] of data.entries()) {
  for (const [j, size] of sizes.entries()) {
    squeezed[`12.${i + 1}.${j + 1}: messages of ${size[0]} bytes${size[1] ? ` in fragments of ${size[1]}` : ''}`] =
      exchanges(opcode, whole, size, DEFAULT, agreed())
  }
}
for (const [i, [offer, server]] of [
  [DEFAULT, {}],
  [`${DEFAULT}; server_no_context_takeover`, { forgets: true }],
  [`${DEFAULT}; server_max_window_bits=9`, { bits: 9 }],
  [`${DEFAULT}; server_max_window_bits=15`, { bits: 15 }],
  [`${DEFAULT}; server_no_context_takeover; server_max_window_bits=9`, { bits: 9, forgets: true }],
  [`${DEFAULT}; server_no_context_takeover; server_max_window_bits=15`, { bits: 15, forgets: true }],
  [`${DEFAULT}; server_no_context_takeover; server_max_window_bits=9, ${DEFAULT}; server_no_context_takeover, ${DEFAULT}`, { bits: 9, forgets: true }]
].entries()) {
  for (const [j, size] of sizes.entries()) {
    squeezed[`13.${i + 1}.${j + 1}: messages of ${size[0]} bytes${size[1] ? ` in fragments of ${size[1]}` : ''}`] =
      exchanges(TEXT, json, size, offer, agreed(server))
  }
}

// --- All of it -----------------------------------------------------------------------------------

function run (env, groups) {
  const holder = {}
  before(async () => Object.assign(holder, await startServer('echo', { env })))
  afterEach(closeAll)
  after(async () => {
    await holder.stop()
    assert.equal(holder.stderr, '')
  })
  // The numbers of a group in one test, which names those that fail: there are five hundred.
  for (const [of, limit] of groups) {
    const names = new Map()
    for (const name of Object.keys(of)) {
      const group = name.split('.')[0] + (Number(name.split('.')[0]) > 8 ? `.${name.split('.')[1]}` : '')
      names.set(group, [...names.get(group) ?? [], name])
    }
    for (const [group, list] of [...names].sort((a, b) => parseFloat(a[0]) - parseFloat(b[0]))) {
      test(`${group}: ${list.length} cases`, async () => {
        const failed = []
        await eachOf(list, async name => {
          await of[name](holder).catch(error => failed.push(`${name}\n${error.stack}`))
        }, limit)
        assert.deepEqual(failed, [])
      })
    }
  }
}

describe('without compression', () => run({}, [[cases, 32], [much, 2]]))
describe('with compression', () => run({ DEFLATE: '1' }, [[cases, 32], [much, 2], [squeezed, 4]]))

test('each number once', () => {
  const numbers = [cases, much, squeezed].flatMap(Object.keys).map(name => name.split(':')[0])
  assert.equal(new Set(numbers).size, numbers.length)
  const count = prefix => numbers.filter(number => number.startsWith(prefix)).length
  const groups = ['1.', '2.', '3.', '4.', '5.', '6.', '7.', '9.', '10.', '12.', '13.']
  assert.deepEqual(groups.map(count), [16, 11, 7, 10, 20, 145, 37, 54, 1, 90, 126])
})
