/** Building elements. Text is always set as text, so nothing an event carries can become markup. */

type Child = Node | string | undefined | false
type Attribute = string | number | boolean | undefined | ((event: Event) => void)

/** `h('button', { class: 'tab', onclick: … }, 'Total')`; `undefined` and `false` leave a thing out. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Readonly<Record<string, Attribute>> = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag)
  apply(element, attributes, children)
  return element
}

/** The same for SVG. */
export function s<Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  attributes: Readonly<Record<string, Attribute>> = {},
  ...children: Child[]
): SVGElementTagNameMap[Tag] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag)
  apply(element, attributes, children)
  return element
}

/** Sets text only when it differs, so that an update every second does not disturb a reader. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

function apply(
  element: Element,
  attributes: Readonly<Record<string, Attribute>>,
  children: readonly Child[],
): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue
    if (typeof value === 'function') element.addEventListener(name.slice(2), value)
    else element.setAttribute(name, value === true ? '' : String(value))
  }
  for (const child of children) if (child !== undefined && child !== false) element.append(child)
}
