/** CPU time and memory of a process and its children, from Linux's /proc. */
import { readdirSync, readFileSync } from 'node:fs'

/** Clock ticks a second, fixed on Linux for user space. */
const TICKS_PER_SECOND = 100
const PAGE_BYTES = 4_096

export interface ProcessUsage {
  readonly cpuMs: number
  readonly residentBytes: number
}

/** Of the process and all that descend from it; zero for one that has ended. */
export function usageOf(pid: number): ProcessUsage {
  const pids = familyOf(pid)
  let ticks = 0
  let pages = 0
  for (const each of pids) {
    const fields = statFields(`${each}`)
    // Fields 14, 15 and 24 of proc(5), counted from the third.
    ticks += Number(fields?.[11] ?? 0) + Number(fields?.[12] ?? 0)
    pages += Number(fields?.[21] ?? 0)
  }
  return { cpuMs: (ticks * 1_000) / TICKS_PER_SECOND, residentBytes: pages * PAGE_BYTES }
}

/** Memory that is the process's own: without files that are mapped, which the kernel takes when it needs it. */
export function ownBytesOf(pid: number): number {
  try {
    const kib = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return Number(kib ?? 0) * 1_024
  } catch {
    return 0
  }
}

export interface ThreadUsage {
  readonly id: number
  readonly name: string
  readonly cpuMs: number
}

/** Of the threads that the process has now. */
export function threadsOf(pid: number): ThreadUsage[] {
  return readdirSync(`/proc/${pid}/task`).map((id) => {
    const fields = statFields(`${pid}/task/${id}`)
    const name = readFileSync(`/proc/${pid}/task/${id}/comm`, 'utf8').trim()
    const ticks = Number(fields?.[11] ?? 0) + Number(fields?.[12] ?? 0)
    return { id: Number(id), name, cpuMs: (ticks * 1_000) / TICKS_PER_SECOND }
  })
}

function familyOf(pid: number): number[] {
  const parents = new Map<number, number>()
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    parents.set(Number(entry), Number(statFields(entry)?.[1] ?? 0))
  }
  const family = [pid]
  for (const member of family)
    for (const [child, parent] of parents) if (parent === member) family.push(child)
  return family
}

/** The fields after the program's name, which may hold blanks; the first is the state. Of a thread, too. */
function statFields(process: string): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${process}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}
