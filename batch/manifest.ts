/**
 * What a run has in raw files: the ranges it took and every file with its hash. Written once, after
 * the last file: a file that no manifest names does not count.
 */
import { z } from 'zod'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import { problemSchema } from './cut.ts'
import { manifestName } from './object-names.ts'
import { RAW_TOPICS } from './raw-line.ts'
import { createOnce, jsonBytes, readJsonObject } from './run-objects.ts'

const count = z.int().min(0)
const countsSchema = z.object({
  records: count,
  ticks: count,
  poison: count,
  rows: count,
  events: count,
  rejectedSeqs: count,
  clamped: count,
  /** Absent in manifests of before there were erasures. */
  erased: count.default(0),
})

export const rawFileSchema = z.object({
  name: z.string(),
  topic: z.enum(RAW_TOPICS),
  partition: count,
  first: count,
  /** Inclusive, as in the name. */
  last: count,
  sizeBytes: count,
  /** Of the file as it is stored, 64 hex digits. */
  sha256: z.string(),
  /** Size before compression. */
  textBytes: count,
  loggedAtMinMs: z.int(),
  loggedAtMaxMs: z.int(),
  counts: countsSchema,
})

export const takenRangeSchema = z.object({
  topic: z.enum(RAW_TOPICS),
  topicId: z.string(),
  partition: count,
  first: count,
  /** Exclusive. */
  end: count,
  /** Largest append time below `end`, epoch ms. */
  loggedAtMaxMs: z.int(),
  watermarkMs: z.int(),
})

const manifestSchema = z.object({
  format: z.literal(1),
  run: z.int().positive(),
  ranges: z.array(takenRangeSchema),
  files: z.array(rawFileSchema),
  leftOut: z.array(problemSchema),
  /** Names of raw files of ranges that failed midway: deleted as soon as the manifest stands. */
  givenUp: z.array(z.string()).default([]),
})

export type RawFileInfo = z.infer<typeof rawFileSchema>
export type TakenRange = z.infer<typeof takenRangeSchema>
export type Manifest = z.infer<typeof manifestSchema>

export function readManifest(objects: ObjectStore, run: number): Promise<Manifest | undefined> {
  return readJsonObject(objects, manifestName(run), manifestSchema)
}

export function writeManifest(objects: ObjectStore, manifest: Manifest): Promise<void> {
  return createOnce(objects, manifestName(manifest.run), jsonBytes(manifest))
}
