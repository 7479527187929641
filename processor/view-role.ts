/**
 * Whether this processor's view is the active one. Its processors are then _primary_: they append
 * ticks, alerts, exceptions and closed sessions. Those of any other view are _secondary_: they keep
 * rows and checkpoints of their own and put nothing out.
 *
 * At a switch nothing that a view puts out is lost, however processors crash around it. The former
 * primary delivers what it holds when it learns of the switch, and after a restart what came of
 * records below the handover. The next one holds back what came of records that the primary's rows
 * did not cover yet, so it has the rest. Both may deliver the same: as everywhere, at least once.
 */
import type { ObjectStore } from '../shared/objects/object-store.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import type { SpeedStore } from '../shared/speed/speed-store.ts'
import {
  activateView,
  formerOf,
  formerViews,
  handoverOf,
  latestProgress,
  readActiveView,
  type ActiveView,
  type StoredActiveView,
} from '../shared/views/active-view.ts'
import { VIEW_CLAIM_ATTEMPTS_MAX, VIEW_REFRESH_MS } from '../shared/views/limits.ts'
import { readView, registerView, type ViewDescription } from '../shared/views/view-registry.ts'
import type { ProcessorTelemetry } from './telemetry.ts'

export interface ViewRoleParts {
  readonly objects: ObjectStore
  readonly speed: SpeedStore
  readonly clock: Clock
  readonly telemetry: ProcessorTelemetry
  readonly description: ViewDescription
}

/** What one partition of a view may put out. */
export interface PartitionRole {
  readonly isPrimary: boolean
  /** What came of records below this offset is this view's to deliver, primary or not. */
  readonly owedOffset: number
  /** The rows of the primary view cover every record below this offset. */
  readonly primaryOffset: number
}

export class ViewRole {
  readonly #parts: ViewRoleParts
  #active: ActiveView | undefined
  #primaryOffsets: ReadonlyMap<number, number> = new Map()
  #looking: Promise<void> | undefined
  #isFailing = false
  #stopPolling: () => void = () => undefined

  private constructor(parts: ViewRoleParts) {
    this.#parts = parts
  }

  /**
   * Registers the view; one without a name becomes active, unless an operator has switched to one
   * that has. Throws `VIEW_DROPPED`, `VIEWS_TOO_MANY`, `VIEW_SWITCH_OVERTAKEN` or what a store throws.
   */
  static async begin(parts: ViewRoleParts): Promise<ViewRole> {
    const { objects, clock, description, telemetry } = parts
    await registerView(objects, description)
    if (description.name === '') await claim(parts)
    const role = new ViewRole(parts)
    await role.look()
    role.#stopPolling = clock.every(VIEW_REFRESH_MS, () => {
      role.#looking ??= role
        .look()
        .then(() => {
          role.#isFailing = false
        })
        .catch((error: unknown) => {
          // What was known last goes on to count.
          telemetry.viewLookFailed(error, !role.#isFailing)
          role.#isFailing = true
        })
        .finally(() => {
          role.#looking = undefined
        })
    })
    return role
  }

  get isPrimary(): boolean {
    return this.#active?.view === this.#parts.description.view
  }

  /** The views that were active before this one, newest first. */
  get formerViews(): readonly string[] {
    if (this.#active === undefined || !this.isPrimary) return []
    return formerOf(this.#active).map(({ view }) => view)
  }

  partition(partition: number): PartitionRole {
    const isPrimary = () => this.isPrimary
    const owedOffset = () => this.#owedOffset(partition)
    const primaryOffset = () => this.#primaryOffsets.get(partition) ?? 0
    return {
      get isPrimary() {
        return isPrimary()
      },
      get owedOffset() {
        return owedOffset()
      },
      get primaryOffset() {
        return primaryOffset()
      },
    }
  }

  /** Looks which view is active, and how far it is. */
  async look(): Promise<void> {
    const { objects, speed, telemetry } = this.#parts
    const before = this.#active?.view
    // Progress first: when the record still names the same view afterwards, a handover can only be
    // further on than what was read.
    const rows = before === undefined || this.isPrimary ? [] : await speed.readPartitions(before)
    this.#active = (await readActiveView(objects))?.active
    if (this.#active?.view === before)
      this.#primaryOffsets = new Map(
        [...latestProgress(rows)].map(([partition, row]) => [partition, row.appliedOffset]),
      )
    else telemetry.viewRole(this.isPrimary, this.#active?.view)
  }

  async stop(): Promise<void> {
    this.#stopPolling()
    await this.#looking
  }

  #owedOffset(partition: number): number {
    if (this.#active === undefined) return 0
    const own = formerOf(this.#active).find(({ view }) => view === this.#parts.description.view)
    return own?.handover.find((handover) => handover.partition === partition)?.offset ?? 0
  }
}

/** A deployment without names has one view: with other settings, another one takes its place. */
async function claim(parts: ViewRoleParts): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const stored = await readActiveView(parts.objects)
    if (stored !== undefined && !(await mayTakeOver(parts, stored.active))) return
    try {
      await becomeActive(parts, stored)
      return
    } catch (error) {
      const isOvertaken = error instanceof BackhaulError && error.code === 'VIEW_SWITCH_OVERTAKEN'
      if (!isOvertaken || attempt === VIEW_CLAIM_ATTEMPTS_MAX) throw error
    }
  }
}

async function mayTakeOver(
  { objects, description }: ViewRoleParts,
  active: ActiveView,
): Promise<boolean> {
  if (active.view === description.view) return false
  return ((await readView(objects, active.view))?.name ?? '') === ''
}

async function becomeActive(
  { objects, speed, clock, description }: ViewRoleParts,
  stored: StoredActiveView | undefined,
): Promise<void> {
  const previous = stored?.active.view
  const handover = previous === undefined ? [] : handoverOf(await speed.readPartitions(previous))
  await activateView(
    objects,
    {
      view: description.view,
      ...formerViews(description.view, stored?.active, handover),
      by: 'start',
      forced: false,
      atMs: clock.nowMs(),
    },
    stored?.generation ?? 0,
  )
}
