// Two servers that shall be the same, ours and Koa's, and raw clients that say the same to both, byte for byte and cut
// into the same pieces.
//
// What Acacia does otherwise on purpose is named, with its reason, in a table of differences. A request that meets one
// knows its name beforehand, and our answer is asserted; everything else that differs is a failure.
//
// OURS=PATH plays another program instead of ours, and expects no difference at all. With Koa on both sides it shows
// that the traffic has no accidents of its own, with a Koa that was changed that it finds them:
//
//     OURS=tests/twin/oracle.mjs node --test tests/e2e/twin_oracle.test.mjs

import assert from 'node:assert/strict'
import net from 'node:net'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { build, startServer } from '../support.mjs'
import { chance, only, scale, seed } from './chance.mjs'

export const isOther = Boolean(process.env.OURS)

export class Twins {
  // `differences` is a table of {why, check, then}: see http.mjs and websocket.mjs. `normal` takes out of a response what
  // varies in this app alone.
  constructor (differences, normal) {
    this.differences = differences
    this.normal = normal
    this.seen = new Set()
  }

  // The program of that name in the build directory, and its twin beside the sources.
  async start (ours, koa, env = {}) {
    if (process.env.OURS) ours = path.relative(build, path.resolve(process.env.OURS))
    koa = path.relative(build, fileURLToPath(new URL(`../../twin/${koa}`, import.meta.url)))
    this.servers = await Promise.all([`./${ours}`, koa].map(path => startServer(path, { env: { SILENT: '1', TZ: 'UTC', ...env } })))
  }

  difference (name) {
    return isOther ? undefined : this.differences[name]
  }

  check (name, ours, koa, request) {
    this.seen.add(name)
    this.differences[name].check(ours, koa, request)
  }

  assertAllSeen () {
    if (!only && !isOther && !process.env.SEED && scale >= 1) assert.deepEqual(Object.keys(this.differences).filter(name => !this.seen.has(name)), [])
  }

  // Ours has said nothing on stderr, and ends well.
  async stop () {
    await this.servers[0].stop()
    if (!isOther) assert.equal(this.servers[0].stderr, '')
  }
}

// --- Raw clients ---------------------------------------------------------------------------------

export class Client {
  constructor (port, onEvent) {
    this.chunks = []
    this.closed = false
    this.socket = net.connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
    this.socket.on('data', chunk => {
      this.chunks.push(chunk)
      onEvent()
    })
    this.socket.on('end', () => {
      this.closed = true
      this.socket.end()
      onEvent()
    })
    this.socket.on('error', () => {}) // a reset is an end too
    this.socket.on('close', () => {
      this.closed = true
      onEvent()
    })
  }

  write (bytes) {
    if (!this.closed) this.socket.write(bytes)
  }

  get bytes () {
    if (this.chunks.length > 1) this.chunks = [Buffer.concat(this.chunks)]
    return this.chunks[0] ?? Buffer.alloc(0)
  }
}

// One client of each server, who say the same.
export class Pair {
  constructor (twins, clock) {
    this.clock = clock
    this.clients = twins.servers.map(server => new Client(server.port, () => this.note()))
    this.note()
  }

  note () {
    this.heard = Date.now()
    this.wake?.()
  }

  async say (pieces) {
    for (const [i, piece] of pieces.entries()) {
      if (i > 0) await sleep(1)
      for (const client of this.clients) client.write(piece)
    }
    this.note()
  }

  // Until `done` is true of both, or they are closed, or nothing more comes: which is believed later if only one of
  // the two is silent.
  async until (done) {
    for (;;) {
      const undone = this.clients.filter(client => !client.closed && !done(client))
      if (undone.length === 0) return
      const left = this.heard + this.clock.patience * (undone.length === 1 ? 8 : 1) - Date.now()
      if (left <= 0) {
        this.clock.silent = true
        return
      }
      let timer
      await new Promise(resolve => {
        this.wake = resolve
        timer = setTimeout(resolve, left)
      })
      clearTimeout(timer)
    }
  }

  // The clients have said all that they will say; the servers end it.
  async end () {
    for (const client of this.clients) client.socket.end()
    this.note()
    await this.until(client => client.closed)
    for (const client of this.clients) client.socket.destroy()
  }
}

// --- Many conversations --------------------------------------------------------------------------

// Play `count` conversations, so many at once. What was taken for silence may have been a busy machine: where that made
// a difference, it is tried again alone, and with patience.
export async function playAll (kind, count, make, play, { atOnce = 24 } = {}) {
  const problems = []
  const playOne = (i, clock) => {
    const r = chance(kind, i)
    return play(make(r, i), r, clock)
  }
  const report = (i, problem) => problem && problems.push(`SEED=${seed} ONLY='${kind} ${i}'\n${problem}`)
  if (only) {
    const [name, i] = only.split(' ')
    if (name === kind) report(i, await playOne(Number(i), { patience: 1000 }))
  } else {
    const doubtful = []
    let next = 0
    await Promise.all(Array.from({ length: atOnce }, async () => {
      for (let i = next++; i < count && problems.length < 10; i = next++) {
        const clock = { patience: 250, silent: false }
        const problem = await playOne(i, clock)
        if (problem && clock.silent) doubtful.push(i)
        else report(i, problem)
      }
    }))
    for (const i of doubtful.slice(0, 10)) report(i, await playOne(i, { patience: 2000 }))
  }
  if (problems.length > 0) fail(problems.join('\n\n'))
}

// With the text alone: it is long enough.
function fail (text) {
  const error = new Error(text)
  error.stack = text
  throw error
}

export const show = bytes => {
  const text = JSON.stringify(bytes.toString('latin1')).replace(/[\x7f-\xff]/g, char => `\\x${char.charCodeAt(0).toString(16)}`)
  return text.length > 1000 ? `${text.slice(0, 600)} … ${text.slice(-200)} (${text.length} bytes)` : text
}
