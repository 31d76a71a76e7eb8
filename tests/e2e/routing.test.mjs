// Routes, routers and mounts: koa-route, @koa/router and koa-mount (twin/routing.js) and ours (twin/routing.c) get the
// same apps and the same requests, for pages and for WebSockets, and must answer the same. First cases by hand, with
// what comes out of them; then random apps.
//
// SEED=n for other ones, SCALE=n for n times as many, ONLY='page 17' for a single conversation.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { withPatience } from './support.mjs'
import { chance, scale, seed } from './traffic/chance.mjs'
import { joinHead, playRequests, readResponses } from './traffic/http.mjs'
import { cases } from './traffic/route_cases.mjs'
import { knock, makeApp, makePage, makeTalk } from './traffic/routes.mjs'
import { Client, Twins, isOther, playAll } from './traffic/twins.mjs'
import { TEXT, closeFrame, describe as describeSocket, playConversation, readSocket } from './traffic/websocket.mjs'

console.log(`SEED=${seed}`)

// --- What differs on purpose ---------------------------------------------------------------------

// The cases say what ours and Koa's do. Random requests meet only what has a check.
const differences = {
  'a malformed % in a path': {
    why: 'it is the client\'s fault: 400. For koa-route it is a 500, and @koa/router leaves it as it is',
    check (ours, koa) { // if a parameter has it
      if (ours.text !== koa.text) assert.match(ours.text, /malformed percent-encoding in the path/)
    }
  },
  'a NUL in a parameter': {
    why: 'no path has one, and a C string would end there: 400'
  },
  'a WebSocket that nothing matched': {
    why: 'it is answered 404 before the upgrade, and never left open and silent'
  },
  'a route that is seen from outside': {
    why: 'a handler sees its own route, also behind next(); in Koa it sees the last one that matched'
  },
  'parameters of routes and of routers': {
    why: 'there is one ctx_param for both; in Koa routes have arguments, and routers ctx.params'
  },
  'two parameters in a segment': {
    why: 'patterns of routers are those of routes, of path-to-regexp 6; @koa/router has those of 8'
  },
  'middleware under a prefix in another case': {
    why: 'case doesn\'t matter there, as in routes; @koa/router is not consistent'
  },
  'a prefix that ends in /': {
    why: 'a slash that is one too many doesn\'t count; @koa/router looks for two of them'
  },
  'a prefix that is changed behind middleware': {
    why: 'the middleware goes along; in @koa/router it keeps the old one as well'
  },
  'a hook of a parameter that is absent': {
    why: 'it is not called; in @koa/router it is, with undefined'
  },
  'the pattern that middleware sees': {
    why: 'it is that of the route behind; in @koa/router a regular expression of its own'
  },
  'middleware where only one route runs': {
    why: 'it runs in any case: it may be what authenticates; in @koa/router it counts as a route'
  },
  'a host in another case': {
    why: 'names of hosts are the same in any case (RFC 9110 4.2.3)'
  },
  'Allow with what is thrown': {
    why: 'RFC 9110 15.5.6 wants it with every 405'
  },
  'a blank in the query of a URL': {
    why: 'it is a "+", as in a form, and in Koa\'s own ctx.query = …; "%20" means the same'
  },
  'a mount whose prefix ends in /': {
    why: 'what is mounted sees a path that begins with "/"; in koa-mount it doesn\'t, so that no route matches'
  },
  'an error from behind a mount': {
    why: 'what is mounted sees its own path in any case; in koa-mount not if next() has failed'
  },
  'the prefix of several mounts': {
    why: 'ctx_mount_path is all that was taken off; ctx.mountPath the last part'
  }
}

const twins = new Twins(differences)

// --- The apps ------------------------------------------------------------------------------------

// Random ones stand behind those of the cases.
const first = Object.keys(cases).length
const random = Array.from({ length: Math.ceil(400 * scale) }, (_, i) => makeApp(chance('app', i)))
const apps = [...Object.values(cases).map(([layers]) => layers), ...random.map(app => app.layers)]

