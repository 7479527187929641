/** The contract of `ObjectStore` as tests; every adapter runs them. */
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ObjectInfo, ObjectStore } from './object-store.ts'

/** One storage of an adapter; tests keep to a folder of their own in it. */
export interface ObjectStoreHarness {
  /** Opens the store on this storage; handles opened before may still be open. */
  open(): Promise<ObjectStore>
  dispose(): Promise<void>
}

const PRECONDITION = { code: 'OBJECT_PRECONDITION_FAILED' }

export function describeObjectStore(
  name: string,
  createHarness: () => Promise<ObjectStoreHarness>,
): void {
  describe(`${name} keeps the object store contract`, () => {
    let harness: ObjectStoreHarness
    let store: ObjectStore
    let folder: string

    beforeEach(async () => {
      harness = await createHarness()
      store = await harness.open()
      folder = `tests/${randomUUID()}`
    })
    afterEach(async () => {
      await store.close()
      await harness.dispose()
    })

    const named = (tail: string): string => `${folder}/${tail}`
    const textOf = async (objectName: string): Promise<string | undefined> => {
      const object = await store.read(objectName)
      return object && Buffer.from(object.bytes).toString()
    }
    const namesOf = (infos: readonly ObjectInfo[]): string[] =>
      infos.map((info) => info.name.slice(folder.length + 1))

    describe('create', () => {
      it('makes an object that is read back with its size, checksum and generation', async () => {
        const created = await store.create(named('a.txt'), Buffer.from('123456789'))
        expect(created).toMatchObject({ name: named('a.txt'), sizeBytes: 9, crc32c: '4waSgw==' })
        expect(created.generation).toBeGreaterThan(0)
        expect(created.updatedAtMs).toBeGreaterThan(0)
        expect(await textOf(named('a.txt'))).toBe('123456789')
        expect((await store.read(named('a.txt')))?.info).toEqual(created)
        expect(await store.stat(named('a.txt'))).toEqual(created)
      })

      it('takes empty objects and ones of some megabytes', async () => {
        await store.create(named('empty'), new Uint8Array(0))
        expect(await store.read(named('empty'))).toMatchObject({
          info: { sizeBytes: 0, crc32c: 'AAAAAA==' },
          bytes: new Uint8Array(0),
        })
        const large = Buffer.alloc(3_000_001, 'abcdefg')
        await store.create(named('large'), large)
        expect(large.equals((await store.read(named('large')))?.bytes ?? Buffer.of())).toBe(true)
      })

      it('refuses a name that is taken and leaves the object as it was', async () => {
        const first = await store.create(named('a'), Buffer.from('first'))
        const second = store.create(named('a'), Buffer.from('second'))
        await expect(second).rejects.toMatchObject(PRECONDITION)
        expect(await store.stat(named('a'))).toEqual(first)
        expect(await textOf(named('a'))).toBe('first')
      })

      it('has one winner among twenty at once, whose bytes stay', async () => {
        const creates = Array.from({ length: 20 }, (_, index) =>
          store.create(named('race'), Buffer.from(`${index}`)),
        )
        const results = await Promise.allSettled(creates)
        const winners = results.flatMap((result, index) =>
          result.status === 'fulfilled' ? [index] : [],
        )
        expect(winners).toHaveLength(1)
        const refusals = results.flatMap((result) =>
          result.status === 'rejected' ? [result.reason as unknown] : [],
        )
        for (const refusal of refusals) expect(refusal).toMatchObject(PRECONDITION)
        expect(await textOf(named('race'))).toBe(`${winners[0]}`)
      })

      it('is seen by another handle on the same storage', async () => {
        const other = await harness.open()
        await store.create(named('a'), Buffer.from('one'))
        expect(await other.stat(named('a'))).toEqual(await store.stat(named('a')))
        await expect(other.create(named('a'), Buffer.from('two'))).rejects.toMatchObject(
          PRECONDITION,
        )
        await other.close()
      })
    })

    describe('replace', () => {
      it('takes the place of the expected generation, with a new one', async () => {
        const first = await store.create(named('a'), Buffer.from('first'))
        const second = await store.replace(named('a'), Buffer.from('second'), first.generation)
        expect(second.generation).not.toBe(first.generation)
        expect(await textOf(named('a'))).toBe('second')
        expect(await store.stat(named('a'))).toEqual(second)
      })

      it('refuses any other generation and leaves the object as it was', async () => {
        const first = await store.create(named('a'), Buffer.from('first'))
        const second = await store.replace(named('a'), Buffer.from('second'), first.generation)
        for (const generation of [0, first.generation, second.generation + 1]) {
          const refused = store.replace(named('a'), Buffer.from('third'), generation)
          await expect(refused).rejects.toMatchObject(PRECONDITION)
        }
        expect(await textOf(named('a'))).toBe('second')
      })

      it('of generation 0 creates, and refuses an absent object otherwise', async () => {
        await expect(store.replace(named('a'), Buffer.from('x'), 7)).rejects.toMatchObject(
          PRECONDITION,
        )
        await store.replace(named('a'), Buffer.from('x'), 0)
        expect(await textOf(named('a'))).toBe('x')
      })

      it('lets twenty at once read, add one and replace until all are counted', async () => {
        await store.create(named('counter'), Buffer.from('0'))
        const addOne = async (): Promise<void> => {
          for (;;) {
            const current = await store.read(named('counter'))
            const next = Buffer.from(`${Number(Buffer.from(current?.bytes ?? []).toString()) + 1}`)
            const replaced = await store
              .replace(named('counter'), next, current?.info.generation ?? 0)
              .then(
                () => true,
                (error: unknown) => {
                  expect(error).toMatchObject(PRECONDITION)
                  return false
                },
              )
            if (replaced) return
          }
        }
        await Promise.all(Array.from({ length: 20 }, addOne))
        expect(await textOf(named('counter'))).toBe('20')
      })

      it('never shows a reader a mixture of old and new', async () => {
        const bytesOf = (digit: number) => Buffer.alloc(300_000, `${digit}`)
        let info = await store.create(named('a'), bytesOf(0))
        let writing = true
        const reading = (async () => {
          let reads = 0
          for (; writing || reads === 0; reads += 1) {
            const bytes = (await store.read(named('a')))?.bytes
            expect(bytes?.length).toBe(300_000)
            expect(new Set(bytes).size).toBe(1)
          }
          return reads
        })()
        for (let digit = 1; digit < 9; digit += 1)
          info = await store.replace(named('a'), bytesOf(digit), info.generation)
        writing = false
        expect(await reading).toBeGreaterThan(0)
      })
    })

    describe('read', () => {
      it('gives the bytes of a range, cut at the end of the object', async () => {
        await store.create(named('a'), Buffer.from('0123456789'))
        const range = async (from: number, to: number) =>
          Buffer.from((await store.read(named('a'), { from, to }))?.bytes ?? []).toString()
        expect(await range(0, 3)).toBe('012')
        expect(await range(4, 6)).toBe('45')
        expect(await range(8, 99)).toBe('89')
        expect(await range(0, 10)).toBe('0123456789')
        expect(await range(5, 5)).toBe('')
      })

      it('answers undefined for an object that does not exist', async () => {
        expect(await store.read(named('absent'))).toBeUndefined()
        expect(await store.stat(named('absent'))).toBeUndefined()
      })
    })

    describe('list', () => {
      beforeEach(async () => {
        const tails = ['b/2', 'b/1', 'a', 'b.c', 'b/10', 'bb', 'c=1/d_e-f']
        await Promise.all(tails.map((tail) => store.create(named(tail), Buffer.from(tail))))
        await store.create(`${folder}x/outside`, Buffer.of(1))
      })

      it('gives the objects of a prefix by name', async () => {
        const all = await store.list(`${folder}/`, { limit: 100 })
        expect(namesOf(all)).toEqual(['a', 'b.c', 'b/1', 'b/10', 'b/2', 'bb', 'c=1/d_e-f'])
        expect(all[0]).toEqual(await store.stat(named('a')))
        expect(namesOf(await store.list(named('b/'), { limit: 100 }))).toEqual([
          'b/1',
          'b/10',
          'b/2',
        ])
        expect(namesOf(await store.list(named('b'), { limit: 100 }))).toEqual([
          'b.c',
          'b/1',
          'b/10',
          'b/2',
          'bb',
        ])
        expect(await store.list(named('absent'), { limit: 100 })).toEqual([])
      })

      it('goes on after a name, in pages', async () => {
        const pages: string[][] = []
        let startAfter = ''
        for (;;) {
          const options = startAfter === '' ? { limit: 3 } : { limit: 3, startAfter }
          const page = await store.list(`${folder}/`, options)
          const last = page.at(-1)
          if (last === undefined) break
          pages.push(namesOf(page))
          startAfter = last.name
        }
        expect(pages).toEqual([['a', 'b.c', 'b/1'], ['b/10', 'b/2', 'bb'], ['c=1/d_e-f']])
      })

      it('takes a name to go on after that is no object, before or beyond the prefix', async () => {
        const after = async (tail: string) =>
          namesOf(await store.list(named('b/'), { startAfter: named(tail), limit: 9 }))
        expect(await after('b/11')).toEqual(['b/2'])
        expect(await after('a')).toEqual(['b/1', 'b/10', 'b/2'])
        expect(await after('z')).toEqual([])
      })
    })

    describe('delete', () => {
      it('takes the object away; an absent one is no error', async () => {
        await store.create(named('a'), Buffer.from('a'))
        await store.delete(named('a'))
        expect(await store.read(named('a'))).toBeUndefined()
        expect(await store.list(named('a'), { limit: 9 })).toEqual([])
        await store.delete(named('a'))
        await store.delete(named('a'), 4)
      })

      it('refuses another generation than the object has', async () => {
        const { generation } = await store.create(named('a'), Buffer.from('a'))
        await expect(store.delete(named('a'), generation + 1)).rejects.toMatchObject(PRECONDITION)
        expect(await textOf(named('a'))).toBe('a')
        await store.delete(named('a'), generation)
        expect(await textOf(named('a'))).toBeUndefined()
      })

      it('frees the name, whose next object has a generation of its own', async () => {
        const first = await store.create(named('a'), Buffer.from('a'))
        await store.delete(named('a'))
        const second = await store.create(named('a'), Buffer.from('b'))
        expect(second.generation).not.toBe(first.generation)
        expect(await textOf(named('a'))).toBe('b')
      })
    })

    it('refuses names that are no paths of plain segments, in every call', async () => {
      const invalid = [
        '',
        '/',
        '/a',
        'a/',
        'a//b',
        '.',
        '..',
        'a/../b',
        './a',
        'a b',
        'a@1',
        'ä',
        'a\\b',
        'a\0',
        'a:b',
        'x'.repeat(1_025),
      ]
      const expected = { code: 'OBJECT_NAME_INVALID' }
      for (const objectName of invalid) {
        await expect(store.create(objectName, Buffer.of(1))).rejects.toMatchObject(expected)
        await expect(store.replace(objectName, Buffer.of(1), 1)).rejects.toMatchObject(expected)
        await expect(store.read(objectName)).rejects.toMatchObject(expected)
        await expect(store.stat(objectName)).rejects.toMatchObject(expected)
        await expect(store.delete(objectName)).rejects.toMatchObject(expected)
      }
    })

    it('keeps its objects when it is opened anew, and refuses calls after it was closed', async () => {
      const info = await store.create(named('a'), Buffer.from('a'))
      await store.close()
      await expect(store.stat(named('a'))).rejects.toMatchObject({ code: 'OBJECT_STORE_CLOSED' })
      store = await harness.open()
      expect(await store.stat(named('a'))).toEqual(info)
      expect(await textOf(named('a'))).toBe('a')
    })
  })
}
