import { defineErrors } from '../../shared/runtime/errors.ts'

export const cliErrors = defineErrors({
  CLI_COMMAND_UNKNOWN: {
    rule: 'a command must be one of the list',
    retryable: false,
    action: 'npx backhaul --help lists the commands.',
  },
  CLI_USAGE_INVALID: {
    rule: 'options and arguments must be those of the command',
    retryable: false,
    action: 'Correct the command line; --help after the command shows its options and examples.',
  },
  CLI_LEDGER_ABSENT: {
    rule: 'what is asked for must be in the ledger',
    retryable: true,
    action:
      'Check the name. What the log has taken since the last run is in no file yet: npx backhaul batch run.',
  },
  CLI_NO_RUN: {
    rule: 'a recomputation needs a completed batch run',
    retryable: true,
    action: 'Run the batch first: npx backhaul batch run.',
  },
  CLI_RANGE_TOO_LARGE: {
    rule: 'what one command works on must fit within its bound',
    retryable: false,
    action: 'Narrow it by the options of the command, and repeat it for the rest.',
  },
  CLI_SMOKE_NOT_ACKNOWLEDGED: {
    rule: 'the gateway must acknowledge the events of a smoke test in time',
    retryable: true,
    action:
      'Check the address and the token; /readyz at the gateway’s port for operators says what it waits for.',
  },
  CLI_SMOKE_NOT_READ: {
    rule: 'serving must answer with the session of a smoke test in time',
    retryable: true,
    action:
      'Check that processors run and have no lag (/debug/partitions at their port), and what /readyz of serving says.',
  },
})
