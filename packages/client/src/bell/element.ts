type AttributeValue = string | number | boolean | undefined
type Listener = (event: never) => void

/** Creates an element. A property that is a function, such as `onclick`, is added as a listener; others are attributes, see {@link set}. */
export function h<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  properties: Readonly<Record<string, AttributeValue | Listener>> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(properties)) {
    if (typeof value === 'function') element.addEventListener(key.slice(2), value as EventListener)
    else set(element, { [key]: value })
  }
  element.append(...children)
  return element
}

/** Sets attributes. True sets an empty one; false and undefined remove it. */
export function set(element: Element, attributes: Readonly<Record<string, AttributeValue>>): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) element.removeAttribute(name)
    else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value === true ? '' : String(value))
  }
}

/** Sets the text, unless it is the same: a live region would announce it again. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

const icons = {
  bell: 'M10 3a4.6 4.6 0 0 0-4.6 4.6c0 3.6-1.6 5-1.6 5.9h12.4c0-.9-1.6-2.3-1.6-5.9A4.6 4.6 0 0 0 10 3ZM8.4 16.5a1.8 1.8 0 0 0 3.2 0',
  close: 'm5.5 5.5 9 9m0-9-9 9',
  read: 'm4.5 10.5 3.6 3.6 7.4-8',
  unread: 'M10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7Z',
  archive: 'M3.5 4h13v3h-13ZM4.5 7v9h11V7M8 10h4',
  unarchive: 'M3.5 4h13v3h-13ZM4.5 7v9h11V7M10 14V9.5M8 11.3l2-2 2 2',
  remove: 'M4 5.5h12M8 5.5v-2h4v2M5.5 5.5l.8 11h7.4l.8-11M8.5 8.5v5M11.5 8.5v5',
} as const
type IconName = keyof typeof icons

/** A decorative icon. The element that contains it has a label. */
export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
  const path = document.createElementNS(svg.namespaceURI, 'path')
  set(path, { d: icons[name] })
  set(svg, { viewBox: '0 0 20 20', 'aria-hidden': 'true' })
  svg.append(path)
  return svg
}
