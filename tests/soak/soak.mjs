// An hour in the life of a server: tests/soak/run says how. All kinds of clients at once, well-behaved or not, over
// plain sockets and TLS. At the end all is as it was: memory and descriptors, counters, and answers.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import tls from 'node:tls'
import zlib from 'node:zlib'
import { WebSocket } from 'ws'
import { chance } from '../e2e/traffic/chance.mjs'

const [program, minutes = '60'] = process.argv.slice(2)
const CLIENTS = Number(process.env.CLIENTS || 24)
const PAUSE = Number(process.env.PAUSE || 300) // at most so many milliseconds between what one client does
const GROWTH = 1.05 // of the memory, after the warm-up …
const MARGIN = 2 << 20 // … and so many bytes
const duration = Number(minutes) * 60_000
const r = chance('soak')

// --- The server -----------------------------------------------------------------------------------

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'acacia-soak-'))
process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }))
const root = path.join(folder, 'root')
fs.mkdirSync(root)
const bigText = 'a line that repeats itself\n'.repeat(8000)
fs.writeFileSync(path.join(root, 'small.txt'), 'small')
fs.writeFileSync(path.join(root, 'big.txt'), bigText)
fs.writeFileSync(path.join(root, 'big.txt.gz'), zlib.gzipSync(bigText))

const server = spawn(program, {
  env: { ...process.env, ROOT: root, CERT: path.join(folder, 'cert.pem'), KEY: path.join(folder, 'key.pem') },
  stdio: ['ignore', 'pipe', 'pipe']
})
process.on('exit', () => server.kill('SIGKILL'))
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))
let stdout = ''
let stderr = ''
let stopping = false
server.stdout.on('data', data => { stdout += data })
server.stderr.on('data', data => { stderr += data })
server.once('exit', (code, signal) => {
  if (stopping) return
  console.error(`the server has ended: ${signal || code}\n${stderr}`)
  process.exit(1)
})
while (!/^listening/m.test(stdout)) await sleep(10)
const ports = { plain: Number(/listening on .*:(\d+)/.exec(stdout)[1]), tls: Number(/tls on (\d+)/.exec(stdout)[1]) }

// --- What a client does ---------------------------------------------------------------------------

const trust = { rejectUnauthorized: false }
const agents = {
  plain: new http.Agent({ keepAlive: true, maxSockets: 8, timeout: 1500 }),
  tls: new https.Agent({ keepAlive: true, maxSockets: 8, timeout: 1500, ...trust })
}
const done = {} // how often what was done
const failures = {} // and what came of it that should not
const count = (table, name) => { table[name] = (table[name] || 0) + 1 }

// A request by an ordinary client: { status, headers, body }. A connection that was idle too long is no failure.
async function request (over, options, body) {
  const client = over === 'tls' ? https : http
  const sent = client.request({ host: '127.0.0.1', port: ports[over], agent: agents[over], ...trust, ...options })
  sent.on('error', () => {})
  sent.end(body)
  let response
  try {
    [response] = await once(sent, 'response')
  } catch (error) {
    if (!sent.reusedSocket) throw error
    return request(over, { ...options, agent: false }, body)
  }
  const pieces = []
  for await (const piece of response) pieces.push(piece)
  return { status: response.statusCode, headers: response.headers, body: Buffer.concat(pieces) }
}

// A client that writes bytes as it likes. Its errors are expected.
async function dial (over) {
  const below = net.connect(ports[over], '127.0.0.1')
  below.on('error', () => {})
  const socket = over === 'tls' ? tls.connect({ socket: below, ...trust }) : below
  socket.on('error', () => {})
  socket.reset = () => below.resetAndDestroy()
  await Promise.race([once(socket, over === 'tls' ? 'secureConnect' : 'connect'), once(socket, 'close')])
  return socket
}

async function everything (socket) {
  let text = ''
  socket.on('data', data => { text += data.toString('latin1') })
  if (!socket.closed) await once(socket, 'close')
  return text
}

function connect (over, url, options) {
  const ws = new WebSocket(`${over === 'tls' ? 'wss' : 'ws'}://127.0.0.1:${ports[over]}${url}`, { ...trust, ...options })
  ws.on('error', () => {})
  return ws
}

const HEAD = 'Host: soak\r\n'
const UPGRADE = `GET /talk HTTP/1.1\r\n${HEAD}Connection: Upgrade\r\nUpgrade: websocket\r\n` +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'

// --- Requests

