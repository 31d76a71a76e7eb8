// The example auth: by undici, by node's ws, and in a browser.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { once } from 'node:events'
import fs from 'node:fs'
import { chromium } from 'playwright-core'
import { Client } from 'undici'
import { WebSocket } from 'ws'
import { PATIENCE, eventually, startServer, withPatience } from './support.mjs'

const ADA = { name: 'ada', password: 'analytical engine' }
const GRACE = { name: 'grace', password: 'compiler' }
const WRONG = 'That is not the name, or not the password.'

// --- By hand -------------------------------------------------------------------------------------

describe('auth', () => {
  let server
  const browsers = []
  before(async () => { server = await startServer('auth') })
  after(async () => {
    for (const { client } of browsers) await client.close()
    await server.stop()
  })

  // Each has an address of its own, by which attempts are counted.
  class Browser {
    cookies = new Map()

    constructor () {
      browsers.push(this)
      this.client = new Client(server.url, { localAddress: `127.0.0.${browsers.length + 1}` })
    }

    static async of (user) {
      const browser = new Browser()
      assert.equal((await browser.post('/login', user)).status, 303)
      assert.equal((await browser.session()).user, user.name)
      return browser
    }

    get cookie () {
      return Array.from(this.cookies, ([name, value]) => `${name}=${value}`).join('; ')
    }

    async ask (path, { method = 'GET', form, headers } = {}) {
      const response = await this.client.request({
        path,
        method,
        headers: { cookie: this.cookie, ...form && { 'content-type': 'application/x-www-form-urlencoded' }, ...headers },
        body: form && new URLSearchParams(form).toString()
      })
      this.lines = [response.headers['set-cookie'] || []].flat()
      for (const line of this.lines) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)
        if (/expires=Thu, 01 Jan 1970/.test(line)) this.cookies.delete(name)
        else this.cookies.set(name, value)
      }
      return { status: response.statusCode, headers: response.headers, body: await response.body.text() }
    }

    async session () {
      return JSON.parse((await this.ask('/session')).body)
    }

    async post (path, form, headers) {
      const { token } = await this.session()
      return this.ask(path, { method: 'POST', form: { _csrf: token, ...form }, headers })
    }

    // Rejects with the status if it is refused.
    async open () {
      const socket = new WebSocket(`${server.ws}/live`, { headers: { cookie: this.cookie } })
      const received = []
      socket.on('message', data => received.push(data.toString()))
      socket.next = () => eventually(() => received.shift(), 'a message')
      socket.closed = once(socket, 'close')
      const opened = new Promise((resolve, reject) => {
        socket.on('open', resolve)
        socket.on('unexpected-response', (request, response) => {
          response.resume()
          reject(Object.assign(new Error('refused'), { status: response.statusCode }))
        })
      })
      await withPatience(opened, 'open')
      return socket
    }
  }

  async function close (socket) {
    socket.close()
    await withPatience(socket.closed, 'closes')
  }

  test('in and out', async () => {
    const browser = new Browser()
    assert.equal((await browser.session()).user, null)
    const before = browser.cookie
    const { status, headers } = await browser.post('/login', ADA)
    assert.deepEqual([status, headers.location], [303, '/'])
    assert.match(browser.lines[0], /^session=[\w-]{32}; path=\/; expires=[^;]+; samesite=lax; httponly$/)
    assert.notEqual(browser.cookie, before)
    assert.equal((await browser.session()).user, 'ada')
    const inside = browser.cookie
    assert.equal((await browser.post('/logout')).status, 303)
    assert.equal(browser.cookie, '')
    assert.equal((await browser.session()).user, null)
    for (const cookie of [before, inside]) { // what somebody has kept, or planted
      const { body } = await browser.ask('/session', { headers: { cookie } })
      assert.equal(JSON.parse(body).user, null)
    }
  })

  test('a wrong name, a wrong password, and no password', async () => {
    const browser = new Browser()
    for (const form of [{ ...ADA, password: 'analytical' }, { ...ADA, name: 'eve' }, { name: '', password: '' }]) {
      assert.equal((await browser.post('/login', form)).status, 303)
      const { user, message } = await browser.session()
      assert.deepEqual([user, message], [null, WRONG])
      assert.equal((await browser.session()).message, null) // once
    }
    assert.equal((await browser.post('/login', { name: 'ada' })).status, 400)
  })

  test('five attempts a minute', async () => {
    const browser = new Browser()
    for (let i = 0; i < 5; i++) assert.equal((await browser.post('/login', { ...ADA, password: 'guess' })).status, 303)
    const { status, headers } = await browser.post('/login', ADA) // though it is right
    assert.equal(status, 429)
    assert.ok(Number(headers['retry-after']) > 0)
    assert.equal((await browser.session()).user, null)
    await Browser.of(ADA) // from elsewhere
  })

  test('no token, another one\'s, an old one, another site', async () => {
    const browser = new Browser()
    const { token } = await browser.session()
    const log = (form, headers) => browser.ask('/login', { method: 'POST', form: { ...ADA, ...form }, headers })
    const refused = async (...args) => assert.equal((await log(...args)).status, 403)
    await refused({})
    await refused({ _csrf: (await new Browser().session()).token })
    await refused({ _csrf: token }, { origin: 'https://evil.example' })
    await refused({ _csrf: token }, { 'sec-fetch-site': 'cross-site' })
    const { status } = await browser.ask(`/login?_csrf=${token}`, { method: 'POST', form: ADA })
    assert.equal(status, 403)
    assert.equal((await log({ _csrf: token }, { origin: server.url })).status, 303)
    await refused({ _csrf: token }) // of before the login
    assert.equal((await browser.session()).user, 'ada')
  })

  test('a socket for those who are logged in', async () => {
    await assert.rejects(new Browser().open(), { status: 401 })
    const browser = await Browser.of(ADA)
    const socket = await browser.open()
    assert.equal(await socket.next(), 'hello, ada')
    socket.send('<b>hi</b>')
    assert.equal(await socket.next(), 'ada: <b>hi</b>')
    await close(socket)
  })

  test('a logout closes the sockets of that session, and no others', async () => {
    const [here, elsewhere] = [await Browser.of(GRACE), await Browser.of(GRACE)]
    const sockets = [await here.open(), await here.open()]
    const other = await elsewhere.open()
    assert.equal((await here.post('/logout')).status, 303)
    for (const socket of sockets) {
      const [code, reason] = await withPatience(socket.closed, 'closes')
      assert.deepEqual([code, reason.toString()], [4001, 'logged out'])
    }
    await assert.rejects(here.open(), { status: 401 })
    assert.equal(await other.next(), 'hello, grace')
    other.send('still here')
    assert.equal(await other.next(), 'grace: still here')
    await close(other)
  })
})

