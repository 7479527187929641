import { describe, expect, it } from 'vitest'
import { assertTransition, TASK_STATES } from './task-state.ts'

describe('the states of a partition task', () => {
  it('allow the way from start to end', () => {
    const way = [
      'starting',
      'recovering',
      'running',
      'paused',
      'running',
      'stopping',
      'stopped',
    ] as const
    for (const [index, state] of way.slice(1).entries())
      expect(() => assertTransition(way[index] ?? 'stopped', state)).not.toThrow()
  })

  it('refuse to read again after a failure, and to leave the end', () => {
    expect(() => assertTransition('failed', 'running')).toThrow('from failed to running')
    for (const state of TASK_STATES)
      expect(() => assertTransition('stopped', state)).toThrow('from stopped')
  })
})
