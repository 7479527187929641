import { describe, expect, it } from 'vitest'
import type { CheckpointStore, NewCheckpoint } from '../shared/objects/checkpoint-store.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { noFailpoints } from '../shared/runtime/failpoints.ts'
import { Checkpointer } from './checkpoint.ts'
import { decodeCheckpoint } from './checkpoint-header.ts'
import type { Lease } from './group.ts'
import { createProcessorTelemetry } from './telemetry.ts'
import { TurnQueue } from './turn.ts'
import {
  configOf,
  metricValue,
  ScriptedFold,
  scriptedErrors,
  silentTelemetry,
  turnOfTheLoop,
  until,
} from './testing/test-doubles.ts'

const INTERVAL_MS = 30_000

/** Drains the chunks as a store does. */
async function bytesOf(checkpoint: NewCheckpoint): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of checkpoint.chunks) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function checkpointerOf(over: { stagger?: number; save?: CheckpointStore['save'] } = {}) {
  const clock = new ManualClock()
  const fold = new ScriptedFold()
  const base = silentTelemetry()
  const saved: { offset: number; bytes: Buffer }[] = []
  const commits: number[] = []
  const failures: unknown[] = []
  const ending = new AbortController()
  const lease = { partition: 0, groupGeneration: 1, isCurrent: true }
  const reach = { offset: 0, watermarkMs: 0 }
  const reached = { narrow: reach, wide: reach, session: reach }
  const checkpointer = new Checkpointer({
    name: 'c',
    fold,
    lease: Object.assign(lease, {
      commit: async (offset: number) => void commits.push(offset),
    }) satisfies Lease,
    checkpoints: {
      save: async (checkpoint) => {
        const bytes = await bytesOf(checkpoint)
        await over.save?.(checkpoint)
        saved.push({ offset: checkpoint.offset, bytes })
      },
      loadLatest: () => Promise.resolve(undefined),
    },
    clock,
    turns: new TurnQueue(clock),
    config: configOf(),
    telemetry: createProcessorTelemetry(base),
    failpoints: noFailpoints,
    signal: ending.signal,
    stagger: over.stagger ?? 0,
    savedOffset: 0,
    header: () => ({
      format: 2,
      owedOffset: 0,
      topicId: 't',
      topicEpoch: 0,
      view: 'v',
      generation: 1,
      partition: 0,
      nextOffset: fold.nextOffset,
      reached,
    }),
    reached: () => reached,
    onFailure: (error) => failures.push(error),
  })
  return { checkpointer, clock, fold, base, saved, commits, failures, ending, lease, reached }
}

describe('the checkpointer', () => {
  it('saves by interval, put off by the partition’s share of it', async () => {
    const { checkpointer, clock, fold, saved } = checkpointerOf({ stagger: 0.5 })
    fold.nextOffset = 7
    await clock.advance(INTERVAL_MS * 1.5 - 1)
    checkpointer.beginIfDue()
    await turnOfTheLoop()
    expect(saved).toEqual([])
    await clock.advance(1)
    checkpointer.beginIfDue()
    await until(() => saved.length === 1, 'it is saved')
    expect(checkpointer.savedOffset).toBe(7)
    fold.nextOffset = 9
    await clock.advance(INTERVAL_MS - 1)
    checkpointer.beginIfDue()
    await turnOfTheLoop()
    expect(saved).toHaveLength(1)
  })

  it('shows the header of the cut and the snapshot in order, yielding between slices', async () => {
    const { checkpointer, fold, saved } = checkpointerOf()
    fold.nextOffset = 7
    fold.snapshotSlices = ['a', 'b', 'c']
    let turns = 0
    const count = () => {
      turns += 1
      if (saved.length === 0) setImmediate(count)
    }
    setImmediate(count)
    await checkpointer.saveNow()
    expect(turns).toBeGreaterThanOrEqual(3)
    const { header, fold: state } = decodeCheckpoint('c', saved[0]?.bytes ?? Buffer.alloc(0))
    expect(header.nextOffset).toBe(7)
    expect(Buffer.from(state).toString()).toBe('abc')
  })

  it('does not save the same offset twice, but commits each time', async () => {
    const { checkpointer, fold, saved, commits } = checkpointerOf()
    fold.nextOffset = 7
    await checkpointer.saveNow()
    await checkpointer.saveNow()
    expect(saved).toHaveLength(1)
    expect(commits).toEqual([0, 0])
  })

  it('commits after the checkpoint, and never beyond what is durable in the store', async () => {
    const { checkpointer, fold, commits, reached } = checkpointerOf()
    fold.nextOffset = 20
    reached.narrow = { offset: 30, watermarkMs: 0 }
    reached.wide = { offset: 12, watermarkMs: 0 }
    reached.session = { offset: 15, watermarkMs: 0 }
    await checkpointer.saveNow()
    reached.wide = { offset: 25, watermarkMs: 0 }
    reached.session = { offset: 25, watermarkMs: 0 }
    await checkpointer.saveNow()
    expect(commits).toEqual([12, 20])
  })

  it('leaves an outage of the store to a later try, soon', async () => {
    let down = true
    const { checkpointer, clock, fold, base, saved, commits, failures } = checkpointerOf({
      save: async () => {
        if (down) throw scriptedErrors.create('SCRIPTED_OUTAGE')
      },
    })
    fold.nextOffset = 7
    await checkpointer.saveNow()
    expect([saved, commits, checkpointer.savedOffset]).toEqual([[], [], 0])
    expect(fold.snapshotsAbandoned).toBe(1)
    expect(await metricValue(base, 'processor_checkpoint_failures_total')).toBe(1)
    down = false
    await clock.advance(configOf().retryDelayMaxMs)
    checkpointer.beginIfDue()
    await until(() => saved.length === 1, 'it is saved')
    expect(failures).toEqual([])
  })

  it('passes on a failure that no repeat can mend', async () => {
    const { checkpointer, clock, fold, failures } = checkpointerOf({
      save: () => Promise.reject(scriptedErrors.create('SCRIPTED_DEFECT')),
    })
    fold.nextOffset = 7
    await clock.advance(INTERVAL_MS)
    checkpointer.beginIfDue()
    await until(() => failures.length === 1, 'it failed')
    expect(fold.snapshotsAbandoned).toBe(1)
  })

  it('refuses to save under an old group generation', async () => {
    const { checkpointer, fold, base, saved, commits, lease } = checkpointerOf()
    fold.nextOffset = 7
    lease.isCurrent = false
    await checkpointer.saveNow()
    expect([saved, commits]).toEqual([[], []])
    expect(await metricValue(base, 'processor_old_generation_refused_total')).toBe(1)
  })

  it('gives a snapshot up when the task ends', async () => {
    const { checkpointer, fold, saved, ending } = checkpointerOf()
    fold.nextOffset = 7
    ending.abort(new Error('ended'))
    await expect(checkpointer.saveNow()).rejects.toThrow('ended')
    expect(saved).toEqual([])
    expect(fold.snapshotsAbandoned).toBe(1)
  })
})
