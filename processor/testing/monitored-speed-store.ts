/**
 * A speed store for tests that watches what a reader would see: a row whose stamp is higher must
 * not say less, and equal stamps must mean equal bytes, over all writers and restarts.
 */
import type { RowOrigin, RowVersion } from '../../shared/speed/rows.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'

interface Seen {
  readonly stampUs: number
  /** Values that may only grow. */
  readonly growing: Readonly<Record<string, number>>
}

export class SpeedMonitor {
  readonly violations: string[] = []
  rowsSeen = 0
  readonly #bytesByStamp = new Map<string, string>()
  readonly #visible = new Map<string, Seen>()

  /** The store, watched. */
  watch(speed: SpeedStore): SpeedStore {
    return new Proxy(speed, {
      get: (target, name) => {
        const method: unknown = Reflect.get(target, name)
        if (typeof method !== 'function') return method
        return async (...args: unknown[]) => {
          const result: unknown = await Reflect.apply(method, target, args)
          if (String(name).startsWith('put'))
            for (const rows of args as RowVersion[][]) for (const row of rows) this.#see(row)
          return result
        }
      },
    })
  }

  #see(row: RowVersion): void {
    this.rowsSeen += 1
    const key = keyOf(row)
    const bytes = JSON.stringify(row, (_key, value: unknown) =>
      typeof value === 'bigint' ? value.toString() : value,
    )
    const stamped = `${key} @${row.stampUs}`
    const known = this.#bytesByStamp.get(stamped)
    if (known !== undefined && known !== bytes)
      this.violations.push(`${stamped} has two contents: ${known} and ${bytes}`)
    this.#bytesByStamp.set(stamped, bytes)
    const before = this.#visible.get(key)
    if (before !== undefined && row.stampUs < before.stampUs) return
    const growing = growingValues(row)
    for (const [name, value] of Object.entries(before?.growing ?? {}))
      if ((growing[name] ?? 0) < value)
        this.violations.push(`${stamped}: ${name} went from ${value} to ${growing[name]}`)
    this.#visible.set(key, { stampUs: row.stampUs, growing })
  }
}

const KEY_FIELDS = ['cut', 'key', 'minuteStartMs', 'sessionId', 'incarnation', 'rowNumber'] as const

function keyOf(row: RowVersion): string {
  const fields = row as unknown as Record<string, unknown> & RowOrigin
  const kind = 'appliedOffset' in row ? 'progress' : 'row'
  const origin = [fields.view, fields.topicEpoch, fields.partition, fields.generation]
  return JSON.stringify([kind, ...origin, ...KEY_FIELDS.map((name) => fields[name] ?? null)])
}

function growingValues(row: RowVersion): Record<string, number> {
  const growing: Record<string, number> = { lastOffset: row.lastOffset }
  const fields = row as unknown as Record<string, unknown>
  for (const name of [
    'appliedOffset',
    'narrowOffset',
    'wideOffset',
    'sessionOffset',
    'positionCount',
  ])
    if (typeof fields[name] === 'number') growing[name] = fields[name]
  if (Array.isArray(fields['positions'])) growing['positions'] = fields['positions'].length
  if ('aggregates' in row) {
    const aggregates = fields['aggregates'] as Record<string, unknown>
    for (const [name, value] of Object.entries(aggregates))
      if (typeof value === 'number') growing[name] = value
  }
  return growing
}
