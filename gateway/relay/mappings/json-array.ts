/**
 * A feed that is nobody's player: a message is an array of what happened in many sessions, without
 * sequence numbers. It is also the example to write a mapping after.
 *
 *   {"position":"8812","number":12,"events":[
 *     {"session":"s-1","at":1790000000000,"what":"play","asset":"movie-1","user":"u-1","cdn":"a"}]}
 */
import { z } from 'zod'
import { CURSOR_MAX_CHARS, SOURCE_SESSION_MAX_CHARS } from '../limits.ts'
import { defineMapping, type UnnumberedFrame } from '../mapping.ts'

/** What it calls an event, and what we call it. */
const TYPES = {
  open: 'playbackRequest',
  play: 'playbackStart',
  pause: 'playbackPause',
  buffer: 'playbackStall',
  error: 'playbackFail',
  alive: 'heartbeat',
  close: 'sessionEnd',
} as const

const itemSchema = z.object({
  session: z.string().min(1).max(SOURCE_SESSION_MAX_CHARS),
  at: z.int().min(0),
  what: z.enum(Object.keys(TYPES) as (keyof typeof TYPES)[]),
  asset: z.string().optional(),
  user: z.string().optional(),
  cdn: z.string().optional(),
  player: z.string().optional(),
  code: z.string().optional(),
})

const messageSchema = z.object({
  position: z.string().max(CURSOR_MAX_CHARS).optional(),
  number: z.int().min(0).optional(),
  events: z.array(itemSchema),
})

type Item = z.infer<typeof itemSchema>

interface OpenFrame extends UnnumberedFrame {
  readonly events: object[]
  readonly contextText: string
}

export const jsonArray = defineMapping({
  schema: messageSchema,
  hello: ({ connection, cursor }) => JSON.stringify({ subscribe: connection, from: cursor }),
  acknowledge: ({ cursor }) => JSON.stringify({ processed: cursor }),
  transform({ position, number, events }) {
    const frames: UnnumberedFrame[] = []
    const open = new Map<string, OpenFrame>()
    for (const item of events) {
      const session = contextOf(item)
      const contextText = JSON.stringify(session)
      let frame = open.get(item.session)
      // A frame has one context, and the events of a session keep their order.
      if (frame?.contextText !== contextText || item.what === 'close') {
        const ends = item.what === 'close'
        frame = { sourceSession: item.session, session, events: [], ends, contextText }
        frames.push(frame)
        open.set(item.session, frame)
      }
      if (frame.ends === true) open.delete(item.session)
      frame.events.push(eventOf(item))
    }
    return { position: { cursor: position, number }, frames }
  },
})

/** What does not change within a session. */
function contextOf({ asset, user, cdn, player }: Item): UnnumberedFrame['session'] {
  return {
    ...(asset === undefined ? {} : { contentId: asset }),
    ...(user === undefined ? {} : { viewerId: user }),
    ...(cdn === undefined ? {} : { cdn }),
    ...(player === undefined ? {} : { player: { name: player } }),
  }
}

function eventOf({ what, at, code = 'unknown' }: Item): object {
  return what === 'error' ? { type: TYPES.error, at, code } : { type: TYPES[what], at }
}
