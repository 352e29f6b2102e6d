import { MemberConnection, type Received } from './member-connection.ts'
import type { Call, Collected, OpenOptions, Reply } from './member-load.ts'

/** A process that holds connections of members. Its parent calls it over IPC, and it ends with its parent. */
interface Group {
  readonly connections: MemberConnection[]
  readonly received: Received
  /** Connections that failed or were closed by the server. */
  failed: number
  firstError?: string
}

const groups = new Map<string, Group>()
let addressCount = 0
const openDeadlineMs = 90_000

process.on('disconnect', () => process.exit())
process.on('message', (call: Call) => {
  void perform(call).then(
    (result) => reply({ id: call.id, result }),
    (error: unknown) => reply({ id: call.id, error: String(error) }),
  )
})

async function perform(call: Call): Promise<unknown> {
  if (call.method === 'open') return openGroup(call.options)
  const group = groups.get(call.group)
  if (!group) throw new Error(`no group ${call.group}`)
  if (call.method === 'collect') return collect(group)
  if (call.method === 'lastMessageIds') return group.connections.map((connection) => connection.lastMessageId)
  if (call.method === 'perConnection') return group.connections.map(({ messages }) => messages)
  groups.delete(call.group)
  for (const connection of group.connections) connection.close()
  return undefined
}

/** Opens the connections, `concurrency` at a time, and resolves to the number that is ready. */
function openGroup({ group: name, endpoint, memberIds, destinations, lastMessageIds, ...options }: OpenOptions): Promise<number> {
  const group: Group = { connections: [], received: { messages: 0, latenciesMs: [] }, failed: 0 }
  groups.set(name, group)
  // An address of its own: the ports of closed connections stay in use for a minute.
  const localAddress = `127.0.${process.pid & 127}.${2 + (addressCount++ % 250)}`
  return new Promise((resolve) => {
    let settled = 0
    const openNext = () => {
      const index = group.connections.length
      const memberId = memberIds[index]
      if (memberId === undefined) return
      let pending = true
      const settle = () => {
        if (!pending) return
        pending = false
        if (++settled === memberIds.length) return resolve(settled - group.failed)
        openNext()
      }
      const own = {
        memberId,
        destinations: destinations[index % destinations.length] ?? [],
        lastMessageId: lastMessageIds?.[index],
      }
      group.connections.push(
        new MemberConnection(
          endpoint,
          { ...own, localAddress, keepsPosition: options.keepsPosition },
          {
            received: group.received,
            onReady: settle,
            onError(error) {
              group.failed++
              group.firstError ??= error.message
              settle()
            },
          },
        ),
      )
    }
    if (memberIds.length === 0) return resolve(0)
    setTimeout(() => {
      group.firstError ??= `${settled} of ${memberIds.length} connections were ready after ${openDeadlineMs} ms`
      resolve(settled - group.failed)
    }, openDeadlineMs).unref()
    for (let index = 0; index < Math.min(options.concurrency, memberIds.length); index++) openNext()
  })
}

/** Returns what has arrived since the last call. */
function collect({ received, failed, firstError }: Group): Collected {
  const { messages, latenciesMs } = received
  received.messages = 0
  return { messages, failed, firstError, latenciesMs: Float64Array.from(latenciesMs.splice(0)) }
}

function reply(message: Reply): void {
  process.send?.(message)
}
