import { type ConnectionState, createTidings, type InboxItem, type Tidings, type TidingsOptions } from '@tidings/client'

/** The page of the client's tests: the client, and a record of what it gave. */
declare global {
  interface Window {
    tidingsOptions?: TidingsOptions
    /** Of the test, in its own process; see `Device`. */
    refreshSessionInTest?: () => Promise<boolean>
    tidings: Tidings
    arrived: InboxItem[]
    states: ConnectionState[]
  }
}

const { refreshSessionInTest } = window
export const tidings = createTidings({
  // A test's ten seconds are a page's minutes.
  reconnectBaseMs: 100,
  reconnectMaxMs: 400,
  ...window.tidingsOptions,
  ...(refreshSessionInTest && { refreshSession: refreshSessionInTest }),
})
window.tidings = tidings
window.arrived = []
window.states = []
tidings.onNotification((item) => window.arrived.push(item))
tidings.connection.subscribe(() => window.states.push(tidings.connection.getSnapshot()))
tidings.start()
