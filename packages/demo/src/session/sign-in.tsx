import { parseMemberId } from '@tidings/protocol/parse-member-id'
import { type ReactNode, useState } from 'react'
import { Form } from '../control/form.tsx'
import { TextField } from '../control/text-field.tsx'
import { LanguageButton } from '../language/language-button.tsx'
import { useMessages } from '../language/language.ts'
import { signIn } from './session.ts'

export function SignIn({ ended }: { readonly ended: boolean }): ReactNode {
  const { session, tagline } = useMessages()
  const [error, setError] = useState<'invalid' | 'unreachable'>()

  const submit = async (read: (name: string) => string) => {
    const id = parseMemberId(read('memberId'))
    if (id === undefined) return setError('invalid')
    setError((await signIn(id)) ? undefined : 'unreachable')
  }

  return (
    <main className="sign-in">
      <Form onSubmit={submit}>
        <img src="/mark.svg" width={44} height={44} alt="" />
        <h1>Tidings</h1>
        <p className="muted">{tagline}</p>
        <p className="late small" role="status">
          {ended ? session.ended : ''}
        </p>
        <TextField
          label={session.memberId}
          name="memberId"
          defaultValue="7"
          hint={session.hint}
          error={error && session[error]}
        />
        <button type="submit" className="strong">
          {session.submit}
        </button>
        <p className="muted small">{session.devices}</p>
        <LanguageButton />
      </Form>
    </main>
  )
}
