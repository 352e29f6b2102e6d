import { type ReactNode, useId } from 'react'

interface Props {
  readonly label: string
  readonly value: string
  readonly onChange: (value: string) => void
  readonly error?: string | undefined
  readonly hint?: string | undefined
  readonly multiline?: boolean
  readonly maxLength?: number
  readonly className?: string
}

/** A labelled text input. The line below it is always rendered, so that an error does not shift the layout. */
export function TextField({ label, value, onChange, error, hint, multiline, className = '', ...input }: Props): ReactNode {
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
