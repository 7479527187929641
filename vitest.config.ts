import { defineConfig } from 'vitest/config'

const UNIT_EXCLUDE = [
  '**/node_modules/**',
  '**/*.isolated.test.ts',
  '**/*.process.test.ts',
  '**/*.services.test.ts',
  '**/*.k6.test.ts',
  '**/*.simulation.test.ts',
  '**/*.browser.test.ts',
  '**/*.soak.test.ts',
  '**/*.alerts.test.ts',
  '**/*.fuzz.test.ts',
  '**/*.helm.test.ts',
]

/** Conditions are polled; a machine under load may take its time. */
const POLL_TIMEOUT_MS = 30_000

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: [...UNIT_EXCLUDE, 'batch/**'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          expect: { poll: { timeout: POLL_TIMEOUT_MS } },
          // A native server that a failed test leaves open would abort a thread pool's process.
          pool: 'forks',
          // Modules are loaded once per worker: most of the time went into loading them again.
          isolate: false,
        },
      },
      {
        // Their files take long and not alike: each goes to the worker that is free.
        test: {
          name: 'batch',
          include: ['batch/**/*.test.ts'],
          exclude: UNIT_EXCLUDE,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          expect: { poll: { timeout: POLL_TIMEOUT_MS } },
          pool: 'forks',
        },
      },
      {
        // Tests that replace a module need a process of their own.
        test: {
          name: 'isolated',
          include: ['**/*.isolated.test.ts'],
          testTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'process',
          include: ['**/*.process.test.ts'],
          expect: { poll: { timeout: POLL_TIMEOUT_MS } },
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        // Rules of alerts, judged by the program that Prometheus judges them with.
        test: {
          name: 'alerts',
          include: ['**/*.alerts.test.ts'],
          expect: { poll: { timeout: POLL_TIMEOUT_MS } },
          testTimeout: 300_000,
          fileParallelism: false,
        },
      },
      {
        // The chart, judged without a cluster.
        test: {
          name: 'helm',
          include: ['**/*.helm.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      {
        // Real services are started by the files that need them, one file at a time.
        test: {
          name: 'services',
          include: ['**/*.services.test.ts'],
          expect: { poll: { timeout: POLL_TIMEOUT_MS } },
          testTimeout: 120_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      {
        // A load by k6 on a real Kafka.
        test: {
          name: 'load',
          include: ['**/*.k6.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      {
        // Parsers of what comes from outside, for a fixed time each.
        test: {
          name: 'fuzz',
          include: ['**/*.fuzz.test.ts'],
          testTimeout: 300_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'simulation',
          include: ['**/*.simulation.test.ts'],
          testTimeout: 180_000,
          // The seeds of one file take all cores.
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'soak',
          include: ['**/*.soak.test.ts'],
          testTimeout: 600_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'browser',
          include: ['**/*.browser.test.ts'],
          testTimeout: 240_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
