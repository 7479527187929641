/** Numbers as people read them: a value and its unit, `–` for what is undefined. */

export interface Quantity {
  readonly value: string
  readonly unit: string
}

const NONE: Quantity = { value: '–', unit: '' }
const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

export function formatCount(count: number | null | undefined): Quantity {
  if (count === null || count === undefined) return NONE
  if (count >= 10_000_000) return { value: significant(count / 1_000_000), unit: 'M' }
  if (count >= 1_000_000) return { value: (count / 1_000_000).toFixed(2), unit: 'M' }
  if (count >= 100_000) return { value: significant(count / 1_000), unit: 'k' }
  return { value: grouped.format(Math.round(count)), unit: '' }
}

/** A ratio as a percentage: three significant digits, but never more than two decimals. */
export function formatPercent(ratio: number | null | undefined): Quantity {
  if (ratio === null || ratio === undefined) return NONE
  const percent = ratio * 100
  if (percent === 0) return { value: '0', unit: '%' }
  if (percent < 0.01) return { value: '<0.01', unit: '%' }
  if (percent >= 99.95) return { value: percent.toFixed(0), unit: '%' }
  return { value: percent.toFixed(percent < 10 ? 2 : 1), unit: '%' }
}

export function formatDuration(durationMs: number | null | undefined): Quantity {
  if (durationMs === null || durationMs === undefined) return NONE
  if (durationMs < 999.5) return { value: durationMs.toFixed(0), unit: 'ms' }
  const seconds = durationMs / 1_000
  if (seconds < 9.995) return { value: seconds.toFixed(2), unit: 's' }
  if (seconds < 59.95) return { value: seconds.toFixed(1), unit: 's' }
  const whole = Math.round(seconds)
  if (whole < 3_600) return { value: `${Math.floor(whole / 60)}:${two(whole % 60)}`, unit: 'min' }
  return {
    value: `${Math.floor(whole / 3_600)}:${two(Math.floor((whole % 3_600) / 60))}`,
    unit: 'h',
  }
}

export function formatBitrate(kbps: number | null | undefined): Quantity {
  if (kbps === null || kbps === undefined) return NONE
  if (kbps < 1_000) return { value: kbps.toFixed(0), unit: 'kbit/s' }
  return { value: (kbps / 1_000).toFixed(2), unit: 'Mbit/s' }
}

export function formatRate(rate: number | null | undefined): Quantity {
  if (rate === null || rate === undefined) return NONE
  return { value: rate >= 100 ? grouped.format(rate) : rate.toFixed(rate < 10 ? 2 : 1), unit: '' }
}

/** Value and unit with a narrow no-break space between. */
export function joined(quantity: Quantity): string {
  return quantity.unit === '' ? quantity.value : `${quantity.value}\u202f${quantity.unit}`
}

/** `20:15:07` in the reader's time zone. */
export function formatClock(epochMs: number, withMillis = false): string {
  const at = new Date(epochMs)
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
  return withMillis ? `${clock}.${String(at.getMilliseconds()).padStart(3, '0')}` : clock
}

/** `Sat 21 Nov 2026, 20:15:07`. */
export function formatDateTime(epochMs: number): string {
  const at = new Date(epochMs)
  const date = at.toLocaleDateString('en-GB', {
    weekday: 'short',
    day: 'numeric',
    month: 'short',
    year: 'numeric',
  })
  return `${date}, ${formatClock(epochMs)}`
}

/** Time since the beginning of a session: `0:07.250`, `1:02:03.004`. */
export function formatElapsed(elapsedMs: number): string {
  const sign = elapsedMs < 0 ? '−' : ''
  const absolute = Math.abs(elapsedMs)
  const whole = Math.floor(absolute / 1_000)
  const millis = String(Math.floor(absolute % 1_000)).padStart(3, '0')
  const hours = Math.floor(whole / 3_600)
  const minutes = Math.floor((whole % 3_600) / 60)
  const head = hours > 0 ? `${hours}:${two(minutes)}` : String(minutes)
  return `${sign}${head}:${two(whole % 60)}.${millis}`
}

/** How long ago, coarsely: `4 s`, `2 min`, `3 h`. */
export function formatAge(ageMs: number): Quantity {
  const seconds = Math.max(0, Math.round(ageMs / 1_000))
  if (seconds < 90) return { value: String(seconds), unit: 's' }
  const minutes = Math.round(seconds / 60)
  if (minutes < 90) return { value: String(minutes), unit: 'min' }
  return { value: String(Math.round(minutes / 60)), unit: 'h' }
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}

function significant(value: number): string {
  return value < 100 ? value.toFixed(1) : grouped.format(value)
}
