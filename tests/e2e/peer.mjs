// WebSockets over sockets of our own: frames as they should be or not, a client that sees every byte of what comes
// back, permessage-deflate without a library's leniency, and ordinary clients.

import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { after, afterEach, before } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import zlib from 'node:zlib'
import { WebSocket } from 'ws'
import { eventually, startServer, withPatience } from './support.mjs'

export const KIB = 1024
export const MIB = 1024 * KIB

// All at once, but not more than `limit`.
export async function eachOf (list, fn, limit = 32) {
  const rest = [...list].entries()
  await Promise.all(Array.from({ length: limit }, async () => {
    for (const [i, item] of rest) await fn(item, i)
  }))
}

// What a test that failed has left open is none of the next one's business.
export const opened = new Set()

export function closeAll () {
  for (const socket of opened) socket.destroy()
  opened.clear()
}

// --- Frames --------------------------------------------------------------------------------------

export const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10]
export const NAMES = { 0: 'continuation', 1: 'text', 2: 'binary', 8: 'close', 9: 'ping', 10: 'pong' }
export const RSV1 = 4

function bytesOf (payload) {
  return typeof payload === 'string' ? Buffer.from(payload) : Buffer.from(payload)
}

// As few bytes of length as will do; or `lengthBytes`, 0, 2 or 8, of them; or `announce` another length.
function header (opcode, length, { fin = true, rsv = 0, masked = true, lengthBytes } = {}) {
  const size = lengthBytes ?? (length < 126 ? 0 : length < 65536 ? 2 : 8)
  const bytes = Buffer.alloc(2 + size)
  bytes[0] = (fin ? 0x80 : 0) | rsv << 4 | opcode
  bytes[1] = (masked ? 0x80 : 0) | (size === 0 ? Number(length) : size === 2 ? 126 : 127)
  if (size === 2) bytes.writeUInt16BE(Number(length), 2)
  if (size === 8) bytes.writeBigUInt64BE(BigInt(length), 2)
  return bytes
}

function masked (payload, key) {
  const bytes = Buffer.alloc(payload.length)
  for (let i = 0; i < payload.length; i++) bytes[i] = payload[i] ^ key[i & 3]
  return bytes
}

// `key: null` is a frame without a mask, as a server sends it.
export function frame (opcode, payload = '', { key = crypto.randomBytes(4), announce, ...options } = {}) {
  const bytes = bytesOf(payload)
  const head = header(opcode, announce ?? bytes.length, { ...options, masked: key !== null })
  return Buffer.concat(key ? [head, key, masked(bytes, key)] : [head, bytes])
}

export const part = (opcode, payload, options) => frame(opcode, payload, { ...options, fin: false })

export function closeFrame (code, reason = '', options) {
  return frame(CLOSE, Buffer.concat([Buffer.from([code >> 8, code & 255]), bytesOf(reason)]), options)
}

// A message as frames of `size` bytes.
export function fragments (opcode, payload, size, options = {}) {
  const frames = []
  for (let i = 0; i === 0 || i < payload.length; i += size) {
    frames.push(frame(i ? CONTINUATION : opcode, payload.subarray(i, i + size), {
      ...options, rsv: i ? 0 : options.rsv, fin: i + size >= payload.length
    }))
  }
  return frames
}

// What came, in words. Long payloads by their length and a hash.
export function show ({ opcode, payload }) {
  const name = NAMES[opcode]
  if (opcode === CLOSE) {
    return payload.length < 2 ? 'close' : `close ${payload.readUInt16BE(0)} ${payload.subarray(2)}`.trimEnd()
  }
  if (payload.length > 200) return `${name} of ${payload.length}: ${hash(payload)}`
  return opcode === TEXT ? `${name} ${payload}` : `${name} ${payload.toString('hex')}`
}

function hash (bytes) {
  return crypto.createHash('sha1').update(bytes).digest('hex').slice(0, 12)
}

export const shown = (opcode, payload) => show({ opcode, payload: bytesOf(payload) })

