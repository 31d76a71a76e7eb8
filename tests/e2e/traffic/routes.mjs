// What apps of routes, routers and mounts are made of, as twin/routing.js and twin/routing.c read them; and random
// apps, with requests that come to their routes, or nearly so.

import { METHODS, joinHead } from './http.mjs'
import { escape, someCase } from './chance.mjs'
import { closeFrame } from './websocket.mjs'

// --- The parts of apps ---------------------------------------------------------------------------

export const step = (name, then, more) => ({ step: name, then, ...more })
export const stop = name => step(name, 'stop')

const seeing = (sees, layers) => layers.map(layer => layer.step ? { sees, ...layer } : layer)

// koa-route
export const route = (method, path, ...layers) => ({ route: path, method, layers: seeing('args', layers) })
export const routeWith = (options, ...rest) => ({ ...route(...rest), options })

// koa-mount
export const mount = (prefix, ...layers) => ({ mount: prefix, layers: seeing('mount', layers) })

// @koa/router: the first one is with allowedMethods()
export const router = (...list) => ({ router: list, allowed: {} })
export const routerWith = ({ allowed, ...options }, ...list) => ({ router: list, options, allowed })
export const add = (method, path, ...layers) => ({ method, path, layers: seeing('params', layers) })
export const addAs = (name, ...rest) => ({ ...add(...rest), name })
// A router in another one has none
export const use = (path, ...layers) => ({ use: path, layers: seeing('use', layers.map(withoutAllowed)) })
const withoutAllowed = layer => layer.router ? { ...layer, allowed: undefined } : layer

// With the pattern in the grammar of path-to-regexp 8, where it is another one.
export const inKoa = (koa, entry) => ({ ...entry, koa })

// --- Random paths --------------------------------------------------------------------------------

const WORDS = ['a', 'b', 'ab', 'c', 'x.y', 'a-b']
const VALUES = [...WORDS, ...WORDS, '7', '42', 'nobody', 'A', '~', '+', '@', 'a;b', ',', '.', '..', 'x=1', '%2F', '%20',
  '%61', '%C3%A9', '%f0%9f%98%80', '%25', '%2e%2E', '*', '!$&()', ':', '%41b']

// A pattern, in two grammars, is a list of parts: what it is in each of them, and what may be there in a path.
const word = r => {
  const text = r.pick(WORDS)
  return { ours: `/${text}`, koa: `/${text}`, fill: () => `/${text}` }
}
const param = (r, names) => {
  const name = r.pick(names)
  return { ours: `/:${name}`, koa: `/:${name}`, fill: r => `/${r.pick(VALUES)}` }
}
const optional = (r, names) => {
  const name = r.pick(names)
  return { ours: `/:${name}?`, koa: `{/:${name}}`, fill: r => r.one(0.5) ? `/${r.pick(VALUES)}` : '' }
}
const tail = r => r.one(0.5)
  ? { ours: '/:tail(.+)', koa: '/*tail', fill: r => `/${r.pick(VALUES)}${fillMore(r)}` }
  : { ours: '/:tail(.+)?', koa: '{/*tail}', fill: fillMore }
const fillMore = r => r.some(3, () => `/${r.pick([...VALUES, ''])}`).join('')

// Only koa-route has these.
const special = r => r.pick([
  { ours: '/:a(\\d+)', fill: r => `/${r.pick(['1', '007', '1x'])}` },
  { ours: '/:a(a|b)-:b', fill: r => `/${r.pick(['a', 'b', 'c'])}-${r.pick(VALUES)}` },
  { ours: '/:a.:b?', fill: r => `/${r.pick(VALUES)}${r.pick(['', '.b', '.a.b'])}` },
  { ours: '/:c*', fill: fillMore },
  { ours: '/:c+', fill: r => `/b${fillMore(r)}` },
  { ours: '{/a/:d}?', fill: r => r.pick(['', '/a/b']) },
  { ours: '/(.*)', fill: r => `/${fillMore(r)}` },
  { ours: '/x\\.y', fill: () => '/x.y' }
])

