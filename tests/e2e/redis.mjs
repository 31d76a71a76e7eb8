// A Redis for tests, in a process of its own: on a unix socket and a free port, with nothing on the disk. It may be
// killed, stopped and started again.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { after } from 'node:test'
import { eventually, withPatience } from './support.mjs'

// redis-check-rdb of Debian's redis-tools is the server by another name: a package that starts none by itself.
const argv0 = 'redis-server'
const program = ['redis-server', 'valkey-server', 'redis-check-rdb'].find(name => spawnSync(name, ['--version'], { argv0 }).status === 0)
export const missing = !program && 'no redis-server (apt install redis-tools)'

const running = new Set()
after(() => running.forEach(redis => redis.end()))

async function freePort () {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

export class Redis {
  static async start (...args) {
    const redis = new Redis()
    redis.args = args
    redis.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'acacia-redis-'))
    redis.path = path.join(redis.folder, 'redis.sock')
    redis.port = await freePort()
    redis.unix = `unix:${redis.path}`
    redis.url = `redis://127.0.0.1:${redis.port}`
    running.add(redis)
    await redis.begin()
    return redis
  }

  async begin () {
    fs.rmSync(this.path, { force: true })
    this.child = spawn(program, ['--port', this.port, '--bind', '127.0.0.1', '--unixsocket', this.path, '--dir', this.folder, '--save', '', '--appendonly', 'no', ...this.args], { argv0, stdio: 'ignore' })
    this.exited = once(this.child, 'close')
    await eventually(() => {
      assert.equal(this.child.exitCode, null, 'redis-server ended')
      return this.ask('ECHO', 'x').then(() => true, () => false)
    }, 'Redis answers')
  }

  async kill () {
    this.child.kill('SIGKILL')
    await withPatience(this.exited, 'Redis ends')
  }

  // Neither does it answer any more, nor is it gone.
  stop () { this.child.kill('SIGSTOP') }
  go () { this.child.kill('SIGCONT') }

  // One command, on a connection of its own. Returns what is answered, as it is.
  async ask (...words) {
    const socket = net.connect(this.path)
    try {
      await once(socket, 'connect')
      const parts = words.map(word => Buffer.from(word))
      socket.write(Buffer.concat([`*${parts.length}\r\n`, ...parts.flatMap(part => [`$${part.length}\r\n`, part, '\r\n'])].map(part => Buffer.from(part))))
      const [answer] = await withPatience(once(socket, 'data'), 'Redis answers')
      return answer.toString('latin1')
    } finally {
      socket.destroy()
    }
  }

  // How many are subscribed to a channel.
  async subscribers (channel) {
    return Number(/:(\d+)\r\n$/.exec(await this.ask('PUBSUB', 'NUMSUB', channel))[1])
  }

  subscribed (channel, count) {
    return eventually(async () => await this.subscribers(channel) === count, async () => `${count} subscribe to ${channel}, but ${await this.subscribers(channel)}`)
  }

  end () {
    running.delete(this)
    this.child.kill('SIGKILL')
    fs.rmSync(this.folder, { recursive: true, force: true })
  }
}
