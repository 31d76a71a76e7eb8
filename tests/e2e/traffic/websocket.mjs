// WebSocket traffic: handshakes good and bad, frames that are whole, cut, fragmented, compressed or wrong, what comes
// back, and what differs below any app.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import zlib from 'node:zlib'
import { HOST, joinHead, normalHead } from './http.mjs'
import { Client, Pair, isOther, show } from './twins.mjs'

export const CONTINUATION = 0
export const TEXT = 1
export const BINARY = 2
export const CLOSE = 8
export const PING = 9
export const PONG = 10

// --- What differs on purpose ---------------------------------------------------------------------

// `check` gets our conversation and Koa's.
export const socketDifferences = {
  'a WebSocket that nothing matched': {
    why: 'it is answered 404 before the upgrade, and never left open and silent',
    check (ours) {
      assert.match(ours.head, /^HTTP\/1.1 404 Not Found\r\n/)
      assert.equal(ours.rest, 'Not Found')
    }
  },
  'a malformed % in the path of a WebSocket': {
    why: 'the same, but 400',
    check (ours) {
      assert.match(ours.head, /^HTTP\/1.1 400 Bad Request\r\n/)
      assert.equal(ours.rest, 'malformed percent-encoding in the path')
    }
  },
  'an expectation in a handshake': {
    why: 'as for pages; node does not look at it then',
    check: ours => assert.match(ours.head, /^HTTP\/1.1 417 Expectation Failed\r\n/)
  },
  'a length in more bytes than it takes': {
    why: 'RFC 6455 5.2 forbids it, and wslay refuses it; ws does not look',
    check: ours => assert.equal(ours.code, 1002)
  },
  'a length beyond 2^63': {
    why: 'it has a bit that must be 0 (RFC 6455 5.2), so it is no matter of size',
    check (ours, koa) {
      assert.equal(ours.code, 1002)
      assert.equal(koa.code, 1009)
    }
  },
  'text that is not UTF-8, in a fragment': {
    why: 'it is refused as soon as it is seen, not when the message is complete',
    check: ours => assert.equal(ours.code, 1007)
  },
  'a hundred pings at once': {
    why: 'all are answered; ws cuts the connection after some 60',
    check (ours) {
      assert.equal(ours.frames.filter(frame => frame.opcode === PONG && frame.payload.equals(Buffer.from('ping!'))).length, 100)
      assert.equal(ours.code, 1000)
    }
  }
}

export const deflateDifferences = {
  'a mistake, while something is being compressed': {
    why: 'what was sent before it still arrives, and a close frame with the code; ws cuts the connection in the middle',
    check (ours, koa) {
      if (isSameSocket(ours, koa)) return
      assert.match(`${ours.code}`, /^(1002|1007|1008|1009)$/)
      assert.ok(isSameSocket({ ...ours, frames: ours.frames.slice(0, koa.frames.length) }, koa))
    }
  }
}

// --- Frames --------------------------------------------------------------------------------------

// `bytes` takes more than it needs for the length if told so, and `length` may be a lie.
export function frame (opcode, payload = '', { fin = true, rsv = 0, masked = true, bytes = 0, length } = {}) {
  const data = Buffer.from(payload)
  length ??= data.length
  const head = Buffer.alloc(10)
  bytes ||= length < 126 ? 1 : length < 65536 ? 2 : 8
  head[0] = (fin ? 0x80 : 0) | rsv << 4 | opcode
  head[1] = (masked ? 0x80 : 0) | (bytes === 1 ? length : bytes === 2 ? 126 : 127)
  if (bytes === 2) head.writeUInt16BE(length, 2)
  if (bytes === 8) head.writeBigUInt64BE(BigInt(length), 2)
  const start = head.subarray(0, bytes === 1 ? 2 : 2 + bytes)
  if (!masked) return Buffer.concat([start, data])
  const mask = [data.length & 255, 0xa5, 0, opcode * 17]
  return Buffer.concat([start, Buffer.from(mask), data.map((byte, i) => byte ^ mask[i & 3])])
}

export const closeFrame = (code, reason = '') =>
  frame(CLOSE, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]))

// --- Compression ---------------------------------------------------------------------------------

const RSV1 = 4
const TAIL = Buffer.from([0, 0, 0xff, 0xff])

