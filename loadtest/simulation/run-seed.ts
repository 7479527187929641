/**
 * One run of processors by one seed: input and faults, then everything heals, then what is left is
 * judged. A run is the same whenever it is repeated; `traceHash` is what shows it.
 */
import { foldLimitsOf, processorConfig, type ProcessorConfig } from '../../processor/config.ts'
import { encodeTick } from '../../shared/log/record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { parseCut } from '../../shared/qoe/cuts.ts'
import { viewId } from '../../shared/qoe/view.ts'
import { readConfig } from '../../shared/runtime/config.ts'
import { BackhaulError } from '../../shared/runtime/errors.ts'
import { seededRandom } from '../../shared/runtime/random.ts'
import type { PartitionRow } from '../../shared/speed/rows.ts'
import { alertSettings, alertsTold, alertViolations, areAllTold } from './alerts.ts'
import { falseClaims } from './audit.ts'
import { Crew } from './crew.ts'
import { Checkpoints } from './checkpoints.ts'
import { GroupCoordinator } from './group-coordinator.ts'
import { inputOf, strangers, type Input } from './input.ts'
import { MemoryLog } from './memory-log.ts'
import { MemoryObjectStore } from './memory-object-store.ts'
import { MemorySpeedStore } from './memory-speed-store.ts'
import { planOf, type Plan, type PlannedEvent } from './plan.ts'
import type { Backends } from './ports.ts'
import { Reader } from './reader.ts'
import { Scheduler, START_MS } from './scheduler.ts'
import type { PartitionReport } from './sim-processor.ts'
import { violationsOf, type Finished } from './verdict.ts'
import { NO_FAULTS, Wire, type WireCounts } from './wire.ts'

const CUTS = ['total', 'content', 'cdn', 'cdn+content'].map(parseCut)
/** What was under way when everything died has happened, or will not. */
const DRAIN_MS = 20_000
/** More than the longest wait for anything: that of a member which is told nothing. */
const SETTLE_MAX_MS = 180_000
/** A topic that is created anew is not there for some time, which nobody who reads it misses. */
const TOPIC_GONE_MIN_MS = 2_500
const VIOLATIONS_MAX = 20
const AUDITS_MAX = 6
const READ_EVERY_MS = 700

export interface SeedRun {
  readonly seed: number
  readonly violations: readonly string[]
  readonly traceHash: string
  readonly counts: RunCounts
}

export interface RunCounts extends WireCounts {
  readonly steps: number
  readonly records: number
  readonly rows: number
  readonly processes: number
  readonly rebalances: number
  readonly rebuilds: number
  /** Alerts raised and resolved. */
  readonly alerts: number
  /** Topics that took the name of the first. */
  readonly otherTopics: number
  readonly virtualMs: number
}

export async function runSeed(seed: number, onTrace?: (line: string) => void): Promise<SeedRun> {
  const run = new Run(seed)
  run.scheduler.onTrace = onTrace
  await run.take()
  return {
    seed,
    violations: run.violations.slice(0, VIOLATIONS_MAX),
    traceHash: run.scheduler.traceHash(),
    counts: run.counts(),
  }
}

class Run {
  readonly scheduler: Scheduler
  readonly violations: string[] = []
  readonly #plan: Plan
  readonly #input: Input
  readonly #config: ProcessorConfig
  readonly #view: string
  readonly #random
  readonly #backends: Backends
  readonly #checkpoints: Checkpoints
  readonly #crew: Crew
  /** Partitions whose log lost its beginning. */
  readonly #shortened = new Set<number>()
  readonly #alarms = new Map<number, string>()
  #expectedAlarm: string | undefined
  #mayBeSettled = false
  /** Owners, by partition, whose first word was compared with the store. */
  readonly #audited = new Set<string>()

