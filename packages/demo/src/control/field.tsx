import { type ReactNode, useId } from 'react'

interface Properties {
  readonly label: string
  readonly value: string
  readonly onChange: (value: string) => void
  readonly error?: string | undefined
  readonly hint?: string | undefined
  readonly inputMode?: 'numeric' | 'text'
  readonly multiline?: boolean
  readonly maxLength?: number
  readonly autoFocus?: boolean
  readonly className?: string
}

/** A labelled text input. The line below it is always there, so that an error moves nothing. */
export function Field({ label, value, onChange, error, hint, multiline, className = '', ...input }: Properties): ReactNode {
  const id = useId()
  const shared = {
    ...input,
    id,
    value,
    autoComplete: 'off',
    'aria-invalid': error !== undefined,
    'aria-describedby': `${id}-note`,
    onChange: (event: { readonly target: { readonly value: string } }) => onChange(event.target.value),
  }
  return (
    <div className={`field ${className}`}>
      <label className="label" htmlFor={id}>
        {label}
      </label>
      {multiline ? <textarea {...shared} rows={2} /> : <input {...shared} type="text" />}
      <p className="field-note" id={`${id}-note`} data-error={error !== undefined || undefined} aria-live="polite">
        {error ?? hint}
      </p>
    </div>
  )
}
