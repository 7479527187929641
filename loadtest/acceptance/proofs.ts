/** Every proof, in the order in which they run. */
import { chartProofs } from './chart-proofs.ts'
import { commandProofs } from './command-proofs.ts'
import { compareProofs } from './compare-proofs.ts'
import { foldProofs } from './fold-proofs.ts'
import { imageProofs } from './image-proofs.ts'
import { lakeProofs } from './lake-proofs.ts'
import { loadProofs } from './load-proofs.ts'
import { pipelineProofs } from './pipeline-proofs.ts'
import { processorProofs } from './processor-proofs.ts'
import { profileProofs } from './profile-proofs.ts'
import type { Proof } from './proof.ts'
import { relayProofs } from './relay-proofs.ts'
import { storeProofs } from './store-proofs.ts'

export const PROOFS: readonly Proof[] = [
  ...loadProofs,
  ...profileProofs,
  ...foldProofs,
  ...processorProofs,
  ...storeProofs,
  ...commandProofs,
  ...pipelineProofs,
  ...compareProofs,
  ...relayProofs,
  ...chartProofs,
  ...imageProofs,
  ...lakeProofs,
]
