import { describe, expect, test } from 'vitest'

import { describeFinding, oracleOfSeed, runSeed } from './fold-versus-oracle.ts'

const RECORDS = 40
const SEEDS = 300

function findingText(seed: number): string | undefined {
  const finding = runSeed(seed, RECORDS)
  return finding && describeFinding(finding)
}

describe('the fold and the oracle', () => {
  test('agree to the integer on adversarial logs, restarts and acknowledgements included', () => {
    for (let seed = 0; seed < SEEDS; seed++) expect(findingText(seed)).toBeUndefined()
  })
})

describe('the adversarial logs', () => {
  test('reach every fate of an event, every end, repairs, incarnations, and the cap on keys', () => {
    const reached = new Set<string>()
    for (let seed = 0; seed < SEEDS; seed++) {
      const { counters, sessions, overflowed, exceptions } = oracleOfSeed(seed, RECORDS)
      for (const [name, count] of Object.entries(counters)) if (count > 0) reached.add(name)
      for (const { type, reason } of exceptions)
        if (type === 'rejected') reached.add(`rejected ${reason}`)
      if (overflowed.size > 0) reached.add('overflowed')
      for (const { incarnation, parts, quality } of sessions) {
        if (incarnation > 0) reached.add('incarnation')
        if (quality.lost > 0) reached.add('lost')
        for (const [name, count] of Object.entries(quality.repairs))
          if (count > 0) reached.add(name)
        for (const part of parts) {
          reached.add(`end ${part.endReason}`)
          for (const [name, flag] of Object.entries(part)) if (flag === 1) reached.add(name)
        }
      }
    }
    const fates = ['applied', 'duplicate', 'late', 'amended', 'afterClose', 'poison', 'buffered']
    const ends = ['finish', 'sessionEnd', 'fail', 'content', 'timeout'].map((end) => `end ${end}`)
    const flags = ['ebvs', 'ebvsLong', 'vsf', 'vpf', 'endedPlay', 'failed']
    const repairs = ['state', 'backwards', 'context', 'clamped']
    const others = ['rejected afterClose', 'rejected amended', 'overflowed', 'incarnation', 'lost']
    expect([...reached]).toEqual(
      expect.arrayContaining([...fates, ...ends, ...flags, ...repairs, ...others]),
    )
  })
})