// --- Compression (RFC 7692), by nothing but zlib -------------------------------------------------

const TAIL = Buffer.from([0, 0, 0xff, 0xff])

// What a stream of zlib gives for these bytes.
async function through (stream, data) {
  const chunks = []
  const take = chunk => chunks.push(chunk)
  stream.on('data', take)
  if (data.length) stream.write(data)
  await new Promise((resolve, reject) => {
    stream.once('error', reject)
    stream.flush(zlib.constants.Z_SYNC_FLUSH, () => {
      stream.off('error', reject)
      resolve()
    })
  })
  stream.off('data', take)
  return Buffer.concat(chunks)
}

// One direction of a socket: messages compressed, with a context or without.
export class Deflater {
  constructor ({ bits = 15, forgets = false, level = 6 } = {}) {
    Object.assign(this, { bits, forgets, level })
  }

  async message (payload) {
    this.stream ??= zlib.createDeflateRaw({ windowBits: this.bits, level: this.level })
    const bytes = await through(this.stream, bytesOf(payload))
    if (this.forgets) this.end()
    if (bytes.length === 0) return Buffer.from([0]) // an empty one behind another: zlib has nothing to say
    assert.ok(bytes.subarray(-4).equals(TAIL))
    return bytes.subarray(0, -4)
  }

  end () {
    this.stream?.close()
    this.stream = undefined
  }
}

// The other one. A window that is smaller than what the sender has used makes it fail.
export class Inflater {
  constructor ({ bits = 15, forgets = false } = {}) {
    Object.assign(this, { bits, forgets })
  }

  async message (payload) {
    this.stream ??= zlib.createInflateRaw({ windowBits: Math.max(this.bits, 8) })
    const bytes = await through(this.stream, Buffer.concat([payload, TAIL]))
    if (this.forgets) this.end()
    return bytes
  }

  end () {
    this.stream?.close()
    this.stream = undefined
  }
}

// --- A client that sees everything ---------------------------------------------------------------

export const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
export const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

export function upgradeRequest (path = '/echo', lines = []) {
  return [
    `GET ${path} HTTP/1.1`, 'Host: localhost', 'Upgrade: websocket', 'Connection: Upgrade',
    `Sec-WebSocket-Key: ${KEY}`, 'Sec-WebSocket-Version: 13', ...lines, '', ''
  ].join('\r\n')
}

// What both ends have agreed on, of a 101.
function agreement (head) {
  const line = /\r\nSec-WebSocket-Extensions: permessage-deflate(.*)\r\n/.exec(head)
  if (!line) return null
  const bits = side => Number(new RegExp(`; ${side}_max_window_bits=(\\d+)`).exec(line[1])?.[1] ?? 15)
  const forgets = side => line[1].includes(`; ${side}_no_context_takeover`)
  return { client: { bits: bits('client'), forgets: forgets('client') }, server: { bits: bits('server'), forgets: forgets('server') } }
}

export class Peer {
  constructor (server) {
    this.pieces = []
    this.length = 0 // of what was received and not taken yet
    this.over = ''
    this.socket = net.connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    opened.add(this.socket)
    this.socket.on('data', data => { this.pieces.push(data); this.length += data.length; this.wake?.() })
    this.socket.on('end', () => { this.over = 'end'; this.wake?.() })
    this.socket.on('error', error => { this.over = error.code; this.wake?.() })
    this.socket.on('close', () => { this.over ||= 'close'; this.wake?.() })
  }

  // `early` frames come with the request. `offer` is a Sec-WebSocket-Extensions: see `compressed` and `message`.
  static async open (server, path, { lines = [], early = [], offer } = {}) {
    const peer = new Peer(server)
    await once(peer.socket, 'connect')
    if (offer) lines = [...lines, `Sec-WebSocket-Extensions: ${offer}`]
    peer.socket.write(Buffer.concat([Buffer.from(upgradeRequest(path, lines)), ...early]))
    peer.head = await peer.readHead()
    assert.match(peer.head, /^HTTP\/1\.1 101 /)
    peer.agreed = agreement(peer.head)
    if (peer.agreed) {
      peer.deflater = new Deflater(peer.agreed.client)
      peer.inflater = new Inflater(peer.agreed.server)
    }
    return peer
  }

