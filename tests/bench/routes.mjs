// How long Koa's routers take to find a route among 10, 100, 1,000 and 10,000: what
// tests/bench/routes.c measures of ours.
//
//     node tests/bench/routes.mjs

import Router from '@koa/router'
import compose from 'koa-compose'
import route from 'koa-route'

const MILLISECONDS = 100
const counts = [10, 100, 1000, 10000]
const kinds = [
  ['static', i => `/resource${i}/list`, i => `/resource${i}/list`],
  [':param', i => `/resource${i}/:id`, i => `/resource${i}/12345`],
  ['nested', i => `/resource${i}/:id/items/:item`, i => `/resource${i}/12345/items/67890`],
  ['one root', i => `/:tenant/resource${i}/:id`, i => `/acme/resource${i}/12345`]
]

const handler = () => {}

const ways = {
  '@koa/router' (patterns) {
    const router = new Router()
    for (const pattern of patterns) router.get(pattern, handler)
    return path => router.match(path, 'GET')
  },
  'koa-route' (patterns) {
    const stack = compose(patterns.map(pattern => route.get(pattern, handler)))
    return path => stack({ method: 'GET', path })
  }
}

async function measure (lookUp, path) {
  let rounds = 0
  const start = process.hrtime.bigint()
  let now = start
  while (now - start < BigInt(MILLISECONDS) * 1000000n) {
    await lookUp(path)
    rounds++
    now = process.hrtime.bigint()
  }
  return (Number(now - start) / rounds).toFixed(0)
}

const row = (...cells) => console.log(cells.map((cell, i) => i < 2
  ? cell.padEnd(i ? 9 : 14)
  : String(cell).padStart(i === 2 ? 6 : 10)).join(' '))

row('', '', 'routes', 'first', 'last', 'miss', '  (ns)')
for (const [name, make] of Object.entries(ways)) {
  for (const [kind, pattern, path] of kinds) {
    for (const count of counts) {
      if (name === 'koa-route' && count > 1000) continue // more calls than node's stack can hold
      const lookUp = make(Array.from({ length: count }, (_, i) => pattern(i)))
      const times = []
      for (const i of [0, count - 1, count]) times.push(await measure(lookUp, path(i)))
      row(name, kind, count, ...times)
    }
  }
}
