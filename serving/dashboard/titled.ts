import { h } from './dom.ts'

/** What people call it, with its id beside it; the id alone where there is no title. */
export function titled(id: string, title: string | undefined): HTMLElement {
  if (title === undefined) return h('span', { class: 'name' }, id)
  return h('span', { class: 'name' }, title, ' ', h('small', { class: 'dim' }, id))
}
