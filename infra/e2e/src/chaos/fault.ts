import { rmSync } from 'node:fs'
import { expect, test } from 'vitest'
import { World, type WorldOptions } from './world.ts'

export interface Fault {
  readonly name: string
  readonly world?: Omit<WorldOptions, 'name'>
  /** True where the history cannot have survived, so that devices must be told. */
  readonly told?: boolean
  /** Only in the long form, `TIDINGS_LONG=1`. */
  readonly long?: boolean
  readonly inject: (world: World) => Promise<void>
}

const long = process.env['TIDINGS_LONG'] === '1'

/** Defines a test of each fault, which prints one line. `suite`: prefix of the names of databases. */
export function testFaults(suite: string, faults: readonly Fault[]): void {
  for (const [run, fault] of faults.filter((each) => long || !each.long).entries()) {
    test(fault.name, { timeout: 180_000 }, () => testFault(fault, `${suite}_${run}`))
  }
}

async function testFault({ name, world: options, told, inject }: Fault, databaseName: string): Promise<void> {
  const world = await World.open({ name: databaseName, ...options })
  try {
    const verdict = await world.run(() => inject(world))
    const { accepted, refused, lost, doubled, misdelivered, outOfOrder, recoveredMs, unready, unexpected } = verdict
    console.log(
      `${name}: ${accepted} accepted, ${refused} refused, ${lost} lost, ${doubled} doubled, ${misdelivered} misdelivered, ` +
        `${outOfOrder} out of order, ${verdict.told} told, recovered after ${(recoveredMs / 1_000).toFixed(1)} s, not ready ${unready}`,
    )
    expect({ lost, doubled, misdelivered, outOfOrder, unexpected }).toEqual({
      lost: 0,
      doubled: 0,
      misdelivered: 0,
      outOfOrder: 0,
      unexpected: [],
    })
    if (told) expect(verdict.told).toBeGreaterThan(0)
  } finally {
    await world.close()
    if (options?.redisDirectory) rmSync(options.redisDirectory, { recursive: true, force: true })
  }
}
