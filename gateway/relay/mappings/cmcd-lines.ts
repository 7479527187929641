/** A feed of CMCD v2 event mode: a message is a body as players post it, a record a line. */
import type { FeedMapping } from '../mapping.ts'

export const cmcdLines: FeedMapping = { map: (message) => ({ cmcd: message }) }
