/** Records of `playback.events` as clients may write them: any field, any way to write JSON. */
import fc from 'fast-check'
import { EPOCH_MS_MAX, eventVariants, SEQ_MAX } from '../../shared/events/schema.ts'
import type { LogRecord } from '../../shared/log/event-log.ts'

/** A JSON value and a text that means it. */
interface Written {
  readonly text: string
}

const text = (maxLength: number): fc.Arbitrary<string> =>
  fc
    .oneof(
      fc.string({ unit: 'binary', minLength: 1, maxLength: Math.min(maxLength, 12) }),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: Math.min(maxLength, 6) }),
    )
    .filter((value) => value.length <= maxLength && value.isWellFormed())

function escapedUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** A string as JSON, some characters escaped that need not be. */
const writtenText = (value: string): fc.Arbitrary<string> =>
  fc
    .boolean()
    .map((escaped) =>
      escaped ? `"${value.split('').map(escapedUnit).join('')}"` : JSON.stringify(value),
    )
const jsonText = (maxLength: number) => text(maxLength).chain(writtenText)
const jsonInteger = (max: number): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.oneof(fc.integer({ min: 0, max: Math.min(max, 200) }), fc.integer({ min: 0, max })),
      fc.constantFrom('', '.0', 'e0', '.00E+0'),
    )
    .map(([value, tail]) => `${value}${tail}`)
const jsonNumber = (min: number, max: number) =>
  fc.double({ min, max, noNaN: true }).map((value) => `${value}`)
const jsonChoice = (...choices: string[]) =>
  fc.constantFrom(...choices.map((one) => JSON.stringify(one)))

const FIELDS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  playheadMs: jsonInteger(EPOCH_MS_MAX),
  startupMs: jsonInteger(86_400_000),
  bufferMs: jsonInteger(86_400_000),
  liveLatencyMs: jsonInteger(86_400_000),
  code: jsonText(64),
  message: jsonText(256),
  domain: jsonChoice('network', 'media', 'drm', 'player', 'other'),
  videoBitrateKbps: jsonInteger(1_000_000),
  audioBitrateKbps: jsonInteger(1_000_000),
  widthPx: jsonInteger(65_535),
  heightPx: jsonInteger(65_535),
  codec: jsonText(64),
  frameRate: jsonNumber(0, 1_000),
  playbackRate: jsonNumber(0.001, 16),
  adId: jsonText(128),
  position: jsonText(32),
  cdn: jsonText(64),
  droppedFrames: jsonInteger(1_000_000_000),
  throughputKbps: jsonInteger(100_000_000),
  name: jsonText(64),
  value: jsonText(256),
}
/** Fields that the schema does not know, as members of an object. */
const unknownMember = fc.constantFrom(
  '"x1":1e999',
  '"x2":123456789012345678901234567890',
  '"x3":{"seq":7,"deep":[[[{}]]]}',
  '"Seq":3',
  '"x4":null',
  String.raw`"x5":"\ud83d\ude00"`,
)

function object(members: readonly string[]): string {
  return `{ ${members.join(' ,\t')} }`
}

const event: fc.Arbitrary<string> = fc.constantFrom(...eventVariants).chain((variant) => {
  const names = Object.keys(variant.shape).filter((name) => !['seq', 'at', 'type'].includes(name))
  const fields = Object.fromEntries(
    names.map((name) => [
      name,
      (FIELDS[name] ?? fc.constant('')).map((value) => ({ text: value })),
    ]),
  )
  const required = names.filter((name) => {
    const field: unknown = Reflect.get(variant.shape, name)
    return !(field as { isOptional(): boolean }).isOptional()
  })
  return fc
    .record({
      seq: jsonInteger(SEQ_MAX),
      at: jsonInteger(EPOCH_MS_MAX),
      fields: fc.record<Record<string, Written>>(fields, { requiredKeys: required }),
      unknown: fc.option(unknownMember, { nil: undefined }),
    })
    .map(({ seq, at, fields: chosen, unknown }) =>
      object([
        ...Object.entries(chosen).map(([name, { text: value }]) => `"${name}": ${value}`),
        `"seq":${seq}`,
        `"type":"${variant.shape.type.value}"`,
        ...(unknown === undefined ? [] : [unknown]),
        `"at":${at}`,
      ]),
    )
})

const plainContext = fc.record(
  {
    sessionId: text(64),
    contentId: text(128),
    contentTitle: text(256),
    streamType: fc.constantFrom('vod', 'live', 'lowLatencyLive'),
    cdn: text(64),
    device: fc.record({ type: text(32), osVersion: text(64) }, { requiredKeys: [] }),
    player: fc.record({ name: text(64), version: text(64) }, { requiredKeys: [] }),
    country: fc.constantFrom('DE', 'FR'),
    autoplay: fc.boolean(),
    labels: fc.dictionary(text(32), text(64), { maxKeys: 3 }),
    viewerPseudonym: fc.constant('0123456789abcdef0123456789abcdef'),
    unknown: fc.constant({ any: [1] }),
  },
  { requiredKeys: ['sessionId'] },
)

const frame: fc.Arbitrary<string> = fc
  .record({
    context: plainContext,
    sentAt: jsonInteger(EPOCH_MS_MAX),
    receivedAt: jsonInteger(EPOCH_MS_MAX),
    rejectedSeqs: fc.option(fc.array(jsonInteger(SEQ_MAX), { maxLength: 3 }), { nil: undefined }),
    events: fc.array(event, { maxLength: 5 }),
  })
  .map(({ context, sentAt, receivedAt, rejectedSeqs, events }) =>
    object([
      `"session":${JSON.stringify(context)}`,
      `"sentAt":${sentAt}`,
      `"receivedAt":${receivedAt}`,
      ...(rejectedSeqs === undefined ? [] : [`"rejectedSeqs":[${rejectedSeqs.join(',')}]`]),
      `"events":[${events.join(',')}]`,
    ]),
  )

const damaged = fc
  .tuple(frame, fc.integer({ min: 0, max: 60 }))
  .map(([value, cut]) => value.slice(0, cut))
const odd = frame.map((value) => value.replace('"sentAt":', '"sentAt":1,\r\n"sentAt":'))

/** A log of a partition: frames, ticks, records that cannot be read; times may go back. */
export const logArbitrary: fc.Arbitrary<LogRecord[]> = fc
  .array(
    fc.record({
      value: fc.oneof(
        { weight: 10, arbitrary: frame },
        { weight: 1, arbitrary: damaged },
        { weight: 1, arbitrary: odd },
        { weight: 1, arbitrary: fc.constant(undefined) },
      ),
      stepMs: fc.integer({ min: -5_000, max: 3_000_000 }),
      gateway: fc.boolean(),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((records) => {
    let loggedAtMs = 1_800_000_000_000
    return records.map(({ value, stepMs, gateway }, index) => {
      loggedAtMs += stepMs
      // Only the gateway's own records have the header, and it refuses names that are repeated.
      const isOurs = gateway && value?.includes('\r\n') !== true
      return {
        partition: 3,
        offset: 1_000 + index,
        loggedAtMs,
        key: value === undefined ? undefined : 'key',
        value: Buffer.from(value ?? ''),
        headers: {
          schema: value === undefined ? 'tick.v1' : 'playback.v1',
          ...(isOurs && { gateway: 'g' }),
        },
      }
    })
  })
