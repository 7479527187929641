import { defineErrors } from '../runtime/errors.ts'

export const viewErrors = defineErrors({
  VIEW_RECORD_INVALID: {
    rule: 'the records of views must be ones that this program can read',
    retryable: false,
    action:
      'Run the version of the program that wrote the object named in the message, or restore it from a copy.',
  },
  VIEW_UNKNOWN: {
    rule: 'a view must be named by its id, or by a name that exactly one view has',
    retryable: false,
    action: 'npx backhaul view list shows every view with its id and name.',
  },
  VIEW_DROPPED: {
    rule: 'the id of a view that was dropped is never used again',
    retryable: false,
    action:
      'Set PROCESSOR_VIEW to a name that no view had: the same settings under another name are another view.',
  },
  VIEW_SWITCH_OVERTAKEN: {
    rule: 'one switch of the active view at a time must take effect',
    retryable: true,
    action: 'Another switch was first: look at npx backhaul view list, and decide again.',
  },
  VIEW_SWITCH_LAGS: {
    rule: 'a view must have come about as far as the active one before it is switched to',
    retryable: true,
    action:
      'Wait until npx backhaul view list shows less lag. With --force it becomes active all the same, and answers go back in time to where it is.',
  },
  VIEW_SWITCH_NOT_COMPARED: {
    rule: 'a view is switched to after it was compared with the active one',
    retryable: true,
    action:
      'Run npx backhaul view compare, look at the differences it names, and switch again; or switch with --force.',
  },
  VIEW_DROP_ACTIVE: {
    rule: 'the view that is served must not be dropped',
    retryable: false,
    action: 'Switch to another view first: npx backhaul view switch.',
  },
  VIEW_DROP_IN_USE: {
    rule: 'a view must not be written while it is dropped',
    retryable: true,
    action: 'Stop the processors of the view, and drop it again.',
  },
  VIEWS_TOO_MANY: {
    rule: 'the views beside one another are bounded in number',
    retryable: false,
    action: 'Drop views that are not needed any more: npx backhaul view drop.',
  },
})
