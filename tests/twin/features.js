#!/usr/bin/env node
'use strict'

// The usual stack of middleware around the usual routes, and what a WebSocket can do, in Koa: features.c is the same in
// C, and e2e/twin_features.test.mjs compares the two.
//
//     PORT=3000 tests/twin/features.js    or    tests/twin/features.js 3000
//
// Both read which middlewares they shall use from the environment, such as MIDDLEWARE=cors,etag; without it all.

const fs = require('fs')
const os = require('os')
const path = require('path')
const { PassThrough } = require('stream')
const Koa = require('koa')
const Router = require('@koa/router')
const websockify = require('koa-websocket')
const route = require('koa-route')
const mount = require('koa-mount')
const WebSocket = require('ws')

const named = process.env.MIDDLEWARE?.split(',')
const isUsed = name => !named || named.includes(name)
const use = (name, make) => isUsed(name) && app.use(make())

const app = websockify(new Koa({ keys: ['newkey', 'oldkey'], asyncLocalStorage: true }), {
  maxPayload: 64 * 1024,
  perMessageDeflate: isUsed('deflate') && { threshold: 256 },
  handleProtocols: protocols => protocols.has('chat.v1') ? 'chat.v1' : false,
  verifyClient: ({ req }, callback) => req.url.startsWith('/private') && req.headers.authorization !== 'Bearer good'
    ? callback(false, 401, 'Unauthorized', { 'WWW-Authenticate': 'Bearer' })
    : callback(true)
})
app.silent = true
app.on('error', () => {})

// --- Middleware ----------------------------------------------------------------------------------

function makeRoot () {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'features-'))
  fs.writeFileSync(path.join(root, 'index.html'), '<!doctype html><h1>static</h1>')
  fs.writeFileSync(path.join(root, 'big.txt'), 'x'.repeat(4096))
  process.on('exit', () => fs.rmSync(root, { recursive: true, force: true }))
  return root
}

function makeEtag () {
  const { warn } = console
  console.warn = () => {} // it complains about its name
  const make = require('koa-etag')
  const etag = (make.default || make)()
  console.warn = warn
  return etag
}

function makeSession (options) {
  const session = require('koa-session')
  return (session.default || session)(options, app)
}

use('response-time', () => require('koa-response-time')())
app.use(async (ctx, next) => { // errors below /api as JSON
  try {
    await next()
  } catch (err) {
    if (!ctx.path.startsWith('/api')) throw err
    ctx.status = err.status || 500
    ctx.body = { error: err.expose ? err.message : 'Internal Server Error' }
    ctx.app.emit('error', err, ctx)
  }
})
use('cors', () => require('@koa/cors')({
  origin: ctx => ctx.get('Origin') || '*',
  credentials: true,
  maxAge: 600,
  exposeHeaders: ['X-Response-Time']
}))
use('compress', () => require('koa-compress')({ threshold: 1024 }))
use('conditional', () => require('koa-conditional-get')())
use('etag', () => makeEtag())
use('session', () => makeSession({ key: 'sid', maxAge: 60000 }))
use('body-parser', () => require('koa-bodyparser')({ jsonLimit: '16kb', enableTypes: ['json', 'form', 'text'] }))
use('static', () => mount('/static', require('koa-static')(makeRoot(), { maxage: 1000 })))
use('rate-limit', () => mount('/limited', require('koa-ratelimit')({
  driver: 'memory',
  db: new Map(),
  max: 2,
  duration: 60000,
  id: () => 'all'
})))
use('basic-auth', () => mount('/admin', require('koa-basic-auth')({ name: 'u', pass: 'p' })))
use('range', () => mount('/ranged', require('koa-range')))

// --- Routes --------------------------------------------------------------------------------------