const actions = {
  async page (over) {
    assert.equal(String((await request(over, { path: '/' })).body), 'hello 127.0.0.1')
  },
  async file (over) {
    const { status, body, headers } = await request(over, { path: '/big.txt', headers: { 'Accept-Encoding': r.pick(['gzip', 'identity']) } })
    assert.equal(status, 200)
    assert.equal(String(headers['content-encoding'] ? zlib.gunzipSync(body) : body), bigText)
  },
  async range (over) {
    const from = r.below(bigText.length)
    const { status, body } = await request(over, { path: '/big.txt', headers: { Range: `bytes=${from}-${from + 99}` } })
    assert.equal(status, 206)
    assert.equal(String(body), bigText.slice(from, from + 100))
  },
  async body (over) {
    const text = JSON.stringify({ list: Array.from({ length: r.below(400) }, () => r.below(1000)) })
    const { status, body, headers } = await request(over, {
      path: '/body', method: 'POST', headers: { 'Content-Type': 'application/json', 'Accept-Encoding': r.pick(['br', 'gzip', 'deflate', 'identity']) }
    }, text)
    const inflate = { br: zlib.brotliDecompressSync, gzip: zlib.gunzipSync, deflate: zlib.inflateSync }[headers['content-encoding']]
    assert.deepEqual([status, String(inflate ? inflate(body) : body)], [200, text])
  },
  async upload (over) {
    const size = r.below(1 << 20)
    const { body } = await request(over, { path: '/count', method: 'POST', headers: { 'Transfer-Encoding': 'chunked' } }, Buffer.alloc(size))
    assert.equal(String(body), String(size))
  },
  async session (over) {
    const first = await request(over, { path: '/visits' })
    const cookie = first.headers['set-cookie'].map(one => one.split(';')[0]).join('; ')
    assert.equal(String((await request(over, { path: '/visits', headers: { Cookie: cookie } })).body), '2')
  },
  async work (over) {
    assert.equal((await request(over, { path: '/work' })).status, 200)
  },
  async error (over) {
    const status = r.pick([400, 404, 418, 500, 503])
    assert.equal((await request(over, { path: `/fail/${status}` })).status, status)
  },
  async sleeper (over) {
    assert.equal(String((await request(over, { path: `/sleep/${r.below(500)}` })).body), 'slept')
  },
  async pipeline (over) {
    const socket = await dial(over)
    socket.write(`GET / HTTP/1.1\r\n${HEAD}\r\n`.repeat(4) + `GET / HTTP/1.1\r\nConnection: close\r\n${HEAD}\r\n`)
    assert.equal((await everything(socket)).split('hello 127.0.0.1').length, 6)
  },

  // --- Bad company
  async nonsense (over) {
    const socket = await dial(over)
    socket.write(r.pick([
      `GET / HTTP/1.1\r\n${HEAD}${HEAD}\r\n`, 'GET / HTTP/1.1\r\n\r\n', `GET  / HTTP/1.1\r\n${HEAD}\r\n`, r.bytes(200),
      `POST / HTTP/1.1\r\n${HEAD}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`
    ]))
    assert.match(await everything(socket), /^HTTP\/1\.1 400 |^$/)
  },
  async tooLarge (over) {
    const socket = await dial(over)
    socket.write(`GET / HTTP/1.1\r\n${HEAD}X: ${'x'.repeat(20_000)}\r\n\r\n`)
    assert.match(await everything(socket), /^HTTP\/1\.1 431 |^$/)
  },
  async noTls () {
    const socket = net.connect(ports.tls, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(r.pick([`GET / HTTP/1.1\r\n${HEAD}\r\n`, r.bytes(300), '\x16\x03\x01\x02\x00\x01']))
    await everything(socket)
  },
  async abortedHead (over) {
    const socket = await dial(over)
    socket.write(`GET / HTTP/1.1\r\n${HEAD}X: `)
    await sleep(r.below(50))
    r.one(0.5) ? socket.reset() : socket.destroy()
  },
  async abortedBody (over) {
    const socket = await dial(over)
    socket.write(`POST /count HTTP/1.1\r\n${HEAD}Content-Length: 100000\r\n\r\n${'x'.repeat(r.below(90_000))}`)
    await sleep(r.below(50))
    r.one(0.5) ? socket.reset() : socket.destroy()
  },
  async abortedWait (over) {
    const socket = await dial(over)
    socket.write(`GET /sleep/300${r.pick(['', '?cancel=1'])} HTTP/1.1\r\n${HEAD}\r\n`)
    await sleep(r.below(100))
    r.one(0.5) ? socket.reset() : socket.destroy()
  },
  async abortedAnswer (over) {
    const socket = await dial(over)
    socket.write(`GET /bytes/5000000 HTTP/1.1\r\n${HEAD}\r\n`)
    await Promise.race([once(socket, 'data'), once(socket, 'close')])
    r.one(0.5) ? socket.reset() : socket.destroy()
  },

  // --- Slow ones
  async silent (over) { // until its time is up
    const socket = await dial(over)
    await everything(socket)
  },
  async slowHead (over) {
    const socket = await dial(over)
    const all = everything(socket)
    for (const char of `GET / HTTP/1.1\r\n${HEAD}X: ${'x'.repeat(100)}`) {
      if (socket.closed || !socket.writable) break
      socket.write(char)
      await sleep(150)
    }
    assert.match(await all, /^HTTP\/1\.1 408 |^$/)
  },
  async slowReader (over) {
    const socket = await dial(over)
    socket.write(`GET /bytes/3000000 HTTP/1.1\r\nConnection: close\r\n${HEAD}\r\n`)
    let length = 0
    for await (const piece of socket) {
      length += piece.length
      await sleep(5)
    }
    assert.ok(length > 3_000_000)
  },
  async noReader (over) { // cut after write_timeout
    const socket = await dial(over)
    socket.write(`GET /bytes/30000000 HTTP/1.1\r\n${HEAD}\r\n`)
    socket.pause()
    await sleep(15_000)
    socket.destroy()
  },

  // --- Sockets
  async echo (over) {
    const ws = connect(over, r.pick(['/talk', '/loop']), { perMessageDeflate: r.one(0.5) })
    await once(ws, 'open')
    for (let i = r.below(20); i >= 0; i--) {
      const message = r.text(r.pick([10, 200, 3000])).replaceAll('!', '?')
      ws.send(message)
      assert.equal(String((await once(ws, 'message'))[0]), message)
    }
    ws.close(1000)
    assert.equal((await once(ws, 'close'))[0], 1000)
  },
  async guest (over) { // comes to the room, stays a while, talks to everybody
    const ws = connect(over, '/talk?room=1', { perMessageDeflate: r.one(0.5) })
    await once(ws, 'open')
    for (let i = r.below(20); i >= 0; i--) {
      ws.send(`!${r.text(300)}`)
      await sleep(r.below(300))
    }
    if (r.one(0.5)) ws.terminate()
    else ws.close(1000)
    await once(ws, 'close')
  },
  async deafGuest (over) { // never reads: what waits for it is too much
    const room = `/talk?room=deaf${r.below(1e9)}`
    const ws = connect(over, room, { perMessageDeflate: false })
    await once(ws, 'open')
    ws._socket.pause()
    const other = connect(over, room, { perMessageDeflate: false })
    await once(other, 'open')
    for (let i = 0; i < 100 && other.readyState === WebSocket.OPEN; i++) {
      other.send(`!${'x'.repeat(100_000)}`)
      await sleep(20)
    }
    ws.terminate()
    other.close(1000)
    await once(other, 'close')
  },
  async abortedGuest (over) {
    const socket = await dial(over)
    socket.write(UPGRADE)
    await Promise.race([once(socket, 'data'), once(socket, 'close')])
    socket.write(r.pick(['\x81\xfe\x10\x00\0\0\0\0half', '\x81\x05hello', '\x01\x81\0\0\0\0a', '\x88']), 'latin1')
    await sleep(r.below(50))
    r.one(0.5) ? socket.reset() : socket.destroy()
  },
  async deadGuest (over) { // doesn't answer pings
    const socket = await dial(over)
    socket.write(UPGRADE)
    await everything(socket)
  },
  async brokenHandshake (over) {
    const socket = await dial(over)
    socket.write(UPGRADE.replace('13', '12'))
    assert.match(await everything(socket), /^HTTP\/1\.1 400 |^HTTP\/1\.1 426 |^$/)
  }
}

// Those that take long are rare.
const RARE = { silent: 0.2, slowHead: 0.2, noReader: 0.1, deafGuest: 0.1, deadGuest: 0.1, slowReader: 0.3, guest: 0.5 }
const rareOnes = Object.keys(RARE)

let over = false
async function live () {
  while (!over) {
    let name = r.pick(Object.keys(actions))
    if (rareOnes.includes(name) && !r.one(RARE[name])) name = 'page'
    try {
      await actions[name](r.one(0.3) ? 'tls' : 'plain')
      count(done, name)
    } catch (error) {
      count(failures, `${name}: ${error.message.split('\n')[0]}`)
    }
    await sleep(r.below(PAUSE))
  }
}

// A machine that stands still, or gives us no turn, is not the server's fault.
let stalls = 0
let lastStall = -Infinity
let lastTurn = performance.now()
setInterval(() => {
  const now = performance.now()
  if (now - lastTurn > 3000) {
    stalls++
    lastStall = now
  }
  lastTurn = now
}, 200).unref()

// Those who are there all the time.
async function stay (index) {
  while (!over) {
    const ws = connect(index % 3 ? 'plain' : 'tls', '/talk?room=1', { perMessageDeflate: index % 2 === 0 })
    let end = ''
    ws.on('error', error => { end += ` ${error.message}` })
    ws.on('close', (code, reason) => { end += ` ${code} ${reason}` })
    while (!over && ws.readyState <= WebSocket.OPEN) await sleep(200)
    if (!over && performance.now() - lastStall > 30_000) {
      await sleep(100) // until it has said why
      count(failures, `stay: closed:${end}`)
    }
    ws.terminate()
  }
}

// --- Looking at it ----------------------------------------------------------------------------------

const descriptors = () => fs.readdirSync(`/proc/${server.pid}/fd`).length
const stats = async () => JSON.parse((await request('plain', { path: '/stats', agent: false })).body)
const median = list => [...list].sort((a, b) => a - b)[list.length >> 1]
const mib = bytes => (bytes / 2 ** 20).toFixed(1)

// Nobody is there any more, save who asks.
async function rest () {
  let now
  for (let i = 0; i < 600; i++) {
    now = await stats()
    if (now.connections === 1 && now.coroutines === 1 && now.websockets === 0) break
    await sleep(100)
  }
  const { connections, websockets, coroutines, requests_active, messages_active, read_buffers, write_buffers } = now // eslint-disable-line camelcase
  assert.deepEqual({ connections, websockets, coroutines, requests_active, messages_active, read_buffers, write_buffers },
    { connections: 1, websockets: 0, coroutines: 1, requests_active: 1, messages_active: 0, read_buffers: 0, write_buffers: 0 })
  await sleep(1500) // what it had to say to the kernel, and files that are kept open for a second
  return descriptors()
}

async function run (ms, samples) {
  over = false
  const all = [...Array.from({ length: CLIENTS }, live), ...Array.from({ length: 12 }, (_, i) => stay(i))]
  for (const end = Date.now() + ms; Date.now() < end;) {
    await sleep(Math.min(5000, ms / 50))
    if (samples) samples.push({ rss: (await stats()).rss, fds: descriptors() })
  }
  over = true
  await Promise.all(all)
  agents.plain.destroy()
  agents.tls.destroy()
}

const began = Date.now()
await run(Math.min(20_000, duration / 4)) // what is allocated once
const before = { fds: await rest(), rss: (await stats()).rss }
const samples = []
await run(duration - (Date.now() - began), samples)
const after = { fds: await rest(), ...await stats() }

const tenths = Array.from({ length: 10 }, (_, i) => samples.slice(samples.length * i / 10, samples.length * (i + 1) / 10))
console.log('    time   memory, MiB   descriptors (medians of each tenth)')
for (const [i, tenth] of tenths.entries()) {
  console.log(`${String(i * 10).padStart(6)} %${mib(median(tenth.map(s => s.rss))).padStart(14)}${String(median(tenth.map(s => s.fds))).padStart(14)}`)
}
console.log(`at rest: memory ${mib(before.rss)} MiB, then ${mib(after.rss)}; descriptors ${before.fds}, then ${after.fds}`)
console.log(`${after.requests} requests; ${Object.values(done).reduce((a, b) => a + b, 0)} things done:`, JSON.stringify(done))
if (stalls) console.log(`the clients stood still for more than three seconds ${stalls} times`)
console.log('closed:', JSON.stringify(Object.fromEntries(Object.entries(after.closed).filter(([, n]) => n))))

stopping = true
server.kill('SIGTERM')
const [code] = await once(server, 'exit')
assert.deepEqual([code, stderr], [0, ''])
assert.deepEqual(failures, {})
assert.ok(after.fds <= before.fds + 4, 'descriptors are left over')
const warm = Math.max(...tenths.slice(1, 3).flat().map(s => s.rss)) // the second and the third
const last = median(tenths[9].map(s => s.rss))
assert.ok(last <= warm * GROWTH + MARGIN, `memory grows: from ${mib(warm)} to ${mib(last)} MiB`)
console.log('good')
process.exit()
