import { replaceModule } from './replace-module.ts'

replaceModule('shared/kafka/record-batch.ts', 'library-batches.ts')
