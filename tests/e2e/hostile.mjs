// What the tests of hostile input share. Each attack runs while another client is served, the size of the server is
// watched, and afterwards nothing may be left of it; the ends of connections are counted under the reasons that are
// expected, and told on stderr by the same.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import fs from 'node:fs'
import { after, afterEach, before } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { LEAN, MIB, Peer, closeAll, get, isAtRest, statsOf } from './peer.mjs'
import { eventually, startServer } from './support.mjs'

export const SERVER = 'tests/support/hostile_server'
export const SOME = Symbol('at least one') // of ends whose number depends on the moment
export const ANY = Symbol('any number')

export const start = env => startServer(SERVER, { env: { ...LEAN, DEBUG: 'http,ws', ...env } })

// A server for all tests of one describe(). `env` may be a function, for what only exists when they run.
export function target (env = {}) {
  const holder = {}
  before(async () => {
    Object.setPrototypeOf(holder, await start(typeof env === 'function' ? env() : env)) // whose stderr grows
    const lines = (await get(holder, '/reasons')).trim().split('\n').map(line => line.split('='))
    holder.texts = Object.fromEntries(lines.map(([name, text]) => [text, name.toUpperCase()]))
  })
  afterEach(closeAll)
  after(async () => {
    await isAtRest(holder)
    await holder.stop()
  })
  return holder
}

// --- Connections ---------------------------------------------------------------------------------

export async function connect (server) {
  const peer = new Peer(server)
  await once(peer.socket, 'connect')
  peer.write = text => {
    peer.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text)
    return peer
  }
  return peer
}

// All that comes until the server closes; '' if all that comes is a reset.
export const transcriptOf = peer => peer.when(() => peer.over ? peer.take(peer.length).toString('latin1') : undefined, 'the end')
  .then(text => text ?? peer.take(peer.length).toString('latin1'))

export async function transcript (server, text) {
  const peer = await connect(server)
  peer.write(text)
  const all = await transcriptOf(peer)
  peer.end()
  return all
}

// One response with a Content-Length, or without a body.
export async function answerOf (peer) {
  const head = await peer.readHead()
  if (head === null) return { status: 0, head: '', body: '' }
  const length = Number(/\r\nContent-Length: (\d+)/.exec(head)?.[1] ?? 0)
  const body = await peer.when(() => peer.length >= length ? peer.take(length).toString('latin1') : undefined, 'a body')
  return { status: Number(head.slice(9, 12)), head, body }
}

export async function ask (server, text) {
  const peer = await connect(server)
  const answer = await answerOf(peer.write(text))
  peer.end()
  return answer
}

export const getOf = (path, ...lines) => [`GET ${path} HTTP/1.1`, 'Host: a', ...lines, '', ''].join('\r\n')
export const postOf = (path, body, ...lines) =>
  [`POST ${path} HTTP/1.1`, 'Host: a', `Content-Length: ${Buffer.byteLength(body, 'latin1')}`, ...lines, '', body].join('\r\n')
export const BAD_REQUEST = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'
export const bare = status => `HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`

// Another client gets what it wants, on a connection of its own.
export async function isServed (server) {
  assert.equal(await get(server, '/text'), 'hi')
}

// --- Attacks -------------------------------------------------------------------------------------

function difference (before, now) {
  const moved = Object.keys(now).map(key => [key, now[key] - (before[key] ?? 0)])
  return Object.fromEntries(moved.filter(([, n]) => n > 0))
}

function hasMoved (moved, expected, what) {
  for (const [name, n] of Object.entries(moved)) {
    assert.ok(name in expected, `${what}: ${n} ${name}`)
    if (typeof expected[name] === 'number') assert.equal(n, expected[name], `${what}: ${name}`)
  }
  for (const [name, n] of Object.entries(expected)) {
    assert.ok(n === ANY || name in moved, `${what}: no ${name}, but ${JSON.stringify(moved)}`)
  }
}

// The reasons that are told on stderr behind `at`.
function toldBehind (server, at) {
  const counts = {}
  for (const line of server.stderr.slice(at).trim().split('\n').filter(Boolean)) {
    const text = /^(?:http|ws|tls): closed: (.*)$/.exec(line)?.[1] ?? assert.fail(`on stderr: ${line}`)
    const known = Object.keys(server.texts).filter(known => text.startsWith(known)).sort((a, b) => b.length - a.length)[0]
    assert.ok(known, `on stderr: ${line}`)
    counts[server.texts[known]] = (counts[server.texts[known]] ?? 0) + 1
  }
  return counts
}

// What hostile input may cost: `grows` bytes at most, at any time; the ends of connections that are `closed`; other
// counters that move. Meanwhile others are served, and in the end nothing is left.
export async function survives (server, { grows = 8 * MIB, closed = {}, counters = {} }, attack) {
  const before = await isAtRest(server)
  const at = server.stderr.length
  let over = false
  let [served, most] = [0, 0]
  const witness = (async () => {
    do {
      await isServed(server)
      most = Math.max(most, (await statsOf(server)).rss - before.rss)
      served++
      await sleep(10)
    } while (!over)
  })()
  try {
    await Promise.race([attack(), witness.then(() => new Promise(() => {}))])
  } finally {
    over = true
    await witness
  }
  closeAll()
  const now = await isAtRest(server)
  assert.ok(served > 0)
  assert.ok(most < grows, `it grew by ${most >> 10} KiB`)
  hasMoved(difference(before.closed, now.closed), closed, 'counted')
  for (const [name, n] of Object.entries(counters)) assert.equal(now[name] - before[name], n, name)
  await eventually(() => {
    const told = toldBehind(server, at)
    return Object.entries(difference(before.closed, now.closed)).every(([name, n]) => told[name] === n)
  }, () => `told: ${server.stderr.slice(at)}`)
  return now
}

// Something that is done at once by `n`, not more than 64 of them at a time.
export async function eachOf (n, fn) {
  const rest = Array.from({ length: n }, (_, i) => i).values()
  await Promise.all(Array.from({ length: Math.min(n, 64) }, async () => {
    for (const i of rest) await fn(i)
  }))
}

// Sends `text` again and again, `times` at most, as long as the server takes it.
export async function flood (peer, text, times) {
  const bytes = Buffer.from(text, 'latin1')
  for (let i = 0; i < times && !peer.over; i++) {
    if (!peer.socket.write(bytes)) await Promise.race([once(peer.socket, 'drain').catch(() => {}), once(peer.socket, 'close'), sleep(50)])
  }
}

// How many descriptors a process may have, the server as well.
export const descriptors = fs.existsSync('/proc/self/limits')
  ? Number(/Max open files +(\d+)/.exec(fs.readFileSync('/proc/self/limits', 'utf8'))[1])
  : 256

// The processor time that a process has taken, in seconds.
export function processorTime (pid) {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

// Its memory in RAM, in bytes, without asking it.
export function residentSize (pid) {
  return Number(/VmRSS:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024
}
