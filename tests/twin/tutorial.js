#!/usr/bin/env node
'use strict'

// The tutorials' app in Koa: tutorial.c is the same in C, and e2e/twin_tutorial.test.mjs compares the two.
//
//     PORT=3000 tests/twin/tutorial.js    or    tests/twin/tutorial.js 3000

const Koa = require('koa')
const route = require('koa-route')
const websockify = require('koa-websocket')

const LIMIT = 1024 * 1024 // of a body and of a message, as Acacia's defaults are

const app = websockify(new Koa(), { maxPayload: LIMIT })
app.silent = process.env.SILENT === '1'

// --- Requests ------------------------------------------------------------------------------------

function readBody (req) {
  return new Promise((resolve, reject) => {
    const fail = (status, message) => reject(Object.assign(new Error(message), { status, expose: true }))
    const chunks = []
    let length = 0
    req.on('data', chunk => {
      length += chunk.length
      if (length <= LIMIT) chunks.push(chunk)
      else fail(413, 'request entity too large') // and the rest goes to waste
    })
    req.on('end', () => resolve(Buffer.concat(chunks)))
    req.on('aborted', () => fail(400, 'request aborted'))
    req.on('error', reject)
  })
}

app.use(async (ctx, next) => {
  const start = process.hrtime.bigint()
  await next()
  ctx.set('X-Response-Time', `${Math.round(Number(process.hrtime.bigint() - start) / 1e6)}ms`)
})
app.use(route.get('/', ctx => { ctx.body = 'Hello, world!' }))
app.use(route.get('/json', ctx => { ctx.body = { hello: 'world', n: [1, 2, 3] } }))
app.use(route.get('/users/:id', (ctx, id) => { ctx.body = { id, routePath: ctx.routePath } }))
app.use(route.post('/echo', async ctx => {
  const body = await readBody(ctx.req)
  ctx.type = ctx.get('Content-Type') || 'application/octet-stream'
  ctx.body = body
}))
app.use(route.get('/boom', () => { throw new Error('secret detail') }))
app.use(route.get('/teapot', ctx => ctx.throw(418, 'short and stout')))

// --- WebSockets ----------------------------------------------------------------------------------

const rooms = new Map()

app.ws.use((ctx, next) => {
  ctx.state.since = Date.now()
  return next()
})
app.ws.use(route.all('/', ctx => {
  ctx.websocket.on('message', data => ctx.websocket.send(`You sent: ${data}`))
}))
app.ws.use(route.all('/chat/:room', (ctx, room) => {
  const members = rooms.get(room) || new Set()
  rooms.set(room, members.add(ctx.websocket))
  ctx.websocket.on('message', (data, binary) => {
    for (const member of members) member.send(data, { binary }) // says nothing when it is closing
  })
  ctx.websocket.on('close', () => {
    members.delete(ctx.websocket)
    if (members.size === 0) rooms.delete(room)
  })
}))

const server = app.listen(process.argv[2] || process.env.PORT || 3000, () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`)
})
process.on('SIGTERM', () => process.exit())
