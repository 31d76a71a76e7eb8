// Random values of the headers that ctx reads.

import { isIPv6 } from 'node:net'

const maybe = (r, probability, text) => r.one(probability) ? text : ''

// --- Who is asked --------------------------------------------------------------------------------

export const HOSTS = ['a', 'a', 'a', 'example.com', 'EXAMPLE.com:8080', 'a.b.c.d.example.com',
  'tobi.ferrets.example.com:3000', '127.0.0.1', '127.0.0.1:80', '1.2.3', 'localhost:3000', '[::1]', '[::1]:80',
  '[::1]:8080', '[::ffff:1.2.3.4]', '[0:0:0:0:0:0:0:1]:9', '[2001:DB8::1]', '[2001:db8:0:0:1:0:0:1]',
  '[1:2:3:4:5:6:7:8]', '[::1', '::1', '[]', '[:::]', '[1::2::3]', '[::1]x', '[::1]:99999', '[::1]:',
  '[fe80::1%25eth0]', '[v1.x]', '[::1.2.3]', '[12345::]', 'user@host', 'user:pass@host:80', 'a@b@c', '@a', 'a@', '',
  ':80', 'a:', 'a:b', 'a:1:2', 'a,b', 'a, b', ',a', 'a..b', '.a', 'a.', '...', '-', '_', 'xn--bcher-kva.de', 'h\xe4',
  'a b', 'a/b', 'a?b', 'a#b', 'a%20b', 'a\\b', 'a"b', '<a>', 'x'.repeat(300)]