// For itself, and in a window that every server agrees to.
export const squeeze = data => zlib.deflateRawSync(data, { windowBits: 9, finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4)

// All of these messages, which may refer to each other.
function unsqueeze (list) {
  const all = Buffer.concat(list.flatMap(data => [data, TAIL]))
  return zlib.inflateRawSync(all, { finishFlush: zlib.constants.Z_SYNC_FLUSH })
}

// When compression was agreed on it is up to each server which messages it compresses, and how well: what counts is
// what they say. Fragments are put together.
function readMessages (frames) {
  const seen = []
  const compressed = []
  let known = 0
  let message
  for (const { first, opcode, payload } of frames) {
    if (opcode >= CLOSE) {
      seen.push({ first, opcode, payload })
      continue
    }
    message = opcode === CONTINUATION ? message : { opcode, isCompressed: Boolean(first & 0x40), parts: [] }
    message.parts.push(payload)
    if (first < 0x80) continue
    let whole = Buffer.concat(message.parts)
    if (message.isCompressed) {
      compressed.push(whole)
      const all = unsqueeze(compressed)
      whole = all.subarray(known)
      known = all.length
    }
    seen.push({ first: 0x80 | message.opcode, opcode: message.opcode, payload: whole })
  }
  return seen
}

// --- What comes back -----------------------------------------------------------------------------

// The answer to the handshake, and the frames behind it as far as they are complete.
export function readSocket (bytes) {
  const end = bytes.indexOf('\r\n\r\n')
  let at = end < 0 ? bytes.length : end + 4
  const head = normalHead(bytes.latin1Slice(0, end < 0 ? bytes.length : end))
  const frames = []
  while (head.startsWith('HTTP/1.1 101 ') && bytes.length >= at + 2) {
    const short = bytes[at + 1]
    const start = at + (short < 126 ? 2 : short === 126 ? 4 : 10)
    if (bytes.length < start) break
    const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2))
    if (bytes.length < start + length) break
    frames.push({ first: bytes[at], opcode: bytes[at] & 15, payload: bytes.subarray(start, start + length) })
    at = start + length
  }
  const code = frames.at(-1)?.opcode === CLOSE && frames.at(-1).payload.length >= 2 ? frames.at(-1).payload.readUInt16BE() : undefined
  const isCompressed = /^Sec-WebSocket-Extensions: permessage-deflate/mi.test(head)
  return { head, frames: isCompressed ? readMessages(frames) : frames, code, rest: bytes.latin1Slice(at) }
}

export const isSameSocket = (a, b) => a.head === b.head && a.rest === b.rest && a.frames.length === b.frames.length &&
  a.frames.every(({ first, payload }, i) => first === b.frames[i].first && payload.equals(b.frames[i].payload))

export const describe = ({ head, frames, rest }) => [
  show(head),
  ...frames.slice(-12).map(({ first, payload }) => `  ${first.toString(16)} ${show(payload)}`),
  `  (${frames.length} frames)`,
  rest ? `  and ${show(rest)}` : ''
].join('\n')

// --- Handshakes ----------------------------------------------------------------------------------

const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
const VERSION = 'Sec-WebSocket-Version: 13'
const UPGRADE = ['Upgrade: websocket', 'Connection: Upgrade']

export const handshake = (path, headers = [...UPGRADE, KEY, VERSION], line = `GET ${path} HTTP/1.1`) => joinHead(line, [HOST, ...headers])

