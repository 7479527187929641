/**
 * What a mapping is: the part of a feed that knows the feed's messages. It is a module whose default
 * export is made by `defineMapping`, named in the file of the feeds, or one of the built-in ones.
 *
 *   export default defineMapping({ schema: z.object({…}), transform: (message) => ({ frames: […] }) })
 *
 * What it returns is judged as any client's frame is: an event that is against the schema is rejected
 * alone, kept and counted.
 */
import { z } from 'zod'
import { CURSOR_MAX_CHARS, FRAMES_PER_MESSAGE_MAX, SOURCE_SESSION_MAX_CHARS } from './limits.ts'
import type { SessionContext } from '../../shared/events/schema.ts'
import { describeReceived } from '../../shared/events/issue-detail.ts'

/** Where a connection stands in its feed. */
export interface FeedPosition {
  /** By which the feed can be asked to go on after a message. */
  readonly cursor?: string | undefined
  /** The feed's own number of a message, one more than that of the message before it. */
  readonly number?: number | undefined
}

/** One frame of playback.v1 without a number, its events with their `seq`. */
export interface NumberedFrame {
  readonly session: SessionContext
  /** Clock of the sender, epoch ms; when the message came, where it is absent. */
  readonly sentAt?: number | undefined
  readonly events: readonly object[]
}

/**
 * Events of one session of a feed that numbers none: `sessionId` and `seq` are made from where the
 * session and its events stand in the feed, so that a repeat of the feed makes the same ones.
 */
export interface UnnumberedFrame {
  /** The feed's own id of the session, kept as the label `sourceSession`. */
  readonly sourceSession: string
  readonly session: Omit<SessionContext, 'sessionId'>
  readonly sentAt?: number | undefined
  /** In the feed's order, without `seq`. */
  readonly events: readonly object[]
  /** The session is over: what comes of it later is another one. */
  readonly ends?: boolean | undefined
}

export interface MappedMessage {
  readonly position?: FeedPosition
  /** Ready as bytes of JSON, or to be written. */
  readonly frames?: readonly (Uint8Array | NumberedFrame | UnnumberedFrame)[]
  /** A body of CMCD v2 event mode. */
  readonly cmcd?: Uint8Array
}

export interface FeedMapping {
  /** Sent when a connection has opened: a subscription, a position. */
  hello?(at: { readonly connection: number; readonly cursor: string }): string
  /** Tells the feed that everything up to `position` is kept; absent where it does not ask. */
  acknowledge?(position: FeedPosition): string
  /** Throws `MessageInvalid` for what it does not understand; the bytes are kept as rejected. */
  map(message: Uint8Array): MappedMessage
}

export class MessageInvalid extends Error {}

/** A mapping of messages that are JSON text: parsed, held to `schema`, and transformed. */
export function defineMapping<Schema extends z.ZodType>(
  mapping: Omit<FeedMapping, 'map'> & {
    readonly schema: Schema
    transform(message: z.output<Schema>): MappedMessage
  },
): FeedMapping {
  const { schema, transform, ...rest } = mapping
  const decoder = new TextDecoder('utf-8', { fatal: true })
  return {
    ...rest,
    map(message) {
      let value: unknown
      try {
        value = JSON.parse(decoder.decode(message))
      } catch {
        throw new MessageInvalid(`expected JSON in UTF-8, received ${message.length} bytes of else`)
      }
      const verdict = schema.safeParse(value)
      if (verdict.success) return transform(verdict.data)
      const [issue] = verdict.error.issues
      const at = issue?.path.join('.') ?? ''
      throw new MessageInvalid(
        `${at}: ${issue?.message ?? 'against the schema'}, received ${describeReceived(valueAt(value, issue?.path ?? []))}`,
      )
    },
  }
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let found = value
  for (const key of path)
    found =
      typeof found === 'object' && found !== null
        ? (found as Record<PropertyKey, unknown>)[key]
        : undefined
  return found
}

const objects = z.array(z.looseObject({}))
const frameSchema = z.union([
  z.instanceof(Uint8Array),
  z.looseObject({
    sourceSession: z.string().min(1).max(SOURCE_SESSION_MAX_CHARS).optional(),
    session: z.looseObject({}),
    sentAt: z.number().optional(),
    events: objects,
    ends: z.boolean().optional(),
  }),
])
const mappedSchema = z.object({
  position: z
    .object({
      cursor: z
        .string()
        .max(CURSOR_MAX_CHARS)
        .refine((text) => text.isWellFormed(), 'well-formed Unicode')
        .optional(),
      number: z.int().min(0).optional(),
    })
    .optional(),
  frames: z.array(frameSchema).max(FRAMES_PER_MESSAGE_MAX).optional(),
  cmcd: z.instanceof(Uint8Array).optional(),
})

/** Holds what a mapping made to what can be kept and saved. Throws `MessageInvalid`. */
export function assertMapped(mapped: MappedMessage): void {
  const verdict = mappedSchema.safeParse(mapped)
  if (verdict.success) return
  const [issue] = verdict.error.issues
  throw new MessageInvalid(
    `what the mapping made of it: ${issue?.path.join('.')}: ${issue?.message}`,
  )
}
