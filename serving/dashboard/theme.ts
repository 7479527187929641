/** Light, dark or the system's choice; and the colours of the scheme in force, for canvases. */

const THEME_KEY = 'backhaul.theme'
const THEMES = ['auto', 'light', 'dark'] as const
export type Theme = (typeof THEMES)[number]

export function currentTheme(): Theme {
  const kept = localStorage.getItem(THEME_KEY)
  return THEMES.find((theme) => theme === kept) ?? 'auto'
}

export function nextTheme(theme: Theme): Theme {
  return THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'auto'
}

export function setTheme(theme: Theme): void {
  localStorage.setItem(THEME_KEY, theme)
  applyTheme(theme)
}

export function applyTheme(theme: Theme): void {
  if (theme === 'auto') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = theme
  dispatchEvent(new Event('themechange'))
}

/** Calls back when the scheme in force may have changed. */
export function onThemeChange(listener: () => void): void {
  addEventListener('themechange', listener)
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', listener)
}

/** The colour behind a custom property, as the browser resolves it now. */
export function resolveColour(property: string): string {
  const probe = document.createElement('span')
  probe.style.color = `var(${property})`
  document.body.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}

export const SERIES_COLOURS = 8

/** The custom property of the n-th key's colour; the rest of the keys are grey. */
export function seriesProperty(index: number, other: boolean): string {
  return other || index >= SERIES_COLOURS ? '--series-other' : `--series-${index + 1}`
}