// For an app with a WebSocket at `path`, and none at `unmatched`; those at `malformed` have a wrong %.
export const strangeHandshakes = ({ path, protocols, unmatched, malformed }) => [
  ...[
    [],
    [...UPGRADE],
    [...UPGRADE, VERSION],
    [...UPGRADE, KEY],
    [...UPGRADE, KEY, 'Sec-WebSocket-Version: 7'],
    [...UPGRADE, KEY, 'Sec-WebSocket-Version: 13, 8'],
    [...UPGRADE, KEY, VERSION, VERSION],
    [...UPGRADE, KEY, KEY, VERSION],
    [...UPGRADE, 'Sec-WebSocket-Key: abc', VERSION],
    [...UPGRADE, 'Sec-WebSocket-Key:', VERSION],
    [...UPGRADE, `${KEY}=`, VERSION],
    [...UPGRADE, 'Upgrade: websocket', KEY, VERSION],
    ['Upgrade: h2c', 'Connection: Upgrade', KEY, VERSION],
    ['Upgrade: websocket, h2c', 'Connection: Upgrade', KEY, VERSION],
    ['Upgrade:', 'Connection: Upgrade', KEY, VERSION],
    ['Upgrade: websocket', KEY, VERSION],
    ['Connection: Upgrade', KEY, VERSION],
    ['Upgrade: websocket', 'Connection: keep-alive', KEY, VERSION],
    ...['chat,', ',chat', 'ch at', '', 'chat, chat', 'a;b', 'a,,b'].map(list => [...UPGRADE, KEY, VERSION, `Sec-WebSocket-Protocol: ${list}`]),
    [...UPGRADE, KEY, VERSION, 'Sec-WebSocket-Protocol: a', 'Sec-WebSocket-Protocol: a'],
    ...protocols.map(list => [...UPGRADE, KEY, VERSION, `Sec-WebSocket-Protocol: ${list}`])
  ].map(headers => ({ bytes: handshake(path, headers) })),
  ...['POST', 'HEAD', 'OPTIONS'].map(method => ({ bytes: handshake(path, undefined, `${method} ${path} HTTP/1.1`) })),
  ...unmatched.map(path => ({ bytes: handshake(path), differs: 'a WebSocket that nothing matched' })),
  ...malformed.map(path => ({ bytes: handshake(path), differs: 'a malformed % in the path of a WebSocket' })),
  { bytes: handshake(path, [...UPGRADE, KEY, VERSION, 'Expect: foo']), differs: 'an expectation in a handshake' }
]

const DEFLATE = 'permessage-deflate'
const OFFERS = [
  DEFLATE, DEFLATE, `${DEFLATE}; client_max_window_bits`, `${DEFLATE}; client_max_window_bits`, `${DEFLATE};client_max_window_bits=9`,
  `${DEFLATE}; server_no_context_takeover`, `${DEFLATE}; client_no_context_takeover`, `${DEFLATE}; server_max_window_bits=10`,
  `${DEFLATE}; server_max_window_bits="9" ; client_max_window_bits=15; server_no_context_takeover`,
  `${DEFLATE}; server_max_window_bits=8`, `foo, ${DEFLATE}; client_max_window_bits, ${DEFLATE}`, 'foo', DEFLATE.toUpperCase()
]
const NO_OFFERS = [`${DEFLATE}; x`, `${DEFLATE}; server_max_window_bits=16`, `${DEFLATE}; server_max_window_bits`, 'foo;', DEFLATE.repeat(2) + ',']

export const strangeOffers = path => NO_OFFERS.map(offer =>
  ({ bytes: handshake(path, [...UPGRADE, KEY, VERSION, `Sec-WebSocket-Extensions: ${offer}`]) }))

// With `compresses` most of them offer compression.
export function makeHandshake (r, path, protocols = ['chat', 'chat, superchat', 'a ,\tb', 'a,A', '!#$%&\'*+-.^_`|~'], compresses = false) {
  const headers = [
    r.pick(['Upgrade: websocket', 'upgrade: WebSocket', 'UPGRADE: websocket ']),
    r.pick(['Connection: Upgrade', 'connection: upgrade', 'Connection: keep-alive, Upgrade', 'Connection: Upgrade, close', 'Connection: foo,upgrade']),
    r.pick([KEY, KEY.toLowerCase().replace(/: .*/, KEY.slice(17)), `Sec-WebSocket-Key:\t ${r.bytes(16).toString('base64')} `]),
    r.pick([VERSION, VERSION, 'sec-websocket-version: 8'])
  ].sort(() => r.below(3) - 1)
  if (r.one(0.3)) headers.push(`Sec-WebSocket-Protocol: ${r.pick(protocols)}`, ...(r.one(0.2) ? ['Sec-WebSocket-Protocol: second'] : []))
  if (compresses && r.one(0.8)) headers.push(`Sec-WebSocket-Extensions: ${r.pick(OFFERS)}`)
  else if (!compresses && r.one(0.1)) headers.push(r.pick(['Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits', 'Sec-WebSocket-Extensions: ;;;']))
  if (r.one(0.2)) headers.push(r.pick(['Origin: http://evil.example', 'Cookie: a=b', 'Expect: 100-continue', 'Content-Length: 0']))
  return handshake(path, headers, `GET ${r.one(0.1) ? 'http://a' : ''}${path} HTTP/1.${r.one(0.03) ? 0 : 1}`)
}

// --- Conversations -------------------------------------------------------------------------------

export const SIZES = [0, 1, 10, 124, 125, 126, 127, 128, 500, 4000, 65535, 65536, 70000]

