// What the random traffic is made of. SEED repeats a run, SCALE=10 makes it ten times longer, and ONLY='page 17' plays
// one conversation alone, as a failure names it.

export const seed = Number(process.env.SEED || 20261121) // always the same, so that CI does not flicker; SEED=$RANDOM explores
export const scale = Number(process.env.SCALE || 1)
export const only = process.env.ONLY

export const KIB = 1024
export const MIB = 1024 * KIB

// Each conversation has numbers of its own, so that it can be repeated alone.
export function chance (...key) {
  let state = seed
  for (const char of key.join(' ')) state = Math.imul(state ^ char.charCodeAt(0), 0x01000193)
  function number () { // mulberry32
    state = state + 0x6d2b79f5 | 0
    let t = Math.imul(state ^ state >>> 15, 1 | state)
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32
  }
  const self = {
    below: n => Math.floor(number() * n),
    between: (a, b) => a + Math.floor(number() * (b - a + 1)),
    one: probability => number() < probability,
    pick: list => list[Math.floor(number() * list.length)],
    some: (most, make) => Array.from({ length: self.below(most + 1) }, make),
    bytes: length => {
      const bytes = Buffer.alloc(length)
      for (let i = 0; i < length; i++) bytes[i] = number() * 256
      return bytes
    },
    // Text of characters of all lengths, as a string of at most `length` bytes.
    text: length => {
      let text = ''
      for (let left = length; left > 0;) {
        const char = self.pick(CHARACTERS)
        left -= Buffer.byteLength(char)
        if (left < 0) break
        text += char
      }
      return text
    },
    // The bytes as pieces that leave one after the other.
    cut: bytes => {
      const cuts = self.one(0.4) ? [] : self.one(0.05) && bytes.length < 300
        ? bytes.keys()
        : self.some(5, () => self.below(bytes.length + 1))
      const places = [...new Set([0, ...cuts, bytes.length])].sort((a, b) => a - b)
      return places.slice(1).map((place, i) => bytes.subarray(places[i], place))
    }
  }
  return self
}

export const CHARACTERS = [...'abcxyzABC0189 .,-_~!"\'\\/&<>\n\t\0\x01\x1f\x7f\u0080éßÿ\u07ff\u0800漢字€\u2028\uffff\ufeff😀\u{10ffff}']

// Some text in percent-encoding, and in a mixture of cases.
export function escape (r, text) {
  return Array.from(Buffer.from(text), byte => {
    const digits = byte.toString(16).padStart(2, '0')
    return '%' + (r.one(0.5) ? digits : digits.toUpperCase())
  }).join('')
}

export const someCase = (r, text) =>
  text.replace(/[a-z]/gi, char => r.one(0.5) ? char.toUpperCase() : char.toLowerCase())
