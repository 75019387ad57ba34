import { SaxesParser } from 'saxes'

/**
 * Small XML documents as a tree. A document type is refused before any of it is read, so that no
 * entity is ever expanded or fetched. Comments and processing instructions are left out.
 */

export interface XmlAttribute {
  readonly name: string
  readonly namespace: string
  readonly value: string
}

export interface XmlElement {
  /** Name without prefix. */
  readonly name: string
  readonly namespace: string
  readonly attributes: readonly XmlAttribute[]
  /** Elements and text, in order. */
  readonly children: readonly (XmlElement | string)[]
}

export type XmlFault = 'xml_malformed' | 'xml_doctype' | 'xml_too_large'

export class XmlRefused extends Error {
  readonly fault: XmlFault

  /**
   * Makes a refusal.
   * @param message text without any part of the document, which may be a secret
   */
  constructor(fault: XmlFault, message: string) {
    super(message)
    this.fault = fault
  }
}

/** Most characters of a document; a key under the largest certificate has a tenth of them. */
export const XML_LENGTH_MAX = 1024 * 1024
const DEPTH_MAX = 64
const NODES_MAX = 10_000

interface Open {
  readonly name: string
  readonly namespace: string
  readonly attributes: readonly XmlAttribute[]
  readonly children: (XmlElement | string)[]
}

/** Parses a document. @throws XmlRefused */
export function parseXml(text: string): XmlElement {
  if (text.length > XML_LENGTH_MAX) {
    throw new XmlRefused('xml_too_large', `it has more than ${XML_LENGTH_MAX} characters`)
  }
  const parser = new SaxesParser({ xmlns: true })
  const open: Open[] = []
  let root: XmlElement | undefined
  let nodes = 0
  const count = () => {
    nodes += 1
    if (nodes > NODES_MAX)
      throw new XmlRefused('xml_too_large', `it has more than ${NODES_MAX} nodes`)
  }
  const addText = (content: string) => {
    count()
    open.at(-1)?.children.push(content)
  }
  parser.on('error', () => {
    const place = `line ${parser.line}, column ${parser.column}`
    throw new XmlRefused('xml_malformed', `it is no well-formed XML at ${place}`)
  })
  parser.on('doctype', () => {
    throw new XmlRefused('xml_doctype', 'it has a document type (DTD), which no ring needs')
  })
  parser.on('text', addText)
  parser.on('cdata', addText)
  // Attributes are counted one by one, because a whole tag may have a long list of them.
  parser.on('attribute', count)
  parser.on('opentag', ({ local, uri, attributes }) => {
    count()
    if (open.length === DEPTH_MAX) {
      throw new XmlRefused('xml_too_large', `its elements are nested more than ${DEPTH_MAX} deep`)
    }
    const own = Object.values(attributes).filter(
      ({ prefix, name }) => prefix !== 'xmlns' && name !== 'xmlns',
    )
    const element: Open = {
      name: local,
      namespace: uri,
      attributes: own.map((a) => ({ name: a.local, namespace: a.uri, value: a.value })),
      children: [],
    }
    open.at(-1)?.children.push(element)
    root ??= element
    open.push(element)
  })
  parser.on('closetag', () => {
    open.pop()
  })
  parser.write(text).close()
  if (!root) throw new XmlRefused('xml_malformed', 'it has no element')
  return root
}

/** Lists the elements among the children. */
export function elementsOf(element: XmlElement): XmlElement[] {
  return element.children.filter((child) => typeof child !== 'string')
}

/** Finds the first child of that name. @param namespace default: none */
export function childOf(element: XmlElement, name: string, namespace = ''): XmlElement | undefined {
  return elementsOf(element).find((child) => child.name === name && child.namespace === namespace)
}

/** Finds the value of an attribute without namespace. */
export function attributeOf(element: XmlElement, name: string): string | undefined {
  return element.attributes.find((a) => a.name === name && a.namespace === '')?.value
}

/** Joins all text of an element, as .NET's `XElement.Value` does. */
export function textOf(element: XmlElement): string {
  return element.children
    .map((child) => (typeof child === 'string' ? child : textOf(child)))
    .join('')
}
