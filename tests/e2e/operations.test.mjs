// Logger, error pages and their like against koa-logger, koa-morgan, koa-response-time, koa-onerror, koa-json,
// koa-favicon and koa-override: random requests, which get the same answers and leave the same lines. Then what
// those packages don't have. SEED and SCALE as in traffic/chance.mjs.

process.env.FORCE_COLOR = '1' // before chalk is loaded

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import Koa from 'koa'
import WebSocket from 'ws'
import { chance, scale } from './traffic/chance.mjs'
import { eventually, startServer, withPatience } from './support.mjs'

const program = 'tests/support/operations_server'
const load = async name => (await import(name)).default

// --- Koa with the same pages -------------------------------------------------------------------------------------

const stream = length => Readable.from(length > 0 ? [Buffer.alloc(length, 'x')] : [], { objectMode: false })

async function readBody (ctx) {
  let text = ''
  for await (const chunk of ctx.req) text += chunk
  return text
}

// Until the client has gone.
async function * forEver () {
  for (;;) {
    yield Buffer.alloc(1000, 'x')
    await sleep(1)
  }
}

const pages = {
  status: (ctx, n) => { ctx.status = n },
  text: (ctx, n) => { ctx.body = 'x'.repeat(n) },
  empty: ctx => { ctx.body = null },
  stream: (ctx, n) => { ctx.body = stream(n) },
  length: (ctx, n) => {
    ctx.body = stream(n)
    ctx.length = n
  },
  throw: (ctx, n) => {
    const { message, expose } = ctx.query
    ctx.set('X-Set', '1')
    const properties = { headers: { 'X-Thrown': '1' } }
    if (expose !== undefined) properties.expose = true
    ctx.throw(...[n, message, properties].filter(value => value !== undefined))
  },
  fail: () => { throw new Error('i/o error') },
  miss: () => { throw Object.assign(new Error('no such file or directory'), { code: 'ENOENT' }) },
  json: async ctx => { ctx.body = JSON.parse(await readBody(ctx)) },
  method: ctx => {
    ctx.set('X-Method', ctx.method)
    ctx.body = ctx.method
  },
  'for-ever': ctx => { ctx.body = Readable.from(forEver(), { objectMode: false }) }
}

function page (ctx) {
  const [, name, number] = ctx.path.split('/')
  if (Object.hasOwn(pages, name)) return pages[name](ctx, Number(number))
}

// --- Both ----------------------------------------------------------------------------------------------------------

class Twins {
  constructor (layer, env = {}) {
    this.env = { LAYER: layer, ...env }
    this.koa = new Koa()
    this.koa.silent = true
    this.agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  }

  async start (use) {
    await use(this.koa)
    this.koa.use(page)
    this.ours = await startServer(program, { env: this.env })
    this.server = http.createServer(this.koa.callback()).listen(0) // all addresses, as ours
    await new Promise(resolve => this.server.once('listening', resolve))
    return this
  }

  async stop () {
    this.agent.destroy()
    this.server.close()
    await this.ours.stop()
  }

  ask (port, { method, url, headers = {}, body }) {
    return withPatience(new Promise((resolve, reject) => {
      const options = { port, host: '127.0.0.1', agent: this.agent, method, path: url, headers }
      http.request(options, response => {
        let text = ''
        response.setEncoding('latin1').on('data', piece => { text += piece }).on('end', () => {
          const { date, connection, 'keep-alive': _, ...rest } = response.headers
          resolve({ status: response.statusCode, headers: rest, body: text })
        }).on('error', reject)
      }).on('error', reject).end(body)
    }), `${method} ${url}`)
  }

  async both (request) {
    const theirs = await this.ask(this.server.address().port, request)
    return [await this.ask(this.ours.port, request), theirs]
  }

  // Random requests, one after the other, whose answers must be the same when `adjust` has named what differs.
  async compare (count, make, adjust = () => {}) {
    for (let i = 0; i < count * scale; i++) {
      const random = chance(this.env.LAYER, i)
      const request = make(random)
      const [ours, theirs] = await this.both(request)
      adjust(ours, theirs, request)
      assert.deepEqual(ours, theirs, `${i}: ${JSON.stringify(request)}`)
    }
  }
}

const STATUSES = [200, 201, 204, 205, 206, 301, 304, 400, 404, 418, 499, 500, 503, 599]
const ERRORS = [400, 404, 418, 500, 503]
const LENGTHS = [1, 5, 1000, 1023, 1024, 1025, 1152, 1536, 2100, 10752, 102400, 1048575, 1048576, 1179648]

