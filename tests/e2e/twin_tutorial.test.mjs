// The tutorials' app in Koa (twin/tutorial.js) and in C (twin/tutorial.c) get the same random traffic, and must answer
// the same. (What becomes of frames that are cut off in their header is not compared: ws judges the first two bytes,
// Acacia the whole header.)

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { CHARACTERS, MIB, escape, scale, seed, someCase } from './traffic/chance.mjs'
import { METHODS, TYPES, aMibAndMore, hostFor, httpDifferences, joinHead, makeOtherHeader, makePage, makeRequest, playRequests,
  strangeRequests } from './traffic/http.mjs'
import { Twins, playAll } from './traffic/twins.mjs'
import { BINARY, SIZES, TEXT, Member, binaryOf, closeFrame, endings, handshake, makeConversation, makeHandshake,
  makeMessage, makeSteps, playConversation, playSteps, readSocket, socketDifferences, strangeHandshakes, textOf } from
  './traffic/websocket.mjs'

// --- What differs on purpose ---------------------------------------------------------------------

const differences = {
  ...httpDifferences('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 9\r\n' +
    'Content-Type: text/plain; charset=utf-8\r\nDate: (now)\r\nX-Response-Time: (some)ms\n\nNot Found'),
  ...socketDifferences
}

const twins = new Twins(differences)

before(async () => {
  console.log(`SEED=${seed}`)
  await twins.start('tests/twin/tutorial', 'tutorial.js')
})

// --- Pages ---------------------------------------------------------------------------------------

function makeId (r) {
  const pieces = [
    () => String(r.below(1000)),
    () => r.pick(['bob', 'Ann', 'a.b', 'a-b', '~x', '+', 'a+b', ':', '@', '!$&\'()*,;=', '..', '.', '{}', '|', '"']),
    () => escape(r, r.pick(CHARACTERS)),
    () => escape(r, r.pick([...'/%?#& +'])),
    () => 'x'.repeat(r.below(300))
  ]
  const broken = ['%', '%z', '%4', '%zz', '%ff', '%C3', '%c3%28', '%ED%A0%80', '%f4%90%80%80', '%C0%AF', '%u0041']
  if (r.one(0.08)) pieces.push(() => r.pick(broken))
  return Array.from({ length: r.between(1, 3) }, () => r.pick(pieces)()).join('')
}

function makePath (r) {
  let path = r.pick(['/', '/', '/json', `/users/${makeId(r)}`, `/users/${makeId(r)}`, '/users/', '/users', '/echo', '/boom',
    '/teapot', '/nope', '/chat/x', '/users/1/2', '//'])
  if (r.one(0.1)) path = someCase(r, path)
  if (r.one(0.1)) path += '/'
  if (r.one(0.05)) path = path.replace('/', '//')
  if (r.one(0.05)) path = path.replace(/[a-z]/, char => escape(r, char))
  if (r.one(0.05)) path += r.pick([';x=1', '//', '/.', '/..', '.', '%20', '%2F', '|', '^', '{}', '`', '"', '<>', '['])
  if (r.one(0.03)) path = r.pick(['/.', '/./', '/users/..', '/json/../json']) + path
  return path
}

function makeQuery (r) {
  if (r.one(0.75)) return ''
  const pairs = r.some(3, () => r.pick(['a=1', 'a', '=', '', '%zz', 'x=%C3%A9', '?', '/', '/users/1', 'a[b]=1', 'q=a+b', '%']))
  return '?' + pairs.join('&') + r.pick(['', '', '#part'])
}

function makeTarget (r, method) {
  if (method === 'OPTIONS' && r.one(0.3)) return '*'
  const target = makePath(r) + makeQuery(r)
  return r.one(0.06) ? r.pick(['http://a', 'http://127.0.0.1:80', 'HTTP://User@Host', 'https://[::1]:9']) + target : target
}

function makeHeaders (r) {
  const lines = r.some(4, () => r.pick([
    () => `Accept: ${r.pick(['*/*', 'text/html', ''])}`,
    () => `Cookie: a=${r.below(10)}`,
    () => `X-Forwarded-For: ${r.pick(['', '1', 'a, b'])}`,
    () => `Referer:${r.pick(['', ' ', '\t', '  \t '])}/x${r.pick(['', ' ', '\t '])}`,
    () => `If-None-Match: ${r.pick(['*', '"x"'])}`,
    () => makeOtherHeader(r)
  ])())
  if (r.one(0.5)) lines.push(...r.some(2, () => `${r.pick(['Content-Type', 'content-type'])}: ${r.pick(TYPES)}`))
  return lines
}

function make (r) {
  const method = r.pick(['GET', 'GET', 'GET', 'GET', 'POST', 'POST', 'HEAD', r.pick(METHODS)])
  const target = method === 'POST' && r.one(0.7) ? '/echo' + makeQuery(r) : makeTarget(r, method)
  const request = makeRequest(r, {
    method,
    target,
    host: hostFor(r, target, r.pick(['Host: a', 'Host: a', 'host: 127.0.0.1:80', 'HOST:a', 'Host: '])),
    headers: makeHeaders(r),
    isRead: method === 'POST' && /^\/echo(\?|$)/.test(target),
    hasBody: method === 'POST' || r.one(0.1)
  })
  return { ...request, differs: request.malformed ?? nameDifference(method, target) ?? request.differs }
}

