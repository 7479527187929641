import { defineErrors } from '../runtime/errors.ts'

export const alertErrors = defineErrors({
  ALERT_RULES_UNREADABLE: {
    rule: 'the file of alert rules must be there, and be JSON of a bounded size',
    retryable: false,
    action: 'Correct PROCESSOR_ALERTS_RULES_PATH or the file; docs/alerts.md has an example.',
  },
  ALERT_RULES_INVALID: {
    rule: 'every alert rule must have the fields of docs/alerts.md and no others',
    retryable: false,
    action:
      'Correct the field named in the message; npx backhaul alerts check shows whether the file is right.',
  },
  ALERT_CUT_UNKNOWN: {
    rule: 'an alert rule must watch a configured cut',
    retryable: false,
    action: 'Name a cut of BACKHAUL_CUTS, or add the cut there, which builds a new view.',
  },
})