  get received () {
    if (this.pieces.length !== 1) this.pieces = [Buffer.concat(this.pieces)]
    return this.pieces[0]
  }

  take (n) {
    const bytes = this.received.subarray(0, n)
    this.pieces = [this.received.subarray(n)]
    this.length -= n
    return bytes
  }

  // `read()` returns undefined as long as it needs more, and null if no more can come.
  when (read, what) {
    const done = (async () => {
      for (;;) {
        const value = read()
        if (value !== undefined) return value
        if (this.over) return null
        await new Promise(resolve => { this.wake = resolve })
      }
    })()
    return withPatience(done, () => `${what}: got ${this.received.subarray(0, 100).toString('latin1')}`)
  }

  readHead () {
    return this.when(() => {
      const end = this.received.indexOf('\r\n\r\n')
      return end < 0 ? undefined : this.take(end + 4).toString('latin1')
    }, 'a head')
  }

  // The next frame, which must be as a server has to send it; null at the end.
  anyFrame () {
    let needed = 2
    return this.when(() => {
      if (this.length < needed) return undefined
      const short = this.received[1]
      const size = short < 126 ? 2 : short === 126 ? 4 : 10
      assert.ok(short < 128, 'a server masks no frame')
      if (this.length < size) return undefined
      const bytes = this.received
      const length = size === 2 ? short : size === 4 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2))
      assert.ok(size === 2 || length > (size === 4 ? 125 : 65535), 'the shortest length')
      needed = size + length
      if (this.length < needed) return undefined
      const head = this.take(size)
      return { fin: head[0] >= 0x80, rsv: head[0] >> 4 & 7, opcode: head[0] & 0x0f, payload: this.take(length) }
    }, 'a frame')
  }

  // The same, if it is a whole message that is not compressed, or a control frame.
  async frame () {
    const frame = await this.anyFrame()
    assert.ok(!frame || (frame.fin && !frame.rsv), 'a whole message, no reserved bits')
    return frame
  }

  async next () {
    const next = await this.frame()
    return next && show(next)
  }

  // The next message or control frame, put together and inflated. `compressed` and `size` say how it came; `frames` in how many.
  async message () {
    let first
    for (;;) {
      const frame = await this.anyFrame()
      if (!frame) return null
      if (frame.opcode >= CLOSE) {
        assert.ok(frame.fin && !frame.rsv, 'a control frame is whole')
        return frame
      }
      assert.equal(frame.opcode === CONTINUATION, Boolean(first), 'a continuation, if and only if something has begun')
      assert.ok(!frame.rsv || (frame.rsv === RSV1 && !first && this.agreed), 'RSV1 of a first frame')
      first ??= { ...frame, payloads: [] }
      first.payloads.push(frame.payload)
      if (!frame.fin) continue
      let payload = Buffer.concat(first.payloads)
      const size = payload.length
      if (first.rsv) payload = await this.inflater.message(payload)
      return { opcode: first.opcode, payload, compressed: first.rsv === RSV1, frames: first.payloads.length, size }
    }
  }

  async nextMessage () {
    const next = await this.message()
    return next && show(next)
  }

  // All that still comes, until the other side has closed.
  async rest () {
    const all = []
    for (let next; (next = await this.next());) all.push(next)
    assert.equal(this.length, 0, 'nothing is left over')
    this.socket.destroy()
    return all
  }

  send (...frames) {
    this.socket.write(Buffer.concat(frames))
    return this
  }

  // A compressed message, as frames of `size` bytes if that is given.
  async compressed (opcode, payload, size = Infinity) {
    return Buffer.concat(fragments(opcode, await this.deflater.message(payload), size, { rsv: RSV1 }))
  }

  // In pieces of `n` bytes, each of which has left before the next one is written.
  async sendChopped (bytes, n) {
    for (let i = 0; i < bytes.length && !this.over; i += n) {
      this.socket.write(bytes.subarray(i, i + n))
      if (n < 1000 || i % 65536 < n) await new Promise(setImmediate)
    }
  }

  // The closing handshake from our side.
  async bye () {
    this.send(closeFrame(1000))
    assert.equal(await this.next(), 'close 1000')
    assert.deepEqual(await this.rest(), [])
    assert.equal(this.over, 'end')
    this.end()
  }

  // Without more ado.
  end () {
    this.socket.destroy()
    this.deflater?.end()
    this.inflater?.end()
  }

  reset () {
    this.socket.resetAndDestroy()
  }
}

