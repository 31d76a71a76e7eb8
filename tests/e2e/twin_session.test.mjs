// Sessions, CSRF tokens and basic authentication against koa-session, koa-csrf and koa-basic-auth: browsers with
// cookies of their own play the same requests to both, and now and then change over to the other side with all of
// their cookies.

import assert from 'node:assert/strict'
import http from 'node:http'
import { after, before, describe, test } from 'node:test'
import Keygrip from 'keygrip'
import Tokens from 'csrf'
import { chance, scale, seed } from './traffic/chance.mjs'
import { startServer, withPatience } from './support.mjs'
import { KEYS, authPaths, paths, startKoa } from '../twin/session.mjs'

console.log(`SEED=${seed}`)

const keygrip = new Keygrip(KEYS)
const DAY = 86400000
const TOLERANCE = 5000 // milliseconds between the same request to one and to the other

const sides = {}
const agent = new http.Agent({ keepAlive: true })

function ask (port, method, path, headers, sent) {
  return withPatience(new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, method, path, agent, headers: { Host: 'a.example', ...headers } },
      async response => {
        let body = ''
        for await (const text of response.setEncoding('utf8')) body += text
        resolve({ status: response.statusCode, headers: response.headers, body })
      })
    request.on('error', reject).end(sent)
  }), `no answer to ${method} ${path}`)
}

// --- Cookies -------------------------------------------------------------------------------------

const text = data => Buffer.from(data).toString('base64')
const signed = (name, value, key = KEYS[0]) => `${name}=${value}; ${name}.sig=${new Keygrip([key]).sign(`${name}=${value}`)}`

class Jar {
  constructor () {
    this.cookies = new Map()
    this.key = '' // of the header X-Key
  }

  take (response) {
    for (const line of response.headers['set-cookie'] || []) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)
      if (/expires=Thu, 01 Jan 1970/.test(line)) this.cookies.delete(name)
      else this.cookies.set(name, value)
    }
    if (response.headers['x-key'] !== undefined) this.key = response.headers['x-key']
  }

  set (header) {
    this.cookies = new Map(header.split('; ').filter(Boolean).map(pair => pair.split(/=(.*)/s).slice(0, 2)))
  }

  headers () {
    const header = {}
    if (this.cookies.size > 0) header.Cookie = Array.from(this.cookies, ([name, value]) => `${name}=${value}`).join('; ')
    if (this.key) header['X-Key'] = this.key
    return header
  }
}

function parse (json) {
  try {
    return JSON.parse(json)
  } catch {
    return null
  }
}

// What both must agree on: times are relative, keys are numbered as they come, signatures are right or wrong.
class Reader {
  constructor () {
    this.keys = new Map()
  }

  number (key) {
    if (!this.keys.has(key)) this.keys.set(key, `${/^(pre:)?/.exec(key)[0]}key ${this.keys.size}`)
    return this.keys.get(key)
  }

  session (value) {
    const data = parse(Buffer.from(value, 'base64').toString())
    if (!data) return this.number(value)
    if (data._expire) data._expire = Math.round((data._expire - Date.now()) / TOLERANCE)
    return data
  }

  cookie (line, lines) {
    const [pair, ...attributes] = line.split('; ')
    const [, name, value] = /^([^=]+)=(.*)$/.exec(pair)
    const expires = attributes.findIndex(attribute => attribute.startsWith('expires='))
    if (expires >= 0) {
      const ms = Date.parse(attributes[expires].slice(8))
      attributes[expires] = ms ? `expires in ${Math.round((ms - Date.now()) / TOLERANCE)}` : 'expired'
    }
    const of = name.replace(/\.sig$/, '')
    if (of === name) return [name, value && this.session(value), ...attributes]
    const whole = lines.find(other => other.startsWith(`${of}=`))
    const isRight = whole && keygrip.verify(whole.split(';')[0], value)
    return [name, value ? isRight ? 'right' : 'wrong' : '', ...attributes]
  }

