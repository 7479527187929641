/**
 * Where a connection of a feed stands, as one object: what the next owner goes on from. It is written
 * after the log has everything before it, and only by the owner that wrote it last: another's write
 * ends this one's.
 */
import { z } from 'zod'
import { BackhaulError } from '../../shared/runtime/errors.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { relayErrors } from './errors.ts'

const savedSchema = z.object({
  version: z.literal(1),
  cursor: z.string(),
  number: z.int().optional(),
  /** Rises with each owner, so that identities of two owners differ where a feed cannot resume. */
  ownership: z.int(),
  sessions: z.array(z.tuple([z.string(), z.string(), z.int()])),
})

export type SavedPosition = Omit<z.infer<typeof savedSchema>, 'version'>

const NOTHING: SavedPosition = { cursor: '', ownership: 0, sessions: [] }

export class CursorStore {
  readonly #objects: ObjectStore
  readonly #name: string
  #generation = 0

  constructor(objects: ObjectStore, feedId: string, connection: number) {
    this.#objects = objects
    this.#name = `relay/cursors/${feedId}/${connection}`
  }

  /** Throws `RELAY_CURSOR_INVALID` and what the object store throws. */
  async load(): Promise<SavedPosition> {
    const found = await this.#objects.read(this.#name)
    this.#generation = found?.info.generation ?? 0
    if (found === undefined) return NOTHING
    try {
      return savedSchema.parse(JSON.parse(Buffer.from(found.bytes).toString()))
    } catch (cause) {
      throw relayErrors.create('RELAY_CURSOR_INVALID', { received: this.#name, cause })
    }
  }

  /** Throws `RELAY_OWNERSHIP_LOST` when another owner has written since. */
  async save(position: SavedPosition): Promise<void> {
    const bytes = Buffer.from(JSON.stringify({ version: 1, ...position }))
    try {
      const { generation } = await this.#objects.replace(this.#name, bytes, this.#generation)
      this.#generation = generation
    } catch (error) {
      if (!(error instanceof BackhaulError) || error.code !== 'OBJECT_PRECONDITION_FAILED')
        throw error
      // It may have been this one's own write, whose answer was lost.
      const found = await this.#objects.read(this.#name)
      if (found === undefined || !bytes.equals(found.bytes))
        throw relayErrors.create('RELAY_OWNERSHIP_LOST', { received: this.#name, cause: error })
      this.#generation = found.info.generation
    }
  }
}
