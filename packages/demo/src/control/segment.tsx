import { type ReactNode, useId } from 'react'

interface Properties<Value extends string> {
  readonly legend: string
  readonly legendSeen?: boolean
  readonly value: Value
  readonly options: readonly { readonly value: Value; readonly label: string; readonly lang?: string }[]
  readonly onChange: (value: Value) => void
}

/** One of a few. Radio buttons underneath: arrow keys and screen readers know them. */
export function Segment<Value extends string>({
  legend,
  legendSeen = false,
  value,
  options,
  onChange,
}: Properties<Value>): ReactNode {
  const name = useId()
  return (
    <fieldset className="segment">
      <legend className={legendSeen ? 'label' : 'unseen'}>{legend}</legend>
      <div className="segment-track">
        {options.map((option) => (
          <label key={option.value} lang={option.lang}>
            <input
              type="radio"
              name={name}
              value={option.value}
              checked={option.value === value}
              onChange={() => onChange(option.value)}
            />
            <span>{option.label}</span>
          </label>
        ))}
      </div>
    </fieldset>
  )
}
