import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { systemClock } from '../shared/runtime/clock.ts'
import { FlattenDatabase } from './flatten-database.ts'

test('a statement that takes days is given up when the run is ended', async () => {
  const temporaryFolder = await mkdtemp(join(tmpdir(), 'backhaul-flatten-'))
  const ending = new AbortController()
  const database = await FlattenDatabase.open({
    temporaryFolder,
    memoryBytes: 2 ** 28,
    threads: 1,
    clock: systemClock,
    signal: ending.signal,
  })
  const path = join(database.folder, 'long.parquet')
  const slow = 'SELECT SUM(range) AS n FROM range(1000000000000000)'
  const given = database.writeParquet(slow, path).then(String, (error: unknown) => error)
  ending.abort()
  expect(await given).toBe(ending.signal.reason)
  await expect(database.run('SELECT 1')).rejects.toBe(ending.signal.reason)
  await database.close()
  await rm(temporaryFolder, { recursive: true })
})
