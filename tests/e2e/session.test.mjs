// One session for pages and sockets: read at the handshake, saved from a socket, read again, and gone.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { once } from 'node:events'
import { request } from 'undici'
import { WebSocket } from 'ws'
import { startServer, withPatience } from './support.mjs'

let server
describe('sessions of sockets', () => {
  before(async () => { server = await startServer('tests/support/session_server') })
  after(() => server.stop())

  // A browser: pages and sockets with the same cookies.
  class Browser {
    cookies = new Map()

    take (lines = []) {
      for (const line of [lines].flat()) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)
        if (/expires=Thu, 01 Jan 1970/.test(line)) this.cookies.delete(name)
        else this.cookies.set(name, value)
      }
    }

    get headers () {
      return { cookie: Array.from(this.cookies, ([name, value]) => `${name}=${value}`).join('; ') }
    }

    async get (path) {
      const { statusCode, headers, body } = await request(server.url + path, { headers: this.headers })
      this.take(headers['set-cookie'])
      assert.equal(statusCode, 200)
      return body.json()
    }

    // Resolves with the socket; rejects with the status if it is refused.
    async open (path) {
      const socket = new WebSocket(server.ws + path, { headers: this.headers })
      socket.on('upgrade', ({ headers }) => {
        socket.cookies = headers['set-cookie']
        this.take(headers['set-cookie'])
      })
      const refused = new Promise((resolve, reject) => {
        socket.on('unexpected-response', (request, response) => {
          response.resume()
          reject(Object.assign(new Error('refused'), { status: response.statusCode }))
        })
      })
      refused.catch(() => {})
      await withPatience(Promise.race([once(socket, 'open'), refused]), `open ${path}`)
      return socket
    }
  }

  async function ask (socket, text) {
    socket.send(text)
    const [data] = await withPatience(once(socket, 'message'), `no answer to ${text}`)
    return data.toString()
  }

  async function close (socket) {
    socket.close()
    await withPatience(once(socket, 'close'), 'closes')
  }

  test('a socket has the session of the page', async () => {
    for (const path of ['/memory', '/cookie', '/rolling']) {
      const browser = new Browser()
      await browser.get(`${path === '/rolling' ? '/memory' : path}/set/user/ada`)
      const socket = await browser.open(path)
      assert.equal(await ask(socket, 'get'), '{"user":"ada"}')
      assert.equal(socket.cookies, undefined)
      await close(socket)
    }
  })

  test('what is not saved is the socket\'s own', async () => {
    const browser = new Browser()
    await browser.get('/memory/set/user/ada')
    const socket = await browser.open('/memory')
    assert.equal(await ask(socket, 'set:a:1'), 'ok')
    assert.equal(await ask(socket, 'get'), '{"user":"ada","a":"1"}')
    assert.deepEqual(await browser.get('/memory/show'), { user: 'ada' })
    assert.equal(await ask(socket, 'save'), 'ok')
    assert.deepEqual(await browser.get('/memory/show'), { user: 'ada', a: '1' })
    assert.equal(await ask(socket, 'set:b:2'), 'ok')
    assert.equal(await ask(socket, 'commit'), 'ok')
    assert.deepEqual(await browser.get('/memory/show'), { user: 'ada', a: '1', b: '2' })
    await close(socket)
  })

  test('a socket reads it again, until it is gone', async () => {
    const browser = new Browser()
    await browser.get('/memory/set/user/ada')
    const sockets = [await browser.open('/memory'), await browser.open('/memory')]
    await browser.get('/memory/set/user/bob')
    for (const socket of sockets) {
      assert.equal(await ask(socket, 'get'), '{"user":"ada"}')
      assert.equal(await ask(socket, 'reload'), 'ok')
      assert.equal(await ask(socket, 'get'), '{"user":"bob"}')
    }
    await browser.get('/memory/leave')
    assert.equal(await ask(sockets[0], 'set:a:1'), 'ok')
    assert.equal(await ask(sockets[0], 'save'), 'ENOENT') // which does not bring it back
    assert.equal(await ask(sockets[1], 'reload'), 'ENOENT')
    assert.equal(await ask(sockets[1], 'get'), '{}')
    assert.deepEqual(await browser.get('/memory/show'), {})
    for (const socket of sockets) await close(socket)
  })

  test('a socket destroys it', async () => {
    const browser = new Browser()
    await browser.get('/memory/set/user/ada')
    const socket = await browser.open('/memory')
    assert.equal(await ask(socket, 'destroy'), 'ok')
    assert.deepEqual(await browser.get('/memory/show'), {})
    await close(socket)
  })

  test('a new one comes with the 101', async () => {
    for (const path of ['/memory', '/cookie']) {
      const browser = new Browser()
      const socket = await browser.open(`${path}?set=1&save=1`)
      assert.equal(socket.cookies.length, 2)
      assert.deepEqual(await browser.get(`${path}/show`), { socket: '1' })
      assert.equal(await ask(socket, 'get'), '{"socket":"1"}')
      await close(socket)
    }
  })

  test('a cookie can\'t be set later', async () => {
    const browser = new Browser()
    await browser.get('/cookie/set/user/ada')
    const late = 'the session\'s cookie can\'t be set after the head was sent: call session_save before'
    const socket = await browser.open('/cookie')
    assert.equal(await ask(socket, 'set:a:1'), 'ok')
    assert.equal(await ask(socket, 'save'), late)
    assert.equal(await ask(socket, 'regenerate'), 'a session can\'t be regenerated after the head was sent')
    assert.equal(await ask(socket, 'reload'), 'ok') // by the cookie of the handshake
    assert.equal(await ask(socket, 'get'), '{"user":"ada"}')
    assert.equal(await ask(socket, 'destroy'), late)
    await close(socket)
    const stranger = await new Browser().open('/memory')
    assert.equal(await ask(stranger, 'set:a:1'), 'ok')
    assert.equal(await ask(stranger, 'save'), late) // nobody would know the key
    await close(stranger)
  })

  test('what nobody has saved before the 101 is an error', async () => {
    for (const path of ['/memory', '/cookie']) {
      const socket = await new Browser().open(`${path}?set=1`)
      const [code] = await withPatience(once(socket, 'close'), 'closes')
      assert.equal(code, 1011)
    }
    const browser = new Browser() // but the store takes it from one that it knows
    await browser.get('/memory/set/user/ada')
    const socket = await browser.open('/memory?set=1')
    assert.equal(await ask(socket, 'get'), '{"user":"ada","socket":"1"}')
    assert.deepEqual(await browser.get('/memory/show'), { user: 'ada', socket: '1' })
    await close(socket)
  })

  test('a stranger is refused', async () => {
    const browser = new Browser()
    await assert.rejects(browser.open('/memory?members-only=1'), { status: 401 })
    await browser.get('/memory/set/user/ada')
    await close(await browser.open('/memory?members-only=1'))
  })
})