export const textOf = (r, sizes = SIZES) => Buffer.from(r.text(r.one(0.05) ? r.pick(sizes) : r.below(60)))
export const binaryOf = (r, sizes = SIZES) => r.bytes(r.one(0.05) ? r.pick(sizes) : r.below(60))

// A message in one frame or in many, with pings and pongs between them; where `hello` offers compression, sometimes
// compressed.
export function makeMessage (r, opcode, data, hello) {
  const rsv = hello?.includes(DEFLATE) && r.one(0.6) ? RSV1 : 0
  if (rsv) data = squeeze(data)
  if (r.one(0.6)) return [frame(opcode, data, { rsv })]
  const places = [0, ...r.some(4, () => r.below(data.length + 1)).sort((a, b) => a - b), data.length]
  return places.slice(1).flatMap((place, i) => [
    ...(r.one(0.2) ? [makeControl(r)] : []),
    frame(i ? CONTINUATION : opcode, data.subarray(places[i], place), { fin: i === places.length - 2, rsv: i ? 0 : rsv })
  ])
}

export const makeControl = r => frame(r.pick([PING, PING, PONG]), r.bytes(r.pick([0, 1, r.below(125), 125])))

// What ends a conversation. Behind a goodbye, or a mistake, anything may follow: `junk`.
const X = Buffer.from('x')
const hex = text => Buffer.from(text, 'hex')
const open = (opcode, payload) => frame(opcode, payload, { fin: false })

const goodbyes = [
  ...[1000, 1001, 1002, 1003, 1007, 1008, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999].map(code =>
    (r, junk) => [closeFrame(code, r.pick(['', 'bye', 'tschüß', 'x'.repeat(123)])), ...junk]),
  (r, junk) => [frame(CLOSE), ...junk],
  (r, junk) => [open(TEXT, 'he'), closeFrame(1000), ...junk]
]

const wrongOnes = [
  // Goodbyes
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2999, 5000, 65535].map(code =>
    (r, junk) => [closeFrame(code, r.pick(['', 'bye'])), ...junk]),
  (r, junk) => [frame(CLOSE, X), ...junk],
  (r, junk) => [frame(CLOSE, hex('03e8ff')), ...junk],
  (r, junk) => [closeFrame(1000, 'x'.repeat(124)), ...junk],
  // Frames that there are not
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map(opcode => (r, junk) => [frame(opcode, X), ...junk]),
  ...[1, 2, 5, 7].map(rsv => (r, junk) => [frame(r.pick([TEXT, BINARY, PING, CLOSE]), X, { rsv }), ...junk]),
  (r, junk) => [frame(r.pick([PING, CLOSE]), X, { rsv: RSV1 }), ...junk],
  ...[TEXT, BINARY, PING, PONG, CLOSE].map(opcode => (r, junk) => [frame(opcode, '', { masked: false }), ...junk]),
  (r, junk) => [frame(TEXT, 'a long one without a mask', { masked: false }), ...junk],
  ...[PING, PONG, CLOSE].map(opcode => (r, junk) => [open(opcode), ...junk]),
  ...[PING, PONG].map(opcode => (r, junk) => [frame(opcode, 'x'.repeat(126)), ...junk]),
  // Fragments in the wrong order
  (r, junk) => [frame(CONTINUATION, X), ...junk],
  (r, junk) => [open(CONTINUATION, X), ...junk],
  (r, junk) => [open(TEXT, X), frame(TEXT, X), ...junk],
  (r, junk) => [open(BINARY, X), frame(BINARY, X), ...junk],
  (r, junk) => [open(TEXT, X), frame(CONTINUATION, X), frame(CONTINUATION, X), ...junk],
  // Text that is none
  ...['ff', 'c3', 'c328', 'c0af', 'e28228', 'eda080', 'f0808080', 'f4908080', 'f8888080', '61e282', '80'].map(text =>
    (r, junk) => [frame(TEXT, hex(text)), ...junk]),
  (r, junk) => [open(TEXT, hex('e282')), frame(CONTINUATION), ...junk],
  // Too many
  (r, junk) => [frame(TEXT, X, { length: 2 ** 53 }), ...junk],
  (r, junk) => [open(TEXT, X), ...Array(16384).fill(open(CONTINUATION, X)), ...junk]
]

const ends = [
  ...goodbyes,
  ...wrongOnes,
  (r, junk) => [open(TEXT, X), ...Array(16382).fill(open(CONTINUATION, X)), frame(CONTINUATION, X), closeFrame(1000)],
  (r, junk) => [...Array(40).fill(frame(PING, 'ping!')), closeFrame(1000)]
].map(make => ({ make }))

