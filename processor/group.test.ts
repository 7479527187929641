import { describe, expect, it } from 'vitest'
import type { GroupHandler, GroupMember } from '../shared/log/event-log.ts'
import { logErrors } from '../shared/log/log-errors.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { seededRandom } from '../shared/runtime/random.ts'
import { PartitionGroup, type Lease, type LeasedTask } from './group.ts'
import { REASSIGN_DEADLINE_MS } from './limits.ts'
import { createProcessorTelemetry } from './telemetry.ts'
import {
  configOf,
  metricValue,
  scriptedErrors,
  scriptedLog,
  silentTelemetry,
  turnOfTheLoop,
} from './testing/test-doubles.ts'

class ScriptedTask implements LeasedTask {
  readonly lease: Lease
  readonly calls: string[] = []
  onStop: () => Promise<void> = () => Promise.resolve()

  constructor(lease: Lease) {
    this.lease = lease
  }

  start(): void {
    this.calls.push('start')
  }

  stop(): Promise<void> {
    this.calls.push('stop')
    return this.onStop()
  }

  abandon(): void {
    this.calls.push('abandon')
  }
}

function groupOf() {
  const clock = new ManualClock()
  const base = silentTelemetry()
  const handlers: GroupHandler[] = []
  const commits: string[] = []
  const tasks: ScriptedTask[] = []
  const script = {
    joinFailures: [] as Error[],
    commitFailure: undefined as Error | undefined,
    /** What a commit waits for. */
    commitAnswer: Promise.resolve(),
    left: 0,
    isHeard: true,
  }
  const member: GroupMember = {
    generation: 0,
    get isCurrent() {
      return script.isHeard
    },
    commit: async (partition, nextOffset, generation) => {
      await script.commitAnswer
      if (script.commitFailure !== undefined) throw script.commitFailure
      commits.push(`p${partition} ${nextOffset} g${generation}`)
    },
    leave: async () => void (script.left += 1),
  }
  const group = new PartitionGroup<ScriptedTask>({
    log: scriptedLog({
      joinGroup: async (_group, _topic, handler) => {
        const failure = script.joinFailures.shift()
        if (failure !== undefined) throw failure
        handlers.push(handler)
        return member
      },
    }),
    group: 'g',
    topic: 't',
    clock,
    random: seededRandom(1),
    retryLimits: configOf(),
    telemetry: createProcessorTelemetry(base),
    createTask: (lease) => {
      const task = new ScriptedTask(lease)
      tasks.push(task)
      return task
    },
  })
  const handler = () => handlers.at(-1) as GroupHandler
  return { group, clock, base, handlers, handler, commits, tasks, script }
}

const partitionsOf = (tasks: readonly ScriptedTask[]) => tasks.map(({ lease }) => lease.partition)