const join = (parts, key) => parts.map(part => part[key]).join('')
const fill = (r, parts) => parts.map(part => part.fill(r)).join('')

// `few`: only what every prefix may have.
function makePattern (r, few = false) {
  const names = few ? ['user'] : ['a', 'b', 'id']
  const parts = Array.from({ length: r.pick([1, 1, 2, 2, 3]) }, () => r.one(0.5) ? word(r) : param(r, names))
  if (!few && r.one(0.15)) parts.push(r.one(0.6) ? optional(r, ['c', 'd']) : tail(r))
  return parts
}

// --- Random apps ---------------------------------------------------------------------------------

// The app that is being made: who has a name already, and the paths that it is for. Where there are both routes and
// routers the parameters are not compared: here they share them.
class Maker {
  constructor (r) {
    this.r = r
    this.kind = r.pick(['routes', 'routers', 'both'])
    this.names = 0
    this.paths = []
    this.anyCase = true
  }

  step (then) {
    const { r } = this
    const name = `s${++this.names}`
    then ??= r.one(0.7) ? 'next' : r.pick(['later', 'later', 'stop', 'answer', 'throw', 'catch', 'catch', 'twice'])
    return step(name, then, this.kind === 'both' ? { sees: undefined } : {})
  }

  steps (then) {
    return [this.step(then), ...this.r.some(1, () => this.step(then))]
  }

  method () {
    return this.r.pick(['GET', 'GET', 'GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PURGE', null])
  }

  route (before) {
    const { r } = this
    const parts = makePattern(r)
    if (r.one(0.4)) parts.push(special(r))
    this.paths.push([...before, ...parts])
    const options = {}
    if (r.one(0.1)) options.end = false
    if (r.one(0.1)) options.sensitive = true
    if (r.one(0.1)) options.strict = true
    return routeWith(options, this.method(), join(parts, 'ours'), ...this.steps())
  }

  // An entry of a router. Middleware for all paths under a prefix is bound to its case in Koa, and throws there if
  // such a router becomes part of another one.
  entry (before, { hasPrefix, isExclusive, depth }) {
    const { r } = this
    const kind = r.below(20)
    if (kind < 3) return { param: r.pick(['a', 'b', 'id', 'user']) }
    if (kind < 5 && !isExclusive && (depth === 0 || !hasPrefix)) {
      if (hasPrefix) this.anyCase = false
      return use(null, this.step())
    }
    if (kind < 7 && !isExclusive) {
      const parts = makePattern(r, true)
      return use(r.one(0.2) ? '/' : join(parts, 'ours'), ...this.steps())
    }
    if (kind < 9 && depth < 2 && !isExclusive) {
      const parts = r.one(0.3) ? [] : makePattern(r, true)
      const inner = this.router([...before, ...parts], { depth: depth + 1, hasPrefix: hasPrefix || parts.length > 0 })
      return use(join(parts, 'ours') || null, inner)
    }
    const parts = r.one(0.1) ? [] : isExclusive ? makePattern(r).slice(0, 1) : makePattern(r)
    this.paths.push([...before, ...parts])
    const entry = add(this.method(), join(parts, 'ours') || '/', ...this.steps())
    return inKoa(join(parts, 'koa') || '/', r.one(0.2) ? { ...entry, name: `n${++this.names}` } : entry)
  }

  router (before, { depth, hasPrefix }) {
    const { r } = this
    const prefix = r.one(0.4) ? makePattern(r, true) : []
    const isExclusive = depth === 0 && r.one(0.1)
    const entries = Array.from({ length: r.between(1, 6) }, () =>
      this.entry([...before, ...prefix], { depth, isExclusive, hasPrefix: hasPrefix || prefix.length > 0 }))
    const options = {}
    if (prefix.length > 0) options.prefix = join(prefix, 'ours')
    if (r.one(0.1)) options.sensitive = true
    if (r.one(0.1)) options.strict = true
    if (isExclusive) options.exclusive = r.pick([true, 'specificity'])
    if (depth > 0) return routerWith(options, ...entries)
    if (r.one(0.2)) options.methods = ['GET', 'HEAD', 'POST', 'PURGE', 'OPTIONS'].slice(r.below(3))
    if (r.one(0.2)) entries.push({ notFound: this.step() })
    if (r.one(0.2)) {
      const parts = r.some(2, () => word(r))
      this.paths.push([...before, ...prefix, ...parts])
      const to = r.pick(['/a', 'https://example.org/?x'])
      entries.push({ redirect: join(parts, 'ours') || '/', to, status: r.pick([undefined, 302, 308]) })
    }
    return routerWith({ ...options, allowed: r.one(0.8) ? {} : undefined }, ...entries)
  }

