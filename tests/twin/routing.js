#!/usr/bin/env node
'use strict'

// Routes of koa-route, routers of @koa/router and mounts of koa-mount, in Koa: routing.c is the same in C, and
// e2e/routing.test.mjs compares the two.
//
//     APPS=apps.json PORT=3000 tests/twin/routing.js
//
// The file is a list of apps, each a list of layers, for requests and for WebSockets alike; a request says by X-App
// which of them it wants, and below /mounted it gets it as a part of an app that is mounted. A layer is one of
//
//     {step, then, sees, …}     leaves what it sees on the trail, and goes on by next(), or does what `then` says
//     {route, method, options, layers}
//     {mount, layers}
//     {router, options, allowed}     a list of {path, method, name, options, layers}, {use, layers}, {param}, {prefix},
//                                    {redirect, to, status}, {notFound}
//
// and the trail is the answer. Where the pattern of a router is written otherwise in path-to-regexp 8 it is `koa`.

const fs = require('fs')
const Koa = require('koa')
const Router = require('@koa/router')
const compose = require('koa-compose')
const mount = require('koa-mount')
const route = require('koa-route')
const websockify = require('koa-websocket')

const leave = (ctx, text) => { ctx.trail = `${ctx.trail ?? ''}${text}\n` }

// --- Steps ---------------------------------------------------------------------------------------

// The names that parameters have; routing.c has the same ones.
const NAMES = ['a', 'b', 'c', 'd', 'id', 'tail', 'user']

// As path-to-regexp 6 has it.
const oldGrammar = pattern => pattern
  .replace(/\{\/:(\w+)\}/g, '/:$1?')
  .replace(/\{\/\*(\w+)\}/g, '/:$1(.+)?')
  .replace(/\/\*(\w+)/g, '/:$1(.+)')

const views = {
  args: (ctx, args) => `[${showArgs(args)}] ${ctx.routePath}`,
  params: ctx => `${showParams(ctx)} ${oldGrammar(ctx._matchedRoute)} ${ctx.routerName ?? '-'}`,
  use: showParams,
  route: ctx => oldGrammar(ctx._matchedRoute),
  mount: ctx => `under ${ctx.mountPath ?? ''}`
}

// Without those that are missing at the end.
const showArgs = args => args.map(arg => arg ?? '(none)').join().replace(/(^|,)\(none\)(,\(none\))*$/, '')

function showParams (ctx) {
  const params = NAMES.filter(name => ctx.params?.[name] !== undefined).map(name => `${name}=${ctx.params[name]}`)
  return `{${params.join()}}`
}

const actions = {
  next: (ctx, next) => next(),
  stop: () => {},
  answer: ctx => { if (ctx.res) ctx.body = 'answered' },
  throw: ctx => ctx.throw(418, 'thrown'),
  twice: async (ctx, next) => {
    await next()
    await next()
  },
  rewrite: (ctx, next, step) => {
    ctx.path = step.to
    return next()
  },
  later: async (ctx, next) => {
    if (ctx.res) await new Promise(resolve => setImmediate(resolve))
    return next()
  },
  catch: async (ctx, next) => {
    try {
      await next()
    } catch (err) {
      leave(ctx, `caught ${err.message}`)
    }
  },
  url: (ctx, next, { name, params, query }) => {
    leave(ctx, ctx.router.url(name, params ?? {}, query ? { query } : undefined))
    return next()
  },
  status: (ctx, next, { status }) => {
    if (ctx.res) ctx.status = status
    return next()
  }
}

const runStep = async (ctx, args, next, step) => {
  leave(ctx, `${step.step} ${ctx.url} ${views[step.sees]?.(ctx, args) ?? ''}`.trim())
  await actions[step.then ?? 'next'](ctx, next, step)
  if (step.back) leave(ctx, `${step.step} back ${ctx.url} ${views[step.sees]?.(ctx, args) ?? ''}`.trim())
}

// --- Layers --------------------------------------------------------------------------------------

const makeStep = step => (ctx, next) => runStep(ctx, [], next, step)

// What a route of koa-route has captured comes before next().
function makeRoute ({ route: path, method, options, layers }, sockets) {
  return route[method?.toLowerCase() ?? 'all'](path, (ctx, ...args) => {
    const next = args.pop()
    const run = layer => layer.step ? (ctx, next) => runStep(ctx, args, next, layer) : make(layer, sockets)
    return compose(layers.map(run))(ctx, next)
  }, options)
}

const makeMount = ({ mount: prefix, layers }, sockets) =>
  mount(prefix, compose(layers.map(layer => make(layer, sockets))))

const entries = {
  use: (router, { use, koa = use, layers }, sockets) =>
    router.use(...koa === null ? [] : [koa], ...layers.map(layer => make(layer, sockets))),
  param: (router, { param }) => router.param(param, (value, ctx, next) => {
    leave(ctx, `${param} is ${value}`)
    return value === 'nobody' ? ctx.throw(404, `no ${value}`) : next()
  }),
  prefix: (router, { prefix }) => router.prefix(prefix),
  redirect: (router, { redirect, to, status }, sockets) => sockets || router.redirect(redirect, to, status),
  notFound: (router, { notFound }, sockets) => router.on('not-found', make(notFound, sockets)),
  path: (router, { path, koa = path, method, name, options, layers }, sockets) => {
    const handlers = layers.map(layer => make(layer, sockets))
    if (options) return router.register(koa, [method], handlers, { name, ...options })
    return router[method?.toLowerCase() ?? 'all'](...name ? [name] : [], koa, ...handlers)
  }
}

function makeRouter ({ router: list, options: { hostPattern, koaHost, ...options } = {}, allowed }, sockets) {
  const router = new Router(koaHost ? { ...options, host: new RegExp(koaHost) } : options)
  for (const entry of list) entries[Object.keys(entries).find(key => key in entry)](router, entry, sockets)
  return allowed && !sockets ? compose([router.routes(), router.allowedMethods(allowed)]) : router.routes()
}

function make (layer, sockets) {
  if (layer.router) return makeRouter(layer, sockets)
  if (layer.route) return makeRoute(layer, sockets)
  return layer.mount ? makeMount(layer, sockets) : makeStep(layer)
}

// --- The apps ------------------------------------------------------------------------------------

const apps = JSON.parse(fs.readFileSync(process.env.APPS, 'utf8'))

// All of them, as one layer; and the same in an app of its own.
function makeApps (sockets) {
  const stacks = apps.map(layers => compose(layers.map(layer => make(layer, sockets))))
  return (ctx, next) => (stacks[ctx.get('X-App')] ?? ((ctx, next) => next()))(ctx, next)
}
const makeMounted = sockets => mount('/mounted', new Koa().use(makeApps(sockets)))

const app = websockify(new Koa())
app.silent = true

app.use(async (ctx, next) => {
  await next()
  const { status } = ctx
  if (!ctx.trail || (ctx.body ?? null) !== null) return
  ctx.body = ctx.trail
  ctx.status = status
})
app.use(makeMounted(false))
app.use(makeApps(false))

// A socket whose layers have left nothing is left as it is.
app.ws.use(async (ctx, next) => {
  try {
    await next()
  } catch (err) {
    leave(ctx, `error ${err.status ?? 500}`)
  }
  if (ctx.trail) ctx.websocket.send(ctx.trail)
})
app.ws.use(makeMounted(true))
app.ws.use(makeApps(true))

const server = app.listen(process.env.PORT || 0, '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`)
})
process.on('SIGTERM', () => process.exit(0))
