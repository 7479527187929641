/** The objects of an erasure: its record, its plan and its proof. */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { RAW_TOPICS } from '../raw-line.ts'
import { createOnce, jsonBytes, readJsonObject } from '../run-objects.ts'

const ROUND_DIGITS = 4
const PLAN_END = '-plan.json'
const count = z.int().min(0)

const recordSchema = z.object({
  format: z.literal(1),
  erasedAtMs: z.int(),
  /** Under every key of the keyring, newest first. */
  pseudonyms: z.array(z.string()).min(1),
})

const plannedFileSchema = z.object({
  name: z.string(),
  sha256: z.string(),
  topic: z.enum(RAW_TOPICS),
  partition: count,
  first: count,
  /** Inclusive. */
  last: count,
  run: z.int().positive(),
  runDate: z.string(),
})

const planSchema = z.object({
  format: z.literal(1),
  erasedAtMs: z.int(),
  sessions: z.array(z.string()),
  files: z.array(plannedFileSchema),
  stagingFiles: z.array(z.string()),
  /** Rows by table, as they were counted before the first went. */
  rows: z.record(z.string(), count),
})

const proofSchema = z.object({
  format: z.literal(1),
  /** Names of the two objects that it closes. */
  record: z.string(),
  plan: z.string(),
  erasedAtMs: z.int(),
  doneAtMs: z.int(),
  pseudonyms: count,
  sessions: count,
  rows: z.record(z.string(), count),
  files: z.array(
    z.object({
      name: z.string(),
      sha256: z.string(),
      replacedBy: z.string(),
      replacedBySha256: z.string(),
      bytes: count,
      erasedRecords: count,
    }),
  ),
  stagingFiles: z.array(z.string()),
  /** Of any run, which runs and shards had left that were cut off or came too late. */
  unnamedFiles: z.array(z.string()).default([]),
  views: z.array(z.string()),
  /** What forgets by itself, and by when at the latest, epoch ms. */
  forgottenByMs: z.object({
    log: z.int(),
    checkpoints: z.int(),
    liveRows: z.int(),
    tableFiles: z.int(),
  }),
})

export type ErasureRecord = z.infer<typeof recordSchema>
export type PlannedFile = z.infer<typeof plannedFileSchema>
export type ErasurePlan = z.infer<typeof planSchema>
export type ErasureProof = z.infer<typeof proofSchema>
export type ErasedFile = ErasureProof['files'][number]

export interface ErasureNames {
  readonly record: string
  readonly plan: string
  readonly proof: string
}

/**
 * The folder of a viewer's erasures: a digest of the pseudonym under the oldest key, which stays the
 * same when a newer key is added.
 */
export function viewerDigest(pseudonyms: readonly string[]): string {
  return createHash('sha256')
    .update(pseudonyms.at(-1) ?? '')
    .digest('hex')
}

export function namesOf(digest: string, round: number): ErasureNames {
  return namesFrom(`erasures/${digest}/${String(round).padStart(ROUND_DIGITS, '0')}`)
}

/** The objects of the erasure whose plan has this name; `undefined` when it is no name of a plan. */
export function namesOfPlan(name: string): ErasureNames | undefined {
  return name.endsWith(PLAN_END) ? namesFrom(name.slice(0, -PLAN_END.length)) : undefined
}

function namesFrom(base: string): ErasureNames {
  return {
    record: `${base}-record.json`,
    plan: `${base}${PLAN_END}`,
    proof: `${base}-proof.json`,
  }
}

export const readRecord = (objects: ObjectStore, name: string) =>
  readJsonObject(objects, name, recordSchema)
export const readPlan = (objects: ObjectStore, name: string) =>
  readJsonObject(objects, name, planSchema)
export const readProof = (objects: ObjectStore, name: string) =>
  readJsonObject(objects, name, proofSchema)

export function writeObject(
  objects: ObjectStore,
  name: string,
  value: ErasureRecord | ErasurePlan | ErasureProof,
): Promise<void> {
  return createOnce(objects, name, jsonBytes(value))
}