  response ({ status, headers, body }) {
    const cookies = headers['set-cookie'] || []
    return {
      status,
      type: headers['content-type'],
      challenge: headers['www-authenticate'],
      key: headers['x-key'] && this.number(headers['x-key']),
      cookies: cookies.map(line => this.cookie(line, cookies)),
      body: body.startsWith('[') ? JSON.parse(body) : body
    }
  }

  store (body) {
    const kept = Object.entries(JSON.parse(body)).filter(([key]) => this.keys.has(key))
    return kept.map(([key, { text, maxAge }]) => {
      const data = JSON.parse(text)
      if (data._expire) data._expire = Math.round((data._expire - Date.now()) / TOLERANCE)
      return [this.number(key), data, maxAge === 'session' ? -1 : maxAge]
    }).sort()
  }
}

// Rounded times may be one apart.
function close (ours, koa) {
  if (typeof ours === 'number' && typeof koa === 'number') return Math.abs(ours - koa) <= 1
  const numbers = /^expires in (-?\d+)$/
  if (numbers.test(ours) && numbers.test(koa)) return close(Number(numbers.exec(ours)[1]), Number(numbers.exec(koa)[1]))
  if (typeof ours !== 'object' || !ours || !koa || typeof koa !== 'object') return ours === koa
  return Object.keys(ours).join() === Object.keys(koa).join() && Object.keys(ours).every(key => close(ours[key], koa[key]))
}

// --- Two browsers --------------------------------------------------------------------------------

class Pair {
  constructor (path) {
    this.path = path
    this.said = []
    this.ours = { jar: new Jar(), reader: new Reader() }
    this.koa = { jar: new Jar(), reader: new Reader() }
  }

  swap () {
    [this.ours.jar, this.koa.jar] = [this.koa.jar, this.ours.jar]
    this.said.push('swap')
  }

  setCookies (header) {
    this.ours.jar.set(header)
    this.koa.jar.set(header)
    this.said.push(header)
  }

  // Both answers, which are the same.
  async send (things, { method = 'GET', path = '', headers, query } = {}) {
    const params = new URLSearchParams({ ...query, ...things && { do: things } })
    const url = `${this.path}${path}${params.size > 0 ? `?${params}` : ''}`
    this.said.push(`${method} ${url}`)
    const [ours, koa] = await Promise.all(['ours', 'koa'].map(async side => {
      const { jar, reader } = this[side]
      const response = await ask(sides[side].port, method, url, { ...jar.headers(), ...headers?.(side) })
      jar.take(response)
      return { ...response, read: reader.response(response) }
    }))
    if (!close(ours.read, koa.read)) assert.deepEqual(ours.read, koa.read, this.said.join('\n'))
    return { ours, koa }
  }

  async compareStores () {
    const [ours, koa] = await Promise.all(['ours', 'koa'].map(async side =>
      this[side].reader.store((await ask(sides[side].port, 'GET', '/stored')).body)))
    if (!close(ours, koa)) assert.deepEqual(ours, koa, this.said.join('\n'))
  }
}

// --- Random sequences ----------------------------------------------------------------------------

const NAMES = ['a', 'b', 'user', 'ü']
const TEXTS = ['', 'ada', '1', '漢字 "x" \\ <>&', 'é\n\t\x01', '=;,%', '😀', '{"a":1}']
const JSONS = ['{}', '[]', '[1,[2,{"a":null}]]', '{"x":{"y":true}}', 'false', 'null', '9007199254740991', '-0.5', '1e21', '"s"']

// Koa has no session to set anything in once it is null, so that this is the last thing, like what saves: Koa saves again
// afterwards, or does not, by what there was before. One that is replaced must have been read, or it forgets its maxAge.
function makeThing (r) {
  const name = r.pick(NAMES)
  return r.pick([
    () => 'get',
    () => 'get',
    () => 'new',
    () => 'age',
    () => `set:${name}:${r.pick(TEXTS)}`,
    () => `set:${name}:${r.pick(TEXTS)}`,
    () => `int:${name}:${r.pick([0, 1, -1, 2 ** 53 - 1, 1700000000000])}`,
    () => `json:${name}:${r.pick(JSONS)}`,
    () => `del:${name}`,
    () => `get/replace:${name}:${r.pick(TEXTS)}`
  ])()
}

