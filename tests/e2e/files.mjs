// What the tests of serve, etag, conditional_get and compression share: a tree of files, the program
// support/files_server.c, the same app in Koa, and a client that asks both.

import fs from 'node:fs/promises'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import { once } from 'node:events'
import { before } from 'node:test'
import Koa from 'koa'
import compose from 'koa-compose'
import compress from 'koa-compress'
import conditional from 'koa-conditional-get'
import mount from 'koa-mount'
import serve from 'koa-static'
import { startServer } from './support.mjs'

const warn = console.warn
console.warn = () => {} // koa-etag recommends its own successor, which is the same
const { default: etag } = await import('koa-etag')

// --- Files ---------------------------------------------------------------------------------------

export const TIME = new Date(1_000_000_000_000)

const files = {
  'hello.txt': 'hello, world',
  'index.html': '<p>index',
  'empty.txt': '',
  'page.html': '<p>page',
  'name.html.txt': 'text',
  'UPPER.TXT': 'upper',
  'no extension': 'none',
  'strange.extension': 'strange',
  'back\\slash': 'backslash',
  'é.txt': 'e acute',
  '漢字.html': 'kanji',
  '100%.txt': 'percent',
  '%41.txt': 'escaped',
  'plus+&=;,.txt': 'plus',
  '.hidden': 'hidden',
  '.git/config': 'config',
  '..two/dots.txt': 'two dots',
  'docs/index.html': '<p>docs',
  'docs/a.css': 'a{}',
  'docs/deep/er/x.json': '{}',
  'bare/file': 'file',
  'script.js': 'script();',
  'script.js.br': '(br)',
  'script.js.gz': '(gzip)',
  'style.css': 'b{}',
  'style.css.zst': '(zstd)',
  'only.txt.gz': '(only)',
  'docs/index.html.gz': '(docs)'
}

export const names = [...Object.keys(files), 'docs', 'docs/', 'docs/deep', 'bare', 'bare/', '', 'x.html', 'link.txt', 'links', 'outside.txt']

export async function makeTree () {
  const top = await fs.mkdtemp(path.join(os.tmpdir(), 'acacia-files-'))
  const root = path.join(top, 'root')
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(root, name)
    await fs.mkdir(path.dirname(file), { recursive: true })
    await fs.writeFile(file, text)
    await fs.utimes(file, TIME, TIME)
  }
  const noise = Buffer.alloc(300_000, 'The quick brown fox jumps over the lazy dog. ')
  await fs.writeFile(path.join(root, 'large.txt'), noise)
  await fs.utimes(path.join(root, 'large.txt'), TIME, TIME)
  await fs.writeFile(path.join(root, 'large.bin'), Buffer.alloc(20_000_000, 7))
  await fs.mkdir(path.join(root, 'x.html'))
  await fs.symlink('hello.txt', path.join(root, 'link.txt'))
  await fs.symlink('docs', path.join(root, 'links'))
  await fs.writeFile(path.join(top, 'beside.txt'), 'beside')
  await fs.utimes(path.join(top, 'beside.txt'), TIME, TIME)
  await fs.symlink('../beside.txt', path.join(root, 'outside.txt'))
  return { top, root, remove: () => fs.rm(top, { recursive: true }) }
}

// --- The same app in Koa ---------------------------------------------------------------------------

export function makeText (length) {
  const text = Buffer.alloc(length)
  let noise = 1
  for (let i = 0; i < length; i++) {
    noise = (Math.imul(noise, 1664525) + 1013904223) >>> 0
    text[i] = Math.floor(i / 100) % 2 ? 65 + (noise >>> 24) % 26 : 97 + i % 10
  }
  return text.toString('latin1')
}

function * pieces (text, length) {
  for (let i = 0; i < text.length; i += length) yield Buffer.from(text.slice(i, i + length))
}

const bodies = root => ctx => {
  const { kind, length = 0, type, status, piece, compress } = ctx.query
  const text = makeText(Number(length))
  if (type !== undefined) ctx.type = type
  for (const [name, value] of Object.entries(ctx.query)) if (name.startsWith('h-')) ctx.set(name.slice(2), value)
  if (compress !== undefined) ctx.compress = compress === 'true'
  const makes = {
    text: () => { ctx.type ||= 'text'; return text },
    html: () => { ctx.type ||= 'html'; return text },
    bytes: () => Buffer.from(text),
    json: () => ({ text }),
    empty: () => null,
    file: () => { ctx.type ||= 'text'; return createReadStream(path.join(root, 'hello.txt')) },
    stream: () => Readable.from(pieces(text, Number(piece)))
  }
  if (kind) ctx.body = makes[kind]()
  if (kind === 'file') ctx.length = files['hello.txt'].length
  if (status !== undefined) ctx.status = Number(status)
}

function makeKoa (root) {
  const app = new Koa()
  app.silent = true
  const some = ctx => {
    if (ctx.path.includes('hello')) ctx.body = 'downstream'
    if (ctx.path.includes('page')) ctx.status = 403
  }
  const all = {
    '/default': serve(root),
    '/many': serve(root, { extensions: ['html', '.txt'], hidden: true, maxage: 3_600_000, immutable: true }),
    '/no-index': serve(root, { index: false }),
    '/strict': serve(root, { format: false, index: 'a.css' }),
    '/no-gzip': serve(root, { gzip: false }),
    '/no-brotli': serve(root, { brotli: false }),
    '/defer': compose([serve(root, { defer: true }), some]),
    '/tagged': compose([conditional(), etag(), serve(root)]),
    '/etag': compose([conditional(), etag(), bodies(root)]),
    '/weak-etag': compose([conditional(), etag({ weak: true }), bodies(root)]),
    '/compress': compose([compress(), bodies(root)]),
    '/compress-other': compose([compress({
      br: {}, gzip: false, encodingPreference: ['deflate', 'br', 'identity'], defaultEncoding: 'deflate', wildcardAcceptEncoding: 'br', threshold: 1
    }), bodies(root)])
  }
  for (const [prefix, middleware] of Object.entries(all)) app.use(mount(prefix, middleware))
  app.use(ctx => { ctx.body = 'behind' })
  return app
}

// --- Both ----------------------------------------------------------------------------------------

const agent = new http.Agent({ keepAlive: true, maxSockets: 16 })

export function ask (port, { method = 'GET', path, headers = {} }) {
  return new Promise((resolve, reject) => {
    const request = http.request({ port, host: '127.0.0.1', agent, method, path, headers }, async response => {
      const chunks = []
      try {
        for await (const chunk of response) chunks.push(chunk)
      } catch (error) {
        reject(error)
      }
      resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) })
    })
    request.on('error', reject).end()
  })
}

// Our server and Koa's, for all tests of a file; the last one calls stop.
export function startBoth () {
  const both = {}
  before(async () => {
    both.tree = await makeTree()
    both.ours = await startServer('tests/support/files_server', { env: { ROOT: both.tree.root } })
    both.koa = http.createServer(makeKoa(both.tree.root).callback()).listen(0, '127.0.0.1')
    await once(both.koa, 'listening')
    both.ask = request => Promise.all([ask(both.ours.port, request), ask(both.koa.address().port, request)])
    both.askOurs = request => ask(both.ours.port, request)
  })
  both.stop = async () => {
    console.warn = warn
    agent.destroy()
    both.koa.close()
    both.koa.closeAllConnections()
    await both.tree.remove()
    await both.ours.stop()
  }
  return both
}

// So many at once.
export async function inTurns (list, atOnce, play) {
  const left = list.entries()
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (const [i, item] of left) await play(item, i)
  }))
}
