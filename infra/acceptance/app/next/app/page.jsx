'use client'
import { useConnection, useInbox } from '@tidings/client/react'

export default function Page() {
  const { status } = useConnection()
  const { items, unreadCount, markRead } = useInbox()
  return (
    <main>
      <p>{status}</p>
      <p>{unreadCount} unread</p>
      {items.map(({ notificationId, message }) => (
        <button key={notificationId} onClick={() => void markRead(notificationId)}>
          {message}
        </button>
      ))}
    </main>
  )
}
