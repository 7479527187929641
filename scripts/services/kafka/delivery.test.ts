import { expect, test } from 'vitest'
import { judgeDelivery } from './delivery.ts'

const record = (sessionId: string, ...seqs: number[]) => ({
  value: JSON.stringify({ session: { sessionId }, events: seqs.map((seq) => ({ seq })) }),
})
const judge = (acknowledged: Record<string, number>, ...records: { value: string }[]) =>
  judgeDelivery(new Map(Object.entries(acknowledged)), records, 'my-')

test('what was sent is there, repeats are counted, others and ticks are not looked at', () => {
  const records = [record('my-a', 0, 1), record('my-a', 1, 2), record('other', 9), { value: '' }]
  expect(judge({ 'my-a': 3 }, ...records)).toEqual({
    kept: 3,
    repeated: 1,
    missing: [],
    invented: [],
    skipped: [],
  })
})

test('what is missing, was never sent, or overtook another is named', () => {
  expect(judge({ 'my-a': 2, 'my-b': 1 }, record('my-a', 0))).toMatchObject({
    missing: ['my-a 1', 'my-b 0'],
  })
  expect(judge({ 'my-a': 1 }, record('my-a', 0, 1), record('my-c', 0))).toMatchObject({
    invented: ['my-a 1', 'my-c 0'],
  })
  expect(judge({ 'my-a': 3 }, record('my-a', 0, 2), record('my-a', 1))).toMatchObject({
    missing: [],
    skipped: ['my-a 2', 'my-a 1'],
  })
})
