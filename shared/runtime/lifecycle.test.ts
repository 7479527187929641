import { expect, test } from 'vitest'
import { StopStack } from './lifecycle.ts'

test('parts stop in reverse order, and one that fails does not keep the others', async () => {
  const stack = new StopStack()
  const stopped: string[] = []
  stack.add('first', () => void stopped.push('first'))
  stack.add('second', () => {
    throw new Error('stuck')
  })
  stack.add('third', async () => void stopped.push('third'))
  await expect(stack.stop()).rejects.toThrow('second did not stop cleanly')
  expect(stopped).toEqual(['third', 'first'])
  await stack.stop()
  expect(stopped).toHaveLength(2)
})