// Compressed ones, and all others that both servers should end alike.
const squeezed = (data, opcode = TEXT) => frame(opcode, squeeze(Buffer.from(data)), { rsv: RSV1 })
const bomb = squeeze(Buffer.alloc(16 << 20))
const MISTAKE = 'a mistake, while something is being compressed'
const mistakes = limit => [
  ...['ffff', '06', 'fdff', '01feff0000'].map(data => (r, junk) => [frame(r.pick([TEXT, BINARY]), hex(data), { rsv: RSV1 }), ...junk]),
  (r, junk) => [squeezed(hex('61e282')), ...junk],
  (r, junk) => [squeezed(hex('eda080')), ...junk],
  (r, junk) => [frame(TEXT, squeeze(X), { rsv: RSV1, fin: false }), frame(CONTINUATION, X, { rsv: RSV1 }), ...junk],
  (r, junk) => [squeezed(Buffer.alloc(limit + 1, 'x')), ...junk],
  (r, junk) => [frame(BINARY, bomb, { rsv: RSV1 }), ...junk]
]

export const endingsOfDeflate = limit => [
  ...[
    () => [squeezed(''), squeezed('x'), squeezed('', BINARY), closeFrame(1000)],
    () => [squeezed(Buffer.alloc(limit, 'x')), closeFrame(1000)],
    () => [frame(TEXT, Buffer.concat([zlib.deflateRawSync('the last block'), Buffer.of(0)]), { rsv: RSV1 }), closeFrame(1000)],
    ...goodbyes
  ].map(make => ({ make })),
  ...[...mistakes(limit), ...wrongOnes].map(make => ({ make, differs: MISTAKE }))
]

// The last ones are about the size that a message may have.
export const endings = limit => [
  ...ends,
  { make: (r, junk) => [frame(TEXT, X, { length: limit + 1 }), ...junk] },
  { make: (r, junk) => [open(BINARY, 'x'.repeat(1000)), frame(CONTINUATION, X, { length: limit - 999 }), ...junk] },
  { make: () => [frame(TEXT, Buffer.alloc(limit, X)), closeFrame(1000)] },
  { make: () => [frame(TEXT, 'hello').subarray(0, 5)], fin: true },
  { make: () => [frame(TEXT, 'hello').subarray(0, 9)], fin: true },
  { make: () => [open(TEXT, 'hello')], fin: true },
  { make: () => [], fin: true },
  { make: () => [open(TEXT, hex('ff')), frame(PING, 'still there?'), closeFrame(1000)], differs: 'text that is not UTF-8, in a fragment' },
  { make: (r, junk) => [frame(TEXT, X, { length: 2n ** 63n }), ...junk], differs: 'a length beyond 2^63' },
  { make: (r, junk) => [frame(TEXT, X, { bytes: 2 }), ...junk], differs: 'a length in more bytes than it takes' },
  { make: (r, junk) => [frame(BINARY, 'x'.repeat(200), { bytes: 8 }), ...junk], differs: 'a length in more bytes than it takes' },
  { make: () => [...Array(100).fill(frame(PING, 'ping!')), closeFrame(1000)], differs: 'a hundred pings at once' }
]

// One of four is a strange handshake and nothing else. `hello` and `message` make what is particular to the app.
export function makeConversation (r, i, { strange, ends, hello, message, differs, compresses }) {
  if (i % 4 === 0) {
    const { bytes, differs } = strange[i / 4 % strange.length]
    return { pieces: r.cut(bytes), differs, fin: true }
  }
  const frames = []
  for (let left = r.below(8); left > 0; left--) frames.push(...r.one(0.2) ? [makeControl(r)] : message(r, hello))
  frames.push(frame(PING, 'the end'))
  const junk = compresses ? [] : [...r.some(2, () => frame(TEXT, 'too late')), ...(r.one(0.3) ? [r.bytes(20)] : [])]
  const ending = ends[(i - Math.ceil(i / 4)) % ends.length]
  const bytes = Buffer.concat([...frames, ...ending.make(r, junk)])
  differs ??= ending.differs
  if (differs === MISTAKE) return { hello, pieces: [bytes], differs } // ws throws what nobody can catch if more comes later
  return r.one(0.5)
    ? { hello, pieces: r.cut(bytes), differs, fin: ending.fin }
    : { pieces: r.cut(Buffer.concat([hello, bytes])), differs, fin: ending.fin }
}

