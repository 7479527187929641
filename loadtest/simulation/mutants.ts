/**
 * Defects to be found. Each is one change of the product's source, made while its modules are
 * loaded, in a process that does nothing else: a simulation that stays green under one of them does
 * not look at what that line is for.
 */
import { registerHooks } from 'node:module'

export interface Mutant {
  readonly name: string
  /** Below the repository's root. */
  readonly file: string
  /** Occurs once in the file. */
  readonly original: string
  readonly mutated: string
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'the group’s offset runs ahead of the checkpoint',
    file: 'processor/checkpoint.ts',
    original: 'Math.min(this.#savedOffset, narrow.offset, wide.offset, session.offset)',
    mutated: 'this.#parts.fold.status.nextOffset',
  },
  {
    name: 'a checkpoint counts rows as written that are not',
    file: 'processor/live-partition.ts',
    original: 'reached: writer.reached,\n          generationStartMs,',
    mutated:
      'reached: Object.fromEntries(Object.entries(writer.reached).map(([name, reach]) => [name, { ...reach, offset: nextToFold() }])),\n          generationStartMs,',
  },
  {
    name: 'outputs are sent by two at a time',
    file: 'processor/outputs.ts',
    original: 'await this.#begin()',
    mutated: 'await this.#send()',
  },
  {
    name: 'rows are acknowledged before they are written',
    file: 'processor/row-writer.ts',
    original: "await retry(this.#parts.retryContext('speed'), () => this.#put(rows))",
    mutated: 'void this.#put(rows).catch(() => undefined)',
  },
  {
    name: 'progress is said before the rows are there',
    file: 'processor/write-queue.ts',
    original: 'mark.entered > this.#durable',
    mutated: 'mark.entered > this.#taken',
  },
  {
    name: 'rows carry what changed instead of what is',
    file: 'processor/row-writer.ts',
    original: "ticket.kind === 'minute' ? [ticket.row] : []",
    mutated:
      "ticket.kind === 'minute' ? [{ ...ticket.row, aggregates: { ...ticket.row.aggregates, events: 1 } }] : []",
  },
  {
    name: 'all rows of a minute have one stamp',
    file: 'shared/qoe/panes.ts',
    original: 'stampUs: pane.minuteStartMs * 1_000 + (pane.lastOffset - pane.firstOffset + 1),',
    mutated: 'stampUs: pane.minuteStartMs * 1_000,',
  },
  {
    name: 'a restored fold takes what it had not written for written',
    file: 'shared/qoe/partition-fold.ts',
    original: 'this.#markDirty(session, false)\n  }\n\n  #readCounters',
    mutated: '}\n\n  #readCounters',
  },
  {
    name: 'a restored fold does not wait for lower seqs any more',
    file: 'shared/qoe/partition-fold.ts',
    original: 'this.#schedule(session)\n    }\n    this.#markDirty(session, false)',
    mutated: '}\n    this.#markDirty(session, false)',
  },
  {
    name: 'an output that is alone counts as sent',
    file: 'processor/outputs.ts',
    original: "if (kind === 'send') {",
    mutated: "if (kind === 'send' && outputs.length > 1) {",
  },
  {
    name: 'of the poison of a batch one record is kept',
    file: 'processor/topology.ts',
    original: 'run: (batch) => live.outputs.keepPoison(batch.poison)',
    mutated: 'run: (batch) => live.outputs.keepPoison(batch.poison.slice(0, 1))',
  },
  {
    name: 'a former owner’s lease guards nothing',
    file: 'processor/group.ts',
    original: 'return isCurrent(held.generation)',
    mutated: 'return true',
  },
  {
    name: 'a member takes itself for current however long it slept',
    file: 'shared/log/kafka-group-member.ts',
    original: 'clock.monotonicMs() - this.#heardMs < sessionTimeoutMs',
    mutated: 'clock.monotonicMs() - this.#heardMs < sessionTimeoutMs * 1_000',
  },
  {
    name: 'a lost beginning of the log is skipped',
    file: 'processor/fetcher.ts',
    original: 'if (start > nextOffset) {',
    mutated: 'if (start > nextOffset + 1_000_000) {',
  },
  {
    name: 'another topic of the name is read on',
    file: 'processor/fetcher.ts',
    original: 'if (this.#mayBeOther) await refuseOtherTopic(log, topicId)',
    mutated: '',
  },
  {
    name: 'a new owner says less than the one before',
    file: 'processor/progress.ts',
    original: 'rows.find((row) => sameOrigin(row, origin)) ?? null',
    mutated: 'rows.find((row) => sameOrigin(row, origin) && row.appliedOffset < 0) ?? null',
  },
  {
    name: 'readers leave a generation for one that is behind it',
    file: 'shared/speed/generations.ts',
    original: 'reachedOffset(row, width) > (minute.lastOffsetOf(one.generation) ?? -1)',
    mutated: 'row !== one',
  },
  {
    name: 'a rebuild counts that has only come as far as the one before it',
    file: 'shared/speed/generations.ts',
    original: 'const older = generations.slice(index + 1)',
    mutated: 'const older = generations.slice(index + 1, index + 2)',
  },
  {
    name: 'an alert that its topic refused counts as told',
    file: 'processor/alerts/evaluator.ts',
    original: 'failures.push(error)\n        continue',
    mutated: 'failures.push(error)',
  },
  {
    name: 'an evaluator knows nothing of what the one before it judged',
    file: 'processor/alerts/state-book.ts',
    original: 'if (state !== undefined) book.#states.set(row.ruleId, state)',
    mutated: 'void state',
  },
  {
    name: 'a damaged checkpoint is the end of looking',
    file: 'shared/objects/checkpoint-store.ts',
    original: 'damaged.push(entry.objectName)',
    mutated: 'break',
  },
]

/** Makes the change in every module loaded from now on. Throws when the source has moved on. */
export function applyMutant(name: string): void {
  const mutant = MUTANTS.find((one) => one.name === name)
  if (mutant === undefined) throw new TypeError(`there is no mutant named ${name}`)
  const { file, original, mutated } = mutant
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      if (!url.endsWith(`/${file}`)) return loaded
      const source = Buffer.from(loaded.source as Uint8Array).toString()
      const pieces = source.split(original)
      if (pieces.length !== 2)
        throw new Error(`${file} has ${pieces.length - 1} times what mutant “${name}” changes`)
      return { ...loaded, source: pieces.join(mutated) }
    },
  })
}