describe('the partitions of a group member', () => {
  it('begin when assigned and end when revoked, saving first', async () => {
    const { group, handler, tasks } = groupOf()
    await group.start()
    await handler().assigned([0, 1], 1)
    expect(partitionsOf(group.tasks)).toEqual([0, 1])
    await handler().revoked([0])
    expect(tasks.map(({ calls }) => calls)).toEqual([['start', 'stop'], ['start']])
    expect(partitionsOf(group.tasks)).toEqual([1])
  })

  it('go on under the next generation when they are assigned again', async () => {
    const { group, handler, tasks, commits } = groupOf()
    await group.start()
    await handler().assigned([0], 1)
    await handler().assigned([0, 1], 2)
    expect(tasks.map(({ calls }) => calls)).toEqual([['start'], ['start']])
    await tasks[0]?.lease.commit(5)
    expect(commits).toEqual(['p0 5 g2'])
  })

  it('are abandoned when the group takes them without asking', async () => {
    const { group, handler, tasks } = groupOf()
    await group.start()
    await handler().assigned([0, 1], 1)
    await handler().assigned([1], 2)
    expect(tasks[0]?.calls).toEqual(['start', 'abandon'])
    expect(tasks[0]?.lease.isCurrent).toBe(false)
  })

  it('are dropped at once when the group went on without the member, and worked on anew', async () => {
    const { group, handler, tasks, commits, base } = groupOf()
    await group.start()
    await handler().assigned([0, 1], 1)
    await handler().lost([0, 1])
    expect(tasks.map(({ calls }) => calls)).toEqual([
      ['start', 'abandon'],
      ['start', 'abandon'],
    ])
    await tasks[0]?.lease.commit(5)
    expect(commits).toEqual([])
    expect(await metricValue(base, 'processor_fenced_total')).toBe(1)
    await handler().assigned([0], 4)
    expect(partitionsOf(group.tasks)).toEqual([0])
  })

  it('are not current while the group has not been heard of for too long', async () => {
    const { group, handler, tasks, commits, script } = groupOf()
    await group.start()
    await handler().assigned([0], 1)
    script.isHeard = false
    expect(tasks[0]?.lease.isCurrent).toBe(false)
    await tasks[0]?.lease.commit(5)
    script.isHeard = true
    await tasks[0]?.lease.commit(6)
    expect(commits).toEqual(['p0 6 g1'])
  })

  it('refuse commits of an old generation before they are sent', async () => {
    const { group, handler, tasks, commits, base } = groupOf()
    await group.start()
    await handler().assigned([0], 1)
    await handler().revoked([0])
    await handler().assigned([0], 2)
    await tasks[0]?.lease.commit(5)
    await tasks[1]?.lease.commit(6)
    expect(commits).toEqual(['p0 6 g2'])
    const refused = 'processor_old_generation_refused_total'
    expect(await metricValue(base, refused, { partition: 0 })).toBe(1)
  })

  it('may still commit while they are being given up', async () => {
    const { group, handler, tasks, commits } = groupOf()
    await group.start()
    await handler().assigned([0], 1)
    const task = tasks[0]
    if (task === undefined) throw new Error('a task')
    task.onStop = () => task.lease.commit(9)
    await handler().revoked([0])
    expect(commits).toEqual(['p0 9 g1'])
  })

  it('end and leave with the processor', async () => {
    const { group, handler, tasks, script } = groupOf()
    await group.start()
    await handler().assigned([0], 1)
    await group.stop()
    expect(tasks[0]?.calls).toEqual(['start', 'stop'])
    expect(script.left).toBe(1)
    await handler().assigned([0], 2)
    expect(tasks).toHaveLength(1)
  })
})

describe('a member that is leaving', () => {
  it('takes no partition that it is still given meanwhile', async () => {
    const { group, handler, tasks, commits } = groupOf()
    await group.start()
    await handler().assigned([0], 1)
    const task = tasks[0]
    if (task === undefined) throw new Error('a task')
    task.onStop = async () => {
      await handler().assigned([0, 1], 2)
      await task.lease.commit(9)
    }
    await group.stop()
    expect(partitionsOf(tasks)).toEqual([0])
    expect(commits).toEqual(['p0 9 g2'])
  })
})

