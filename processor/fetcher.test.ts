import { describe, expect, it } from 'vitest'
import type { EventLog, LogRecord, ReadRequest } from '../shared/log/event-log.ts'
import { logErrors } from '../shared/log/log-errors.ts'
import { systemClock, type Clock } from '../shared/runtime/clock.ts'
import { seededRandom } from '../shared/runtime/random.ts'
import { Fetcher } from './fetcher.ts'
import { createProcessorTelemetry } from './telemetry.ts'
import { configOf, metricValue, scriptedLog, silentTelemetry } from './testing/test-doubles.ts'

function record(offset: number): LogRecord {
  const value = new Uint8Array(0)
  return { partition: 3, offset, loggedAtMs: 0, key: undefined, value, headers: {} }
}

function fetcherOf(log: Partial<EventLog>, settings: Readonly<Record<string, string>> = {}) {
  const base = silentTelemetry()
  const config = configOf({ PROCESSOR_RETRY_DELAY_MS: '1', ...settings })
  const random = { ...seededRandom(1), next: () => 0 }
  const retried: string[] = []
  const clock: Clock = { ...systemClock, sleep: () => Promise.resolve() }
  const fetcher = new Fetcher({
    partition: 3,
    topicId: 'here',
    log: scriptedLog({ describeTopic: async () => ({ topicId: 'here', partitions: 8 }), ...log }),
    config,
    telemetry: createProcessorTelemetry(base),
    signal: new AbortController().signal,
    nextOffset: 10,
    endOffset: 12,
    retryContext: () => ({
      clock,
      random,
      limits: config,
      signal: new AbortController().signal,
      onRetry: (error) => retried.push(error.code),
    }),
  })
  return { fetcher, base, retried }
}

describe('the fetcher', () => {
  it('reads on from where it is, within its bounds', async () => {
    const requests: ReadRequest[] = []
    const { fetcher } = fetcherOf(
      {
        read: async (_topic, _partition, request) => {
          requests.push(request)
          return { records: [record(request.fromOffset)], endOffset: 20 }
        },
      },
      { PROCESSOR_FETCH_RECORDS_MAX: '7', PROCESSOR_FETCH_BYTES_MAX: '2048' },
    )
    await fetcher.fetch(10_000)
    await fetcher.fetch(30)
    expect(requests).toMatchObject([
      { fromOffset: 10, maxRecords: 7, maxBytes: 2_048, waitMs: 500 },
      { fromOffset: 11, maxRecords: 7, maxBytes: 2_048, waitMs: 30 },
    ])
    expect([fetcher.nextOffset, fetcher.endOffset]).toEqual([12, 20])
  })

  it('asks again when the log is away for a while', async () => {
    let left = 3
    const { fetcher, retried } = fetcherOf({
      read: async () => {
        if (left-- > 0) throw logErrors.create('LOG_UNAVAILABLE')
        return { records: [], endOffset: 10 }
      },
    })
    await fetcher.fetch(0)
    expect(retried).toEqual(['LOG_UNAVAILABLE', 'LOG_UNAVAILABLE', 'LOG_UNAVAILABLE'])
  })

  it('says data loss with the range when its next record has expired', async () => {
    const { fetcher, base } = fetcherOf({
      read: () => Promise.reject(logErrors.create('LOG_OFFSET_OUT_OF_RANGE')),
      offsets: async () => ({ start: 15, end: 20 }),
    })
    await expect(fetcher.fetch(0)).rejects.toThrow(
      /PROCESSOR_DATA_LOSS.*partition 3.*records 10 to 14 are lost/,
    )
    expect(fetcher.nextOffset).toBe(10)
    expect(await metricValue(base, 'processor_data_loss_records', { partition: 3 })).toBe(5)
  })

  it('never jumps, even if the log does', async () => {
    const { fetcher } = fetcherOf({
      read: async () => ({ records: [record(15)], endOffset: 20 }),
      offsets: async () => ({ start: 15, end: 20 }),
    })
    await expect(fetcher.fetch(0)).rejects.toThrow('PROCESSOR_DATA_LOSS')
  })

  it('goes on over a hole that the log never filled', async () => {
    const { fetcher } = fetcherOf({
      read: async () => ({ records: [record(15)], endOffset: 20 }),
      offsets: async () => ({ start: 0, end: 20 }),
    })
    expect(await fetcher.fetch(0)).toHaveLength(1)
    expect(fetcher.nextOffset).toBe(16)
  })

  it('says so when the log ends before its next record', async () => {
    const { fetcher } = fetcherOf({
      read: () => Promise.reject(logErrors.create('LOG_OFFSET_OUT_OF_RANGE')),
      offsets: async () => ({ start: 0, end: 9 }),
    })
    await expect(fetcher.fetch(0)).rejects.toThrow('PROCESSOR_LOG_TRUNCATED')
  })

  it.each([
    // It ends before the next record, or was away and may be long enough by now.
    'LOG_OFFSET_OUT_OF_RANGE',
    'LOG_UNAVAILABLE',
  ] as const)('reads nothing of another topic of the name after %s', async (code) => {
    let reads = 0
    const { fetcher } = fetcherOf({
      read: () => ((reads += 1), Promise.reject(logErrors.create(code))),
      offsets: async () => ({ start: 0, end: 9 }),
      describeTopic: async () => ({ topicId: 'another', partitions: 8 }),
    })
    await expect(fetcher.fetch(0)).rejects.toThrow(/PROCESSOR_TOPIC_RECREATED.*here.*another/)
    expect(reads).toBe(1)
  })

  it('reads nothing of another topic that took the name while nothing was read', async () => {
    let topicId = 'here'
    const read: number[] = []
    const { fetcher } = fetcherOf({
      read: async (_topic, _partition, { fromOffset }) => {
        read.push(fromOffset)
        return { records: [record(fromOffset)], endOffset: 20 }
      },
      offsets: async () => ({ start: 0, end: 20 }),
      describeTopic: async () => ({ topicId, partitions: 8 }),
    })
    await fetcher.refreshEnd()
    await fetcher.fetch(0)
    topicId = 'another'
    await fetcher.refreshEnd()
    await expect(fetcher.fetch(0)).rejects.toThrow(/PROCESSOR_TOPIC_RECREATED.*here.*another/)
    expect(read).toEqual([10])
  })

  it('shows the end of the log without reading, and copes when it is away', async () => {
    let end = 30
    const { fetcher } = fetcherOf({
      offsets: async () => {
        if (end === 0) throw logErrors.create('LOG_UNAVAILABLE')
        return { start: 0, end }
      },
    })
    await fetcher.refreshEnd()
    expect(fetcher.endOffset).toBe(30)
    end = 0
    await fetcher.refreshEnd()
    expect(fetcher.endOffset).toBe(30)
  })
})
