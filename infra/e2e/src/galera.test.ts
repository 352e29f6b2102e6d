import { findGalera, type ServiceProcess } from '@tidings/local'
import { test } from 'vitest'
import { type Fault, testFaults } from './chaos/fault.ts'
import type { World } from './chaos/world.ts'

const first = ({ apis }: World) => apis[0] as ServiceProcess
const second = ({ apis }: World) => apis[1] as ServiceProcess

// Each notify-api writes to its own node. When a node joins or leaves, the distance between generated ids changes.
const faults: readonly Fault[] = [
  {
    name: 'Galera: a node leaves, joins again, and is killed',
    world: { database: 'galera' },
    async inject(world) {
      const [, node] = world.galera.nodes
      await node.stop()
      await world.accepted(40)
      await node.start()
      await world.readiness(second(world), true)
      await world.accepted(40)
      await node.kill()
      await world.readiness(second(world), false)
      await world.accepted(40)
    },
  },
  {
    name: 'Galera: a second node joins',
    long: true,
    world: { database: 'galera-of-one' },
    async inject(world) {
      const [, node] = world.galera.nodes
      await node.start()
      await world.accepted(60)
      world.links.databases[1].lead(Number(new URL(node.url).port))
      await world.accepted(60)
    },
  },
  {
    name: 'Galera: kill -9 a node, which comes back',
    long: true,
    world: { database: 'galera' },
    async inject(world) {
      const [, node] = world.galera.nodes
      await node.kill()
      await world.readiness(second(world), false)
      await world.accepted(60)
      await node.start()
      await world.readiness(second(world), true)
      await world.accepted(60)
    },
  },
  {
    name: 'Galera: kill -9 the node that has the quorum, which comes back',
    long: true,
    world: { database: 'galera' },
    async inject(world) {
      const [node] = world.galera.nodes
      await node.kill()
      await Promise.all([first(world), second(world)].map((api) => world.readiness(api, false)))
      await node.start()
      await Promise.all([first(world), second(world)].map((api) => world.readiness(api, true)))
      await world.accepted(60)
    },
  },
  {
    name: 'Galera: one node after the other restarts',
    long: true,
    world: { database: 'galera' },
    async inject(world) {
      for (const node of world.galera.nodes) {
        await node.stop()
        await node.start()
        await Promise.all([first(world), second(world)].map((api) => world.readiness(api, true)))
        await world.accepted(40)
      }
    },
  },
]

if (findGalera()) testFaults('galera', faults)
else test.skip('galera-4 is not installed: apt-get install galera-4', () => {})
