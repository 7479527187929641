/** Why a frame is refused whole, or an event or CMCD record rejected alone. */
import { defineErrors } from '../runtime/errors.ts'

const SEE_PROTOCOL = 'Correct the sender; docs/protocol.md describes the frame.'
const SEE_EVENTS = 'Correct the sender; docs/events.md lists every event and its fields.'
const SEE_CMCD = 'Correct the sender; the record is kept in the reject topic.'

const refused = (rule: string, action = SEE_PROTOCOL) =>
  ({ rule, retryable: false, status: 400, action }) as const
const rejected = (rule: string, action = SEE_EVENTS) =>
  ({ rule, retryable: false, action }) as const

export const eventErrors = defineErrors({
  FRAME_NOT_JSON: refused('a frame must be JSON text in UTF-8 without a byte order mark'),
  FRAME_TOO_DEEP: refused('a frame must not nest objects and arrays too deeply'),
  FRAME_NOT_OBJECT: refused('a frame must be a JSON object'),
  FRAME_VERSION_UNSUPPORTED: refused(
    'a frame must be of protocol version 1',
    'Use a client of protocol playback.v1.',
  ),
  FRAME_NUMBER_INVALID: refused('a frame must carry its number, a whole number from 0'),
  FRAME_SENT_AT_INVALID: refused(
    'a frame must carry sentAt, the device clock in epoch milliseconds',
  ),
  FRAME_EVENTS_INVALID: refused('a frame must carry events, an array of at least one event'),
  FRAME_TOO_MANY_EVENTS: refused(
    'a frame must not hold more events than the limit',
    'Split the events over several frames.',
  ),
  CONTEXT_INVALID: refused('a frame must carry a valid session context'),
  EVENT_NOT_OBJECT: rejected('an event must be a JSON object'),
  EVENT_TYPE_UNKNOWN: rejected('an event must be of a known type'),
  EVENT_SEQ_INVALID: rejected('an event must carry its seq, a whole number in range'),
  EVENT_FIELD_INVALID: rejected('a field of an event must have its type and range'),
  EVENT_FIELD_REPEATED: rejected('an event must not name a field twice'),
  EVENT_TEXT_INVALID: rejected('text in an event must be well-formed Unicode'),
  CMCD_LINE_UNREADABLE: rejected('a CMCD record must be a structured-field dictionary', SEE_CMCD),
  CMCD_KEY_MISSING: rejected('a CMCD record must carry sid, sn, ts and e of their types', SEE_CMCD),
  CMCD_KEY_INVALID: rejected(
    'an identifying value of a CMCD record must be in its range',
    SEE_CMCD,
  ),
  CMCD_TOO_MANY_RECORDS: rejected(
    'a CMCD body must not hold more records than the limit',
    'Send smaller batches.',
  ),
  FEED_MESSAGE_INVALID: rejected(
    'a message of an upstream feed must be one that its mapping understands',
    'Correct the feed or its mapping; the message is kept in the reject topic.',
  ),
})

export type EventsErrorCode = keyof typeof eventErrors.catalogue
export type FrameErrorCode = Extract<EventsErrorCode, `FRAME_${string}` | 'CONTEXT_INVALID'>
export type EventErrorCode = Extract<EventsErrorCode, `EVENT_${string}`>
export type FeedErrorCode = Extract<EventsErrorCode, `FEED_${string}`>
export type CmcdErrorCode = Extract<EventsErrorCode, `CMCD_${string}`>
