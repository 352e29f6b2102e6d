import { loadavg } from 'node:os'
import { join, resolve } from 'node:path'
import { startDatabase } from '@tidings/local'
import { MemberLoad } from './load/member-load.ts'
import { pinLoad } from './measure/pin.ts'
import { type Options, parseOptions, usage } from './options.ts'
import { describeMachine } from './report/machine.ts'
import { Recorder, type ScenarioResult } from './report/result.ts'
import { writeReport } from './report/write-report.ts'
import { cancel } from './scenario/cancel.ts'
import { connectStorm } from './scenario/connect-storm.ts'
import { fanOut, personal } from './scenario/delivery.ts'
import { idleMemory } from './scenario/idle-memory.ts'
import { linear } from './scenario/linear.ts'
import { latency, posts } from './scenario/post.ts'
import { push } from './scenario/push.ts'
import { resumeStorm } from './scenario/resume-storm.ts'
import type { Scenario } from './scenario/scenario.ts'
import { soak } from './scenario/soak.ts'
import { storage } from './scenario/storage.ts'
import { tabs } from './scenario/tab.ts'
import { tokens } from './scenario/token.ts'
import { root } from './system/build.ts'
import { centrifugo } from './system/centrifugo.ts'
import { floor, naive } from './system/floor.ts'
import { socketIo } from './system/socket-io.ts'
import { spring } from './system/spring.ts'
import type { System, SystemKind } from './system/system.ts'
import { tidings } from './system/tidings.ts'

const defaultScenarios: readonly Scenario[] = [
  fanOut,
  personal,
  posts,
  latency,
  connectStorm,
  resumeStorm,
  idleMemory,
  tokens,
  tabs,
  storage,
  cancel,
]
const defaultSystems: readonly SystemKind[] = [tidings, floor, naive, socketIo]
const peers: Readonly<Record<string, SystemKind>> = { centrifugo, spring }
/** Defaults of MySQL 8: every commit is written to the binary log and synced to disk. The defaults of MariaDB differ. */
const mysqlCommitFlags = ['--log-bin=binlog', '--sync-binlog=1', '--server-id=1']

try {
  const options = parseOptions(process.argv.slice(2), join(root, '.local/bench/report'))
  if (options === 'help') console.log(usage)
  // Clients that reconnect would keep the process alive.
  process.exit(options === 'help' || (await bench(options)) ? 0 : 1)
} catch (error) {
  console.error(error)
  process.exit(1)
}

/** Starts all systems, runs the scenarios one after another, and writes the report. Resolves to whether none has failed. */
async function bench(options: Options): Promise<boolean> {
  const startedAt = performance.now()
  const log = (text: string) => console.log(`${((performance.now() - startedAt) / 1_000).toFixed(0).padStart(4)} s  ${text}`)
  const scenarios = chosenScenarios(options)
  const kinds = [...defaultSystems, ...options.peers.map((name) => chosen(peers, name))]
  const machine = describeMachine()
  for (const kind of kinds) await kind.prepare?.()

  pinLoad()
  const environment = { database: await startDatabase({ flags: mysqlCommitFlags }) }
  const load = new MemberLoad()
  const systems: System[] = []
  for (const kind of kinds) systems.push(await kind.start(environment))
  log(`started ${kinds.map(({ name }) => name).join(', ')}`)

  const names = kinds.map((kind) => kind.name)
  const results: ScenarioResult[] = []
  for (const { name, title, metrics, charts, run } of scenarios) {
    const recorder = new Recorder(metrics)
    const scenarioStartedAt = performance.now()
    log(title(options.quick))
    const record = recorder.record.bind(recorder)
    const context = { systems, kinds, environment, load, record, rounds: options.rounds, quick: options.quick }
    // The other scenarios, and what this one has measured so far, are still worth a report.
    const failure = await run(context).then(
      () => undefined,
      (error: unknown) => String(error),
    )
    if (failure !== undefined) log(failure)
    const seconds = (performance.now() - scenarioStartedAt) / 1_000
    results.push({ name, title: title(options.quick), seconds, failure, metrics, charts, figures: recorder.figures(names) })
  }
  log('finished')

  load.close()
  for (const system of systems) await system.stop()
  await environment.database.stop()
  const result = {
    startedAt: new Date(Date.now() - (performance.now() - startedAt)).toISOString(),
    seconds: (performance.now() - startedAt) / 1_000,
    quick: options.quick,
    rounds: options.rounds,
    machine,
    loadAfter: loadavg()[0] ?? Number.NaN,
    systems: kinds.map(({ name, version }) => ({ name, version })),
    scenarios: results,
  }
  const directory = resolve(options.out)
  console.log(`\n${writeReport(result, directory)}\nwritten to ${directory}`)
  return results.every(({ failure }) => failure === undefined)
}

function chosenScenarios({ only, soakMinutes }: Options): readonly Scenario[] {
  if (soakMinutes !== undefined) return [soak(soakMinutes)]
  if (only.length === 0) return defaultScenarios
  const all = Object.fromEntries([...defaultScenarios, linear, push].map((scenario) => [scenario.name, scenario]))
  return only.map((name) => chosen(all, name))
}

function chosen<T>(all: Readonly<Record<string, T>>, name: string): T {
  const found = all[name]
  if (!found) throw new Error(`${name} is none of ${Object.keys(all).join(', ')}\n\n${usage}`)
  return found
}
