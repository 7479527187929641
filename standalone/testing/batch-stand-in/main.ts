/**
 * Stands in for the process of the batch in tests: answers queries as their text says. `crash` ends
 * it, `hang` is never answered, `rows 5` yields five, anything else is refused. `STAND_IN` in its
 * environment makes it never become ready (`mute`), or take no notice of a stop (`stubborn`).
 */
import { errorToData } from '../../../shared/runtime/errors.ts'
import { warehouseErrors } from '../../../shared/warehouse/warehouse-errors.ts'
import { toSlice, type FromBatch, type ToBatch } from '../../batch-messages.ts'
import { BATCH_ROWS_PER_MESSAGE } from '../../limits.ts'

const manner = process.env['STAND_IN']
let sessions = 0
let closed = 0

function send(message: FromBatch): void {
  process.send?.(message)
}

function answer(message: ToBatch): void {
  switch (message.kind) {
    case 'open':
      return send({ kind: 'opened', id: message.id, session: ++sessions })
    case 'close':
      closed++
      return
    case 'metrics':
      return send({ kind: 'metrics', id: message.id, text: `closed ${closed}` })
    case 'query':
      return answerQuery(message.id, message.select.sql)
    case 'stop':
      if (manner !== 'stubborn') process.exit(0)
  }
}

function answerQuery(id: number, sql: string): void {
  if (sql === 'crash') process.exit(3)
  if (sql === 'hang') return
  const count = /^rows (\d+)$/.exec(sql)?.[1]
  if (count === undefined) {
    const error = warehouseErrors.create('WAREHOUSE_QUERY_INVALID', {
      expected: 'a SELECT',
      received: sql,
    })
    return send({ kind: 'failed', id, error: errorToData(error) })
  }
  const rows = Array.from({ length: Number(count) }, (_, n) => ({ n: BigInt(n), nothing: null }))
  for (let from = 0; from < rows.length; from += BATCH_ROWS_PER_MESSAGE)
    send({ kind: 'rows', id, slice: toSlice(rows.slice(from, from + BATCH_ROWS_PER_MESSAGE)) })
  send({ kind: 'done', id })
}

process.on('disconnect', () => process.exit(0))
process.on('message', answer)
if (manner !== 'mute') {
  send({ kind: 'ready' })
  send({
    kind: 'activity',
    activity: {
      isRunning: false,
      nextRunAtMs: 17,
      failure: undefined,
      reconcile: undefined,
    },
    runEnded: true,
  })
}
