import { parseMemberId } from '@tidings/protocol/parse-member-id'
import { type FormEvent, type ReactNode, useState } from 'react'
import { TextField } from '../control/text-field.tsx'
import { Logo } from '../control/icon.tsx'
import { useMessages } from '../preference/preference.ts'
import { PreferenceControls } from './preference-controls.tsx'
import { signIn } from './session.ts'
import './sign-in.css'

export function SignIn({ ended }: { readonly ended: boolean }): ReactNode {
  const { session, tagline } = useMessages()
  const [memberId, setMemberId] = useState('7')
  const [state, setState] = useState<'ready' | 'invalid' | 'busy' | 'unreachable'>('ready')

  const submit = async (event: FormEvent) => {
    event.preventDefault()
    const id = parseMemberId(memberId.trim())
    if (id === undefined) return setState('invalid')
    setState('busy')
    if (!(await signIn(id))) setState('unreachable')
  }

  return (
    <main className="sign-in">
      <div className="sign-in-preference">
        <PreferenceControls />
      </div>
      <form className="sign-in-form" onSubmit={(event) => void submit(event)} noValidate>
        <Logo size={44} />
        <h1>Tidings</h1>
        <p className="muted sign-in-tagline">{tagline}</p>
        <p className="sign-in-ended" role="status">
          {ended ? session.ended : ''}
        </p>
        <TextField
          label={session.memberId}
          value={memberId}
          onChange={setMemberId}
          hint={session.hint}
          error={state === 'invalid' ? session.invalid : state === 'unreachable' ? session.unreachable : undefined}
        />
        <button type="submit" className="button strong" aria-disabled={state === 'busy'}>
          {state === 'busy' ? session.submitting : session.submit}
        </button>
        <p className="muted sign-in-devices">{session.devices}</p>
      </form>
    </main>
  )
}