  constructor(seed: number) {
    const streams = seededRandom(seed)
    const stream = () => seededRandom(streams.below(2 ** 31))
    this.#plan = planOf(seed, stream())
    const { partitions, recordsPerPartition, inputMs, slots, hasAlerts } = this.#plan
    const input = { seed, partitions, recordsPerPartition, lengthMs: inputMs }
    this.#input = inputOf(input, stream())
    const settings = readConfig(processorConfig, this.#plan.settings, () => '')
    this.#config = { ...settings, ...this.#input.limits }
    this.#view = viewId(CUTS, foldLimitsOf(this.#config))
    this.scheduler = new Scheduler(stream())
    this.#random = stream()
    this.#backends = this.#openBackends(new Wire(this.scheduler, stream(), this.#faults()))
    this.#checkpoints = new Checkpoints(this.#backends.objects, this.#view)
    this.#crew = new Crew({
      scheduler: this.scheduler,
      backends: this.#backends,
      random: stream(),
      config: this.#config,
      cuts: CUTS,
      partitions,
      slots,
      alerts: hasAlerts ? alertSettings(CUTS) : undefined,
      onFailure: (name, failure) => this.#processFailed(name, failure),
      onTaskFailure: (report) => this.#taskFailed(report),
    })
  }

  async take(): Promise<void> {
    const { arrivals } = this.#input
    const { log } = this.#backends
    for (const { atMs, partition, record, holes } of arrivals)
      this.scheduler.after(atMs - START_MS, `append ${partition}`, () =>
        log.append(TOPICS.events, partition, [record], holes),
      )
    for (const event of this.#plan.events)
      this.scheduler.after(event.atMs, event.do, () => this.#befall(event))
    this.#crew.begin()
    this.#readOn(new Reader(this.#backends.speed, this.#plan.partitions, this.#input.limits))
    await this.scheduler.run(START_MS + 3_000 + this.#plan.inputMs)
    this.#heal()
    const { logLoss } = this.#plan
    if (logLoss === 'topic') await this.#recreateTopic()
    else if (logLoss !== undefined) await this.#loseLog(logLoss)
    await this.#settle()
    // Whoever recovers from what stands there now ends with the same.
    if (this.violations.length === 0 && this.#random.below(4) === 0) {
      this.#crew.killAll()
      await this.scheduler.run(this.scheduler.nowMs + 5_000)
      await this.#settle()
    }
    this.violations.push(...this.#backends.violations, ...this.#backends.speed.violations)
  }

  counts(): RunCounts {
    const { wire, speed, group } = this.#backends
    const generations = [...speed.partitions.values()].map(({ generation }) => generation)
    return {
      ...wire.counts,
      steps: this.scheduler.steps,
      records: this.#input.arrivals.length,
      rows: speed.rowsWritten,
      processes: this.#crew.started,
      rebalances: group.rebalances,
      rebuilds: Math.max(1, ...generations) - 1,
      alerts: alertsTold(this.#backends.log, this.#plan.partitions).size,
      otherTopics: this.#plan.logLoss === 'topic' ? 1 : 0,
      virtualMs: this.scheduler.nowMs - START_MS,
    }
  }

  #faults() {
    const { rates, slowMaxMs, deadlyFailpoints } = this.#plan
    return { rates, slowMaxMs, deadlyFailpoints, outages: new Map() }
  }

  #openBackends(wire: Wire): Backends {
    const { scheduler } = this
    const group = new GroupCoordinator(scheduler)
    group.onCommit = (partition, offset) => this.#committed(partition, offset)
    const speed = new MemorySpeedStore()
    speed.onProgress = (row) => this.#progressed(row)
    speed.onRuleStates = () => (this.#mayBeSettled = true)
    return {
      log: new MemoryLog(scheduler, Object.values(TOPICS), this.#plan.partitions),
      speed,
      objects: new MemoryObjectStore(scheduler),
      group,
      wire,
      violations: [],
    }
  }

  #befall(event: PlannedEvent): void {
    const { faults } = this.#backends.wire
    switch (event.do) {
      case 'kill':
        return this.#crew.at(event.slot)?.life.kill()
      case 'stop':
        return this.#crew.at(event.slot)?.stop()
      case 'freeze': {
        const life = this.#crew.at(event.slot)?.life
        life?.freeze()
        this.scheduler.after(event.forMs, 'thaw', () => life?.thaw())
        return
      }
      case 'outage':
        faults.outages.set(event.port, this.scheduler.nowMs + event.forMs)
        return
      case 'damage':
        return this.#checkpoints.damage(event.partition, event.what, this.#random)
    }
  }

  #heal(): void {
    const { faults } = this.#backends.wire
    faults.rates = { log: NO_FAULTS, speed: NO_FAULTS, objects: NO_FAULTS, group: NO_FAULTS }
    faults.outages.clear()
    faults.deadlyFailpoints = 0
    this.#crew.thawAll()
  }

  /** Matrix rows 20 and 34: a range of the log goes that somebody still needs; nobody jumps it. */
  async #loseLog(which: 'beginning' | 'end'): Promise<void> {
    const { log } = this.#backends
    await this.#stopAll()
    const partition = this.#random.below(this.#plan.partitions)
    const saved = this.#checkpoints.highestOffset(partition)
    if (saved === undefined || (which === 'end' && saved === 0)) {
      this.#crew.isManned = true
      return
    }
    const tick = [encodeTick()]
    for (let count = 0; count < 3; count += 1) log.append(TOPICS.events, partition, tick)
    const { end } = log.offsets(TOPICS.events, partition)
    const before = this.#progressOf(partition)
    if (which === 'end') {
      const putBack = log.cutAt(TOPICS.events, partition, this.#random.below(saved))
      await this.#expectAlarm(partition, 'PROCESSOR_LOG_TRUNCATED')
      await this.#stopAll()
      putBack()
    } else {
      const first = saved + 1 + this.#random.below(end - saved)
      log.removeBefore(TOPICS.events, partition, first)
      this.#shortened.add(partition)
      await this.#expectAlarm(partition, 'PROCESSOR_DATA_LOSS')
      await this.#stopAll()
      this.#checkpoints.moveAway(partition)
    }
    if (JSON.stringify(this.#progressOf(partition)) !== JSON.stringify(before))
      this.#violated(`partition ${partition} went on in spite of ${which} being lost`)
    this.#alarms.clear()
    this.#crew.isManned = true
  }

  async #stopAll(): Promise<void> {
    this.#crew.isManned = false
    this.#crew.killAll()
    await this.scheduler.run(this.scheduler.nowMs + DRAIN_MS)
    this.#crew.killAll()
  }

  async #expectAlarm(partition: number, code: string): Promise<void> {
    this.#crew.isManned = true
    this.#expectedAlarm = code
    await this.#until(
      () => this.#alarms.get(partition) === code,
      `partition ${partition} raises ${code}`,
    )
    this.#expectedAlarm = undefined
  }

  /**
   * Matrix row 32: while it is read, another topic takes the name of the first, shorter or longer
   * than it. Nobody takes its records for those of the first, which is then put back.
   */
  async #recreateTopic(): Promise<void> {
    const { log } = this.#backends
    const partitions = Array.from({ length: this.#plan.partitions }, (_, partition) => partition)
    const isRead = (partition: number) =>
      this.#crew.reports().some((one) => one.partition === partition && one.state === 'running')
    await this.#until(() => partitions.every(isRead), 'every partition is read')
    const ends = partitions.map((partition) => log.offsets(TOPICS.events, partition).end)
    const code = 'PROCESSOR_TOPIC_RECREATED'
    this.#expectedAlarm = code
    const putBack = log.deleteTopic(TOPICS.events)
    await this.scheduler.run(this.scheduler.nowMs + TOPIC_GONE_MIN_MS + this.#random.below(2_500))
    log.createTopic(TOPICS.events)
    for (const [partition, end] of ends.entries())
      log.append(
        TOPICS.events,
        partition,
        strangers(this.#random.below(2 * end + 1), this.scheduler.nowMs),
      )
    const isRaised = (partition: number) => this.#alarms.get(partition) === code
    await this.#until(() => partitions.every(isRaised), `every partition raises ${code}`)
    await this.#stopAll()
    for (const [partition, end] of ends.entries())
      if ((this.#progressOf(partition)?.appliedOffset ?? 0) > end)
        this.#violated(`partition ${partition} went on in another topic`)
    putBack()
    this.#expectedAlarm = undefined
    this.#alarms.clear()
    this.#crew.isManned = true
  }

  async #until(isDone: () => boolean, what: string): Promise<void> {
    if (!(await this.scheduler.run(this.scheduler.nowMs + SETTLE_MAX_MS, isDone)))
      this.#violated(`waited in vain until ${what}`)
  }

  async #settle(): Promise<void> {
    this.#mayBeSettled = false
    const untilMs = this.scheduler.nowMs + SETTLE_MAX_MS
    const isOver = () => this.violations.length > 0 || this.#isSettled()
    if (!(await this.scheduler.run(untilMs, isOver)))
      this.#violated(`not settled: ${JSON.stringify(this.#crew.reports())}`)
    if (this.violations.length > 0) return
    const finished = this.#finished()
    for (const { partition, generation = 0, fold } of this.#crew.reports()) {
      if (fold === undefined) continue
      const lostBeginning = this.#shortened.has(partition)
      const of = { partition, generation, fold, lostBeginning }
      this.violations.push(...violationsOf(finished, of), ...this.#labelsOf(of))
    }
    this.violations.push(...alertViolations(finished, this.#plan.partitions))
  }

  /** What a lost beginning took with it, a reader loses too. */
  #readOn(reader: Reader): void {
    if (this.#shortened.size > 0) return
    for (const what of reader.look()) this.#violated(what)
    this.scheduler.after(READ_EVERY_MS, 'reader looks', () => this.#readOn(reader))
  }

  #finished(): Finished {
    const { log, speed } = this.#backends
    return { log, speed, limits: this.#input.limits, cuts: CUTS }
  }

  /** An owner's first word is the one that a recovery can get wrong; now and then it is looked at. */
  #progressed(row: PartitionRow): void {
    this.#mayBeSettled = true
    const word = `${row.partition} ${Math.floor(row.stampUs / 2 ** 32)}`
    if (this.#audited.has(word) || this.#audited.size >= AUDITS_MAX) return
    this.#audited.add(word)
    if (!this.#shortened.has(row.partition))
      for (const what of falseClaims(this.#finished(), row)) this.#violated(what)
  }

  /** Looked at whenever a partition says how far its rows are, or a rule is judged: then they must be there. */
  #isSettled(): boolean {
    if (!this.#mayBeSettled) return false
    this.#mayBeSettled = false
    const reports = this.#crew.reports()
    const { partitions, hasAlerts } = this.#plan
    const owned = new Set(reports.map(({ partition }) => partition))
    return (
      (!hasAlerts || areAllTold(this.#backends.speed)) &&
      owned.size === partitions &&
      reports.length === partitions &&
      reports.every((report) => this.#isWhole(report))
    )
  }

  #isWhole({ partition, state, generation, fold }: PartitionReport): boolean {
    const row = this.#progressOf(partition)
    const { end } = this.#backends.log.offsets(TOPICS.events, partition)
    return (
      state === 'running' &&
      fold?.pendingOutputs === 0 &&
      row?.generation === generation &&
      Math.min(row?.narrowOffset ?? 0, row?.wideOffset ?? 0, row?.sessionOffset ?? 0) >= end
    )
  }

  /** Rows of the partition's latest generation. */
  #progressOf(partition: number): PartitionRow | undefined {
    return [...this.#backends.speed.partitions.values()]
      .filter((row) => row.partition === partition)
      .toSorted((a, b) => b.generation - a.generation)[0]
  }

  /** A generation is new when, and only when, there was nothing to recover from; and it says so. */
  #labelsOf(of: { readonly partition: number; readonly lostBeginning: boolean }): string[] {
    const { partition, lostBeginning } = of
    const row = this.#progressOf(partition)
    if (row === undefined) return []
    const isLost = lostBeginning || this.#checkpoints.wasLost(partition)
    const [first] = this.#backends.log.records(TOPICS.events, partition)
    const startMs = lostBeginning ? first?.loggedAtMs : 0
    const isNew = row.generation > this.#checkpoints.firstGenerationOf(partition)
    const isRebuilt = row.generation > this.#checkpoints.firstUsedGenerationOf(partition)
    return [
      ...(isRebuilt && !isLost ? [`generation ${row.generation} for no reason`] : []),
      ...(!isNew && lostBeginning ? [`generation ${row.generation} of a log cut short`] : []),
      ...(row.generationStartMs === startMs ? [] : [`begins at ${row.generationStartMs}`]),
    ].map((what) => `partition ${partition}: ${what}`)
  }

  /** The group's offset is never beyond what a recovery would begin at. */
  #committed(partition: number, offset: number): void {
    const saved = this.#checkpoints.highestEverOf(partition)
    if (offset > saved)
      this.#violated(`partition ${partition} committed ${offset}, but saved ${saved}`)
  }

  /** One that is started on what it must refuse ends; partitions that it had wait for the next. */
  #processFailed(name: string, failure: Error): void {
    const isExpected = failure instanceof BackhaulError && failure.code === this.#expectedAlarm
    if (!isExpected) return this.#violated(`${name}: ${failure.message}`)
    const owned = new Set(this.#crew.reports().map(({ partition }) => partition))
    for (let partition = 0; partition < this.#plan.partitions; partition += 1)
      if (!owned.has(partition)) this.#alarms.set(partition, failure.code)
  }

  #taskFailed({ partition, failureCode = '' }: PartitionReport): void {
    if (failureCode === this.#expectedAlarm) this.#alarms.set(partition, failureCode)
    else this.#violated(`partition ${partition} failed with ${failureCode}`)
  }

  #violated(what: string): void {
    if (!this.violations.includes(what)) this.violations.push(what)
  }
}
