/** Commands of the docs that a test with other things to do runs as well, as they stand there. */

/** Command to test. `commands.test.ts` sees that a page has it, and that the test asks `documented` for it. */
export const RUN_ELSEWHERE = {
  'npm start': 'scripts/docs/commands.process.test.ts',
  'npm start -- --batch-every 1m': 'standalone/main.process.test.ts',
  'npm run demo': 'scripts/docs/commands.process.test.ts',
  'npm run relay': 'scripts/docs/commands.services.test.ts',
  'npx backhaul content load content.jsonl --kafka --json':
    'scripts/docs/commands.services.test.ts',
  'npx backhaul init gcp --dry-run': 'loadtest/processor/batch-on-kafka.services.test.ts',
  'npx backhaul init gcp': 'loadtest/processor/batch-on-kafka.services.test.ts',
  'npx backhaul batch run --all --retry-for 30':
    'loadtest/processor/batch-on-kafka.services.test.ts',
  'npx backhaul reconcile': 'loadtest/processor/batch-on-kafka.services.test.ts',
  'npx backhaul schema migrate': 'scripts/services/command-line.services.test.ts',
  'npm run services -- up cassandra': 'scripts/services/command-line.services.test.ts',
  'npm run services -- up gcs': 'scripts/services/command-line.services.test.ts',
  'npm run services -- up bigquery': 'scripts/services/command-line.services.test.ts',
  'npm run services -- down': 'scripts/services/command-line.services.test.ts',
} as const

/** A command of a page, for the test that runs it. */
export function documented(command: keyof typeof RUN_ELSEWHERE): string {
  return command
}

/** What commands of sentences begin with that tests run as they find them. */
export const SENTENCES_TYPED = ['npx backhaul', 'npm run sql', 'npm run simulate']
