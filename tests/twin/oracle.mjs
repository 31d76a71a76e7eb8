#!/usr/bin/env node

// A route for each part of ctx, each kind of body and of pattern, and for what a WebSocket does, in Koa: oracle.c is the
// same in C, and e2e/twin_oracle.test.mjs compares the two.
//
//     tests/twin/oracle.mjs [PORT] [--proxy] [--no-deflate] [--max-payload BYTES]
//
// or, as the one in C has it, with PORT, PROXY=1, DEFLATE=0 and MAX_PAYLOAD in the environment.

import { Readable } from 'node:stream'
import { parseArgs } from 'node:util'
import Koa from 'koa'
import route from 'koa-route'
import websockify from 'koa-websocket'

const { env } = process
const { values: options, positionals: [port = env.PORT ?? 7001] } = parseArgs({
  allowPositionals: true,
  options: {
    proxy: { type: 'boolean', default: env.PROXY === '1' },
    'no-deflate': { type: 'boolean', default: env.DEFLATE === '0' },
    'max-payload': { type: 'string', default: env.MAX_PAYLOAD || String(1 << 20) }
  }
})

const app = websockify(new Koa({ proxy: options.proxy }), {
  maxPayload: Number(options['max-payload']),
  perMessageDeflate: !options['no-deflate'],
  handleProtocols: protocols => ['chat', 'v2.chat'].find(name => protocols.has(name)) ?? false
})
app.silent = true

// --- The request ---------------------------------------------------------------------------------

app.use(route.get('/', ctx => { ctx.body = 'hello' }))

app.use(route.all('/inspect', ctx => {
  const { request } = ctx
  ctx.body = {
    method: ctx.method,
    url: ctx.url,
    originalUrl: ctx.originalUrl,
    path: ctx.path,
    search: ctx.search,
    querystring: ctx.querystring,
    query: ctx.query,
    href: ctx.href,
    origin: ctx.origin,
    host: ctx.host,
    hostname: ctx.hostname,
    subdomains: ctx.subdomains,
    protocol: ctx.protocol,
    secure: ctx.secure,
    ip: ctx.ip,
    ips: ctx.ips,
    type: request.type,
    charset: request.charset,
    length: request.length ?? null,
    idempotent: request.idempotent,
    is: { json: ctx.is('json'), text: ctx.is('text/*'), form: ctx.is('urlencoded', 'multipart') },
    get: { referer: ctx.get('referrer'), test: ctx.get('X-Test'), none: ctx.get('x-none') }
  }
}))

app.use(route.all('/negotiate', ctx => {
  ctx.body = {
    types: ctx.accepts(),
    type: ctx.accepts('html', 'json', 'text/plain', 'png'),
    encodings: ctx.acceptsEncodings(),
    encoding: ctx.acceptsEncodings('gzip', 'br', 'identity'),
    languages: ctx.acceptsLanguages(),
    language: ctx.acceptsLanguages('en', 'fr', 'pt-BR'),
    charsets: ctx.acceptsCharsets(),
    charset: ctx.acceptsCharsets('utf-8', 'iso-8859-1')
  }
}))

const MODIFIED = new Date('2020-02-02T02:02:02Z')

app.use(route.all('/fresh', ctx => {
  ctx.status = 200
  ctx.etag = ctx.query.weak === undefined ? 'tag-1' : 'W/"tag-1"'
  ctx.lastModified = MODIFIED
  if (ctx.fresh) ctx.status = 304
  else ctx.body = 'fresh body'
}))

async function readBody (ctx) {
  const chunks = []
  for await (const chunk of ctx.req) chunks.push(chunk)
  return Buffer.concat(chunks)
}

app.use(route.all('/echo', async ctx => {
  const body = await readBody(ctx)
  ctx.type = ctx.get('content-type') || 'application/octet-stream'
  ctx.body = body
}))

// --- The response --------------------------------------------------------------------------------

const BODIES = {
  string: 'a string',
  html: '<p>html</p>',
  json: { a: 1, b: [true, null, 'é'] },
  array: [1, 2, 3],
  null: null,
  empty: '',
  buffer: Buffer.from([0, 1, 2, 255]),
  number: 42,
  false: false
}

app.use(route.get('/body/:kind', (ctx, kind) => {
  if (kind === 'stream') ctx.body = Readable.from([Buffer.from('one,'), Buffer.from('two')])
  else if (kind in BODIES) ctx.body = BODIES[kind]
}))

app.use(route.all('/status/:code', (ctx, code) => { ctx.status = Number(code) }))
app.use(route.all('/status-body/:code', (ctx, code) => {
  ctx.status = Number(code)
  ctx.body = 'body'
}))
app.use(route.get('/redirect', ctx => ctx.redirect(ctx.query.to ?? '/')))
app.use(route.get('/back', ctx => ctx.back('/fallback')))
app.use(route.get('/type/:type', (ctx, type) => {
  ctx.body = 'typed'
  ctx.type = type
}))
app.use(route.get('/attachment/:name', (ctx, name) => {
  ctx.attachment(name)
  ctx.body = 'attached'
}))

app.use(route.all('/cookies', ctx => {
  ctx.cookies.set('plain', 'v')
  ctx.cookies.set('full', 'a b', {
    path: '/p', domain: 'example.test', httpOnly: false, sameSite: 'lax', maxAge: 0, overwrite: true
  })
  ctx.body = { a: ctx.cookies.get('a') ?? null, b: ctx.cookies.get('b') ?? null }
}))

app.use(route.all('/headers', ctx => {
  ctx.set({ 'X-One': '1', 'X-Removed': 'x' })
  ctx.append('X-Many', ['a', 'b'])
  ctx.append('X-Many', 'c')
  ctx.vary('Accept')
  ctx.vary('Origin')
  ctx.remove('X-Removed')
  ctx.body = 'headers'
}))

// --- Errors --------------------------------------------------------------------------------------

app.use(route.all('/throw/:code', (ctx, code) => ctx.throw(Number(code), 'thrown here', { headers: { 'X-Thrown': 'yes' } })))
app.use(route.all('/fail', () => { throw new Error('a secret') }))
app.use(route.all('/assert', ctx => ctx.assert(ctx.query.ok, 401, 'not ok')))

// --- Patterns ------------------------------------------------------------------------------------

const params = (ctx, ...args) => {
  ctx.body = { route: ctx.routePath, params: args.slice(0, -1).map(arg => arg ?? null) }
}
app.use(route.get('/user/:id', params))
app.use(route.get('/pair/:a/:b', params))
app.use(route.get('/opt/:x?', params))
app.use(route.get('/num/:n(\\d+)', params))
app.use(route.get('/rest/(.*)', params))
app.use(route.put('/only-put', params))
app.use(route.del('/only-delete', params))

// --- WebSockets ----------------------------------------------------------------------------------

const echo = ({ websocket }) => websocket.on('message', (data, binary) => websocket.send(data, { binary }))

app.ws.use(route.all('/ws/echo', echo))
app.ws.use(route.all('/ws/room/:id', (ctx, id) => {
  ctx.websocket.send(JSON.stringify({ id, path: ctx.path, query: ctx.query, protocol: ctx.websocket.protocol }))
  echo(ctx)
}))
app.ws.use(route.all('/ws/close/:code', (ctx, code) => ctx.websocket.close(Number(code), 'bye')))
app.ws.use(route.all('/ws/ping', ctx => {
  ctx.websocket.ping('are you there')
  echo(ctx)
}))

const server = app.listen(Number(port), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`)
})
process.on('SIGTERM', () => process.exit())
