// Middleware of Koa's and the same in C, with the same random options, who are asked the same.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import Koa from 'koa'
import compose from 'koa-compose'
import mount from 'koa-mount'
import { startServer, withPatience } from './support.mjs'

const program = 'tests/support/guard_server'

// What guard_server.c shows.
function show (ctx) {
  const { user, token, jwtOriginalError } = ctx.state
  if (ctx.query.vary !== undefined) ctx.vary('Accept')
  if (ctx.query.throw !== undefined) ctx.throw(403, 'no', { headers: { 'X-Thrown': '1' } })
  if (ctx.query.fail !== undefined) throw new Error('input/output')
  ctx.body = user === undefined && !jwtOriginalError
    ? 'page'
    : { claims: user ?? null, token: token ?? null, error: jwtOriginalError?.message ?? null }
}

export class Guards {
  // `layers` are pairs: options of ours, as guard_server.c takes them, and the middleware of Koa's.
  constructor (layers, config = {}) {
    this.config = { ...config, layers: layers.map(([options]) => options) }
    this.koa = new Koa()
    this.koa.silent = true
    layers.forEach(([, middleware], i) => {
      this.koa.use(mount(`/${i}`, compose([
        (ctx, next) => {
          ctx.set('X-Powered-By', 'C')
          return next()
        },
        middleware,
        show
      ])))
    })
    this.agent = new http.Agent({ keepAlive: true, maxSockets: 16 })
  }

  async start () {
    const folder = mkdtempSync(path.join(tmpdir(), 'guard-'))
    const file = path.join(folder, 'config.json')
    writeFileSync(file, JSON.stringify(this.config))
    try {
      this.ours = await startServer(program, { env: { CONFIG: file } })
    } finally {
      rmSync(folder, { recursive: true })
    }
    this.server = http.createServer(this.koa.callback()).listen(0, '127.0.0.1')
    await new Promise(resolve => this.server.once('listening', resolve))
  }

  async stop () {
    this.agent.destroy()
    this.server.close()
    await this.ours.stop()
  }

  request (port, method, path, headers, body) {
    return withPatience(new Promise((resolve, reject) => {
      const request = http.request({ port, host: '127.0.0.1', agent: this.agent, method, path, headers }, response => {
        let text = ''
        response.setEncoding('utf8').on('data', piece => { text += piece }).on('end', () => {
          const { date, connection, 'keep-alive': _, ...rest } = response.headers
          resolve({ status: response.statusCode, headers: rest, body: text })
        }).on('error', reject)
      })
      // A connection that was silent for too long may be closed while it is used again.
      request.on('error', error => request.reusedSocket && error.code === 'ECONNRESET'
        ? resolve(this.request(port, method, path, headers, body))
        : reject(error))
      request.end(body)
    }), `${method} ${path}`)
  }

  askOurs (method, path, headers = {}, body) {
    return this.request(this.ours.port, method, path, headers, body)
  }

  // What ours answers, and what Koa's.
  both (method, path, headers = {}) {
    return Promise.all([this.askOurs(method, path, headers),
      this.request(this.server.address().port, method, path, headers)])
  }
}

// Options that keep the app from starting: what it says.
export async function refusal (layer) {
  const folder = mkdtempSync(path.join(tmpdir(), 'guard-'))
  const file = path.join(folder, 'config.json')
  writeFileSync(file, JSON.stringify({ layers: [layer] }))
  try {
    const server = await startServer(program, { env: { CONFIG: file } })
    await server.stop()
    return null
  } catch (error) {
    return error.message
  } finally {
    rmSync(folder, { recursive: true })
  }
}

// Many at once, in order of their numbers; the first ten that differ.
export async function playEach (count, play) {
  const problems = []
  let next = 0
  await Promise.all(Array.from({ length: 16 }, async () => {
    for (let i = next++; i < count && problems.length < 10; i = next++) {
      try {
        await play(i)
      } catch (error) {
        problems.push(`${i}: ${error.message}`)
      }
    }
  }))
  if (problems.length > 0) assert.fail(problems.join('\n\n'))
}
