import { type FormEvent, type ReactNode, useRef } from 'react'

interface Props {
  /** `read` returns what was typed into the field with this name. */
  readonly onSubmit: (read: (name: string) => string) => Promise<void>
  readonly children: ReactNode
}

/** A form that is submitted once at a time. It keeps what was typed, which a form with an `action` does not. */
export function Form({ onSubmit, children }: Props): ReactNode {
  const busy = useRef(false)
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    if (busy.current) return
    busy.current = true
    const values = new FormData(event.currentTarget)
    await onSubmit((name) => {
      const value = values.get(name)
      return typeof value === 'string' ? value.trim() : ''
    })
    busy.current = false
  }
  return <form onSubmit={(event) => void submit(event)}>{children}</form>
}
