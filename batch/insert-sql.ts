/**
 * The selects that make rows of the tables from staged rows. Their columns are those of the tables,
 * so a field that is added to the event schema needs no change here.
 */
import { assert } from '../shared/runtime/errors.ts'
import type { TableSpec } from '../shared/warehouse/table-spec.ts'
import { tables } from '../shared/warehouse/tables.ts'
import { type StagingKind, stagingColumns } from './staging.ts'

const RUN = 'CAST(@run AS INT64)'
/** Columns of `event_copies` that are decided later: which copy is the event, in which incarnation. */
const DECIDED_LATER = ['kind', 'incarnation']

/** Name of the scratch table of a kind of staging file. */
export function scratchOf(kind: StagingKind): string {
  return `staged_${kind}`
}

/**
 * Every staged copy of an event: its own fields, with the context and the arrival of its frame. A
 * copy that another run has loaded from the same place is left out: a range may come again, from an
 * archive or after a loss of control rows.
 */
export function stagedCopies(): string {
  const own = new Set(stagingColumns.events.map(({ name }) => name))
  const ofFrame = new Set(stagingColumns.frames.map(({ name }) => name))
  const made: Readonly<Record<string, string>> = {
    run: RUN,
    happened_at: 'TIMESTAMP_MILLIS(e.at_ms)',
    received_at: 'TIMESTAMP_MILLIS(f.received_at_ms)',
  }
  const { name: table, columns } = tables.eventCopies
  const expressions = columns
    .filter(({ name }) => !DECIDED_LATER.includes(name))
    .map(({ name }) => {
      const from = own.has(name) ? `e.${name}` : ofFrame.has(name) ? `f.${name}` : undefined
      const expression = made[name] ?? from
      assert(expression !== undefined, `a source of the column ${name} of ${table}`)
      return `${expression} AS ${name}`
    })
  return `
    SELECT
      ${expressions.join(',\n      ')},
      e.kind = 'accepted' AS accepted
    FROM ${scratchOf('events')} AS e
    JOIN ${scratchOf('frames')} AS f
      ON f.log_partition = e.log_partition
      AND f.log_offset = e.log_offset
    WHERE NOT EXISTS (
      SELECT 1
      FROM ${LOADED_PLACES} AS loaded
      WHERE loaded.log_partition = e.log_partition
        AND loaded.log_offset = e.log_offset
        AND loaded.log_index = e.log_index
    )`
}

/** Name of the scratch table of `loadedPlaces`. */
export const LOADED_PLACES = 'loaded_places'

/** The least and the largest staged offset. */
export const STAGED_OFFSETS = `
    SELECT MIN(log_offset) AS first_offset, MAX(log_offset) AS last_offset
    FROM ${scratchOf('frames')}`

/**
 * Where the copies come from that other runs loaded, or hold back, of the days `dates` (parameters),
 * with offsets from `@first_offset` to `@last_offset`: few as a rule, and the files of all other
 * offsets are passed over. A copy that comes again from the same place arrived on the same day.
 */
export function loadedPlaces(dates: readonly string[]): string {
  const days = dates.map((date) => `CAST(@${date} AS DATE)`).join(', ')
  const places = [tables.events, tables.eventCopies, tables.lateEvents].map(
    ({ name }) => `
    SELECT log_partition, log_offset, log_index
    FROM ${name}
    WHERE received_date IN (${days})
      AND log_offset BETWEEN CAST(@first_offset AS INT64) AND CAST(@last_offset AS INT64)
      AND run <> ${RUN}`,
  )
  return places.join('\n    UNION ALL')
}

/** Every copy that waits, in the columns of `stagedCopies`. */
export function waitingCopies(): string {
  const columns = tables.eventCopies.columns.filter(({ name }) => !DECIDED_LATER.includes(name))
  const names = columns.map(({ name }) => name).join(', ')
  return `SELECT ${names}, kind = 'accepted' AS accepted FROM ${WAITING}`
}

/** Name of the scratch table of the copies that wait. */
export const WAITING = 'late_waiting'

/** The rows of a table that has the columns of a kind of staging file. */
export function stagedRows({ columns }: TableSpec, kind: StagingKind): string {
  const expressions = columns.map(({ name }) => (name === 'run' ? `${RUN} AS run` : name))
  return `SELECT ${expressions.join(', ')} FROM ${scratchOf(kind)}`
}