// The order of names is a change for Koa: what is taken away does not come back.
const setsAgain = (thing, i, things) => things.slice(0, i).includes(thing.replace(/^\w+:(\w+|ü).*/s, 'del:$1'))

// Koa forgets maxAge: 'session' once it has saved such a session, can't end one without committing it, and sets a cookie
// for a key that is none.
function makeThings (r, path) {
  const things = r.some(4, () => makeThing(r)).filter((thing, i, things) => !setsAgain(thing, i, things))
  if (path.startsWith('/store')) things.unshift('get') // Koa reads it each time
  if (!path.includes('browser') && r.one(0.1)) things.push(`age:${r.pick([1000, 60000, 2 * DAY])}`)
  if (!path.includes('browser') && r.one(0.2)) {
    things.push(r.pick(['save', 'get/commit', path === '/store-key' ? 'save' : 'regenerate']), ...r.some(2, () => 'get'))
  }
  if (r.one(0.1)) things.push(path === '/manual' || path === '/store-key' ? 'throw' : r.pick(['null', 'throw']))
  return things.join('/')
}

const FORGED = ['x', 'null', '{', '{}', '{"a":1}', '{"a":1,"_expire":1}', '{"a":"ü","_expire":1e15}',
  '{"a":1,"_expire":"x"}', '{"a":1,"_maxAge":5000}', '{"veto":1}', '{"a":1,"_expire":-1}']

// Cookies that we have made: expired ones, wrong ones, by an old key.
function makeCookies (r, path) {
  const name = path === '/rolling' ? 'r' : 'koa.sess'
  const left = r.pick([0.1, 0.4, 0.6, 0.9, -0.1])
  const aged = JSON.stringify({ a: 1, _expire: Date.now() + Math.round(left * 60000), _maxAge: 60000 })
  const value = text(r.pick([aged, aged, r.pick(FORGED)]))
  const wrong = [`${name}=${value}`, `${name}=${value}; ${name}.sig=x`, `${name}=${value}; ${name}.sig=`, `${name}=`, '']
  return r.pick([signed(name, value), signed(name, value), signed(name, value, KEYS[1]), r.pick(wrong)])
}

