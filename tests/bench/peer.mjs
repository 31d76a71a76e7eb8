// What tests/bench/run compares with: the same in node alone with ws, and in Koa with koa-websocket.
//
//     PORT=3000 node tests/bench/peer.mjs node|koa
//
// DEFLATE, ACACIA_TLS_CERT and ACACIA_TLS_KEY as in servers.py.

import fs from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import Koa from 'koa'
import websockify from 'koa-websocket'
import route from 'koa-route'
import { WebSocketServer } from 'ws'

const { PORT = '3000', DEFLATE, ACACIA_TLS_CERT: cert, ACACIA_TLS_KEY: key } = process.env
const tls = cert && { cert: fs.readFileSync(cert), key: fs.readFileSync(key) }
const wsOptions = { perMessageDeflate: DEFLATE === '1' && { threshold: 0 }, maxPayload: 64 << 20 }
const members = new Set()

function serveEcho (socket) {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
}

function serveBroadcast (socket) {
  members.add(socket)
  socket.on('close', () => members.delete(socket))
  socket.on('message', (data, isBinary) => {
    for (const member of members) member.send(data, { binary: isBinary })
  })
}

function startNode () {
  const hello = (request, response) => {
    if (request.url !== '/') return response.writeHead(404).end()
    response.setHeader('Content-Type', 'text/plain; charset=utf-8')
    response.setHeader('Content-Length', 13)
    response.end('Hello, World!')
  }
  const server = tls ? https.createServer(tls, hello) : http.createServer(hello)
  const sockets = new WebSocketServer({ server, ...wsOptions })
  sockets.on('connection', (socket, request) => request.url === '/echo' ? serveEcho(socket) : serveBroadcast(socket))
  server.listen(Number(PORT), '127.0.0.1')
}

function startKoa () {
  const app = websockify(new Koa(), wsOptions, tls || undefined)
  app.silent = true // clients go
  app.use(route.get('/', ctx => { ctx.body = 'Hello, World!' }))
  app.ws.use(route.all('/echo', ctx => serveEcho(ctx.websocket)))
  app.ws.use(route.all('/broadcast', ctx => serveBroadcast(ctx.websocket)))
  app.listen(Number(PORT), '127.0.0.1')
}

process.argv[2] === 'koa' ? startKoa() : startNode()
