/**
 * The contents that are known, each with its versions, in memory. Bounded by contents, versions and
 * bytes; what does not fit is told to the caller, and the content stays as it was.
 */
import { encodeContent, versionAt, type Content, type ContentVersion } from './content-record.ts'
import { CATALOGUE_MAX_BYTES, CONTENT_VERSIONS_MAX, CONTENTS_MAX } from './limits.ts'

export interface CatalogueLimits {
  readonly contentsMax: number
  readonly versionsMax: number
  readonly maxBytes: number
}

export const CATALOGUE_LIMITS: CatalogueLimits = {
  contentsMax: CONTENTS_MAX,
  versionsMax: CONTENT_VERSIONS_MAX,
  maxBytes: CATALOGUE_MAX_BYTES,
}

/** `shortened`: versions that hold from the earliest times on were left out. */
export type PutResult = 'kept' | 'shortened' | 'full'

interface Held {
  readonly content: Content
  readonly bytes: number
}

export class Catalogue {
  readonly #limits: CatalogueLimits
  readonly #held = new Map<string, Held>()
  #versions = 0
  #bytes = 0

  constructor(limits = CATALOGUE_LIMITS) {
    this.#limits = limits
  }

  get contents(): number {
    return this.#held.size
  }

  get versions(): number {
    return this.#versions
  }

  get bytes(): number {
    return this.#bytes
  }

  get(contentId: string): Content | undefined {
    return this.#held.get(contentId)?.content
  }

  /** What the catalogue says of a content at a time. */
  at(contentId: string, atMs: number): ContentVersion | undefined {
    const versions = this.#held.get(contentId)?.content.versions
    return versions && versionAt(versions, atMs)
  }

  *[Symbol.iterator](): Generator<Content, void, undefined> {
    for (const { content } of this.#held.values()) yield content
  }

  /** Takes a content in place of what was known of it. */
  put({ contentId, versions }: Content): PutResult {
    const { contentsMax, versionsMax, maxBytes } = this.#limits
    const content = { contentId, versions: versions.slice(-versionsMax) }
    const { byteLength: bytes } = encodeContent(content)
    const before = this.#held.get(contentId)
    const isFull = before === undefined && this.#held.size >= contentsMax
    if (isFull || this.#bytes + bytes - (before?.bytes ?? 0) > maxBytes) return 'full'
    this.delete(contentId)
    this.#held.set(contentId, { content, bytes })
    this.#bytes += bytes
    this.#versions += content.versions.length
    return content.versions.length < versions.length ? 'shortened' : 'kept'
  }

  delete(contentId: string): void {
    const before = this.#held.get(contentId)
    if (before === undefined) return
    this.#held.delete(contentId)
    this.#bytes -= before.bytes
    this.#versions -= before.content.versions.length
  }
}