describe('twins', () => {
  before(async () => {
    sides.koa = await startKoa()
    sides.ours = await startServer('tests/twin/session')
  })
  after(async () => {
    agent.destroy()
    sides.koa.stop()
    await sides.ours.stop()
  })

  for (const path of paths.filter(path => !path.startsWith('/csrf'))) {
    test(`sessions under ${path}`, async () => {
      for (let i = 0; i < 12 * scale; i++) {
        const r = chance(path, i)
        const pair = new Pair(path)
        for (let requests = 0; requests < 12; requests++) {
          if (r.one(0.15) && !path.startsWith('/store')) pair.swap()
          if (r.one(0.1)) pair.setCookies(makeCookies(r, path))
          await pair.send(makeThings(r, path))
          if (path.startsWith('/store')) await pair.compareStores()
        }
      }
    })
  }

  // --- Now and then ------------------------------------------------------------------------------

  test('a session of Koa is read here, and the other way round', async () => {
    const pair = new Pair('/cookie')
    await pair.send('set:user:ada/json:list:[1,{"x":null}]')
    pair.swap()
    const { ours } = await pair.send('get/new')
    assert.deepEqual(JSON.parse(ours.body), [{ user: 'ada', list: [1, { x: null }] }, false])
    await pair.send('int:views:2')
    pair.swap()
    await pair.send('get')
  })

  test('renew', async () => {
    for (const [left, renews] of [[0.9, false], [0.55, false], [0.45, true], [0.01, true]]) {
      const pair = new Pair('/renew')
      pair.setCookies(signed('koa.sess', text(JSON.stringify({ a: 1, _expire: Date.now() + 60000 * left, _maxAge: 60000 }))))
      const { ours } = await pair.send('get')
      assert.equal(!!ours.headers['set-cookie'], renews, `${left}`)
    }
  })

  test('an old key is good, and another one is not', async () => {
    const value = text('{"user":"ada","_session":true}')
    for (const [key, body] of [['new', '[{"user":"ada"}]'], ['old', '[{"user":"ada"}]'], ['other', '[{}]']]) {
      const pair = new Pair('/cookie')
      pair.setCookies(signed('koa.sess', value, key))
      const { ours } = await pair.send('get')
      assert.equal(ours.body, body)
    }
  })

  // What we do otherwise, on purpose.
  test('differences from koa-session', async () => {
    const get = async (side, path, jar) => {
      const response = await ask(sides[side].port, 'GET', path, jar?.headers())
      jar?.take(response)
      return response
    }
    for (const [side, session] of [['ours', '[{}]'], ['koa', '[null]']]) { // null is a new session
      assert.equal((await get(side, '/cookie?do=set:a:1/null/get')).body, session, side)
    }
    for (const [side, status] of [['ours', 200], ['koa', 500]]) { // which can be used
      assert.equal((await get(side, '/cookie?do=null/set:a:1')).status, status, side)
    }
    for (const [side, names] of [['ours', '[{"_a":"1"}]'], ['koa', '[{}]']]) { // a name with an underscore is kept
      const jar = new Jar()
      await get(side, '/cookie?do=set:_a:1', jar)
      assert.equal((await get(side, '/cookie?do=get', jar)).body, names, side)
    }
    for (const [side, age] of [['ours', /"_session":true/], ['koa', /"_maxAge":86400000/]]) { // saved twice
      const { headers } = await get(side, '/browser?do=set:a:1/save/set:a:2')
      assert.match(Buffer.from(/^koa.sess=([^;]+)/.exec(headers['set-cookie'][0])[1], 'base64').toString(), age, side)
    }
    for (const [side, data] of [['ours', '[{"a":"1"}]'], ['koa', '[{"a":"1","b":"2"}]']]) { // what is changed back after a save
      const jar = new Jar()
      await get(side, '/cookie?do=set:a:1', jar)
      await get(side, '/cookie?do=set:b:2/save/del:b', jar)
      assert.equal((await get(side, '/cookie?do=get', jar)).body, data, side)
    }
    for (const [side, data] of [['ours', '[{}]'], ['koa', '[{"a":"1"}]']]) { // nothing but a commit ends one
      const jar = new Jar()
      await get(side, '/manual?do=set:a:1/save', jar)
      await get(side, '/manual?do=null', jar)
      assert.equal((await get(side, '/manual?do=get', jar)).body, data, side)
    }
    const large = encodeURIComponent('x'.repeat(4000)) // browsers drop it, and nobody is told
    for (const [side, status] of [['ours', 500], ['koa', 200]]) {
      assert.equal((await get(side, `/cookie?do=set:a:${large}`)).status, status, side)
    }
    for (const [side, count] of [['ours', 1], ['koa', 2]]) { // the order of names is no change
      const jar = new Jar()
      const lines = [await get(side, '/cookie?do=set:a:1/set:b:2', jar), await get(side, '/cookie?do=del:a/set:a:1', jar)]
      assert.equal(lines.filter(response => response.headers['set-cookie']).length, count, side)
    }
  })

  // --- CSRF --------------------------------------------------------------------------------------

  describe('CSRF tokens', () => {
    const tokens = new Tokens()
    const names = ['csrf-token', 'xsrf-token', 'x-csrf-token', 'x-xsrf-token']

    test('of either side are good on the other', async () => {
      for (const [from, to] of [['ours', 'koa'], ['koa', 'ours'], ['ours', 'ours']]) {
        const jar = new Jar()
        const form = await ask(sides[from].port, 'GET', '/csrf?do=token')
        jar.take(form)
        const [token] = JSON.parse(form.body)
        const { status } = await ask(sides[to].port, 'POST', '/csrf', { ...jar.headers(), 'X-CSRF-Token': token })
        assert.equal(status, 200, `${from} ${to}`)
        const other = await ask(sides[to].port, 'POST', '/csrf', { 'X-CSRF-Token': token })
        assert.deepEqual([other.status, other.body], [403, 'Invalid CSRF token'])
      }
    })

    test('random ones, anywhere', async () => {
      const r = chance('csrf')
      for (let i = 0; i < 300 * scale; i++) {
        const path = r.pick(['/csrf', '/csrf', '/csrf-paths'])
        const secret = r.pick(['s', tokens.secretSync()])
        const right = tokens.create(secret)
        const make = () => r.pick([right, right, right, right + 'x', right.slice(1), '', ' ', '-', 'x', tokens.create('other'),
          right.toLowerCase(), right.replace('-', '--'), `-${right}`])
        const pair = new Pair(path)
        if (r.one(0.95)) pair.setCookies(signed('koa.sess', text(JSON.stringify({ secret, _session: true }))))
        const query = r.one(0.5) ? { _csrf: make() } : {}
        const headers = Object.fromEntries(r.some(2, () => [r.pick(names), make()]))
        const method = r.pick(['POST', 'POST', 'PUT', 'PATCH', 'DELETE', 'GET', 'HEAD', 'OPTIONS'])
        const place = r.pick(['', '', '/', '/hook', '/hook/', '/hook/a', '/hook/a/b', '/hooks/a', '/ab/c', '/ab/cd', '/a/b/c', '/a/.c'])
        const [type, body] = path !== '/csrf' || !['POST', 'PUT', 'PATCH'].includes(method) || r.one(0.5)
          ? []
          : r.pick([
            ['application/x-www-form-urlencoded', new URLSearchParams({ a: 'b', _csrf: make() }).toString()],
            ['application/json', JSON.stringify({ _csrf: r.pick([make(), make(), 1, null, ['x'], {}]) })],
            ['application/json', '[]'],
            ['text/plain', `_csrf=${right}`]
          ])
        if (type) Object.assign(headers, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) })
        const [ours, koa] = await Promise.all(['ours', 'koa'].map(side =>
          ask(sides[side].port, method, `${path}${place}?${new URLSearchParams(query)}`, { ...pair[side].jar.headers(), ...headers }, body)))
        const told = JSON.stringify({ path, place, method, query, headers, secret, body })
        assert.deepEqual([ours.status, ours.body], [koa.status, koa.body], told)
      }
    })

    test('differences from koa-csrf', async () => {
      for (const [side, cookies] of [['ours', 0], ['koa', 2]]) { // no session for those who ask for no token
        const { headers } = await ask(sides[side].port, 'GET', '/csrf')
        assert.equal(headers['set-cookie']?.length ?? 0, cookies, side)
      }
    })
  })

  // --- Basic authentication ----------------------------------------------------------------------

  test('basic authentication', async () => {
    const r = chance('basic')
    const users = ['tobi', 'Tobi', '', 'tob', 'tobii', 'ü', 'tobi ']
    const passwords = ['fe:rret', 'fe', '', 'ferret', 'ü', 'u', 'fe:rret ', 'FE:RRET', '\xfc']
    const counts = {}
    for (let i = 0; i < 600 * scale; i++) {
      const path = r.pick(authPaths)
      const plain = r.pick([`${r.pick(users)}:${r.pick(passwords)}`, 'tobi:fe:rret', 'tobi:ü', r.pick(users)])
      const encoded = r.pick(['base64', 'base64', 'base64url'])
      let token = Buffer.from(plain, r.pick(['utf8', 'utf8', 'latin1'])).toString(encoded)
      if (r.one(0.1)) token = r.pick(['', '=', 'a b', `${token} `, ` ${token}`, '!', token.replace(/=+$/, '')])
      const scheme = r.one(0.8) ? 'Basic ' : r.pick(['basic ', 'BASIC  ', 'Basic', 'Bearer ', '', ' Basic '])
      const headers = r.one(0.95) ? { Authorization: scheme + token } : {}
      const [ours, koa] = await Promise.all(['ours', 'koa'].map(side => ask(sides[side].port, 'GET', path, headers)))
      for (const { headers } of [ours, koa]) delete headers.date
      assert.deepEqual(ours, koa, JSON.stringify({ path, headers, plain }))
      counts[ours.status] = (counts[ours.status] || 0) + 1
    }
    assert.ok(counts[200] > 50 && counts[401] > 50, JSON.stringify(counts))
  })
})