// What is special about its answer, if anything.
function nameDifference (method, target) {
  const path = target.replace(/^https?:\/\/[^/]*/i, '').replace(/[?#].*/, '')
  if ((method !== 'GET' && method !== 'HEAD') || !/^\/users\/[^/]+\/?$/i.test(path)) return undefined
  try {
    const id = decodeURIComponent(path)
    return id.includes('\0') ? 'a NUL in a parameter' : undefined
  } catch {
    return 'a malformed % in a path'
  }
}

const get = target => ({ method: 'GET', bytes: joinHead(`GET ${target} HTTP/1.1`, ['Host: a']) })

const strange = [
  ...strangeRequests,
  { ...get('/users/%zz'), differs: 'a malformed % in a path' },
  { ...get('/users/%ff'), differs: 'a malformed % in a path' },
  { ...get('/users/%00'), differs: 'a NUL in a parameter' },
  get('/users/%1f'),
  aMibAndMore.chunked,
  { ...aMibAndMore.announced, differs: 'a body that is announced to be too long' }
]

const pages = { make, strange, targets: ['/', '/teapot', '/nope?x'], differences }

test('pages: the same answers to the same requests', () =>
  playAll('page', 3000 * scale, (r, i) => makePage(r, i, pages), (page, r, clock) => playRequests(twins, page, r, clock)))

// --- Sockets -------------------------------------------------------------------------------------

const handshakes = strangeHandshakes({
  path: '/',
  protocols: [],
  unmatched: ['/nope', '/chat/', '/chat', '/chat/a/b', '/json', '/chat//'],
  malformed: ['/chat/%zz', '/chat/%ff', '/chat/%00']
})
const ends = endings(MIB)

function makeTalk (r, i) {
  const room = r.one(0.5)
  const path = room ? `/chat/${r.pick(['r', 'R', '%72'])}${i}${r.pick(['', '/', '?x'])}` : r.pick(['/', '/', '//', '/?x=1', '/#x'])
  return makeConversation(r, i, {
    strange: handshakes,
    ends,
    hello: makeHandshake(r, path),
    message (r) { // what the app without rooms makes of binary data is text
      const binary = r.one(0.4)
      return makeMessage(r, binary ? BINARY : TEXT, binary && room ? binaryOf(r) : textOf(r))
    }
  })
}

test('sockets: the same answers to the same frames', () =>
  playAll('socket', 1000 * scale, makeTalk, (talk, r, clock) => playConversation(twins, talk, clock)))

// --- Rooms ---------------------------------------------------------------------------------------

const makeRoom = (r, i) =>
  makeSteps(r, [`/chat/room${i}`, `/Chat/room${i}/`, `/chat/%72oom${i}?x`, `/chat/room${i}`, `/chat/${r.pick(['room', 'other'])}${i}`])

test('rooms: everybody sees the same', () => playAll('room', 200 * scale, makeRoom, room => playSteps(twins, room)))

// Everybody talks at once: everybody must hear all of everybody, and each in the order in which it was said.
function makeCrowd (r, i) {
  const members = Array.from({ length: r.between(2, 6) }, (_, who) => {
    const frames = Array.from({ length: r.between(1, 30) }, (_, n) =>
      makeMessage(r, r.one(0.5) ? TEXT : BINARY, Buffer.from(`${who} ${n} ${'x'.repeat(r.pick([0, r.below(100), r.pick(SIZES)]))}`)))
    return { pieces: r.cut(Buffer.concat(frames.flat())), said: frames.length }
  })
  return { path: `/chat/crowd${i}`, members }
}

async function playCrowdAt (port, { path, members }) {
  const clients = members.map(() => new Member(port))
  await Promise.all(clients.map(async client => {
    client.write(handshake(path))
    await client.answer('here')
  }))
  const all = members.reduce((sum, { said }) => sum + said, 0)
  const heard = client => readSocket(client.bytes).frames.filter(({ opcode }) => opcode === TEXT || opcode === BINARY)
  await Promise.all(members.map(async ({ pieces }, i) => {
    for (const piece of pieces) {
      clients[i].write(piece)
      await sleep(1)
    }
    await clients[i].until(() => heard(clients[i]).length >= all)
  }))
  for (const client of clients) client.write(closeFrame(1000))
  await Promise.all(clients.map(client => client.until(() => client.closed)))
  return clients.map(client => heard(client).map(({ opcode, payload }) => `${payload} ${opcode}`))
}

async function playCrowd (crowd) {
  const [ours, koa] = await Promise.all(twins.servers.map(server => playCrowdAt(server.port, crowd)))
  const ofOne = (list, who) => list.filter(text => text.startsWith(`${who} `)).join()
  for (const [i, list] of ours.entries()) {
    for (const who of crowd.members.keys()) {
      if (ofOne(list, who) !== ofOne(koa[i], who)) return `member ${i} did not hear the same from ${who}`
    }
    if (list.length !== koa[i].length) return `member ${i} heard ${list.length} instead of ${koa[i].length} messages`
  }
}

test('crowds: everybody hears everybody, in order', () => playAll('crowd', 60 * scale, makeCrowd, playCrowd))

test('each difference was seen', () => twins.assertAllSeen())

test('ours has said nothing on stderr, and ends well', () => twins.stop())
