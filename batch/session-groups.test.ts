import { expect, test } from 'vitest'
import type { Select, WarehouseSession } from '../shared/warehouse/warehouse.ts'
import { LOAD_COPIES_PER_BUCKET } from './limits.ts'
import { bucketsOf } from './load.ts'
import { sessionGroups } from './session-groups.ts'
import { BatchMachine } from './testing/batch-machine.ts'
import { over } from './testing/altered-port.ts'

const ASKED: Select = {
  sql: ['a', 'b', 'c', 'd'].map((id) => `SELECT '${id}' AS session_id`).join(' UNION ALL '),
}

async function groupsOf(methods: Partial<WarehouseSession>) {
  const machine = await BatchMachine.open()
  const session = await machine.ports.warehouse.open()
  const groups = await sessionGroups(over(session, methods), ASKED, 2)
  await machine.close()
  return groups
}

test('sessions are divided where this process computes, and not where each part would be billed', async () => {
  expect(await groupsOf({})).toEqual([
    { first_session: 'a', last_session: 'b' },
    { first_session: 'c', last_session: 'd' },
  ])
  expect(await groupsOf({ computesHere: false })).toEqual([
    { first_session: 'a', last_session: 'd' },
  ])
  const many = 3 * LOAD_COPIES_PER_BUCKET
  expect(bucketsOf({ computesHere: true }, many)).toBe(3)
  expect(bucketsOf({ computesHere: false }, many)).toBe(1)
})
