import type { lookup as Lookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'

/** Whether endpoints may be on private hosts and without TLS, as a push service of a test is. */
export type PrivateAddresses = 'refuse' | 'allow'

const httpsPort = 443
/** Below it are the ports of services that speak no HTTPS. */
const firstUserPort = 1_024

/**
 * Returns why nothing is sent to an endpoint, or undefined. The client chooses the endpoint, so it could name a host in the private network of
 * this service. The addresses of a name are checked by {@link publicLookup} when it is connected to.
 */
export function endpointFault(endpoint: string, allowed: PrivateAddresses): string | undefined {
  if (!URL.canParse(endpoint)) return 'must be an absolute URL'
  const { protocol, username, password, hostname, port, hash } = new URL(endpoint)
  if (username !== '' || password !== '' || hash !== '') return 'must have neither user information nor a fragment'
  if (allowed === 'allow') return /^https?:$/.test(protocol) ? undefined : 'must be an https: or http: URL'
  if (protocol !== 'https:') return 'must be an https: URL'
  if (port !== '' && Number(port) < firstUserPort) return `must have port ${httpsPort}, or ${firstUserPort} and above`
  const address = hostname.replace(/^\[|\]$/g, '')
  if (isIP(address) !== 0 && !isPublicAddress(address)) return 'must not be at a private address'
  if (/(^|\.)localhost\.?$/.test(hostname)) return 'must not be at a private address'
  return undefined
}

/** Networks of IPv6 that are assigned to hosts on the Internet. */
const globalUnicast: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('2000::'), 3]

/** Returns whether an address is of a host on the Internet, by the registries of special-purpose addresses. */
export function isPublicAddress(text: string): boolean {
  if (!ipaddr.isValid(text)) return false
  const address = ipaddr.parse(text)
  if (address instanceof ipaddr.IPv4) return address.range() === 'unicast'
  // On networks with IPv6 alone, DNS64 embeds the IPv4 address of a host in the last four bytes (RFC 6052).
  if (text.toLowerCase().startsWith('64:ff9b::')) return isPublicAddress(address.toByteArray().slice(-4).join('.'))
  return address.range() === 'unicast' && address.match(globalUnicast)
}

/** A name has a private address. */
export class PrivateAddress extends Error {
  override readonly name = 'PrivateAddress'
}

/**
 * Returns a lookup for connections that refuses names with a private address. The addresses that are checked are those that are connected
 * to: an earlier check would say nothing, as a name may change its addresses at any time.
 */
export function publicLookup(lookup: typeof Lookup): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      const [first] = addresses ?? []
      if (error || !first) return callback(error ?? new Error(`${hostname} has no address`), [])
      if (!addresses.every(({ address }) => isPublicAddress(address))) {
        return callback(new PrivateAddress(`${hostname} has a private address`), [])
      }
      if (options.all) callback(null, addresses)
      else callback(null, first.address, first.family)
    })
  }
}
