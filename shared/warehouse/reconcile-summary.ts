/**
 * The verdict of the newest reconciliation of live and history, kept as one object: `reconcile`
 * replaces it, whoever shows it reads it.
 */
import { z } from 'zod'
import type { ObjectStore } from '../objects/object-store.ts'

export const RECONCILE_SUMMARY_OBJECT = 'batch/reconcile.json'

const count = (doc: string) => z.int().min(0).describe(doc)

export const reconcileSummarySchema = z.object({
  run: z.int().min(1).describe('Batch run as of whose cut live and history were compared'),
  reconciledAtMs: z.int().describe('When it was done, epoch ms'),
  verdict: z
    .enum(['equal', 'explained', 'defect', 'pending'])
    .describe(
      'equal to the integer; different and proven to be by counted exceptions or erasures; different without such a proof; nothing comparable yet',
    ),
  compared: count('Rows compared'),
  explained: count('Rows that differ and are explained by exceptions'),
  erased: count('Rows that differ and are explained by the erasure of viewers').default(0),
  defects: count('Rows that differ and are not explained'),
  pending: count('Rows that could not be compared yet'),
})
export type ReconcileSummary = z.infer<typeof reconcileSummarySchema>

/** `undefined` before the first reconciliation. Throws a plain Error on an object of another shape. */
export async function readReconcileSummary(
  objects: Pick<ObjectStore, 'read'>,
): Promise<ReconcileSummary | undefined> {
  const stored = await objects.read(RECONCILE_SUMMARY_OBJECT)
  if (stored === undefined) return undefined
  return reconcileSummarySchema.parse(JSON.parse(new TextDecoder().decode(stored.bytes)))
}
