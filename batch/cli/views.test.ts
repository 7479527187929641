/** The commands of views, on a folder with three of them: two of the same settings and one of others. */
import { rm, writeFile } from 'node:fs/promises'
import { beforeEach, afterEach, expect, it } from 'vitest'
import { DEFAULT_CUT_IDS, parseCut } from '../../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../../shared/qoe/fold.ts'
import { openFolderObjectStore } from '../../shared/objects/folder-object-store.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { openLmdbSpeedStore } from '../../shared/speed/lmdb-speed-store.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import { activateView, formerViews, readActiveView } from '../../shared/views/active-view.ts'
import {
  describeView,
  listViews,
  registerView,
  type ViewDescription,
} from '../../shared/views/view-registry.ts'
import { allTables } from '../../shared/warehouse/tables.ts'
import { reconciledView } from '../reconcile/reconciled-view.ts'
import { dropView } from '../views/drop.ts'
import { replayIntoView } from '../replay/into-view.ts'
import { over } from '../testing/altered-port.ts'
import { BatchMachine, configOf, PARTITIONS } from '../testing/batch-machine.ts'
import { CommandsOn, expectRefusal } from '../testing/commands-on.ts'
import { ImpatientClock } from '../testing/impatient-clock.ts'
import { LiveSide, ROW_RETENTION_MS } from '../testing/live-side.ts'
import { fillLog } from '../testing/scenario.ts'

/** A machine under load takes its time for a hundred durable appends. */
const BUILD_TIMEOUT_MS = 120_000
const cuts = DEFAULT_CUT_IDS.map(parseCut)
const SHORT = { ...DEFAULT_FOLD_LIMITS, stalledViewerMs: 2_000 }
const own = describeView(cuts, DEFAULT_FOLD_LIMITS, '')
const same = describeView(cuts, DEFAULT_FOLD_LIMITS, 'candidate')
const other = describeView(cuts.slice(0, 4), SHORT, 'shorter')

let folder: string
/** A drop waits to see whether the view stands still. */
let clock: ImpatientClock
let on: CommandsOn

beforeEach(async () => {
  clock = new ImpatientClock()
  const machine = await BatchMachine.open({ clock })
  ;({ folder } = machine)
  const { log, objects } = machine.ports
  const base = { folder, log, clock, partitions: PARTITIONS, limits: DEFAULT_FOLD_LIMITS, cuts }
  const live = await LiveSide.open({ ...base, view: own.view })
  await fillLog({ log, clock, partitions: PARTITIONS, seed: 1, turns: 15 })
  await live.catchUp()
  await machine.ports.warehouse.ensureTables(allTables)
  for (const view of [own, same, other]) await registerView(objects, view)
  for (const view of [same, other]) await fill(machine, live.speed, view)
  const former = formerViews(own.view, undefined, [])
  const active = { view: own.view, ...former, by: 'start' as const, forced: false, atMs: 0 }
  await activateView(objects, active, 0)
  await live.close()
  await machine.ports.log.close()
  await machine.ports.objects.close()
  on = new CommandsOn(folder, clock)
}, BUILD_TIMEOUT_MS)
afterEach(() => rm(folder, { recursive: true, force: true }))

/** What a processor of the view would write. */
async function fill(
  machine: BatchMachine,
  speed: SpeedStore,
  { view, cuts: ofView, limits }: ViewDescription,
): Promise<void> {
  const config = configOf({})
  const parts = { ...machine.ports, speed, config, limits, cuts: ofView, liveView: own.view }
  await replayIntoView({ ...parts, rowRetentionMs: ROW_RETENTION_MS }, view)
}

async function withObjects<Result>(action: (objects: ObjectStore) => Promise<Result>) {
  const objects = await openFolderObjectStore({ folder: `${folder}/objects`, clock })
  try {
    return await action(objects)
  } finally {
    await objects.close()
  }
}

async function withSpeed<Result>(action: (speed: SpeedStore) => Promise<Result>) {
  const access = 'guest' as const
  const speed = await openLmdbSpeedStore({
    folder: `${folder}/speed`,
    mapBytes: 2 ** 28,
    clock,
    access,
  })
  try {
    return await action(speed)
  } finally {
    await speed.close()
  }
}

const activeView = () => withObjects(async (objects) => (await readActiveView(objects))?.active)

const drop = (view: string) => on.run(`view drop ${view}`)

