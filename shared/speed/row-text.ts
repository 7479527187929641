/** Rows of sessions and positions as text, the same in every store; equal rows have equal text. */
import type { PartSummary, PositionRow, SessionRow, TimelinePosition } from './rows.ts'

type StoredPart = Omit<PartSummary, 'bitsPlayed'> & { readonly bitsPlayed: string }

/** The whole row as JSON. */
export function sessionText(row: SessionRow): string {
  const parts: StoredPart[] = row.parts.map((part) => ({
    ...part,
    bitsPlayed: part.bitsPlayed.toString(),
  }))
  return JSON.stringify({ ...row, parts })
}

export function parseSessionText(text: string): SessionRow {
  const row = JSON.parse(text) as SessionRow & { readonly parts: readonly StoredPart[] }
  const parts = row.parts.map((part: StoredPart): PartSummary => ({
    ...part,
    bitsPlayed: BigInt(part.bitsPlayed),
  }))
  return { ...row, parts }
}

type PositionBody = [lastOffset: number, positions: number[]]

/** What a position row says beside its key and version. */
export function positionsText(row: PositionRow): string {
  const flat = row.positions.flatMap(({ offset, loggedAtMs }) => [offset, loggedAtMs])
  return JSON.stringify([row.lastOffset, flat] satisfies PositionBody)
}

export function parsePositionsText(text: string): Pick<PositionRow, 'lastOffset' | 'positions'> {
  const [lastOffset, flat] = JSON.parse(text) as PositionBody
  return { lastOffset, positions: pairs(flat) }
}

function pairs(flat: readonly number[]): TimelinePosition[] {
  const result: TimelinePosition[] = []
  for (let index = 0; index + 1 < flat.length; index += 2)
    result.push({ offset: flat[index] ?? 0, loggedAtMs: flat[index + 1] ?? 0 })
  return result
}
