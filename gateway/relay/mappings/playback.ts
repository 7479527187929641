/**
 * Our own protocol: a message is lines, each a frame of playback.v1 without a number. Its first line
 * may be its position: `{"cursor":"…","number":17}`. The feed is told `{"ack":"<cursor>"}` once a
 * message and all before it are kept, and `{"resume":"<cursor>"}` when a connection goes on.
 */
import { z } from 'zod'
import { CURSOR_MAX_CHARS } from '../limits.ts'
import { MessageInvalid, type FeedMapping, type FeedPosition } from '../mapping.ts'

const LF = 0x0a
const POSITION_START = Buffer.from('{"cursor"')

const positionSchema = z.strictObject({
  cursor: z.string().max(CURSOR_MAX_CHARS),
  number: z.int().min(0).optional(),
})

export const playback: FeedMapping = {
  hello: ({ cursor }) => JSON.stringify({ resume: cursor }),
  acknowledge: ({ cursor }) => JSON.stringify({ ack: cursor }),
  map(message) {
    const frames: Uint8Array[] = []
    let position: FeedPosition | undefined
    for (let start = 0; start < message.length;) {
      const lineBreak = message.indexOf(LF, start)
      const end = lineBreak === -1 ? message.length : lineBreak
      const line = message.subarray(start, end)
      if (start === 0 && isPosition(line)) position = readPosition(line)
      else if (line.length > 0) frames.push(line)
      start = end + 1
    }
    return { frames, ...(position === undefined ? {} : { position }) }
  },
}

function isPosition(line: Uint8Array): boolean {
  return POSITION_START.equals(line.subarray(0, POSITION_START.length))
}

function readPosition(line: Uint8Array): FeedPosition {
  try {
    return positionSchema.parse(JSON.parse(Buffer.from(line).toString()))
  } catch {
    throw new MessageInvalid('its first line is neither a frame nor a position')
  }
}
