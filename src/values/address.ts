import { isIPv4, isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'

/**
 * IP addresses as values: a single text for each address, however it was written, and its networks,
 * by which guesses are counted.
 */

/** The networks of one address, each in CIDR notation, from the narrowest to the widest. */
export interface Networks {
  /** Block of a host or a link: IPv4 /32, IPv6 /64. */
  readonly address: string
  /** Usual block of a customer: IPv6 /56. For IPv4, which has no such block, the address again. */
  readonly site: string
  /** Usual block of an organisation: IPv4 /24, IPv6 /48. */
  readonly network: string
}

/** The address of all clients with an unknown address, so that they are counted together. */
export const UNKNOWN_ADDRESS = 'unknown'

/**
 * The translation of IPv4 to IPv6 at an edge (RFC 6052, section 2.1): the last 32 bits are IPv4.
 */
const TRANSLATED: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('64:ff9b::'), 96]

/**
 * IPv6 addresses made from an IPv4 address (RFC 3056, section 2): bits 16 to 48 are that address.
 */
const SIX_TO_FOUR: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('2002::'), 16]

/** A port, or a name in its place (RFC 7239, section 6.3), which is ignored. */
const PORT = String.raw`(?::(?:\d{0,5}|_[\w.-]+))?`
const IPV6_NODE = new RegExp(String.raw`^\[([^\]]*)\]${PORT}$`)
const IPV4_NODE = new RegExp(String.raw`^([\d.]+)${PORT}$`)

/**
 * Normalises an address: IPv4 in four decimal numbers, even if it was mapped into IPv6; IPv6 as RFC
 * 5952 writes it, without a zone.
 * @returns undefined if the text is no IP address
 * @example parseAddress('::FFFF:203.0.113.8') // '203.0.113.8'
 */
export function parseAddress(text: string): string | undefined {
  if (isIPv4(text)) return text
  // Checked by Node, because ipaddr.js also accepts looser spellings.
  const [bare = '', ...zone] = text.split('%')
  if (zone.length > 1 || !isIPv6(bare)) return undefined
  return normalised(ipaddr.IPv6.parse(bare)).toString()
}

/**
 * The address in a node identifier of RFC 7239, section 6, as proxies write it:
 * `203.0.113.8:40001`, `[2001:db8::1]:443`, `"[2001:db8::1]"`, or an address alone.
 * @returns undefined for `unknown`, for a hidden name such as `_proxy1`, and for other text
 */
export function parseNode(text: string): string | undefined {
  const trimmed = text.trim()
  const node = /^"(.*)"$/.exec(trimmed)?.[1] ?? trimmed
  const bracketed = IPV6_NODE.exec(node)?.[1]
  if (bracketed !== undefined) return bracketed.includes(':') ? parseAddress(bracketed) : undefined
  return parseAddress(IPV4_NODE.exec(node)?.[1] ?? node)
}

/** @param address as `parseAddress` gives it, or any text, which is then its own network */
export function networksOf(address: string): Networks {
  if (isIPv4(address)) {
    const network = `${address.slice(0, address.lastIndexOf('.'))}.0/24`
    return { address: `${address}/32`, site: `${address}/32`, network }
  }
  if (!isIPv6(address)) return { address, site: address, network: address }
  const found = normalised(ipaddr.IPv6.parse(address.replace(/%.*/, '')))
  if (found.kind() === 'ipv4') return networksOf(found.toString())
  // The owner of the IPv4 address has 2^80 such addresses, and no neighbours among them.
  if (found.match(...SIX_TO_FOUR)) {
    return networksOf(new ipaddr.IPv4(found.toByteArray().slice(2, 6)).toString())
  }
  const block = (bits: number) => {
    const start = ipaddr.IPv6.networkAddressFromCIDR(`${found.toString()}/${bits}`)
    return `${start.toString()}/${bits}`
  }
  return { address: block(64), site: block(56), network: block(48) }
}

function normalised(address: ipaddr.IPv6): ipaddr.IPv4 | ipaddr.IPv6 {
  if (address.isIPv4MappedAddress()) return address.toIPv4Address()
  if (address.match(...TRANSLATED)) return new ipaddr.IPv4(address.toByteArray().slice(12))
  return address
}