  layers (before, depth = 0) {
    const { r } = this
    const makers = [
      () => [this.step(r.pick(['next', 'next', 'later', 'catch']))],
      () => {
        const parts = [word(r), ...r.some(1, () => word(r))]
        return depth < 2 ? [{ mount: join(parts, 'ours'), layers: this.layers([...before, ...parts], depth + 1) }] : []
      }
    ]
    const routes = () => Array.from({ length: r.between(1, 5) }, () => this.route(before))
    const routers = () => [this.router(before, { depth: 0 })]
    if (this.kind !== 'routers') makers.push(routes, routes)
    if (this.kind !== 'routes') makers.push(routers, routers)
    return Array.from({ length: r.between(1, 4) }, () => r.pick(makers)()).flat()
  }
}

// The first layer is one that leaves something on every trail.
export function makeApp (r) {
  const maker = new Maker(r)
  const layers = [step('first', r.pick(['next', 'catch'])), ...maker.layers([])]
  return { layers, paths: maker.paths, anyCase: maker.anyCase }
}

// --- Requests to them ----------------------------------------------------------------------------

const change = (r, path, anyCase) => r.pick([
  () => `${path}/`,
  () => `${path}//`,
  () => path.replace('/', '//'),
  () => path.slice(0, path.lastIndexOf('/')) || '/',
  () => `${path}/${r.pick(VALUES)}`,
  () => path + r.pick(['.', 'x', '-', '%20', '%']),
  () => path.replace(/[a-z](?![^%]?[^%]?$)/, char => escape(r, char)),
  () => anyCase ? someCase(r, path) : path,
  () => r.pick(['/', '/a', '//', '/a/b', '/mounted', '*'])
])()

function makeTarget (r, { paths, anyCase }) {
  let path = paths.length > 0 ? fill(r, r.pick(paths)) || '/' : '/a'
  if (r.one(0.3)) path = change(r, path, anyCase)
  if (r.one(0.1) && path.startsWith('/')) path = `/mounted${path}`
  return path + (r.one(0.1) ? r.pick(['?', '?a=b', '?x=/a/b', '??', '?%zz']) : '')
}

const isMalformed = target => {
  try {
    decodeURIComponent(target.replace(/\?.*/, ''))
  } catch {
    return true
  }
}

// Some requests to the app of that number.
export function makePage (r, app, number) {
  const requests = Array.from({ length: r.pick([1, 2, 5, 10]) }, () => {
    const target = makeTarget(r, app)
    const differs = isMalformed(target) ? 'a malformed % in a path' : undefined
    const methods = ['GET', 'GET', 'GET', 'GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', r.pick(METHODS)]
    const method = differs ? 'GET' : r.pick(methods)
    const origin = r.one(0.03) && target.startsWith('/') ? 'http://a' : ''
    const bytes = joinHead(`${method} ${origin}${target} HTTP/1.1`, ['Host: a', `X-App: ${number}`])
    return { method, differs, bytes }
  })
  return { requests, pipelined: r.one(0.5) }
}

const UPGRADE = ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13']

export const knock = (target, ...headers) => joinHead(`GET ${target} HTTP/1.1`, [...headers, ...UPGRADE])

// A socket of that app, that is closed when it has said what it has to say.
export function makeTalk (r, app, number) {
  let target = makeTarget(r, app)
  while (isMalformed(target)) target = makeTarget(r, app)
  return { hello: knock(target, 'Host: a', `X-App: ${number}`), pieces: [closeFrame(1000)] }
}
