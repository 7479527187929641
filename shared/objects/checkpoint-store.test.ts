import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../runtime/clock.ts'
import { CHECKPOINT_OBJECT_FORMAT } from './checkpoint-object.ts'
import { createCheckpointStore, type CheckpointStore } from './checkpoint-store.ts'
import { openFolderObjectStore } from './folder-object-store.ts'
import { objectErrors } from './object-errors.ts'
import type { ObjectStore } from './object-store.ts'

describe('the checkpoint store', () => {
  let folder: string
  let objects: ObjectStore
  let checkpoints: CheckpointStore
  const NAME = 'view-1/0/7'

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'backhaul-checkpoints-'))
    objects = await openFolderObjectStore({ folder, clock: systemClock })
    checkpoints = createCheckpointStore(objects, { keep: 2, topicId: 'topic-1' })
  })
  afterEach(async () => {
    await objects.close()
    await rm(folder, { recursive: true })
  })

  const save = (offset: number, text = `state ${offset}`, store = checkpoints): Promise<void> =>
    store.save({ name: NAME, offset, chunks: [Buffer.from(text)] })
  const load = async (store = createCheckpointStore(objects, { keep: 2, topicId: 'topic-1' })) => {
    const loaded = await store.loadLatest(NAME)
    return loaded && { ...loaded, bytes: Buffer.from(loaded.bytes).toString() }
  }
  const stored = async (): Promise<string[]> => {
    const listed = await objects.list(`checkpoints/${NAME}/`, { limit: 100 })
    return listed.map(({ name }) => name.slice(`checkpoints/${NAME}/`.length))
  }
  const nameOf = (offset: number, attempt = 0): string =>
    `checkpoints/${NAME}/${`${offset}`.padStart(20, '0')}-${`${attempt}`.padStart(6, '0')}`
  const rewrite = async (name: string, change: (bytes: Buffer) => Uint8Array): Promise<void> => {
    const object = await objects.read(name)
    if (object === undefined) throw new Error(`${name} exists`)
    await objects.replace(name, change(Buffer.from(object.bytes)), object.info.generation)
  }
  const damage = (name: string): Promise<void> =>
    rewrite(name, (bytes) => {
      const at = bytes.length >> 1
      bytes[at] = (bytes[at] ?? 0) ^ 1
      return bytes
    })

  it('brings back the bytes of a checkpoint, however they came in pieces', async () => {
    const pieces = fc.array(fc.uint8Array({ maxLength: 2_000 }), { maxLength: 6 })
    let offset = 0
    await fc.assert(
      fc.asyncProperty(pieces, fc.boolean(), async (chunks, isAsync) => {
        offset += 1
        await checkpoints.save({ name: NAME, offset, chunks: isAsync ? slowly(chunks) : chunks })
        const loaded = await checkpoints.loadLatest(NAME)
        expect(loaded).toMatchObject({ offset, damaged: [] })
        expect(Buffer.concat(chunks).equals(loaded?.bytes ?? Buffer.of(0))).toBe(true)
      }),
      { numRuns: 15 },
    )
  })

  it('has nothing where nothing was saved', async () => {
    expect(await load()).toBeUndefined()
  })

  it('stores repetitive state in a fraction of its bytes', async () => {
    await save(1, 'the same again '.repeat(10_000))
    const info = await objects.stat(nameOf(1))
    expect(info?.sizeBytes).toBeLessThan(5_000)
  })

  it('keeps the two highest offsets, in whatever order they are saved', async () => {
    for (const offset of [5, 20, 100, 30]) await save(offset)
    expect(await stored()).toEqual([30, 100].map((offset) => nameOf(offset).split('/').at(-1)))
    expect(await load()).toMatchObject({ offset: 100, bytes: 'state 100' })
  })

  it('keeps names apart', async () => {
    await save(5)
    await checkpoints.save({ name: 'view-1/0/70', offset: 9, chunks: [] })
    expect(await load()).toMatchObject({ offset: 5 })
  })

  it('deletes older checkpoints only after the new one is durable', async () => {
    await save(1)
    await save(2)
    const failing: ObjectStore = {
      ...bound(objects),
      create: () => Promise.reject(new Error('no space')),
    }
    const store = createCheckpointStore(failing, { keep: 2, topicId: 'topic-1' })
    await expect(save(3, 'lost', store)).rejects.toThrow('no space')
    expect(await stored()).toHaveLength(2)
    expect(await load()).toMatchObject({ offset: 2 })
  })

  it('saves an offset again as another attempt, which wins', async () => {
    await save(5, 'first')
    await save(5, 'second')
    expect(await load()).toMatchObject({ offset: 5, bytes: 'second' })
    await save(6)
    await save(7)
    expect(await stored()).toHaveLength(2)
  })

  it('lets two owners save the same offset at once, and damages neither', async () => {
    const other = createCheckpointStore(objects, { keep: 2, topicId: 'topic-1' })
    await Promise.all([save(5, 'one'), save(5, 'two', other), save(4, 'older', other)])
    const loaded = await load()
    expect(['one', 'two']).toContain(loaded?.bytes)
    expect(loaded?.damaged).toEqual([])
  })

  it('is not set back by a former owner that saves a lower offset', async () => {
    await save(10)
    await save(20)
    await save(3, 'late', createCheckpointStore(objects, { keep: 2, topicId: 'topic-1' }))
    expect(await load()).toMatchObject({ offset: 20 })
    expect(await stored()).toHaveLength(2)
  })

  describe('when checkpoints are damaged', () => {
    beforeEach(async () => {
      await save(1)
      await save(2)
    })

    it('takes the one before, and names the damaged', async () => {
      await damage(nameOf(2))
      expect(await load()).toEqual({ offset: 1, bytes: 'state 1', damaged: [nameOf(2)] })
    })

    it('names them when there are no others', async () => {
      const told: [name: string, damaged: readonly string[]][] = []
      const store = createCheckpointStore(objects, {
        keep: 2,
        topicId: 'topic-1',
        allDamaged: (name, damaged) => told.push([name, damaged]),
      })
      await damage(nameOf(2))
      expect(await load(store)).toMatchObject({ offset: 1 })
      expect(told).toEqual([])
      await damage(nameOf(1))
      expect(await load(store)).toBeUndefined()
      expect(told).toEqual([[NAME, [nameOf(2), nameOf(1)]]])
      expect(await store.loadLatest('another')).toBeUndefined()
      expect(told).toHaveLength(1)
    })

    it.each([
      ['cut short', (bytes: Buffer) => bytes.subarray(0, bytes.length - 1)],
      ['empty', () => Buffer.alloc(0)],
      ['of another kind', () => Buffer.alloc(500, 'x')],
      ['longer', (bytes: Buffer) => Buffer.concat([bytes, Buffer.of(0)])],
    ])('tells one that is %s', async (_, change) => {
      await rewrite(nameOf(2), change)
      expect(await load()).toMatchObject({ offset: 1, damaged: [nameOf(2)] })
    })

    it('tells a change of a single byte, in any part', async () => {
      const sizeBytes = (await objects.stat(nameOf(2)))?.sizeBytes ?? 0
      for (let at = 0; at < sizeBytes; at += 5) {
        const flip = (bytes: Buffer) => {
          bytes[at] = (bytes[at] ?? 0) ^ 0x10
          return bytes
        }
        await rewrite(nameOf(2), flip)
        expect((await load())?.offset).toBe(1)
        await rewrite(nameOf(2), flip)
      }
      expect((await load())?.offset).toBe(2)
    })

    it('tells a sound checkpoint that stands under the name of another', async () => {
      const one = await objects.read(nameOf(1))
      await rewrite(nameOf(2), () => one?.bytes ?? Buffer.of())
      expect(await load()).toMatchObject({ offset: 1, damaged: [nameOf(2)] })
    })

    it('does not count them among the two that are kept', async () => {
      await damage(nameOf(2))
      const store = createCheckpointStore(objects, { keep: 2, topicId: 'topic-1' })
      await save(3, 'state 3', store)
      await damage(nameOf(3))
      expect(await load()).toMatchObject({ offset: 1, damaged: [nameOf(3), nameOf(2)] })
    })

    it('has nothing left when all are', async () => {
      await damage(nameOf(1))
      await damage(nameOf(2))
      expect(await load()).toBeUndefined()
    })

    it('takes the word of the object store that one is', async () => {
      const broken: ObjectStore = {
        ...bound(objects),
        read: async (name) => {
          if (name === nameOf(2)) throw objectErrors.create('OBJECT_DAMAGED')
          return objects.read(name)
        },
      }
      const loaded = await load(createCheckpointStore(broken, { keep: 2 }))
      expect(loaded).toMatchObject({ offset: 1, damaged: [nameOf(2)] })
    })
  })

  it('refuses to go on when the newest checkpoint is of a later program', async () => {
    await save(1)
    await save(2)
    await rewrite(nameOf(2), (bytes) => {
      const body = bytes.subarray(0, -32)
      body.writeUInt16BE(CHECKPOINT_OBJECT_FORMAT + 1, 4)
      return Buffer.concat([body, createHash('sha256').update(body).digest()])
    })
    await expect(load()).rejects.toMatchObject({ code: 'CHECKPOINT_VERSION_NEWER' })
  })

  it('refuses a checkpoint of another topic', async () => {
    await save(1)
    const store = createCheckpointStore(objects, { keep: 2, topicId: 'topic-2' })
    await expect(load(store)).rejects.toMatchObject({ code: 'CHECKPOINT_TOPIC_MISMATCH' })
    expect(await load(createCheckpointStore(objects, { keep: 2 }))).toMatchObject({ offset: 1 })
  })

  it('throws what the object store throws, instead of taking it for damage', async () => {
    await save(1)
    const unreachable: ObjectStore = {
      ...bound(objects),
      read: () => Promise.reject(new Error('unreachable')),
    }
    const loading = load(createCheckpointStore(unreachable, { keep: 2 }))
    await expect(loading).rejects.toThrow('unreachable')
  })
})

async function* slowly(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) {
    await Promise.resolve()
    yield chunk
  }
}

function bound(objects: ObjectStore): ObjectStore {
  return {
    create: (name, bytes) => objects.create(name, bytes),
    replace: (name, bytes, generation) => objects.replace(name, bytes, generation),
    read: (name, range) => objects.read(name, range),
    stat: (name) => objects.stat(name),
    list: (prefix, options) => objects.list(prefix, options),
    delete: (name, generation) => objects.delete(name, generation),
    close: () => objects.close(),
  }
}