function anyUrl (random, errors = ERRORS) {
  const kind = random.pick(['status', 'text', 'empty', 'stream', 'length', 'throw', 'fail', 'none'])
  const number = kind === 'status' ? random.pick(STATUSES) : kind === 'throw' ? random.pick(errors) : kind === 'text' && random.one(0.1) ? 0 : random.pick(LENGTHS)
  const query = random.one(0.4) ? '?' + random.pick(['a=b', 'ä=%C3%A4'.slice(2), 'q="x"', '\\', "'|{}^`", 'a%0d%0ab', '%1b[31m', '%s%d']) : ''
  return `/${kind}/${number}`.replace(/^\/(empty|fail|none)\/.*/, '/$1') + query
}

const anyMethod = random => random.pick(['GET', 'GET', 'GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD', 'PATCH'])
const anyRequest = random => ({ method: anyMethod(random), url: anyUrl(random) })

// --- koa-logger ------------------------------------------------------------------------------------------------------

const withoutTimes = line => line.replace(/\d[\d,]*(ms|s)\b/, 'TIME')

test('logger: the lines of koa-logger', async () => {
  const koaLogger = await load('koa-logger')
  const theirs = []
  const twins = await new Twins('logger').start(koa => koa.use(koaLogger(line => theirs.push(line))))
  const requests = []
  await twins.compare(500, random => {
    requests.push({ method: anyMethod(random), url: anyUrl(random, [...ERRORS, 499, 599]) })
    return requests.at(-1)
  }, skipBodies)
  await twins.stop()
  const ours = twins.ours.printed().trimEnd().split('\n')
  assert.equal(ours.length, 2 * requests.length)
  const isStream = line => / \/stream\/[1-9]/.test(line.replace(/\x1b\[\d+m/g, ' '))
  ours.forEach((line, i) => {
    let [our, their] = [line, theirs[i]].map(withoutTimes)
    // The length of a stream: counted by ours, and never by koa-logger, which looks for one whose length is 0.
    if (i % 2 && isStream(our) && / \x1b\[90m-\x1b\[39m$/.test(their)) [our, their] = [our, their].map(text => text.replace(/\S+$/, ''))
    assert.equal(our, their, JSON.stringify(requests[i >> 1]))
  })
})

// The answers are compared elsewhere: here it is the lines.
function skipBodies (ours, theirs) {
  Object.assign(theirs, ours)
}

test('logger: a client that goes is marked', async () => {
  const koaLogger = await load('koa-logger')
  const theirs = []
  const twins = await new Twins('logger').start(koa => koa.use(koaLogger(line => theirs.push(line))))
  for (const [port, lines] of [[twins.ours.port, () => twins.ours.printed().trimEnd().split('\n')], [twins.server.address().port, () => theirs]]) {
    const request = http.get({ port, path: '/for-ever', agent: false }, response => response.once('data', () => request.socket.resetAndDestroy()))
    request.on('error', () => {})
    await eventually(() => lines().length === 2, 'the second line')
  }
  const request = http.get({ port: twins.ours.port, path: '/hang', agent: false })
  request.on('error', () => {})
  await eventually(() => twins.ours.printed().endsWith('/hang\x1b[39m\n'), 'the third line')
  request.destroy() // koa-logger takes this for an answer: only a reset is an error
  await eventually(() => twins.ours.printed().split('-x-').length === 3, 'the fourth line')
  await twins.stop()
  const withoutLength = line => line.replace(/\x1b\[90m(-|\d\S*b)\x1b\[39m$/, '')
  const ours = twins.ours.printed().split('\n').slice(0, 2)
  assert.deepEqual(ours.map(withoutTimes).map(withoutLength), theirs.map(withoutTimes).map(withoutLength))
})

// --- Apache's formats --------------------------------------------------------------------------------------------------

for (const format of ['common', 'combined']) {
  test(`logger: the ${format} format of morgan`, async () => {
    const morgan = await load('koa-morgan')
    let theirs = ''
    const output = { write: text => { theirs += text } }
    const twins = await new Twins(format).start(koa => koa.use(morgan(format, { stream: output })))
    const requests = []
    await twins.compare(300, random => {
      const headers = {}
      if (random.one(0.5)) headers['User-Agent'] = random.pick(['curl/8.0', 'a "b" \\c', '', 'tab\tin it', '[x] - "'])
      if (random.one(0.5)) headers.Referer = random.pick(['https://example.org/a?b', '"', '\\"', 'x y'])
      if (random.one(0.3)) headers.Authorization = random.pick(['Basic ', 'basic  ', 'Bearer ', '']) + Buffer.from(random.pick(['ada:x', 'ada', ':x', 'a\n"b:x', 'üser:x'])).toString('base64')
      requests.push({ ...anyRequest(random), headers })
      return requests.at(-1)
    }, skipBodies)
    await twins.stop()
    const ours = twins.ours.printed().trimEnd().split('\n')
    theirs = theirs.trimEnd().split('\n')
    assert.equal(ours.length, requests.length)
    const date = /\[\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000\]/
    ours.forEach((line, i) => {
      assert.match(line, date)
      const [our, their] = [line, theirs[i]].map(text => text.replace(date, '[]'))
      // What was sent, and not what a header says: ours counts streams, and - is none, as in Apache's own log.
      const bytes = /(?<=HTTP\/1\.1" \d{3} )(\d+|-)/
      if (requests[i].method === 'HEAD') assert.equal(bytes.exec(our)[0], '-')
      else if (bytes.exec(their)[0] === '0') assert.equal(bytes.exec(our)[0], '-')
      else if (bytes.exec(their)[0] !== '-') assert.equal(bytes.exec(our)[0], bytes.exec(their)[0])
      assert.equal(our.replace(bytes, ''), their.replace(bytes, ''), JSON.stringify(requests[i]))
    })
  })
}

// --- koa-response-time ---------------------------------------------------------------------------------------------------

for (const [layer, options, form] of [['response_time', undefined, /^\d+ms$/], ['hrtime', { hrtime: true }, /^\d+(\.\d*[1-9])?ms$/]]) {
  test(`response_time: koa-response-time, ${layer}`, async () => {
    const responseTime = await load('koa-response-time')
    const twins = await new Twins(layer).start(koa => koa.use(responseTime(options)))
    await twins.compare(150, anyRequest, (ours, theirs) => {
      for (const answer of [ours, theirs]) {
        const time = answer.headers['x-response-time']
        if (time === undefined) continue
        assert.match(time, form)
        answer.headers['x-response-time'] = 'TIME'
      }
      settleKnown(ours, theirs)
    })
    await twins.stop()
  })
}

// What differs between Koa and Acacia themselves: docs/differences-from-koa.md names each.
function settleKnown (ours, theirs) {
  if (ours.status === 205) theirs.headers['content-length'] = ours.headers['content-length']
}

// --- koa-onerror -----------------------------------------------------------------------------------------------------------

const ACCEPTS = [undefined, '*/*', 'text/html', 'text/plain', 'application/json', 'image/png', 'text/*', 'application/json, text/html;q=0.9', 'text/plain;q=0.5, application/json;q=0.4', 'text/html,application/xhtml+xml,*/*;q=0.8']

function anyFailure (random) {
  const message = random.one(0.5) ? '&message=' + encodeURIComponent(random.pick(['no user', '<script>alert(1)</script>', '"quoted"', "it's & so"])) : ''
  const url = random.pick([`/throw/${random.pick([400, 401, 404, 418, 499, 500, 503, 599])}?${random.one(0.3) ? 'expose' : ''}${message}`, '/fail', '/miss', '/text/5', '/none'])
  const accept = random.pick(ACCEPTS)
  return { method: anyMethod(random), url, headers: accept ? { Accept: accept } : {} }
}

for (const [environment, layer] of [['production', 'error_page'], ['development', 'error_page'], ['production', 'redirect']]) {
  test(`error_page: koa-onerror, ${layer} in ${environment}`, async () => {
    const { onerror } = await import('koa-onerror')
    process.env.NODE_ENV = environment
    const options = layer === 'redirect' ? { redirect: '/sorry' } : {}
    const twins = await new Twins(layer, { ACACIA_ENV: environment }).start(koa => onerror(koa, options))
    await twins.compare(300, anyFailure, (ours, theirs, request) => {
      const isPage = ours.headers['content-type'] === 'text/html; charset=utf-8'
      if (ours.headers.vary !== undefined) {
        assert.equal(ours.headers.vary, 'Accept') // koa-onerror doesn't say that it depends on that
        delete ours.headers.vary
        delete theirs.headers['x-set'] // it keeps what was set before the error
      }
      if (isPage && ours.status !== 302) {
        assert.ok(!ours.body.includes('<script>'))
        if (request.method !== 'HEAD') assert.ok(ours.body.includes(`<h1>${ours.status}</h1>`))
        for (const answer of [ours, theirs]) {
          answer.body = '' // each has a page of its own
          for (const name of ['content-length', 'content-security-policy', 'x-content-type-options']) delete answer.headers[name]
        }
      }
      if (ours.status === 302) { // the text of a redirect is Koa's own
        for (const answer of [ours, theirs]) delete answer.headers['content-length']
      }
      if (request.method === 'HEAD') delete theirs.headers['content-length'], delete ours.headers['content-length']
      if (theirs.headers['transfer-encoding']) delete theirs.headers['transfer-encoding'], delete ours.headers['content-length']
    })
    await twins.stop()
  })
}

// --- koa-json ----------------------------------------------------------------------------------------------------------------

// A value, as JSON.parse would give it.
function anyValue (random, depth = 0) {
  const kind = random.below(depth > 5 ? 6 : 9)
  if (kind === 0) return null
  if (kind === 1) return random.one(0.5)
  if (kind === 2) return random.pick([0, -1, 1.5, 1e21, 1e-7, 123456789, -0.25])
  if (kind < 6) return random.pick(['', 'a', '{"a":[1,2]}', '\\', '"', 'ä€😀', '\n\t\u0001', ' : , ', ']'])
  if (kind < 8) return random.some(4, () => anyValue(random, depth + 1))
  return Object.fromEntries(random.some(4, () => [random.pick(['a', 'b c', '"', '\\', 'ü', '', '[', 'x:y']), anyValue(random, depth + 1)]))
}

for (const [layer, options] of [['pretty', {}], ['param', { pretty: false, param: 'p', spaces: 4 }]]) {
  test(`json_pretty: koa-json, ${layer}`, async () => {
    const koaJson = await load('koa-json')
    const twins = await new Twins(layer).start(koa => koa.use(koaJson(options)))
    await twins.compare(300, random => ({
      method: random.pick(['POST', 'PUT']),
      url: '/json' + random.pick(['', '?p', '?p=1', '?x', '?x&p=', '?pp']),
      body: JSON.stringify(random.one(0.5) ? [anyValue(random)] : { value: anyValue(random) })
    }))
    await twins.stop()
  })
}

// --- koa-favicon -------------------------------------------------------------------------------------------------------------

for (const layer of ['favicon', 'no_favicon']) {
  test(`favicon: koa-favicon, ${layer}`, async () => {
    const koaFavicon = await load('koa-favicon')
    const folder = mkdtempSync(path.join(tmpdir(), 'favicon-'))
    const icon = path.join(folder, 'favicon.ico')
    writeFileSync(icon, chance('icon').bytes(4000))
    const twins = await new Twins(layer, { ICON: icon }).start(koa => koa.use(layer === 'favicon' ? koaFavicon(icon, { maxAge: 5999 }) : koaFavicon()))
    await twins.compare(80, random => ({
      method: random.pick(['GET', 'HEAD', 'OPTIONS', 'POST', 'DELETE']),
      url: random.pick(['/favicon.ico', '/favicon.ico', '/favicon.ico?v=1', '/favicon.icon', '/Favicon.ico', '/a/favicon.ico', '/text/5'])
    }))
    await twins.stop()
    rmSync(folder, { recursive: true })
  })
}

// --- koa-override ------------------------------------------------------------------------------------------------------------

test('method_override: koa-override', async () => {
  const override = (await import('koa-override')).default
  const bodyParser = await load('koa-bodyparser')
  const twins = await new Twins('method_override').start(koa => {
    koa.use(bodyParser())
    koa.use((override.default ?? override)({ allowedMethods: ['POST', 'PUT'] }))
  })
  await twins.compare(400, random => {
    const method = random.pick(['GET', 'POST', 'POST', 'POST', 'PUT', 'PATCH'])
    const to = random.pick([...http.METHODS.filter(name => name !== 'HEAD'), 'delete', 'Put', 'FOO', 'DELETE ', '', 'DELETE, PUT', '"', '<b>'])
    const headers = to ? { 'X-HTTP-Method-Override': to } : {}
    if (method === 'GET' || random.one(0.5)) return { method, url: '/method', headers }
    const inBody = random.pick(['DELETE', 'patch', '', 'FOO', 'get', ['PUT'], 7, null])
    const form = random.one(0.5)
    headers['Content-Type'] = form ? 'application/x-www-form-urlencoded' : 'application/json'
    const body = form ? `a=1&_method=${encodeURIComponent(inBody ?? '')}` : JSON.stringify({ _method: inBody ?? undefined })
    return { method, url: '/method', headers, body }
  })
  // A HEAD that was a POST: Koa sends no body, and the client waits for it.
  const answer = await twins.ask(twins.ours.port, { method: 'POST', url: '/method', headers: { 'X-HTTP-Method-Override': 'HEAD' } })
  assert.deepEqual([answer.headers['x-method'], answer.body], ['HEAD', 'HEAD'])
  await twins.stop()
})

// --- Ours alone --------------------------------------------------------------------------------------------------------------

const servers = []
after(() => servers.forEach(server => server.child.kill('SIGKILL')))

async function start (layer) {
  const server = await startServer(program, { env: { LAYER: layer } })
  servers.push(server)
  server.get = (path, headers = {}) => withPatience(fetch(server.url + path, { headers }), path)
  return server
}

test('logger: JSON, of requests, sockets and aborted answers', async () => {
  const server = await start('json')
  const line = async url => JSON.parse(await eventually(() => server.printed().split('\n').find(text => text.includes(`"${url}"`)), url))
  await server.get('/text/5', { 'User-Agent': 'test' })
  const page = await line('/text/5')
  assert.match(page.ip, /^(::ffff:)?127\.0\.0\.1$/)
  assert.deepEqual({ ...page, time: 0, ms: 0 }, { time: 0, ip: page.ip, method: 'GET', url: '/text/5', route: '/text/:n', version: '1.1', status: 200, bytes: 5, ms: 0, user_agent: 'test' })
  assert.ok(Math.abs(Date.now() - Date.parse(page.time)) < 10_000)

  const socket = new WebSocket(server.ws + '/talk')
  await new Promise(resolve => socket.on('open', resolve))
  assert.ok(!server.printed().includes('/talk'), 'not before it is closed')
  socket.close(1000)
  const { status, aborted } = await line('/talk')
  assert.deepEqual([status, aborted], [101, undefined])

  const rude = new WebSocket(server.ws + '/talk?rude')
  await new Promise(resolve => rude.on('open', resolve))
  rude.terminate()
  assert.equal((await line('/talk?rude')).aborted, true)

  const refused = new WebSocket(server.ws + '/refuse')
  await new Promise(resolve => refused.on('error', resolve))
  assert.equal((await line('/refuse')).status, 401)

  const old = net.connect(server.port, '127.0.0.1')
  old.end('GET /text/1 HTTP/1.0\r\n\r\n')
  old.resume()
  assert.equal((await line('/text/1')).version, '1.0')

  const request = http.get({ port: server.port, path: '/on-and-on', agent: false }, response => response.once('data', () => request.destroy()))
  request.on('error', () => {})
  const broken = await line('/on-and-on')
  assert.ok(broken.aborted && broken.bytes > 0 && broken.status === 200)
  await server.stop()
})

test('logger: nothing is lost when the server stops', async () => {
  const server = await start('common')
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 })
  const ask = () => new Promise((resolve, reject) => {
    http.get({ port: server.port, path: '/text/5', agent }, response => response.resume().on('end', resolve)).on('error', reject)
  })
  await Promise.all(Array.from({ length: 200 }, ask))
  agent.destroy()
  await server.stop()
  assert.equal(server.printed().split('\n').length, 201)
})

test('logger: a terminal is not confused', async () => {
  const server = await start('logger')
  const socket = net.connect(server.port, '127.0.0.1')
  socket.end('GET /text/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  socket.resume()
  await eventually(() => server.printed().includes('-->'), 'both lines')
  await server.stop()
})

test('metrics: what a scrape shows', async () => {
  const server = await start('metrics')
  const scrape = async () => {
    const response = await server.get('/metrics')
    assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
    return parseMetrics(await response.text())
  }
  await server.get('/text/5')
  await server.get('/text/6')
  await server.get('/fail')
  const socket = new WebSocket(server.ws + '/talk')
  await new Promise(resolve => socket.on('open', resolve))
  socket.send('hello')
  await new Promise(resolve => socket.on('message', resolve))
  const bad = net.connect(server.port, '127.0.0.1')
  bad.write('GET / HTTP/1.1\r\nHost : a\r\n\r\n')
  await new Promise(resolve => bad.resume().on('close', resolve))
  const request = http.get({ port: server.port, path: '/hang', agent: false })
  request.on('error', () => {})
  await eventually(async () => (await scrape()).get('http_requests_in_flight') === 2, 'the one that hangs, and the page')
  request.destroy()
  await eventually(async () => (await scrape()).get('http_requests_aborted_total') === 1, 'it is aborted')

  const numbers = await scrape()
  assert.equal(numbers.get('http_requests_total{method="GET",route="/text/:n",status="200"}'), 2)
  assert.equal(numbers.get('http_requests_total{method="GET",route="/fail",status="500"}'), 1)
  assert.equal(numbers.get('http_requests_total{method="GET",route="/hang",status="499"}'), 1)
  assert.equal(numbers.get('http_request_duration_seconds_count{method="GET",route="/text/:n"}'), 2)
  assert.equal(numbers.get('acacia_websockets'), 1)
  assert.equal(numbers.get('acacia_websocket_messages_received_total'), 1)
  assert.equal(numbers.get('acacia_websocket_messages_sent_total'), 1)
  assert.equal(numbers.get('acacia_connections_closed_total{reason="bad_request"}'), 1)
  assert.equal(numbers.get('acacia_connections_closed_total{reason="aborted"}'), 1)
  assert.equal(numbers.get('acacia_errors_total'), 1)
  assert.ok(numbers.get('acacia_received_bytes_total') > 500)
  assert.ok(numbers.get('acacia_sent_bytes_total') > 5000)
  assert.ok(numbers.get('process_resident_memory_bytes') > 1e6)
  socket.terminate()
  await eventually(async () => (await scrape()).get('acacia_connections_closed_total{reason="ws_abnormal"}') === 1, 'it is counted')
  await server.stop()
})

// As Prometheus reads it: each metric has its type, its lines stand together, and no series comes twice.
function parseMetrics (text) {
  const numbers = new Map()
  const types = new Map()
  let current
  assert.ok(text.endsWith('\n'))
  for (const line of text.slice(0, -1).split('\n')) {
    const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line)
    const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*",?)*\})? (\S+)$/.exec(line)
    if (type) {
      assert.ok(!types.has(type[1]), line)
      types.set(current = type[1], type[2])
    } else if (!line.startsWith('# HELP ')) {
      assert.ok(sample, line)
      assert.equal(sample[1].replace(/_(bucket|sum|count)$/, types.get(current) === 'histogram' ? '' : '$&'), current)
      assert.ok(!numbers.has(sample[1] + (sample[2] ?? '')), line)
      numbers.set(sample[1] + (sample[2] ?? ''), Number(sample[3]))
    }
  }
  return numbers
}

test('timeout: what takes too long is 503, and sockets are exempt', async () => {
  const server = await start('timeout')
  const response = await server.get('/hang')
  assert.equal(response.status, 503)
  assert.equal((await server.get('/text/5')).status, 200)
  await assert.rejects(server.get('/on-and-on').then(response => response.text()), 'it is cut off')
  const socket = new WebSocket(server.ws + '/talk')
  await new Promise(resolve => socket.on('open', resolve))
  await sleep(120) // more than its deadline would be
  socket.send('still here')
  assert.equal(String(await new Promise(resolve => socket.on('message', resolve))), 'still here')
  socket.close()
  await server.stop()
})

test('health: not ready while the server drains, and then it is gone', async () => {
  const server = await start('health')
  assert.deepEqual(await (await server.get('/healthz')).json(), { status: 'ok' })
  const ready = await server.get('/readyz')
  assert.equal(ready.status, 200)
  assert.equal((await ready.json()).checks.good.status, 'ok')
  await server.get('/close') // for 300 ms it goes on
  const draining = await server.get('/readyz', { Connection: 'close' })
  assert.equal(draining.status, 503)
  assert.deepEqual(await draining.json(), { status: 'draining' })
  assert.equal((await server.get('/text/5')).status, 200)
  assert.equal(await server.ended(), 0)
})

test('request_id: taken over, or made', async () => {
  const server = await start('request_id')
  const id = async (path, headers) => (await server.get(path, headers)).headers.get('x-request-id')
  assert.equal(await id('/text/5', { 'X-Request-Id': 'from-a-proxy' }), 'from-a-proxy')
  assert.match(await id('/text/5', { 'X-Request-Id': 'two words' }), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.equal(await id('/fail', { 'X-Request-Id': 'of-an-error' }), 'of-an-error')
  await server.stop()
})
