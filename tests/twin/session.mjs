// Sessions under all kinds of options, in Koa: session.c is the same in C. One app for each, since koa-session has one
// session for an app.

import Koa from 'koa'
import { createRequire } from 'node:module'
import { createServer } from 'node:http'
import { once } from 'node:events'
import session from 'koa-session'

const require = createRequire(import.meta.url)
const basicAuth = require('koa-basic-auth')
const CSRF = require('koa-csrf')
const bodyParser = require('koa-bodyparser')

export const KEYS = ['new', 'old']
const DAY = 86400000

const kept = new Map()
const store = {
  get: async key => kept.has(key) ? JSON.parse(kept.get(key).text) : undefined,
  set: async (key, data, maxAge) => { kept.set(key, { text: JSON.stringify(data), maxAge }) },
  destroy: async key => { kept.delete(key) }
}

// --- What is done --------------------------------------------------------------------------------

async function doOne (ctx, seen, [what, name, value]) {
  switch (what) {
    case 'get': return seen.push(JSON.parse(JSON.stringify(ctx.session)))
    case 'new': return seen.push(ctx.session.isNew)
    case 'age':
      if (name === undefined) seen.push(ctx.session.maxAge)
      else ctx.session.maxAge = name === 'session' ? name : Number(name)
      return
    case 'set': ctx.session[name] = value; return
    case 'int': ctx.session[name] = Number(value); return
    case 'json': ctx.session[name] = JSON.parse(value); return
    case 'del': delete ctx.session[name]; return
    case 'replace': ctx.session = { [name]: value }; return
    case 'save': return ctx.session.save()
    case 'commit': return ctx.session.manuallyCommit()
    case 'regenerate': return ctx.session.regenerate()
    case 'null': ctx.session = null; return
    case 'token': return seen.push(ctx.state._csrf)
    default: ctx.throw(409, what)
  }
}

async function doAll (ctx) {
  const seen = []
  for (const item of (ctx.query.do || '').split('/').filter(Boolean)) {
    const [what, name, ...value] = item.split(':')
    await doOne(ctx, seen, [what, name, value.join(':')])
  }
  ctx.body = seen
}

async function catchIt (ctx, next) {
  try {
    await next()
  } catch (err) {
    ctx.status = err.status || 500
    ctx.body = err.message
  }
}

// --- Options -------------------------------------------------------------------------------------

const options = {
  '/cookie': {},
  '/rolling': { rolling: true, key: 'r' },
  '/renew': { renew: true, maxAge: 60000 },
  '/browser': { maxAge: 'session' },
  '/manual': { autoCommit: false },
  '/open': { signed: false, httpOnly: false, path: '/open' },
  '/lax': { sameSite: 'lax', domain: 'a.example' },
  '/hooks': { valid: (ctx, data) => !data.veto, beforeSave: (ctx, session) => { session.stamped = true } },
  '/store': { store },
  '/store-rolling': { store, rolling: true },
  '/store-renew': { store, renew: true, prefix: 'pre:' },
  '/store-browser': { store, maxAge: 'session' },
  '/store-key': { store, externalKey: { get: ctx => ctx.get('X-Key'), set: (ctx, key) => ctx.set('X-Key', key) } },
  '/csrf': {},
  '/csrf-paths': {}
}

const more = {
  '/csrf': () => new CSRF(),
  '/csrf-paths': () => new CSRF({
    disableQuery: true,
    ignoredPathGlobs: ['/hook/**', '/a*/?'],
    excludedMethods: ['GET', 'PUT']
  })
}

const auth = {
  '/auth/both': { name: 'tobi', pass: 'fe:rret' },
  '/auth/name': { name: 'tobi' },
  '/auth/password': { pass: 'ü', realm: 'a "realm"' }
}

function makeApp () {
  const app = new Koa({ keys: KEYS })
  app.silent = true
  app.on('error', () => {})
  return app
}

function noBody (ctx, next) {
  ctx.request.body = {} // where koa-csrf looks first
  return next()
}

function makeSession (path) {
  const app = makeApp()
  app.use(catchIt)
  app.use(session({ maxAge: DAY, ...options[path] }, app))
  app.use(path === '/csrf' ? bodyParser() : noBody)
  if (more[path]) app.use(more[path]())
  app.use(doAll)
  return app.callback()
}

function makeAuth (path) {
  const app = makeApp()
  app.use(basicAuth({ ...auth[path] }))
  app.use(ctx => { ctx.body = 'secret' })
  return app.callback()
}

export const paths = Object.keys(options)
export const authPaths = Object.keys(auth)

export async function startKoa () {
  const apps = [...paths.map(path => [path, makeSession(path)]), ...authPaths.map(path => [path, makeAuth(path)])]
  const server = createServer((req, res) => {
    if (req.url === '/stored') return res.end(JSON.stringify(Object.fromEntries(kept)))
    const [path, app] = apps.find(([path]) => new RegExp(`^${path}(?=[/?]|$)`).test(req.url))
    req.url = req.url.slice(path.length).replace(/^(?!\/)/, '/')
    app(req, res)
  })
  server.keepAliveTimeout = 60000 // as session.c
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return { port: server.address().port, stop: () => server.close() }
}
