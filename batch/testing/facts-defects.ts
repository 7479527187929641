/** Defects of the SQL that the comparison with the oracle must show: a text of a step, and another. */
export interface Defect {
  readonly name: string
  readonly text: string
  readonly instead: string
}

export const DEFECTS: readonly Defect[] = [
  defect('the last frame’s clock', 'MIN_BY(clock_offset_ms', 'MAX_BY(clock_offset_ms'),
  defect('a step of exactly the limit', '> p.clock_step_ms', '>= p.clock_step_ms'),
  defect('a second stall that counts', 'mark_or_halt_before =', 'mark_before ='),
  defect('a pause in idle', "type = 'playbackPause' AND NOT", "type = 'playbackPause' OR NOT"),
  defect('the last end that decides', 'MIN(end_seq) AS end_seq', 'MAX(end_seq) AS end_seq'),
  defect('a start-up of a start in idle', 'IF(started_idle, NULL,', 'IF(FALSE, NULL,'),
  defect('a rate that outlives its part', 'begins_part THEN 1000', 'event_number = 1 THEN 1000'),
  defect('a viewer who stalls for ever', 'stalled_since_ms + p.stalled_viewer_ms', '60000 * 1000'),
  defect('a later copy that replaces', 'e.winner AND e.accepted', 'e.accepted'),
  defect(
    'an instant too early',
    'starts <= 10000 AND ends > 10000',
    'starts < 10000 AND ends > 9999',
  ),
  defect('a bucket too high', '64 * (s.highest_bit - 6)', '64 * (s.highest_bit - 5)'),
  defect('frames of closed minutes', 'WHERE NOT p.open_minutes_only', 'WHERE TRUE'),
  defect('a session kept too long', 'p.session_keep_ms\n', 'p.session_keep_ms + 30000\n'),
  defect(
    'no time-out between events',
    '> p.session_timeout_ms AS silent_before',
    '> 1000000 AS silent_before',
  ),
  defect('seen after the close', 'e.watermark_ms <= c.bound_ms AND', ''),
]

function defect(name: string, text: string, instead: string): Defect {
  return { name, text, instead }
}