// --- In a browser --------------------------------------------------------------------------------

const executablePath = process.env.CHROMIUM || '/usr/bin/chromium'
const skip = fs.existsSync(executablePath) ? false : `no browser at ${executablePath} (apt install chromium)`

describe('auth in a browser', { skip }, () => {
  let server, browser
  before(async () => {
    server = await startServer('auth')
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--no-first-run'] })
  })
  after(async () => {
    await browser.close()
    await server.stop()
  })

  async function open (context) {
    const page = await context.newPage()
    page.complaints = []
    page.on('console', message => { if (['error', 'warning'].includes(message.type())) page.complaints.push(message.text()) })
    page.on('pageerror', error => page.complaints.push(String(error)))
    await page.goto(server.url)
    return page
  }

  async function logIn (page, { name, password }) {
    await page.fill('[name=name]', name)
    await page.fill('[name=password]', password)
    await page.click('#login button')
  }

  // A page of another site sends the form for logging out, as soon as it is there, without a token and with a wrong one.
  async function refusesForged (context) {
    for (const field of ['', '<input name=_csrf value=forged>']) {
      const page = await context.newPage()
      await page.route('http://evil.example/', route => route.fulfill({
        contentType: 'text/html',
        body: `<form method=post action="${server.url}/logout">${field}</form><script>document.forms[0].submit()</script>`
      }))
      const [answer] = await Promise.all([
        page.waitForResponse(`${server.url}/logout`),
        page.goto('http://evil.example/').catch(() => {}) // which the form interrupts
      ])
      assert.equal(answer.status(), 403)
      await page.close()
    }
  }

  test('two windows, one session', async () => {
    const context = await browser.newContext()
    context.setDefaultTimeout(PATIENCE)
    const page = await open(context)
    await logIn(page, { ...ADA, password: 'wrong' })
    await page.getByText(WRONG).waitFor()
    await logIn(page, ADA)
    await page.getByRole('heading', { name: 'Hello, ada' }).waitFor()
    assert.equal(await page.textContent('#message'), '')
    const [cookie] = (await context.cookies()).filter(({ name }) => name === 'session')
    assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, 'Lax'])
    assert.equal(await page.evaluate(() => document.cookie), '') // eslint-disable-line no-undef

    const other = await open(context)
    await other.getByRole('heading', { name: 'Hello, ada' }).waitFor()
    await other.getByText('hello, ada', { exact: true }).waitFor()
    await page.fill('#text', '<img src=x onerror=alert(1)>')
    await page.press('#text', 'Enter')
    await other.getByText('ada: <img src=x onerror=alert(1)>').waitFor()

    await refusesForged(context)
    await page.reload()
    await page.getByRole('heading', { name: 'Hello, ada' }).waitFor()

    await page.click('text=Log out')
    await page.locator('#login').waitFor()
    await other.locator('#login').waitFor() // without a click
    for (const { complaints } of [page, other]) assert.deepEqual(complaints, [])
    await context.close()
  })
})
