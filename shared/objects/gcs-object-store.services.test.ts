/** The object store on a server that speaks the API of GCS: its contract, then what may befall it. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ApiEffect, ApiRequest } from '../../scripts/services/api-proxy.ts'
import { FaultProxy } from '../../scripts/services/fault-proxy.ts'
import { startGcs, type Gcs } from '../../scripts/services/gcs.ts'
import { createCheckpointStore } from './checkpoint-store.ts'
import { REQUEST_ATTEMPTS_MAX } from './gcs-limits.ts'
import { describeLease } from './lease.contract.ts'
import { describeObjectStore, type ObjectStoreHarness } from './object-store.contract.ts'
import type { ObjectStore } from './object-store.ts'
import { freshBucket, openBucket } from './testing/gcs-bucket.ts'

let gcs: Gcs

beforeAll(async () => {
  gcs = await startGcs()
})
afterAll(() => gcs.stop())

/** One bucket for a suite, whose tests keep to folders of their own. */
function suiteHarness(): () => Promise<ObjectStoreHarness> {
  let bucket: Promise<string> | undefined
  return async () => {
    bucket ??= freshBucket(gcs)
    const name = await bucket
    return { open: () => openBucket(gcs, name), dispose: () => Promise.resolve() }
  }
}

describeObjectStore('the object store on GCS', suiteHarness())
describeLease('the object store on GCS', suiteHarness())

const isUpload = ({ method, url }: ApiRequest) =>
  method === 'POST' && url.pathname.startsWith('/upload/')
const isDownload = ({ url }: ApiRequest) => url.searchParams.get('alt') === 'media'
const isDelete = ({ method }: ApiRequest) => method === 'DELETE'

