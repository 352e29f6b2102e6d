import { join } from 'node:path'
import { World } from '@tidings/e2e/chaos'
import { queryDatabase } from '@tidings/local'
import { expect, test } from 'vitest'
import { buildOf, hasCommit, previousRelease } from './fixture/earlier-build.ts'

/**
 * What is upgraded while there is no release: the first commit whose positions and read events are those of today. With those of before, clients
 * would be told of a loss, or would not know which notifications a read-all has marked. All migrations from 0007 on have been added since.
 */
const baseline = '07f3141'
const thisBuild = join(import.meta.dirname, '../../..')
/** Posts that each mixture of versions serves. */
const postsBetween = 60

const from = process.env['UPGRADE_FROM'] ?? (await previousRelease()) ?? baseline
const here = await hasCommit(from)
if (!here) console.log(`skipped: an upgrade from ${from}, which this clone does not have (it is shallow)`)

const title = `an upgrade from ${from} under load, one instance after the other, and one instance back, loses nothing`

test.skipIf(!here)(title, { timeout: 300_000 }, async () => {
  const earlierBuild = await buildOf(from)
  const world = await World.open({ name: 'upgrade', build: earlierBuild })
  const migrations = () => queryDatabase<{ name: string }>(world.servers.databaseUrl, 'SELECT name FROM migration')
  try {
    const before = (await migrations()).length
    const verdict = await world.run(() => upgradeAndReturn(world, earlierBuild))
    const applied = (await migrations()).length - before
    const { accepted, refused, recoveredMs, unready } = verdict
    console.log(
      `${from}: ${applied} migrations, ${accepted} accepted, ${refused} refused at first, whole after ${recoveredMs} ms, not ready ${unready}`,
    )
    const none = { lost: 0, doubled: 0, misdelivered: 0, outOfOrder: 0, told: 0, unanswered: 0, unexpected: [] }
    expect(verdict).toMatchObject(none)
  } finally {
    await world.close()
  }
})

async function upgradeAndReturn(world: World, earlierBuild: string): Promise<void> {
  const { apis, gateways } = world
  await world.accepted(postsBetween)
  // notify-api first: the first of the new ones migrates the database while both old ones serve.
  for (const services of [apis, gateways]) {
    for (const index of services.keys()) {
      await world.replace(services, index, thisBuild)
      await world.accepted(postsBetween)
    }
  }
  // Back again, with the database of the new version.
  for (const services of [gateways, apis]) {
    await world.replace(services, 0, earlierBuild)
    await world.accepted(postsBetween)
  }
}