describe('a member that was replaced', () => {
  it('drops all state and joins again when its commit is refused', async () => {
    const { group, handler, handlers, tasks, script, base } = groupOf()
    await group.start()
    await handler().assigned([0, 1], 1)
    script.commitFailure = logErrors.create('LOG_GROUP_FENCED')
    await tasks[0]?.lease.commit(5)
    await turnOfTheLoop()
    expect(tasks.map(({ calls }) => calls)).toEqual([
      ['start', 'abandon'],
      ['start', 'abandon'],
    ])
    expect([handlers.length, script.left]).toEqual([2, 1])
    expect(await metricValue(base, 'processor_fenced_total')).toBe(1)
    await tasks[1]?.lease.commit(6)
    await turnOfTheLoop()
    expect(handlers).toHaveLength(2)
  })

  it.each([
    ['lost and given anew', true],
    ['given again', false],
  ])('stays when the refused commit was of before the partition was %s', async (_, isLost) => {
    const { group, handler, handlers, tasks, script, base } = groupOf()
    await group.start()
    await handler().assigned([0], 1)
    const refusal = Promise.withResolvers<void>()
    script.commitAnswer = refusal.promise
    const committing = tasks[0]?.lease.commit(5)
    if (isLost) await handler().lost([0])
    await handler().assigned([0], 2)
    refusal.reject(logErrors.create('LOG_GROUP_FENCED'))
    await committing
    await turnOfTheLoop()
    expect(handlers).toHaveLength(1)
    expect(partitionsOf(group.tasks)).toEqual([0])
    expect(tasks.at(-1)?.lease.isCurrent).toBe(true)
    const refused = 'processor_old_generation_refused_total'
    expect(await metricValue(base, refused, { partition: 0 })).toBe(1)
  })

  it('is deaf to what its former membership is still told', async () => {
    const { group, handlers, tasks, script } = groupOf()
    await group.start()
    await handlers[0]?.assigned([0], 1)
    script.commitFailure = logErrors.create('LOG_GROUP_FENCED')
    await tasks[0]?.lease.commit(5)
    await turnOfTheLoop()
    await handlers[0]?.assigned([0, 1], 9)
    expect(group.tasks).toEqual([])
    await handlers[1]?.assigned([0], 10)
    expect(partitionsOf(group.tasks)).toEqual([0])
  })

  it('joins again when it gave partitions up and was told nothing for too long', async () => {
    const { group, handler, handlers, clock } = groupOf()
    await group.start()
    await handler().assigned([0], 1)
    await handler().revoked([0])
    await clock.advance(REASSIGN_DEADLINE_MS - 1)
    await turnOfTheLoop()
    expect(handlers).toHaveLength(1)
    await clock.advance(1)
    await turnOfTheLoop()
    expect(handlers).toHaveLength(2)
  })

  it('keeps trying to join while the log is away, and stops trying when it is stopped', async () => {
    const { group, handler, handlers, clock, tasks, script } = groupOf()
    await group.start()
    await handler().assigned([0], 1)
    script.commitFailure = logErrors.create('LOG_GROUP_FENCED')
    script.joinFailures = Array.from({ length: 3 }, () => logErrors.create('LOG_UNAVAILABLE'))
    await tasks[0]?.lease.commit(5)
    for (let turn = 0; turn < 4; turn += 1) {
      await turnOfTheLoop()
      await clock.advance(5_000)
    }
    expect(handlers).toHaveLength(2)
    script.joinFailures = Array.from({ length: 1_000 }, () => logErrors.create('LOG_UNAVAILABLE'))
    await handler().assigned([0], 2)
    await tasks[1]?.lease.commit(5)
    await turnOfTheLoop()
    await group.stop()
    expect(handlers).toHaveLength(2)
  })
})

describe('a commit that fails', () => {
  it('for a while is left to the next one', async () => {
    const { group, handler, tasks, script, commits } = groupOf()
    await group.start()
    await handler().assigned([0], 1)
    script.commitFailure = logErrors.create('LOG_UNAVAILABLE')
    await tasks[0]?.lease.commit(5)
    script.commitFailure = undefined
    await tasks[0]?.lease.commit(6)
    expect(commits).toEqual(['p0 6 g1'])
  })

  it('for good is passed on', async () => {
    const { group, handler, tasks, script } = groupOf()
    await group.start()
    await handler().assigned([0], 1)
    script.commitFailure = scriptedErrors.create('SCRIPTED_DEFECT')
    await expect(tasks[0]?.lease.commit(5)).rejects.toThrow('SCRIPTED_DEFECT')
  })
})

describe('a first join', () => {
  it('that is refused for good fails the start', async () => {
    const { group, script } = groupOf()
    script.joinFailures = [logErrors.create('LOG_TOPIC_UNKNOWN')]
    await expect(group.start()).rejects.toThrow('LOG_TOPIC_UNKNOWN')
  })
})
