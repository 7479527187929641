/**
 * What each stage costs an event, single-threaded in memory: a frame judged by the scanner and by
 * the parser it falls back to, its record encoded, and decoded by both. `fold` is a benchmark of
 * its own.
 */
import type { DecodedFrame, FrameOptions } from '../../shared/events/decoded-frame.ts'
import { decodeFrame } from '../../shared/events/frame.ts'
import { parseFrame } from '../../shared/events/frame-parse.ts'
import { DEFAULT_FRAME_LIMITS } from '../../shared/events/limits.ts'
import { decodeRecord, encodeFrameRecord, parseRecord } from '../../shared/log/record.ts'
import { systemClock } from '../../shared/runtime/clock.ts'
import { benchFrames } from './events.ts'
import { benchRecords, WARM_UPS } from './fold-bench.ts'
import { perEvent, type BenchResult } from './results.ts'

const OPTIONS: FrameOptions = { numbered: true, limits: DEFAULT_FRAME_LIMITS }

export function benchValidate(eventsPerFrame: number, events: number): BenchResult {
  return benchJudging('validate by scanning', decodeFrame, { eventsPerFrame, events })
}

export function benchValidateByParsing(eventsPerFrame: number, events: number): BenchResult {
  return benchJudging('validate by parsing', parseFrame, { eventsPerFrame, events })
}

export function benchEncode(eventsPerFrame: number, events: number): BenchResult {
  const frames = frameBytes(eventsPerFrame, events).map((bytes) => frameOf(bytes, decodeFrame))
  return measure('encode the record', { eventsPerFrame, events }, frames, (frame) => {
    const value = encodeFrameRecord({
      contextJson: frame.contextBytes,
      sentAtMs: frame.sentAtMs,
      receivedAtMs: frame.sentAtMs + 20,
      rejectedSeqs: [],
      events: [frame.acceptedBytes],
    })
    if (value.length === 0) throw new Error('a record without a value')
  })
}

export function benchDecode(eventsPerFrame: number, events: number): BenchResult {
  return benchReading('decode by scanning', decodeRecord, { eventsPerFrame, events })
}

export function benchDecodeByParsing(eventsPerFrame: number, events: number): BenchResult {
  return benchReading('decode by parsing', parseRecord, { eventsPerFrame, events })
}

interface Size {
  readonly eventsPerFrame: number
  readonly events: number
}

function benchJudging(name: string, judge: typeof decodeFrame, size: Size): BenchResult {
  const frames = frameBytes(size.eventsPerFrame, size.events)
  return measure(name, size, frames, (bytes) => {
    if (frameOf(bytes, judge).rejected.length > 0) throw new Error('a valid event was rejected')
  })
}

function benchReading(name: string, read: typeof decodeRecord, size: Size): BenchResult {
  const records = benchRecords(size.eventsPerFrame, Math.floor(size.events / size.eventsPerFrame))
  return measure(name, size, records, (record) => {
    if (read(record).kind !== 'frame') throw new Error('a valid record could not be read')
  })
}

function frameOf(bytes: Uint8Array, judge: typeof decodeFrame): DecodedFrame {
  const result = judge(bytes, OPTIONS)
  if (!result.ok) throw new Error(`a valid frame was refused: ${result.detail}`)
  return result.frame
}

/** Frames as the gateway receives them. */
function frameBytes(eventsPerFrame: number, events: number): Uint8Array[] {
  const frames: Uint8Array[] = []
  const encoder = new TextEncoder()
  for (const frame of benchFrames(Math.floor(events / eventsPerFrame), eventsPerFrame))
    frames.push(
      encoder.encode(
        `{"v":1,"frame":${frames.length},"sentAt":${frame.sentAtMs},` +
          `"session":${frame.contextJson},"events":[${frame.eventsJson.join(',')}]}`,
      ),
    )
  return frames
}

function measure<Input>(
  name: string,
  { eventsPerFrame, events }: Size,
  inputs: readonly Input[],
  run: (input: Input) => void,
): BenchResult {
  for (let round = 0; round < WARM_UPS; round += 1) inputs.forEach(run)
  const startMs = systemClock.monotonicMs()
  const cpuStart = process.cpuUsage()
  inputs.forEach(run)
  const cpu = process.cpuUsage(cpuStart)
  return perEvent(`${name}, ${eventsPerFrame} events a frame`, events, {
    wallMs: systemClock.monotonicMs() - startMs,
    cpuMs: (cpu.user + cpu.system) / 1_000,
  })
}