it('lists them with their progress and says which is active', async () => {
  const { found } = await on.json('view list')
  const views = found['views'] as Record<string, unknown>[]
  expect(views.map(({ view, name, kind, lag }) => [view, name, kind, lag])).toEqual(
    [
      [own.view, '', 'active', { records: 0, ms: 0 }],
      [same.view, 'candidate', 'beside', { records: 0, ms: 0 }],
      [other.view, 'shorter', 'beside', { records: 0, ms: 0 }],
    ].toSorted(([a], [b]) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
  )
  for (const { minuteRows } of views) expect(minuteRows).toBeGreaterThan(20)
  expect((await on.run('view list')).output).toContain(`active  ${own.view}: applied`)
})

it('compares equal settings as equal, and names what other settings make different', async () => {
  const equal = await on.json('view compare candidate')
  expect(equal).toMatchObject({ code: 0, found: { verdict: 'equal', different: 0, pending: 0 } })
  expect(equal.found['compared']).toBeGreaterThan(50)
  expect(equal.found['sessions']).toMatchObject({ different: 0, pending: 0, hasMore: false })
  expect((equal.found['sessions'] as { compared: number }).compared).toBeGreaterThan(5)

  const different = await on.json('view compare shorter')
  expect(different).toMatchObject({
    code: 1,
    found: {
      verdict: 'different',
      settings: [{ name: 'stalledViewerMs', left: 300_000, right: 2_000 }],
      cutsOfOne: DEFAULT_CUT_IDS.slice(4).toSorted(),
    },
  })
  const differences = different.found['differences'] as { left: object; right: object }[]
  expect(differences.length).toBeGreaterThan(0)
  for (const { left, right } of differences) {
    expect(Object.keys(left)).toEqual(['concurrentViewers'])
    expect(left).not.toEqual(right)
  }
  const { output } = await on.run('view compare shorter')
  expect(output).toContain('setting stalledViewerMs: 300000 and 2000')
  expect(output).toMatch(/total \[\] \d{4}-.*concurrentViewers/)

  // Seeded: one value of one row, and a row that is lost.
  await withSpeed(async (speed) => {
    const query = {
      view: same.view,
      cut: 'total',
      fromMs: 0,
      toMs: Number.MAX_SAFE_INTEGER,
      limit: 9e5,
    }
    const [row] = await speed.readMinutes(query)
    if (row === undefined) throw new Error('there is a minute')
    const aggregates = { ...row.aggregates, plays: row.aggregates.plays + 1 }
    await speed.putMinutes([{ ...row, aggregates, stampUs: row.stampUs + 1 }])
  })
  expect((await on.json('view compare candidate')).found).toMatchObject({
    verdict: 'different',
    different: 1,
    differences: [{ cut: 'total', key: '[]', left: {}, right: {} }],
  })
})

it('names sessions that differ, or that one view alone has', async () => {
  const ids = await withSpeed(async (speed) => {
    const rows = await speed.readSessions(same.view, { limit: 3 })
    const bySession = Map.groupBy(rows, ({ sessionId }) => sessionId)
    const [changed, lost, alone] = [...bySession.values()].flatMap(([first]) => first ?? [])
    if (changed === undefined || lost === undefined || alone === undefined)
      throw new Error('there are sessions')
    const stampUs = changed.stampUs + 1
    const quality = { ...changed.quality, lost: changed.quality.lost + 1 }
    await speed.putSessions([{ ...changed, stampUs, quality }], [])
    await speed.deleteSession(same.view, lost.sessionId)
    await speed.deleteSession(own.view, alone.sessionId)
    return { changed: changed.sessionId, lost: lost.sessionId, alone: alone.sessionId }
  })
  const { found, code } = await on.json('view compare candidate')
  expect([code, found['verdict'], found['different']]).toEqual([1, 'different', 0])
  const { differences } = found['sessions'] as { differences: Record<string, unknown>[] }
  expect(differences.find(({ sessionId }) => sessionId === ids.changed)).toMatchObject({
    left: { quality: {} },
    right: { quality: {} },
  })
  expect(differences.find(({ sessionId }) => sessionId === ids.lost)).not.toHaveProperty('right')
  expect(differences.find(({ sessionId }) => sessionId === ids.alone)).not.toHaveProperty('left')
  const sessions = new Set(differences.map(({ sessionId }) => sessionId))
  expect(sessions).toEqual(new Set(Object.values(ids)))
  const { output } = await on.run('view compare candidate')
  expect(output).toContain(`session ${ids.changed}`)
  expect(output).toMatch(/sessions: \d+ compared, \d+ equal, [3-9] different/)
})

it('calls pending what later records changed', async () => {
  await withSpeed(async (speed) => {
    const rows = await speed.readPartitions(same.view)
    await speed.putPartitions(
      rows.map((row) => ({ ...row, stampUs: row.stampUs + 1, narrowOffset: 0, wideOffset: 0 })),
    )
  })
  expect(await on.json('view compare candidate')).toMatchObject({
    code: 1,
    found: { verdict: 'pending', compared: 0, different: 0 },
  })
  expectRefusal(await on.run('view switch candidate'), 1, 'VIEW_SWITCH_NOT_COMPARED')
})

it('switches once compared, and back', async () => {
  expectRefusal(await on.run('view switch candidate'), 1, 'VIEW_SWITCH_NOT_COMPARED')
  expectRefusal(await on.run('view switch nobody'), 1, 'VIEW_UNKNOWN')
  await on.json('view compare candidate')
  expect((await on.run('view switch candidate')).output).toContain(`${same.view} is active`)
  const active = await activeView()
  expect(active).toMatchObject({ view: same.view, previous: own.view, by: 'switch', forced: false })
  expect(active?.handover.map(({ partition }) => partition)).toEqual([0, 1])
  expect(active?.handover.every(({ offset }) => offset > 0)).toBe(true)
  expect((await on.json(`view switch ${own.view}`)).code).toBe(0)
  expect(await activeView()).toMatchObject({ view: own.view, previous: same.view })
})

it('refuses a view that lags, unless it is forced', async () => {
  await on.json('view compare candidate')
  await withSpeed(async (speed) => {
    const rows = await speed.readPartitions(same.view)
    await speed.putPartitions(
      rows.map((row) => ({
        ...row,
        stampUs: row.stampUs + 1,
        lastLoggedAtMs: row.lastLoggedAtMs - 30_000,
      })),
    )
  })
  const refused = await on.run('view switch candidate')
  expectRefusal(refused, 1, 'VIEW_SWITCH_LAGS')
  expect(refused.errors).toContain('30000 ms')
  expect((await on.run('view switch candidate --max-lag-ms 30000')).code).toBe(0)
  expect((await on.run(`view switch shorter --force`)).code).toBe(0)
  expect(await activeView()).toMatchObject({ view: other.view, forced: true })
})

it('drops a view with all it has, but never the active one, nor one that is written', async () => {
  expectRefusal(await on.run(`view drop ${own.view}`), 1, 'VIEW_DROP_ACTIVE')
  const dropped = await drop('candidate')
  expect(dropped).toMatchObject({ code: 0, errors: '' })
  await withSpeed(async (speed) => {
    expect(await speed.readPartitions(same.view)).toEqual([])
    expect(await speed.readSessions(same.view, { limit: 10 })).toEqual([])
    for (const { id: cut } of cuts) {
      const query = { cut, fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, limit: 9e5 }
      expect(await speed.readMinutes({ ...query, view: same.view })).toEqual([])
      expect((await speed.readMinutes({ ...query, view: own.view })).length).toBeGreaterThan(0)
    }
    expect((await speed.readSessions(own.view, { limit: 10 })).length).toBeGreaterThan(0)
  })
  await withObjects(async (objects) => {
    expect((await listViews(objects)).map(({ view }) => view)).not.toContain(same.view)
    await expect(registerView(objects, same)).rejects.toMatchObject({ code: 'VIEW_DROPPED' })
  })
  expect((await drop('candidate')).code).toBe(0)
})

it('does not drop a view that is written meanwhile', async () => {
  let stampUs = 1
  const rows = () => Promise.resolve([{ partition: 0, generation: 1, stampUs: stampUs++ }])
  await withObjects(async (objects) => {
    const speed = { readPartitions: rows } as unknown as SpeedStore
    const dropping = dropView({ objects, speed, clock, rowRetentionMs: 1 }, other)
    await expect(dropping).rejects.toMatchObject({ code: 'VIEW_DROP_IN_USE' })
    expect((await listViews(objects)).map(({ view }) => view)).toContain(other.view)
  })
})

it('notices a processor that had begun before the drop, and deletes what it wrote when it is repeated', async () => {
  await withObjects(async (objects) => {
    await withSpeed(async (speed) => {
      const [row] = await speed.readPartitions(same.view)
      if (row === undefined) throw new Error('the view has progress')
      const begun: SpeedStore = over(speed, {
        async deleteView(...args) {
          await speed.deleteView(...args)
          await speed.putPartitions([{ ...row, stampUs: row.stampUs + 1 }])
        },
      })
      const dropping = dropView({ objects, speed: begun, clock, rowRetentionMs: 1 }, same)
      await expect(dropping).rejects.toMatchObject({ code: 'VIEW_DROP_IN_USE' })
      expect(await speed.readPartitions(same.view)).toHaveLength(1)
    })
  })
  expect((await drop('candidate')).code).toBe(0)
  await withSpeed(async (speed) => expect(await speed.readPartitions(same.view)).toEqual([]))
})

it('compares with the history the view that is served, where its settings are those of the history', async () => {
  await withObjects(async (objects) => {
    expect(await reconciledView(objects, own)).toBe(own.view)
    await on.run('view switch candidate --force')
    expect(await reconciledView(objects, own)).toBe(same.view)
    await on.run('view switch shorter --force')
    const differs = { code: 'BATCH_RECONCILE_VIEW_DIFFERS' }
    await expect(reconciledView(objects, own)).rejects.toMatchObject(differs)
    expect(await reconciledView(objects, own, 'candidate')).toBe(same.view)
    await expect(reconciledView(objects, own, 'shorter')).rejects.toMatchObject(differs)
  })
  await writeFile(`${folder}/format.json`, '{"format":1}\n')
  expectRefusal(await on.run('reconcile'), 1, 'BATCH_RECONCILE_VIEW_DIFFERS')
})
