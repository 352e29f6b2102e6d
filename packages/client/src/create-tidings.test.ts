import { expect, test } from 'vitest'
import { createTidings } from './create-tidings.ts'

test('is created on a server, where it does nothing', async () => {
  const tidings = createTidings()
  tidings.start()
  expect(tidings.connection.getSnapshot()).toEqual({ status: 'stopped', leader: false })
  expect(tidings.inbox.getSnapshot()).toMatchObject({ items: [], unreadCount: 0, status: 'idle' })
  await tidings.stop()
})