export async function playConversation (twins, { hello, pieces, differs, fin }, clock) {
  const pair = new Pair(twins, clock)
  if (hello) {
    await pair.say([hello])
    await pair.until(client => client.bytes.includes('\r\n\r\n'))
  }
  await pair.say(pieces)
  if (!fin) await pair.until(client => client.closed)
  const closed = pair.clients.map(client => client.closed)
  await pair.end()
  const [ours, koa] = pair.clients.map((client, i) => ({ ...readSocket(client.bytes), closed: fin ? client.closed : closed[i] }))
  const problem = what => `${what}\n${hello ? `< ${show(hello)}\n` : ''}< ${pieces.map(show).join('\n  ')}\n` +
    `ours: ${describe(ours)}\nclosed: ${ours.closed}\nKoa: ${describe(koa)}\nclosed: ${koa.closed}`
  if (isOther && differs) return // node does not do the same every time
  try {
    assert.equal(ours.closed, true)
    if (differs) return twins.check(differs, ours, koa)
  } catch (error) {
    return problem(`${differs}: ${error.message}`)
  }
  if (!isSameSocket(ours, koa)) return problem('different answers')
  if (ours.closed !== koa.closed) return problem('only one of them is closed')
}

// --- Many at a time ------------------------------------------------------------------------------

// What happens in a room, step by step: somebody comes to one of the paths, says something, or goes in one way or the
// other. After each step everybody pings and waits for the pong, so that both servers have done the same when the next
// one begins.
export function makeSteps (r, paths, protocols, compresses) {
  const steps = []
  const present = new Set()
  let members = 0
  for (let left = r.between(6, 16); left > 0; left--) {
    if (present.size === 0 || (members < 6 && r.one(0.35))) {
      present.add(members++)
      steps.push({ who: members - 1, hello: makeHandshake(r, r.pick(paths), protocols, compresses) })
      continue
    }
    const who = r.pick([...present])
    if (r.one(0.2)) {
      present.delete(who)
      steps.push({ who, leaves: r.pick(['close', 'fin', 'reset', 'error']) })
    } else {
      const binary = r.one(0.4)
      steps.push({ who, pieces: r.cut(Buffer.concat(makeMessage(r, binary ? BINARY : TEXT, binary ? binaryOf(r) : textOf(r)))) })
    }
  }
  return steps
}

export class Member extends Client {
  constructor (port) {
    super(port, () => this.wake?.())
  }

  async until (done) {
    for (const end = Date.now() + 10_000; !done();) {
      if (Date.now() > end) throw new Error('nothing comes')
      await Promise.race([sleep(1000), new Promise(resolve => { this.wake = resolve })])
    }
  }

  async answer (text) {
    this.write(frame(PING, text))
    const pong = Buffer.concat([Buffer.from([0x80 | PONG, text.length]), Buffer.from(text)])
    await this.until(() => this.closed || this.bytes.includes(pong))
  }
}

async function playStep (member, { pieces, leaves }) {
  if (leaves === 'reset') member.socket.resetAndDestroy()
  else if (leaves === 'fin') member.socket.end()
  else if (leaves) member.write(leaves === 'close' ? closeFrame(1000, 'bye') : frame(3))
  if (leaves) return member.until(() => member.closed)
  for (const piece of pieces) {
    member.write(piece)
    await sleep(1)
  }
}

async function playStepsAt (port, steps) {
  const members = []
  const present = new Set()
  for (const [i, step] of steps.entries()) {
    const member = members[step.who] ??= new Member(port)
    if (step.hello) member.write(step.hello)
    else await playStep(member, step)
    if (step.leaves) {
      present.delete(member)
    } else {
      present.add(member)
      await member.answer(`step ${i}`)
    }
    await Promise.all([...present].map(other => other.answer(`step ${i}, too`)))
  }
  for (const member of present) member.write(closeFrame(1000))
  await Promise.all(members.map(member => member.until(() => member.closed)))
  return members.map(member => readSocket(member.bytes))
}

export async function playSteps (twins, steps) {
  const [ours, koa] = await Promise.all(twins.servers.map(server => playStepsAt(server.port, steps)))
  for (const [i, member] of ours.entries()) {
    if (!isSameSocket(member, koa[i])) return `member ${i} saw different things\nours: ${describe(member)}\nKoa: ${describe(koa[i])}`
  }
}
