/** Objects that a run writes once: a repeat must find the bytes that it would write. */
import { createHash } from 'node:crypto'
import type { z } from 'zod'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import { batchErrors } from './errors.ts'

/**
 * Creates the object. When it exists it must have the same bytes: then an earlier try was cut off
 * after it had written. Throws `BATCH_OBJECT_DIFFERS` and changes nothing when it has others.
 */
export async function createOnce(
  objects: ObjectStore,
  name: string,
  bytes: Uint8Array,
): Promise<void> {
  try {
    await objects.create(name, bytes)
  } catch (error) {
    if (!isTaken(error)) throw error
    await compareWithStored(objects, name, bytes)
  }
}

/**
 * Creates the object of a decision that several processes may take, each in its own way: all of them
 * go on with what the first one decided, which is what this resolves with.
 */
export async function createOrTake<Schema extends z.ZodType>(
  objects: ObjectStore,
  name: string,
  { schema, value }: { readonly schema: Schema; readonly value: z.infer<Schema> & object },
): Promise<z.infer<Schema>> {
  try {
    await objects.create(name, jsonBytes(value))
    return value
  } catch (error) {
    if (!isTaken(error)) throw error
    const first = await readJsonObject(objects, name, schema)
    if (first === undefined) throw batchErrors.create('BATCH_OBJECT_MISSING', { expected: name })
    return first
  }
}

async function compareWithStored(
  objects: ObjectStore,
  name: string,
  bytes: Uint8Array,
): Promise<void> {
  const stored = await readObject(objects, name)
  const [wanted, found] = [describe(bytes), describe(stored)]
  if (wanted !== found)
    throw batchErrors.create('BATCH_OBJECT_DIFFERS', {
      expected: `${name} of ${wanted}`,
      received: found,
    })
}

/** The object's bytes; throws `BATCH_OBJECT_MISSING`. */
export async function readObject(objects: ObjectStore, name: string): Promise<Uint8Array> {
  const stored = await objects.read(name)
  if (stored === undefined) throw batchErrors.create('BATCH_OBJECT_MISSING', { expected: name })
  return stored.bytes
}

/** Reads what `jsonBytes` wrote; `undefined` when there is none, `BATCH_OBJECT_INVALID` otherwise. */
export async function readJsonObject<Schema extends z.ZodType>(
  objects: ObjectStore,
  name: string,
  schema: Schema,
): Promise<z.infer<Schema> | undefined> {
  const stored = await objects.read(name)
  if (stored === undefined) return undefined
  try {
    return schema.parse(JSON.parse(Buffer.from(stored.bytes).toString()))
  } catch (cause) {
    throw batchErrors.create('BATCH_OBJECT_INVALID', {
      expected: name,
      received: cause instanceof Error ? cause.message : String(cause),
      cause,
    })
  }
}

/** For people as for programs: one field a line. */
export function jsonBytes(value: object): Uint8Array {
  return Buffer.from(`${JSON.stringify(value, undefined, 1)}\n`)
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function isTaken(error: unknown): boolean {
  return error instanceof BackhaulError && error.code === 'OBJECT_PRECONDITION_FAILED'
}

function describe(bytes: Uint8Array): string {
  return `${bytes.length} bytes with SHA-256 ${sha256Of(bytes)}`
}
