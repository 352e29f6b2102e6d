import { lookup as dnsLookup } from 'node:dns/promises'

type Lookup = (name: string, options: { all: true }) => Promise<readonly { address: string }[]>

export interface Address {
  readonly host: string
  readonly port: number
}

/**
 * All gateways, beginning with the one whose turn it is. Names are resolved again for each upgrade and spread over all their
 * addresses: a gateway that was added a moment ago gets its share.
 */
export class Gateways {
  readonly #urls: readonly URL[]
  readonly #lookup: Lookup
  #turn = 0

  constructor(urls: readonly string[], lookup: Lookup = dnsLookup) {
    this.#lookup = lookup
    this.#urls = urls.map((url) => new URL(url))
  }

  /** Beginning with the `chosen`th instead, counted round and round, where that is given. */
  async inTurn(chosen?: number): Promise<readonly Address[]> {
    const found = await Promise.all(this.#urls.map((url) => this.#resolve(url)))
    const addresses = found.flat()
    const first = addresses.length > 0 ? (chosen ?? this.#turn++) % addresses.length : 0
    return [...addresses.slice(first), ...addresses.slice(0, first)]
  }

  /** In a fixed order, as name servers rotate theirs; none when the name is not known (now). */
  async #resolve({ hostname, port }: URL): Promise<readonly Address[]> {
    const found = await this.#lookup(hostname.replaceAll(/[[\]]/g, ''), { all: true }).catch(() => [])
    return found
      .map(({ address }) => ({ host: address, port: Number(port || 80) }))
      .toSorted((a, b) => (a.host < b.host ? -1 : 1))
  }
}
