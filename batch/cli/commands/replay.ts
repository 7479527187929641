/** `replay`: the archive into the tables again, or into a fresh view of the speed store. */
import { TOPICS } from '../../../shared/log/topics.ts'
import { readActiveView } from '../../../shared/views/active-view.ts'
import { registerView, VIEW_NAME } from '../../../shared/views/view-registry.ts'
import { RAW_TOPICS } from '../../raw-line.ts'
import { replayIntoTables } from '../../replay/into-tables.ts'
import { replayIntoView } from '../../replay/into-view.ts'
import { createBatchTelemetry } from '../../telemetry.ts'
import { usage } from '../arguments.ts'
import { type Command, type CommandContext, type CommandResult, EXIT } from '../command.ts'

export const replay: Command = {
  name: 'replay',
  summary: 'archived records into the tables again, or into a fresh live view',
  about: `With --range, loads the runs that hold these offsets from their raw files again: missing rows
are inserted and their metrics computed, rows that are there stay. With --view, folds all archived
records and the rest of the log into a new view of the speed store; its rows equal those of the live
view. Of the name that PROCESSOR_VIEW has, it is the past of the view that processors of these settings
build: they begin with what the log still holds. With both, folds only these offsets of playback.events: a session that goes beyond them has in
the view what the range holds of it.`,
  examples: [
    'replay --range playback.events/3@1000-2000',
    'replay --view after-the-fix',
    'replay --view those-alone --range playback.events/3@1000-2000',
  ],
  options: {
    range: { value: 'TOPIC/PARTITION@FROM-TO', doc: 'offsets, the last one included' },
    view: { value: 'NAME', doc: 'name of a view that has no rows yet' },
  },
  positionals: [],
  run(context, given) {
    const [range, view] = [given.text('range'), given.text('view')]
    if (view !== undefined) return intoView(context, { view, range })
    if (range !== undefined) return intoTables(context, range)
    throw usage('--range or --view', 'none')
  },
}

const RANGE = /^(?<topic>[a-z.]+)\/(?<partition>\d{1,5})@(?<from>\d{1,15})-(?<to>\d{1,15})$/

function parseRange(text: string) {
  const found = RANGE.exec(text)?.groups
  const topic = RAW_TOPICS.find((known) => known === found?.['topic'])
  if (topic === undefined) throw usage('--range such as playback.events/3@1000-2000', text)
  const [fromOffset, lastOffset] = [Number(found?.['from']), Number(found?.['to'])]
  if (fromOffset > lastOffset) throw usage('--range with FROM not after TO', text)
  return { topic, partition: Number(found?.['partition']), fromOffset, toOffset: lastOffset + 1 }
}

async function intoTables(context: CommandContext, text: string): Promise<CommandResult> {
  const { stores, clock, progress, signal } = context
  const { batch: config, limits, cuts } = stores.settings
  const runs = await replayIntoTables(
    {
      objects: await stores.objects(),
      warehouse: await stores.warehouse(),
      telemetry: createBatchTelemetry(stores.telemetry),
      holder: stores.holder,
      temporaryFolder: stores.temporaryFolder,
      onProgress: (done, total) => progress.show('runs', done, total),
      clock,
      config,
      limits,
      cuts,
      signal,
    },
    parseRange(text),
  )
  const lines = runs.map(
    ({ run, files, events, copies }) =>
      `Run ${run}: ${files} files, ${events} events and ${copies} other copies in the tables.`,
  )
  return { exitCode: EXIT.done, json: { runs }, text: lines.join('\n') }
}

/** Topics that are not folded have no rows in a view. */
function parseViewRange(text: string) {
  const range = parseRange(text)
  if (range.topic !== TOPICS.events) throw usage(`--range of ${TOPICS.events} with --view`, text)
  return range
}

interface IntoView {
  readonly view: string
  readonly range: string | undefined
}

async function intoView(
  context: CommandContext,
  { view: name, range }: IntoView,
): Promise<CommandResult> {
  const { stores, progress, signal } = context
  const { batch: config, limits, cuts, described, processor } = stores.settings
  if (!VIEW_NAME.test(name)) throw usage('--view of 1 to 64 letters, digits, ., _ or -', name)
  const objects = await stores.objects()
  // Of the name that PROCESSOR_VIEW gives, it is the older part of what a processor builds.
  const isOwn = name === described.name
  if (isOwn) await registerView(objects, described)
  const view = isOwn ? described.view : name
  const active = (await readActiveView(objects))?.active.view
  const liveView = active ?? (described.name === '' ? described.view : undefined)
  const viewRange = range === undefined ? undefined : parseViewRange(range)
  const partitions = await replayIntoView(
    {
      log: await stores.log('reader'),
      objects,
      warehouse: await stores.warehouse(),
      speed: await stores.speed('guest'),
      rowRetentionMs: processor.rowRetentionMs,
      onProgress: (done, total) => progress.show('records', done, total),
      config,
      limits,
      cuts,
      liveView,
      signal,
    },
    view,
    viewRange,
  )
  const lines = partitions.map(
    ({ partition, archived, fromLog, minuteRows, sessionRows }) =>
      `Partition ${partition}: ${archived} records of files and ${fromLog} of the log; ${minuteRows} minute rows and ${sessionRows} session rows written.`,
  )
  return { exitCode: EXIT.done, json: { view, partitions }, text: lines.join('\n') }
}
