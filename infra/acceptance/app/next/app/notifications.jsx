'use client'
import { createTidings } from '@tidings/client'
import { TidingsProvider } from '@tidings/client/react'

const tidings = createTidings()
tidings.start()

export function Notifications({ children }) {
  return <TidingsProvider tidings={tidings}>{children}</TidingsProvider>
}
