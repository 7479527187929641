/**
 * What an event costs the gateway at each stage: a CPU profile of its main thread while a steady
 * load runs. Samples give the shares, the kernel's accounts give the time: a sample is taken by the
 * wall clock, and on a shared machine the wall clock runs while the gateway waits for a core.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { systemClock } from '../../shared/runtime/clock.ts'
import type { LoadCommand } from '../load/command-line.ts'
import { threadsOf } from '../load/process-usage.ts'
import { runLoad } from '../load/run-load.ts'
import type { LoadReport, MeasuredSecond } from '../load/report.ts'
import { Inspector, type CpuProfile } from './inspector.ts'
import { OTHER, STAGES, stageShares } from './stages.ts'

export interface StageCost {
  readonly stage: string
  readonly nsPerEvent: number
}

export interface ProfiledLoad {
  readonly report: LoadReport
  readonly stages: readonly StageCost[]
  readonly totalNsPerEvent: number
  readonly profile: CpuProfile
}

/** CPU time in the window that was profiled. */
interface Window {
  readonly profile: CpuProfile
  readonly mainThreadMs: number
  /** Of all other threads but the profiler's own. */
  readonly otherThreadsMs: number
}

/** Of the load's time before the profile, so that code is compiled and connections are open. */
const BEFORE_SHARE = 1 / 3
/** Of the load's time that is profiled. */
const PROFILED_SHARE = 1 / 2
const ROOT_URL = `${pathToFileURL(join(import.meta.dirname, '..', '..')).href}/`
const OTHER_THREADS = 'other threads (collector, compiler)'
/** The thread that the engine starts to take samples has this in its name. */
const PROFILER = 'Prof'

export async function profileLoad(
  command: LoadCommand,
  said: (line: string) => void,
): Promise<ProfiledLoad> {
  const lengthMs = command.options.minutes * 60_000
  const inWindow: MeasuredSecond[] = []
  let isOpen = false
  let window: Promise<Window> | undefined
  const report = await runLoad(command, {
    nodeOptions: ['--inspect=127.0.0.1:0'],
    said,
    started({ inspectorUrl = '', pid }) {
      const opened = (open: boolean) => (isOpen = open)
      window = profileWindow({ inspectorUrl, pid, lengthMs, opened })
      // Told by the await below; a load that ends earlier must not be ended by it.
      window.catch(() => undefined)
    },
    second(second) {
      if (isOpen) inWindow.push(second)
    },
  })
  if (window === undefined) throw new Error('the load did not start')
  const measured = await window
  const events = inWindow.reduce((sum, { acknowledged }) => sum + acknowledged, 0)
  return { report, profile: measured.profile, ...stageCosts(measured, events) }
}

interface WindowOptions {
  readonly inspectorUrl: string
  readonly pid: number
  readonly lengthMs: number
  opened(open: boolean): void
}

async function profileWindow(options: WindowOptions): Promise<Window> {
  const { inspectorUrl, pid, lengthMs, opened } = options
  await systemClock.sleep(lengthMs * BEFORE_SHARE)
  const inspector = await Inspector.open(inspectorUrl)
  await inspector.start()
  opened(true)
  const before = cpuTimes(pid)
  await systemClock.sleep(lengthMs * PROFILED_SHARE)
  const after = cpuTimes(pid)
  opened(false)
  return {
    profile: await inspector.stop(),
    mainThreadMs: after.mainMs - before.mainMs,
    otherThreadsMs: after.otherMs - before.otherMs,
  }
}

function stageCosts({ profile, mainThreadMs, otherThreadsMs }: Window, events: number) {
  const nsPerEvent = (ms: number) => Math.round((ms * 1e6) / Math.max(1, events))
  const shares = stageShares(profile, ROOT_URL)
  const names = [...STAGES.map(({ name }) => name), OTHER]
  const stages: StageCost[] = names.map((stage) => ({
    stage,
    nsPerEvent: nsPerEvent((shares.get(stage) ?? 0) * mainThreadMs),
  }))
  stages.push({ stage: OTHER_THREADS, nsPerEvent: nsPerEvent(otherThreadsMs) })
  return { stages, totalNsPerEvent: nsPerEvent(mainThreadMs + otherThreadsMs) }
}

/** Node's main thread has the process's id. */
function cpuTimes(pid: number): { readonly mainMs: number; readonly otherMs: number } {
  let mainMs = 0
  let otherMs = 0
  for (const { id, name, cpuMs } of threadsOf(pid))
    if (id === pid) mainMs += cpuMs
    else if (!name.includes(PROFILER)) otherMs += cpuMs
  return { mainMs, otherMs }
}
