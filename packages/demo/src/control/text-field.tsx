import { type InputHTMLAttributes, type ReactNode, useId } from 'react'

interface Props extends Pick<InputHTMLAttributes<unknown>, 'defaultValue' | 'disabled' | 'maxLength'> {
  readonly label: string
  readonly name: string
  readonly error?: string | undefined
  readonly hint?: string
  readonly multiline?: boolean
}

/** A labelled text input. The line below it is always rendered, so that an error does not shift the layout. */
export function TextField({ label, error, hint, multiline, ...input }: Props): ReactNode {
  const id = useId()
  const shared = { ...input, id, autoComplete: 'off', 'aria-invalid': error !== undefined, 'aria-describedby': `${id}-note` }
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {multiline ? <textarea {...shared} rows={2} /> : <input {...shared} type="text" />}
      <p className={error === undefined ? 'small muted' : 'small alarm'} id={`${id}-note`} aria-live="polite">
        {error ?? hint}
      </p>
    </div>
  )
}
