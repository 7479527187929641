/**
 * The object store: named immutable blobs with generations, the common ground of a local folder
 * and GCS. Names are `/`-separated paths of `[A-Za-z0-9._=-]+` segments; an object `d` never
 * stands beside `d/x`. Writes are all-or-nothing: a reader sees the old bytes or the new.
 * Failures are `objectErrors`; `OBJECT_UNAVAILABLE` is retryable and leaves open whether the write
 * happened (a repeat of a create then meets `OBJECT_PRECONDITION_FAILED`: compare and go on).
 */
export interface ObjectStore {
  /** Creates the object; throws `OBJECT_PRECONDITION_FAILED` when it exists. */
  create(name: string, bytes: Uint8Array): Promise<ObjectInfo>
  /**
   * Replaces the object if its generation is `ifGeneration` (0: it must not exist); else throws
   * `OBJECT_PRECONDITION_FAILED`.
   */
  replace(name: string, bytes: Uint8Array, ifGeneration: number): Promise<ObjectInfo>
  /** The whole object, or a byte range `[from, to)`; `undefined` when it does not exist. */
  read(name: string, range?: ByteRange): Promise<StoredObject | undefined>
  stat(name: string): Promise<ObjectInfo | undefined>
  /** Objects whose name begins with `prefix`, ascending by name, after `startAfter`. */
  list(prefix: string, options: ListOptions): Promise<ObjectInfo[]>
  /** Deletes the object if it has this generation; deleting an absent object is not an error. */
  delete(name: string, ifGeneration?: number): Promise<void>
  close(): Promise<void>
  /** What a store can do beside that keeps its objects as files of this machine. */
  readonly local?: LocalObjects
}

export interface LocalObjects {
  /** The folder under which all files are. */
  readonly folder: string
  /** Where the bytes of this version are until it is replaced or deleted; they are not checked. */
  path(version: Pick<ObjectInfo, 'name' | 'generation'>): string
}

export interface ByteRange {
  readonly from: number
  readonly to: number
}

export interface ObjectInfo {
  readonly name: string
  /** Positive; differs after every replacement. */
  readonly generation: number
  readonly sizeBytes: number
  /** CRC32C of the bytes, base64 of 4 big-endian bytes, as GCS reports it. */
  readonly crc32c: string
  readonly updatedAtMs: number
}

export interface StoredObject {
  readonly info: ObjectInfo
  readonly bytes: Uint8Array
}

export interface ListOptions {
  readonly startAfter?: string
  readonly limit: number
}
