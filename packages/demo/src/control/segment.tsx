import { type ReactNode, useId } from 'react'

interface Props<Value extends string> {
  readonly legend: string
  readonly legendVisible?: boolean
  readonly value: Value
  readonly options: readonly { readonly value: Value; readonly label: string; readonly lang?: string }[]
  readonly onChange: (value: Value) => void
}

/** A segmented control. It consists of radio buttons, which arrow keys and screen readers support. */
export function Segment<Value extends string>({
  legend,
  legendVisible = false,
  value,
  options,
  onChange,
}: Props<Value>): ReactNode {
  const name = useId()
  return (
    <fieldset className="segment">
      <legend className={legendVisible ? 'label' : 'visually-hidden'}>{legend}</legend>
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
