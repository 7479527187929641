/** k6, the load generator: built once by Go from its published module, kept outside the work tree. */
import { join } from 'node:path'
import { goTool } from './artefacts.ts'

const K6_MODULE = 'go.k6.io/k6'
const K6_VERSION = 'v1.8.1'

/** Builds k6 when it is not there yet (some minutes); returns the program's path. */
export function prepareK6(): string {
  return join(goTool(K6_MODULE, K6_VERSION), 'k6')
}
