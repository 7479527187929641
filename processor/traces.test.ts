import { expect, it } from 'vitest'
import { TRACED_SESSIONS_MAX } from './limits.ts'
import { Traces } from './traces.ts'

it('remembers the last trace context of each session, of those that sent last', () => {
  const traces = new Traces()
  for (const traceparent of ['first', 'second']) traces.note({ key: 's', headers: { traceparent } })
  traces.note({ key: 's', headers: {} })
  traces.note({ key: undefined, headers: { traceparent: 'of nobody' } })
  expect(traces.of('s')).toBe('second')
  for (let other = 0; other < TRACED_SESSIONS_MAX; other += 1)
    traces.note({ key: `other-${other}`, headers: { traceparent: 'theirs' } })
  expect(traces.of('s')).toBeUndefined()
  expect(traces.of('other-0')).toBe('theirs')
})
