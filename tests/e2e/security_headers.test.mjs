// security_headers against koa-helmet: the headers of random options, and which of them are refused.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import helmet from 'koa-helmet'
import { Guards, playEach, refusal } from './guard.mjs'
import { build } from './support.mjs'
import { chance, scale, seed } from './traffic/chance.mjs'

const LAYERS = 200 // that a request may have to pass
const ROUNDS = Math.ceil(2 * scale)
const REFUSALS = Math.ceil(60 * scale)
const skip = !existsSync(`${build}/tests/support/guard_server`) && 'no jansson'

// Ours, helmet's, and what it may be; `option` makes helmet's options of it.
const fields = [
  ['cross_origin_embedder_policy', 'crossOriginEmbedderPolicy', ['require-corp', 'credentialless', 'unsafe-none'], policy => ({ policy })],
  ['cross_origin_opener_policy', 'crossOriginOpenerPolicy', ['same-origin', 'same-origin-allow-popups', 'noopener-allow-popups', 'unsafe-none'], policy => ({ policy })],
  ['cross_origin_resource_policy', 'crossOriginResourcePolicy', ['same-origin', 'same-site', 'cross-origin'], policy => ({ policy })],
  ['origin_agent_cluster', 'originAgentCluster', ['?1'], () => true],
  ['referrer_policy', 'referrerPolicy', ['no-referrer', 'no-referrer-when-downgrade', 'same-origin', 'origin', 'strict-origin',
    'origin-when-cross-origin', 'strict-origin-when-cross-origin', 'unsafe-url', 'no-referrer,unsafe-url', 'origin,no-referrer,same-origin'],
  policy => ({ policy: policy.split(',') })],
  ['strict_transport_security', 'strictTransportSecurity', ['max-age=0', 'max-age=1; includeSubDomains', 'max-age=63072000; preload',
    'max-age=31536000; includeSubDomains; preload'], text => ({
    maxAge: Number(/\d+/.exec(text)[0]), includeSubDomains: text.includes('include'), preload: text.includes('preload')
  })],
  ['x_content_type_options', 'xContentTypeOptions', ['nosniff'], () => true],
  ['x_dns_prefetch_control', 'xDnsPrefetchControl', ['on', 'off'], text => ({ allow: text === 'on' })],
  ['x_download_options', 'xDownloadOptions', ['noopen'], () => true],
  ['x_frame_options', 'xFrameOptions', ['DENY', 'SAMEORIGIN'], action => ({ action })],
  ['x_permitted_cross_domain_policies', 'xPermittedCrossDomainPolicies', ['none', 'master-only', 'by-content-type', 'all'], permittedPolicies => ({ permittedPolicies })],
  ['x_xss_protection', 'xXssProtection', ['0'], () => true]
]

const names = ['default-src', 'script-src', 'style-src', 'img-src', 'upgrade-insecure-requests', 'sandbox', 'report-uri', 'x-1']
const sources = ['\'self\'', '\'none\'', 'https:', 'https://cdn.example', '*.example', '\'unsafe-inline\'', '\'sha256-abc=\'', 'data:', '/report', '\'strict-dynamic\'', 'self.example']
const wrong = ['self', 'none', 'unsafe-inline', 'nonce-1', 'sha256-x', 'a;b', 'a,b', 'strict-dynamic']

function makeDirectives (r, isWrong) {
  const pairs = []
  for (const name of names) {
    if (!r.one(0.4)) continue
    const value = r.pick([() => null, () => '', () => r.pick(sources), () => `${r.pick(sources)} ${r.pick(sources)}`])()
    pairs.push([name, isWrong && r.one(0.3) ? r.pick(wrong) : value])
  }
  if (isWrong && r.one(0.1)) pairs.push([r.pick(['', 'a b', '-a', 'a;']), '\'self\''])
  return pairs.sort(() => r.below(3) - 1)
}

function makeLayer (r, isWrong = false) {
  const ours = {}
  const koa = {}
  for (const [name, koaName, values, option] of fields) {
    if (isWrong || r.one(0.4)) continue
    const value = r.pick(['', ...values])
    ours[name] = value
    koa[koaName] = value === '' ? false : option(value)
  }
  if (r.one(0.2)) [ours.keep_x_powered_by, koa.xPoweredBy] = [true, false]
  if (!isWrong && r.one(0.15)) [ours.no_csp, koa.contentSecurityPolicy] = [true, false]
  else if (isWrong || r.one(0.7)) {
    const csp = makeDirectives(r, isWrong)
    const policy = koa.contentSecurityPolicy = { useDefaults: !r.one(0.3), reportOnly: r.one(0.2) }
    Object.assign(ours, { csp, csp_no_defaults: !policy.useDefaults, csp_report_only: policy.reportOnly })
    const own = csp.find(([name]) => name === 'default-src')
    const lacks = own ? own[1] === null : !policy.useDefaults
    if (lacks && (!isWrong || r.one(0.5))) {
      ours.csp_no_default_src = true
      policy.directives = { 'default-src': helmet.contentSecurityPolicy.dangerouslyDisableDefaultSrc }
    }
    policy.directives = { ...Object.fromEntries(csp), ...policy.directives }
  }
  return [{ security_headers: ours }, koa]
}

// A policy needs a directive.
function makeGoodLayer (round, i) {
  for (let n = 0; ; n++) {
    const [ours, koa] = makeLayer(chance('layer', round, i, n))
    const { csp, csp_no_defaults: alone } = ours.security_headers
    if (!alone || csp.some(([, value]) => value !== null)) return [ours, helmet(koa)]
  }
}

async function playRound (round) {
  const layers = Array.from({ length: LAYERS }, (_, i) => makeGoodLayer(round, i))
  const guards = new Guards(layers)
  await guards.start()
  try {
    await playEach(LAYERS, async i => {
      const [ours, koa] = await guards.both('GET', `/${i}/`)
      assert.deepEqual(ours, koa, JSON.stringify(layers[i][0]))
      // Errors keep them; in Koa they are lost.
      const [thrown, bare] = await guards.both('GET', `/${i}/?throw`)
      const { 'content-length': _, 'x-powered-by': power, ...kept } = ours.headers
      assert.deepEqual(thrown, { ...bare, headers: { ...bare.headers, ...kept } }, JSON.stringify(layers[i][0]))
    })
  } finally {
    await guards.stop()
  }
}

test(`${ROUNDS * LAYERS} layers, SEED=${seed}`, { skip }, async () => {
  for (let round = 0; round < ROUNDS; round++) await playRound(round)
})

test(`${REFUSALS} policies that may be wrong, SEED=${seed}`, { skip }, async t => {
  const seen = { refused: 0, good: 0 }
  await playEach(REFUSALS, async i => {
    const [ours, koa] = makeLayer(chance('refusal', i), true)
    let error
    try {
      helmet(koa)
    } catch (e) {
      error = e
    }
    const said = await refusal(ours)
    assert.equal(Boolean(said), Boolean(error), `${JSON.stringify(ours)}: ${error}, ${said}`)
    if (said) assert.doesNotMatch(said, /Sanitizer|runtime error/)
    seen[said ? 'refused' : 'good']++
  })
  t.diagnostic(JSON.stringify(seen))
  assert.ok(seen.refused > REFUSALS / 20 && seen.good > REFUSALS / 20)
})