const folder = mkdtempSync(path.join(tmpdir(), 'routing-'))
after(() => rmSync(folder, { recursive: true, force: true }))

function start () {
  const file = path.join(folder, 'apps.json')
  writeFileSync(file, JSON.stringify(apps))
  return twins.start('tests/twin/routing', 'routing.js', { APPS: file })
}

// --- Cases ---------------------------------------------------------------------------------------

// What comes back from the server, once `done` is true of it, or it has closed.
async function say (client, bytes, done) {
  client.write(bytes)
  while (!client.closed && !done?.()) {
    await withPatience(new Promise(resolve => { client.wake = resolve }), () => `no answer to ${bytes}`)
  }
}

const connect = server => {
  const client = new Client(server.port, () => client.wake?.())
  return client
}

async function askPage (server, method, target, headers) {
  const client = connect(server)
  await say(client, joinHead(`${method} ${target} HTTP/1.1`, [...headers, 'Connection: close']))
  return readResponses(client.bytes, [method]).responses[0]
}

async function askSocket (server, method, target, headers) {
  const client = connect(server)
  await say(client, knock(target, ...headers), () => client.bytes.includes('\r\n\r\n'))
  await say(client, closeFrame(1000))
  const socket = readSocket(client.bytes)
  const [message] = socket.frames
  const body = message?.opcode === TEXT ? message.payload.toString() : socket.rest
  return { text: describeSocket(socket), status: 404, body }
}

// "one two" for lines that begin with the names of steps; any other line as it is.
function summary ({ status, body }) {
  const isStep = line => /^\S+( back)? (\/|http:)/.test(line)
  const lines = body.split('\n').filter(Boolean).map(line => isStep(line) ? line.split(' ')[0] : line)
  return (status === 404 ? lines : [status, ...lines]).join(' ')
}

async function playRequest (app, request, expectation) {
  const [method, target, host = 'a'] = request.split(' ')
  const [expected, fromKoa = expected, difference] = [expectation].flat()
  const ask = method === 'WS' ? askSocket : askPage
  const headers = [`Host: ${host}`, `X-App: ${app}`]
  const [ours, koa] = await Promise.all(twins.servers.map(server => ask(server, method, target, headers)))
  const answers = `\nours: ${ours.text}\nKoa:  ${koa.text}`
  if (method !== 'HEAD') {
    assert.equal(summary(koa), fromKoa, `Koa, ${request}${answers}`)
    if (!isOther) assert.equal(summary(ours), expected, `${request}${answers}`)
  }
  if (!difference || isOther) return assert.equal(ours.text, koa.text, `${request}${answers}`)
  assert.ok(difference in differences, difference)
  assert.notEqual(ours.text, koa.text, `${request}: ${difference} makes no difference`)
  twins.seen.add(difference)
}

async function playCase (app, requests) {
  for (const [request, expectation] of Object.entries(requests)) await playRequest(app, request, expectation)
}

// --- Random apps ---------------------------------------------------------------------------------

const play = (kind, count, make, playOne) => playAll(kind, Math.ceil(count * scale), r => {
  const i = r.below(random.length)
  return { app: random[i], traffic: make(r, random[i], first + i) }
}, async ({ app, traffic }, r, clock) => {
  const problem = await playOne(traffic, r, clock)
  return problem && `${problem}\n${JSON.stringify(app.layers)}`
})

const playPages = (page, r, clock) => playRequests(twins, page, r, clock)
const playTalks = (talk, r, clock) => playConversation(twins, talk, clock)

// --- All of it -----------------------------------------------------------------------------------

const skip = parseInt(process.versions.node) < 20 && '@koa/router needs node 20'

describe('routing', { skip }, () => {
  before(start)
  for (const [i, [name, [, requests]]] of Object.entries(cases).entries()) test(name, () => playCase(i, requests))
  test('random pages', () => play('page', 2000, makePage, playPages))
  test('random sockets', () => play('socket', 1000, makeTalk, playTalks))
  test('each difference was seen', () => twins.assertAllSeen())
  test('ours has said nothing on stderr, and ends well', () => twins.stop())
})
