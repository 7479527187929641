/** Checkpoints that earlier releases wrote, kept as files, and folded on from. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createPartitionFold, restorePartitionFold } from '../shared/qoe/partition-fold.ts'
import { drain, RowStore } from '../shared/qoe/testing/fold-harness.ts'
import { decodeCheckpoint } from './checkpoint-header.ts'
import { CHECKPOINT_FORMAT, CHECKPOINT_MIGRATIONS } from './checkpoint-migrations.ts'
import { CUT_OFFSET, OPTIONS, scenarioRecords } from './testing/checkpoint-scenario.ts'

const formats = CHECKPOINT_MIGRATIONS.map(({ from }) => from)

test.each(formats)('a checkpoint of format %i is gone on with as if it were of today', (format) => {
  const file = join(import.meta.dirname, `testing/checkpoint-format-${format}.bin`)
  const { header, fold: bytes, migrations } = decodeCheckpoint('kept', readFileSync(file))
  expect(header).toMatchObject({ format: CHECKPOINT_FORMAT, nextOffset: CUT_OFFSET })
  expect(migrations).toHaveLength(CHECKPOINT_FORMAT - format)

  const records = scenarioRecords()
  const whole = createPartitionFold(OPTIONS)
  for (const record of records) whole.apply(record)
  const restored = restorePartitionFold(OPTIONS, bytes)
  for (const record of records.slice(CUT_OFFSET)) restored.apply(record)

  expect(restored.status).toEqual(whole.status)
  const [expected, found] = [new RowStore(), new RowStore()]
  drain(whole, expected)
  drain(restored, found)
  expect(found.contents()).toEqual(expected.contents())
  expect(found.outputs).toEqual(expected.outputs)
  expect(found.rows.size).toBeGreaterThan(20)
  expect(found.outputs.size).toBeGreaterThan(0)
})
