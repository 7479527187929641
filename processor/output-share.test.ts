import { describe, expect, it } from 'vitest'
import { OUTPUT_MARKS_MAX } from './limits.ts'
import { OutputShare } from './output-share.ts'

function shareOf(role: Partial<{ isPrimary: boolean; owedOffset: number; primaryOffset: number }>) {
  const given = { isPrimary: false, owedOffset: 0, primaryOffset: 0, ...role }
  return { role: given, share: new OutputShare(given) }
}

describe('what a view puts out', () => {
  it('is all that is pending while it is primary', () => {
    const { share } = shareOf({ isPrimary: true })
    expect(share.verdict(0, 5)).toEqual({ kind: 'hold', count: 0 })
    expect(share.verdict(3, 10)).toEqual({ kind: 'send', count: 3 })
    share.taken(2)
    expect(share.verdict(2, 12)).toEqual({ kind: 'send', count: 2 })
  })

  it('is dropped by a secondary as far as the rows of the primary reach, and held beyond', () => {
    const { share, role } = shareOf({ primaryOffset: 10 })
    expect(share.verdict(2, 10)).toEqual({ kind: 'drop', count: 2 })
    share.taken(2)
    expect(share.verdict(3, 11)).toEqual({ kind: 'hold', count: 3 })
    expect(share.verdict(4, 15)).toEqual({ kind: 'hold', count: 3 })
    role.primaryOffset = 14
    expect(share.verdict(4, 15)).toEqual({ kind: 'drop', count: 3 })
    share.taken(3)
    expect(share.verdict(1, 15)).toEqual({ kind: 'hold', count: 1 })
  })

  it('is what it held, when it becomes primary', () => {
    const { share, role } = shareOf({ primaryOffset: 4 })
    expect(share.verdict(2, 9).kind).toBe('hold')
    role.isPrimary = true
    expect(share.verdict(3, 12)).toEqual({ kind: 'send', count: 3 })
  })

  it('is still delivered by a former primary, as far as it had come when it learned of the switch', () => {
    const { share, role } = shareOf({ isPrimary: true })
    expect(share.verdict(1, 20).kind).toBe('send')
    role.isPrimary = false
    expect(share.verdict(2, 24)).toEqual({ kind: 'send', count: 1 })
    share.taken(1)
    expect(share.verdict(1, 24)).toEqual({ kind: 'send', count: 1 })
    share.taken(1)
    expect(share.verdict(1, 30).kind).toBe('hold')
    role.primaryOffset = 30
    expect(share.verdict(1, 30)).toEqual({ kind: 'drop', count: 1 })
  })

  it('is owed after a restart for records below the handover', () => {
    const { share } = shareOf({ owedOffset: 8, primaryOffset: 100 })
    expect(share.verdict(2, 8)).toEqual({ kind: 'send', count: 2 })
    share.taken(2)
    expect(share.verdict(1, 9)).toEqual({ kind: 'drop', count: 1 })
  })

  it('is owed with what came of later records, where both were folded before anyone asked', () => {
    const { share } = shareOf({ owedOffset: 150, primaryOffset: 500 })
    expect(share.verdict(5, 400)).toEqual({ kind: 'send', count: 5 })
    share.taken(5)
    expect(share.verdict(1, 401)).toEqual({ kind: 'drop', count: 1 })
  })

  it('is remembered by a bounded number of marks, the newest held for the last of them', () => {
    const { share, role } = shareOf({})
    for (let offset = 1; offset <= OUTPUT_MARKS_MAX + 5; offset += 1) share.verdict(offset, offset)
    role.primaryOffset = OUTPUT_MARKS_MAX + 4
    let dropped = 0
    for (;;) {
      const { kind, count } = share.verdict(OUTPUT_MARKS_MAX + 5 - dropped, OUTPUT_MARKS_MAX + 5)
      if (kind !== 'drop') break
      share.taken(count)
      dropped += count
    }
    expect(dropped).toBe(OUTPUT_MARKS_MAX - 1)
  })
})