describe('the object store on GCS', () => {
  let bucket: string
  let store: ObjectStore

  beforeEach(async () => {
    bucket = await freshBucket(gcs)
    store = await openBucket(gcs, bucket)
    return async () => {
      gcs.proxy.heal()
      await store.close()
    }
  })

  const textOf = async (name: string): Promise<string | undefined> => {
    const object = await store.read(name)
    return object && Buffer.from(object.bytes).toString()
  }

  it('keeps checkpoints', async () => {
    const checkpoints = createCheckpointStore(store, { keep: 2 })
    for (const offset of [1, 2, 3])
      await checkpoints.save({ name: 'p0', offset, chunks: [Buffer.from(`state ${offset}`)] })
    const latest = await checkpoints.loadLatest('p0')
    expect(latest?.offset).toBe(3)
    expect(Buffer.from(latest?.bytes ?? []).toString()).toBe('state 3')
    expect(await store.list('checkpoints/', { limit: 9 })).toHaveLength(2)
  })

  it('lists on where GCS gives fewer objects at a time than were asked for', async () => {
    const names = Array.from({ length: 10 }, (_, n) => `many/${n}`)
    await Promise.all(names.map((name) => store.create(name, Buffer.of(1))))
    const effect = { kind: 'altered', query: { maxResults: '3' } } as const
    gcs.proxy.inject({ to: ({ url }) => url.searchParams.has('maxResults'), effect })
    const all = await store.list('many/', { limit: 100 })
    expect(all.map(({ name }) => name)).toEqual(names)
    expect(await store.list('many/', { limit: 4, startAfter: 'many/4' })).toEqual(all.slice(5, 9))
  })

  it('makes nothing of an upload that is cut, and makes it whole by repeating it', async () => {
    const effect = { kind: 'cut', afterBytes: 20_000 } as const
    gcs.proxy.inject({ to: isUpload, times: 1, effect })
    const bytes = Buffer.alloc(100_000, 'abc')
    const created = await store.create('cut', bytes)
    expect(created).toEqual(await store.stat('cut'))
    expect(bytes.equals((await store.read('cut'))?.bytes ?? Buffer.of())).toBe(true)
  })

  it('shows nothing of an upload that stays cut', async () => {
    gcs.proxy.inject({ to: isUpload, effect: { kind: 'cut', afterBytes: 20_000 } })
    await expect(store.create('cut', Buffer.alloc(100_000, 'abc'))).rejects.toMatchObject({
      code: 'OBJECT_UNAVAILABLE',
    })
    expect(await store.stat('cut')).toBeUndefined()
    expect(await store.list('', { limit: 9 })).toEqual([])
  })

  it('knows its own write again when the answer to it was lost', async () => {
    gcs.proxy.inject({ to: isUpload, times: 1, effect: { kind: 'answerLost' } })
    const created = await store.create('once', Buffer.from('first'))
    expect(created).toEqual(await store.stat('once'))
    gcs.proxy.inject({ to: isUpload, times: 1, effect: { kind: 'answerLost' } })
    const replaced = await store.replace('once', Buffer.from('second'), created.generation)
    expect(replaced).toEqual(await store.stat('once'))
    expect(await textOf('once')).toBe('second')
  })

  it('takes no write of another for its own, however alike', async () => {
    await store.create('taken', Buffer.from('same'))
    gcs.proxy.inject({ to: isUpload, times: 1, effect: refused(503) })
    await expect(store.create('taken', Buffer.from('same'))).rejects.toMatchObject({
      code: 'OBJECT_PRECONDITION_FAILED',
    })
  })

  it('deletes once when the answer was lost', async () => {
    const { generation } = await store.create('gone', Buffer.from('x'))
    gcs.proxy.inject({ to: isDelete, times: 1, effect: { kind: 'answerLost' } })
    await store.delete('gone', generation)
    expect(await store.stat('gone')).toBeUndefined()
  })

  it.each([408, 429, 500, 502, 503])('repeats what was answered %i', async (status) => {
    await store.create('a', Buffer.from('a'))
    for (const to of [isUpload, isDownload, isDelete])
      gcs.proxy.inject({ to, times: 1, effect: refused(status) })
    await store.create('b', Buffer.from('b'))
    expect(await textOf('b')).toBe('b')
    await store.delete('a')
    expect(await store.stat('a')).toBeUndefined()
  })

  it('gives a request up after bounded tries, and can be asked again', async () => {
    let asked = 0
    const counted = (request: ApiRequest) => isUpload(request) && (asked += 1) > 0
    gcs.proxy.inject({ to: counted, effect: refused(503) })
    const refusal = store.create('a', Buffer.from('a'))
    await expect(refusal).rejects.toMatchObject({
      code: 'OBJECT_UNAVAILABLE',
      spec: { retryable: true },
    })
    await expect(refusal).rejects.toThrow(`gs://${bucket}/a`)
    expect(asked).toBe(REQUEST_ATTEMPTS_MAX)
    gcs.proxy.heal()
    await store.create('a', Buffer.from('a'))
  })

  it('repeats requests that are not answered in time', async () => {
    await store.create('a', Buffer.from('a'))
    const hasty = await openBucket(gcs, bucket, { requestTimeoutMs: 500 })
    for (const to of [isUpload, isDownload])
      gcs.proxy.inject({ to, times: 1, effect: { kind: 'swallowed' } })
    await hasty.create('b', Buffer.from('b'))
    expect((await hasty.read('a'))?.bytes).toEqual(new Uint8Array(Buffer.from('a')))
    await hasty.close()
  })

  it('repeats a read whose answer is cut', async () => {
    const bytes = Buffer.alloc(400_000, 'abc')
    await store.create('long', bytes)
    const proxy = await FaultProxy.start(Number(new URL(gcs.endpoint).port))
    const cut = await openBucket(gcs, bucket, { endpoint: `http://127.0.0.1:${proxy.port}` })
    proxy.inject('down', { cutAfterBytes: 100_000 })
    const reading = cut.read('long')
    await expect.poll(() => proxy.passedBytes('down')).toBe(0)
    proxy.heal()
    expect(bytes.equals((await reading)?.bytes ?? Buffer.of())).toBe(true)
    await cut.close()
    await proxy.stop()
  })

  it('tells bytes that are not those that were written', async () => {
    await store.create('a', Buffer.from('right'))
    gcs.proxy.inject({ to: isDownload, effect: { kind: 'answered', body: Buffer.from('wrong') } })
    await expect(store.read('a')).rejects.toMatchObject({ code: 'OBJECT_DAMAGED' })
  })

  it('keeps its objects over a crash of the server, and serves again after it', async () => {
    await store.create('a', Buffer.from('a'))
    await gcs.kill()
    const unavailable = { code: 'OBJECT_UNAVAILABLE', spec: { retryable: true } }
    await expect(store.read('a')).rejects.toMatchObject(unavailable)
    await gcs.start()
    expect(await textOf('a')).toBe('a')
  })

  it.each([
    [401, 'authError', 'OBJECT_CREDENTIALS_REFUSED', 'credentials that may use gs://'],
    [403, 'forbidden', 'OBJECT_NOT_AUTHORIZED', undefined],
    [404, 'notFound', 'OBJECT_BUCKET_MISSING', 'gs://'],
    [410, 'gone', 'OBJECT_REQUEST_REFUSED', 'gs://'],
  ])('says what to mend when a request is answered %i', async (status, reason, code, text) => {
    await store.create('held', Buffer.from('held'))
    const requests: readonly (readonly [permission: string, () => Promise<unknown>])[] = [
      ['storage.objects.create', () => store.create('a', Buffer.from('a'))],
      ['storage.objects.get', () => store.read('held')],
      ['storage.objects.list', () => store.list('', { limit: 9 })],
      ['storage.objects.delete', () => store.delete('held')],
    ]
    gcs.proxy.inject({ effect: { ...refused(status), reason } })
    for (const [permission, request] of requests) {
      const refusal = request()
      await expect(refusal).rejects.toMatchObject({ code, spec: { retryable: false } })
      await expect(refusal).rejects.toThrow(text ?? `${permission} on gs://`)
      await expect(refusal).rejects.toThrow(bucket)
    }
    gcs.proxy.heal()
    for (const [, request] of requests) await request()
  })

  it('takes 403 for too many requests as what passes', async () => {
    const effect = { ...refused(403), reason: 'rateLimitExceeded' }
    gcs.proxy.inject({ to: isUpload, times: 1, effect })
    await store.create('a', Buffer.from('a'))
  })

  it('does not open on a bucket that is missing, and does not take it for an empty one', async () => {
    const bucketMissing = { code: 'OBJECT_BUCKET_MISSING' }
    await expect(openBucket(gcs, 'never-made')).rejects.toMatchObject(bucketMissing)
    gcs.proxy.inject({
      to: ({ url }) => url.pathname.startsWith(`/storage/v1/b/${bucket}`),
      effect: refused(404),
    })
    await expect(store.stat('a')).rejects.toMatchObject(bucketMissing)
    await expect(store.read('a')).rejects.toMatchObject(bucketMissing)
    await expect(store.delete('a')).rejects.toMatchObject(bucketMissing)
  })
})

function refused(status: number): ApiEffect & { readonly kind: 'refused' } {
  return { kind: 'refused', status, reason: 'injected' }
}