// --- An ordinary client --------------------------------------------------------------------------

export async function connect (server, path, options) {
  const ws = new WebSocket(`ws://127.0.0.1:${server.port}${path}`, options)
  ws.messages = []
  ws.on('message', (data, isBinary) => { ws.messages.push(isBinary ? data : String(data)); ws.wake?.() })
  ws.closed = new Promise(resolve => ws.once('close', (code, reason) => resolve(`${code} ${reason}`.trimEnd())))
  ws.closed.then(() => ws.wake?.())
  ws.on('error', () => {})
  ws.once('open', () => opened.add(ws._socket))
  ws.take = () => withPatience((async () => {
    while (ws.messages.length === 0 && ws.readyState < 3) await new Promise(resolve => { ws.wake = resolve })
    return ws.messages.shift()
  })(), () => 'a message')
  ws.end = () => withPatience(ws.closed, () => 'the end')
  await withPatience(once(ws, 'open'), () => 'an open socket')
  return ws
}

// --- What a server says of itself ----------------------------------------------------------------

// What is freed is given back at once, so that what is held can be seen in the size of the process.
export const LEAN = { ASAN_OPTIONS: `${process.env.ASAN_OPTIONS || ''}:quarantine_size_mb=0:thread_local_quarantine_size_kb=0` }

export function get (server, path) {
  return new Promise((resolve, reject) => {
    http.get({ port: server.port, path, agent: false }, async response => {
      let text = ''
      for await (const chunk of response.setEncoding('utf8')) text += chunk
      resolve(text)
    }).on('error', reject)
  })
}

// The counters, without the request that asks for them.
export async function statsOf (server) {
  const stats = JSON.parse(await get(server, '/stats'))
  for (const name of ['connections', 'coroutines', 'requests_active']) stats[name]--
  return stats
}

// Of nothing that goes on there may be anything left. A request of ours may still be closing its connection.
export async function isAtRest (server, sockets = 0) {
  let stats
  await eventually(async () => {
    stats = await statsOf(server)
    return stats.websockets === sockets && stats.connections === sockets && stats.timers <= sockets + 1
  }, () => `at rest: ${JSON.stringify(stats)}`)
  const { coroutines, frame_contexts: contexts, messages_active: messages, read_buffers: reads } = stats
  const { write_buffers: writes, requests_active: requests } = stats
  assert.deepEqual({ coroutines, contexts, messages, reads, writes, requests },
    { coroutines: 0, contexts: 0, messages: 0, reads: 0, writes: 0, requests: 0 })
  return stats
}

// More than this the server never grows while `fn` runs.
export async function growsBy (server, limit, fn) {
  const { rss } = await statsOf(server)
  let most = 0
  let over = false
  const watch = (async () => {
    while (!over) {
      most = Math.max(most, (await statsOf(server)).rss - rss)
      await sleep(20)
    }
  })()
  await fn()
  over = true
  await watch
  assert.ok(most < limit, `it grew by ${most >> 10} KiB`)
}

// A server for all tests of one describe(). At its end nothing may be left in it, and it has nothing to say.
export function serverOfTests (path, env = {}) {
  const holder = {}
  before(async () => Object.setPrototypeOf(holder, await startServer(path, { env }))) // whose stderr grows
  afterEach(closeAll)
  after(async () => {
    await isAtRest(holder)
    await holder.stop()
    assert.equal(holder.stderr, '')
  })
  return holder
}
