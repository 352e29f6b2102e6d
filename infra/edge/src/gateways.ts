import { lookup as dnsLookup } from 'node:dns/promises'

type Lookup = (name: string, options: { all: true }) => Promise<readonly { address: string }[]>

export interface Address {
  readonly host: string
  readonly port: number
}

const defaultHttpPort = 80

/**
 * Addresses of all gateways, in rotation. Names are resolved for each upgrade, and each name stands for all its addresses: a gateway
 * that was added a moment ago gets its share.
 */
export class Gateways {
  readonly #urls: readonly URL[]
  readonly #lookup: Lookup
  #next = 0

  constructor(urls: readonly string[], lookup: Lookup = dnsLookup) {
    this.#lookup = lookup
    this.#urls = urls.map((url) => new URL(url))
  }

  /**
   * Resolves to all addresses in the order in which they are to be tried. The first one is the next in rotation, or number `first`
   * (modulo the number of addresses), which leaves the rotation as it is.
   */
  async inTurn(first?: number): Promise<readonly Address[]> {
    const resolved = await Promise.all(this.#urls.map((url) => this.#resolve(url)))
    const addresses = resolved.flat()
    const start = addresses.length > 0 ? (first ?? this.#next++) % addresses.length : 0
    return [...addresses.slice(start), ...addresses.slice(0, start)]
  }

  /** Sorted, as name servers rotate their results; empty while the name is unknown. */
  async #resolve({ hostname, port }: URL): Promise<readonly Address[]> {
    const results = await this.#lookup(hostname.replaceAll(/[[\]]/g, ''), { all: true }).catch(() => [])
    return results
      .map(({ address }) => ({ host: address, port: Number(port || defaultHttpPort) }))
      .toSorted((a, b) => (a.host < b.host ? -1 : 1))
  }
}