// RFC 9110 7.2: a name, percent-encoded at most, or an address, and perhaps a port.
export function isHost (text) {
  const [, literal, name] = /^(?:\[(.*)\]|((?:[\w.~!$&'()*+,;=-]|%[0-9a-f]{2})+))(?::\d*)?$/is.exec(text) ?? []
  if (literal === undefined) return name !== undefined
  const [address, zone] = literal.split('%25')
  return (isIPv6(address) && !address.includes('%') && (zone === undefined || /^[\w.~-]+$/.test(zone))) ||
    /^v[0-9a-f]+\.[\w.~!$&'()*+,;=:-]+$/i.test(literal)
}

export const makeHost = (r, hosts = HOSTS) =>
  `${r.pick(['Host', 'Host', 'host', 'HOST'])}:${r.pick([' ', ' ', '', '\t'])}${r.pick(hosts)}${maybe(r, 0.05, ' ')}`

const ADDRESSES = ['1.2.3.4', '10.0.0.1', '::1', '2001:db8::1', '[::1]:80', '1.2.3.4:5678', 'unknown', '_hidden', '',
  ' ', '127.0.0.1', 'a b', '"x"']

const list = (r, most, values, separators = [', ', ', ', ',', ' ,', ' , ', ',\t']) => {
  const separator = () => r.pick(separators)
  let text = r.pick(values)
  for (let left = r.below(most); left > 0; left--) text += separator() + r.pick(values)
  return text
}

export const makeForwarded = r => r.pick([
  () => `X-Forwarded-For: ${list(r, 4, ADDRESSES)}`,
  () => `X-Forwarded-Host: ${list(r, 2, HOSTS)}`,
  () => `X-Forwarded-Proto: ${list(r, 2, ['https', 'https', 'http', 'HTTPS', 'Https', 'wss', '', 'ftp', ' https'])}`,
  () => `X-Forwarded-Port: ${r.pick(['443', '80'])}`,
  () => `X-Real-Ip: ${r.pick(ADDRESSES)}`,
  () => `Forwarded: ${r.pick(['for=1.2.3.4', 'for="[::1]";proto=https;host=b'])}`
])()

// --- What is wanted ------------------------------------------------------------------------------

const MEDIA = ['text/html', 'text/html', 'application/json', 'application/json', 'text/plain', 'image/png', 'text/*',
  'image/*', '*/*', '*/*', 'application/*', 'TEXT/HTML', 'application/xhtml+xml', 'text/html;level=1',
  'text/html;level="1"', 'application/json;charset=utf-8', 'text/plain;format=flowed', 'text', '*', 'text/', '/html',
  'text/html/x', 'a b/c', '*/html', 'image/webp', 'application/signed-exchange;v=b3']
const ENCODINGS = ['gzip', 'gzip', 'br', 'deflate', 'identity', '*', 'GZIP', 'x-gzip', 'zstd', 'compress', 'g zip',
  '*;x=1']
const LANGUAGES = ['en', 'en-US', 'en-GB', 'fr', 'fr-CA', 'pt-BR', 'pt', 'pt-PT', 'de', '*', 'EN', 'zh-Hant-TW', 'en-',
  '-en', 'e n', 'x']
const CHARSETS = ['utf-8', 'UTF-8', 'iso-8859-1', 'utf-7', '*', 'us-ascii', 'utf 8', 'latin1']
const QUALITIES = ['', '', '', '', ';q=1', ';q=0.5', ';q=0.8', ';q=0.9', ';q=0', ';q=0.0', ';q=0.001', '; q=0.7',
  ' ;q=0.3', ';Q=0.4', ';q = 0.6', ';q=', ';q=x', ';q=-1', ';q=2', ';q=1.5', ';q=.5', ';q=1.', ';q=1e-1', ';q="0.5"',
  ';q=0.5;x=1', ';x=1;q=0.5', ';q=0.2;q=0.9', ';', ';q', ';q=0.5x', ';q= 0.5']

const weighed = (r, values) => r.one(0.05)
  ? r.pick(['', ' ', ',', ',,', ';', ';q=1', '"', '"a,b"', 'text/html;x="a,b";q=0.3, */*', 'text/html;x="a;q=0.1"',
    'a;b;c', '=', 'text/html;;q=0.5', '\xe9', 'a/b;c="d', 'q=1'])
  : list(r, 5, values.map(value => value + r.pick(QUALITIES)))

export const makeAccept = r => r.pick([
  () => `${r.pick(['Accept', 'accept'])}: ${weighed(r, MEDIA)}`,
  () => `${r.pick(['Accept', 'ACCEPT'])}: ${weighed(r, MEDIA)}`,
  () => `Accept-Encoding: ${weighed(r, ENCODINGS)}`,
  () => `Accept-Language: ${weighed(r, LANGUAGES)}`,
  () => `Accept-Charset: ${weighed(r, CHARSETS)}`
])()

// --- What is known already -----------------------------------------------------------------------

const TAGS = ['"tag-1"', '"tag-1"', 'W/"tag-1"', 'W/"tag-1"', 'tag-1', '"tag-2"', 'w/"tag-1"', '*', '"*"', '""',
  '"tag-1', '"tag-1"x', '"W/"tag-1""', '"a,b"', '']
const BLANKS = [', ', ', ', ',', ' ,', ' , ']
const DATES = ['2020-02-02T02:02:02Z', 'Sun, 02 Feb 2020 02:02:02 GMT', 'Sun, 02 Feb 2020 02:02:02 GMT',
  'Sun, 02 Feb 2020 02:02:01 GMT', 'Sun, 02 Feb 2020 02:02:03 GMT', 'Mon, 03 Feb 2020 02:02:02 GMT',
  'Thu, 01 Jan 1970 00:00:00 GMT', 'Fri, 31 Dec 9999 23:59:59 GMT', 'Sunday, 02-Feb-20 02:02:02 GMT',
  'Sun Feb  2 02:02:02 2020', '', 'x', '0', 'Sun, 02 Feb 2020', 'Mon, 02 Feb 2020 02:02:02 GMT']

export const makeConditional = r => r.pick([
  () => `If-None-Match: ${list(r, 3, TAGS, BLANKS)}`,
  () => `if-none-match: ${list(r, 2, TAGS, BLANKS)}`,
  () => `If-Modified-Since: ${r.pick(DATES)}`,
  () => `If-Modified-Since: ${r.pick(DATES)}`,
  () => `Cache-Control: ${list(r, 2, ['no-cache', 'no-cache', 'max-age=0', 'no-store', 'NO-CACHE', 'x-no-cache', 'no-cache=x', 'no-cachex', ' no-cache', ''])}`,
  () => `If-Match: ${r.pick(TAGS)}`,
  () => `If-Unmodified-Since: ${r.pick(DATES)}`,
  () => 'Pragma: no-cache'
])()

// --- What was remembered -------------------------------------------------------------------------

const NAMES = ['a', 'a', 'b', 'A', 'aa', 'b.sig', 'plain', '__proto__', 'a b', '', '"a"', 'a[0]', '%61', 'xa']
const VALUES = ['1', '', 'two words', '"quoted"', '"half', 'half"', '""', '"', 'a=b', '%20', '%C3%A9', '\xe9', 'a,b',
  ' x ', '\\', 'x'.repeat(50)]

export function makeCookie (r) {
  const pairs = r.some(5, () => r.pick(NAMES) + r.pick(['=', '=', '=', '=', ' =', '= ', '']) + r.pick(VALUES))
  return `${r.pick(['Cookie',
    'cookie'])}: ${pairs.join(r.pick(['; ', '; ', ';', ' ;', ', ', ';;', '; ; ']))}${maybe(r, 0.1, ';')}`
}

// --- Where to ------------------------------------------------------------------------------------

const SCHEMES = ['http://', 'http://', 'https://', 'HTTP://', 'hTTps://', 'http:/', 'http:', 'http:///', 'ftp://',
  'javascript:', 'mailto:', '//', 'http:\\\\']
const AUTHORITIES = ['a', 'a:80', 'a:443', 'a:8080', 'A', 'example.com', 'EXAMPLE.com', 'user@a', 'user:p@a',
  '127.0.0.1', '127.1', '0x7f.1', '2130706433', '1.2.3.4.5', '[::1]', '[::1]:80', '[0:0::1]', '', 'a b', 'a%20b',
  '%61', 'ex%41mple.com', 'a:', 'a:b', 'a:99999', 'a:0080', 'xn--bcher-kva.de', 'a..b', 'a.', 'a_b', 'a<b',
  '1.2.3.256', '09.0.0.1']
const PATHS = ['', '/', '/x', '/a/../b', '/./a', '/a/..', '/..', '/a//b', '/%7e', '/%zz', '/%', '/a b', '/"<>',
  '/{}|^`', '/[x]', '\\x', '/a\\b', '/\'', '/~', '/a;b', '/%2e%2e/x', '/.%2E/x', '/%C3%A9', '/a%2Fb', '/x/.', '/x/./',
  '/%00', '/$&+,:;=@']
const ENDS = ['', '', '', '?', '?a=b', '?a b', '?"<>\'', '?é', '?%zz', '?a=b&c', '#', '#x', '#a b', '#"<>`', '#é',
  '?a#b', '?#']
const RELATIVE = ['/', '/x', 'x', '../x', './x', '?q', '#f', '', ' ', '/a b', '/a"b', '/<b>', '/a&b', '/é', '/漢字',
  '/😀', '/%C3%A9', '/%zz', '/%', '/a%20b', '/a\tb', '/a\nb', '/a\r\nX: y', '/\x7f', '/\x01', 'back', 'x:y', '/a\'b',
  '/[]', '/{}', '/\\', '\\\\a\\b', '/^`|', '//a/x', '//evil.example/x', '///x', '/x?a=b c', ' /x ', 'a@b']

// A URL as someone may write it.
export const makeUrl = r => r.pick([
  () => r.pick(RELATIVE),
  () => maybe(r, 0.1, r.pick([' ', '\t', '\n'])) + r.pick(SCHEMES) + r.pick(AUTHORITIES) + r.pick(PATHS) + r.pick(ENDS),
  () => maybe(r, 0.7, r.pick(['http://a', 'https://example.com',
    '//a'])) + r.pick(['/', '/x/', '?', '#']) + r.text(r.below(12)).replaceAll('\0', '')
])()

// Where somebody came from: by http, in ASCII and without control characters.
export const makeReferrer = r => {
  const url = r.pick(['', '/x', 'http://a/', makeUrl(r), makeUrl(r), makeUrl(r)])
    .replace(/[^\t -~]/gu, encodeURIComponent).replace(/^[ \t]*(?!https?:)[a-z]+:/i, 'http:')
  return `${r.pick(['Referer', 'Referrer', 'referer', 'REFERRER'])}: ${url}`
}