const router = new Router()
router.get('/', ctx => { ctx.body = 'features' })
router.get('/cookies', ctx => {
  ctx.cookies.set('plain', '1')
  ctx.cookies.set('signed', '2', { signed: true, sameSite: 'lax', maxAge: 60000 })
  ctx.body = { plain: ctx.cookies.get('plain') ?? null, signed: ctx.cookies.get('signed', { signed: true }) ?? null }
})
router.get('/counter', ctx => {
  ctx.session.n = (ctx.session.n || 0) + 1
  ctx.body = { n: ctx.session.n }
})
router.get('/logout', ctx => {
  ctx.session = null
  ctx.body = 'bye'
})
router.post('/form', ctx => { ctx.body = { body: ctx.request.body, raw: ctx.request.rawBody ?? null } })
router.get('/redirect', ctx => ctx.redirect('/'))
router.get('/back', ctx => ctx.back('/fallback'))
router.get('/download', ctx => {
  ctx.attachment('résumé €.txt')
  ctx.body = 'data'
})
router.get('/nocontent', ctx => { ctx.status = 204 })
router.get('/null', ctx => {
  ctx.body = null
  ctx.status = 200
})
router.get('/stream', ctx => {
  const stream = new PassThrough()
  ctx.type = 'text'
  ctx.body = stream
  stream.write('a')
  setImmediate(() => stream.end('b'))
})
router.get('/sse', ctx => {
  const stream = new PassThrough()
  ctx.type = 'text/event-stream'
  ctx.set('Cache-Control', 'no-cache')
  ctx.body = stream
  ctx.flushHeaders()
  let i = 0
  const timer = setInterval(() => {
    stream.write(`id: ${++i}\ndata: tick ${i}\n\n`)
    if (i < 3) return
    clearInterval(timer)
    stream.end()
  }, 5)
  ctx.res.on('close', () => clearInterval(timer))
})
router.get('/negotiate', ctx => {
  switch (ctx.accepts('json', 'html', 'text')) {
    case 'json': ctx.body = { ok: true }; break
    case 'html': ctx.body = '<p>ok</p>'; break
    case 'text': ctx.body = 'ok'; break
    default: ctx.throw(406, 'json, html, or text only')
  }
})
router.get('/whoami', async ctx => {
  await null
  ctx.body = { ip: ctx.ip, host: ctx.host, protocol: ctx.protocol, secure: ctx.secure, same: app.currentContext === ctx }
})
router.get('user', '/api/users/:id', ctx => {
  if (ctx.params.id === '0') ctx.throw(404, 'no such user')
  ctx.body = { id: ctx.params.id, url: router.url('user', ctx.params.id) }
})
router.get('/api/crash', () => { throw new Error('secret') })
router.put('/api/users/:id', ctx => {
  ctx.status = 201
  ctx.body = { put: ctx.params.id }
})
router.get('/limited', ctx => { ctx.body = 'ok' })
router.get('/admin', ctx => { ctx.body = 'admin' })
router.get('/ranged', ctx => { ctx.body = Buffer.from('0123456789') })
router.get('/big', ctx => { ctx.body = 'y'.repeat(5000) })
router.get('/respond-false', ctx => {
  ctx.respond = false
  ctx.res.writeHead(200, { 'Content-Type': 'text/plain' })
  ctx.res.end('raw')
})
app.use(router.routes())
use('allowed-methods', () => router.allowedMethods())

// --- WebSockets ----------------------------------------------------------------------------------

app.ws.use((ctx, next) => {
  ctx.websocket.isAlive = true
  ctx.websocket.on('pong', () => { ctx.websocket.isAlive = true })
  return next()
})
app.ws.use(route.all('/echo', ctx => ctx.websocket.on('message', (data, binary) => ctx.websocket.send(data, { binary }))))
app.ws.use(route.all('/info', ctx => ctx.websocket.send(JSON.stringify({
  path: ctx.path,
  query: ctx.query,
  protocol: ctx.websocket.protocol,
  extensions: ctx.websocket.extensions,
  ip: ctx.ip,
  cookie: ctx.cookies.get('plain') ?? null,
  method: ctx.method,
  hasRes: ctx.res !== undefined
}))))
app.ws.use(route.all('/close/:code', (ctx, code) => ctx.websocket.close(Number(code), 'as asked')))
app.ws.use(route.all('/terminate', ctx => ctx.websocket.terminate()))
app.ws.use(route.all('/broadcast', ctx => ctx.websocket.on('message', (data, binary) => {
  for (const client of app.ws.server.clients) {
    if (client !== ctx.websocket && client.readyState === WebSocket.OPEN) client.send(data, { binary })
  }
})))
app.ws.use(route.all('/fragments', ctx => {
  ctx.websocket.send('one ', { fin: false })
  ctx.websocket.send('two ', { fin: false })
  ctx.websocket.send('three', { fin: true })
}))
app.ws.use(route.all('/slow', async ctx => { // pauses, so that nothing is lost meanwhile
  ctx.websocket.pause()
  await new Promise(resolve => setTimeout(resolve, 50))
  ctx.websocket.on('message', data => ctx.websocket.send(`late but kept: ${data}`))
  ctx.websocket.resume()
}))
app.ws.use(route.all('/private', ctx => ctx.websocket.send('welcome')))
app.ws.use(ctx => ctx.websocket.close(4404, 'no route'))

// --- The server ----------------------------------------------------------------------------------

const server = app.listen(process.argv[2] || process.env.PORT || 0, '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`)
})
setInterval(() => {
  for (const client of app.ws.server.clients) {
    if (!client.isAlive) {
      client.terminate()
      continue
    }
    client.isAlive = false
    client.ping()
  }
}, 300000).unref() // longer than a test: a ping more would be a difference
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    server.close()
    for (const client of app.ws.server.clients) client.close(1001, 'server shutting down')
    setTimeout(() => process.exit(0), 200)
  })
}
