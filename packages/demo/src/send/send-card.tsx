import type { MemberId } from '@tidings/protocol'
import { type FormEvent, type ReactNode, useState } from 'react'
import { TextField } from '../control/text-field.tsx'
import { Segment } from '../control/segment.tsx'
import { useMessages } from '../preference/preference.ts'
import { type AudienceKind, parseSendForm, type SendForm, type SendFormErrors } from './send-form.ts'
import { postDemoSend, type SendResult } from './post-demo-send.ts'
import './send-card.css'
import { SentHistory } from './sent-history.tsx'

const kinds: readonly AudienceKind[] = ['one', 'many', 'all']
const maxResults = 4
const maxMessageLength = 4_000

/** Sends a notification to one member, several or all, and shows which of them were online. */
export function SendCard({ memberId }: { readonly memberId: MemberId }): ReactNode {
  const { send } = useMessages()
  const [form, setForm] = useState<SendForm>({
    kind: 'one',
    memberId: String(memberId),
    memberIds: [memberId, ...(typeof memberId === 'number' ? [memberId + 1, memberId + 2] : [1, 2])].join(', '),
    message: send.sample,
    redirectPath: '/report/2026',
  })
  const [errors, setErrors] = useState<SendFormErrors>({})
  const [busy, setBusy] = useState(false)
  const [results, setResults] = useState<readonly { readonly number: number; readonly result: SendResult }[]>([])
  const change = (part: Partial<SendForm>) => setForm((before) => ({ ...before, ...part }))

  const submit = async (event: FormEvent) => {
    event.preventDefault()
    const parsed = parseSendForm(form, send)
    setErrors('errors' in parsed ? parsed.errors : {})
    if ('errors' in parsed || busy) return
    setBusy(true)
    const result = await postDemoSend(parsed.audience, parsed.content)
    setResults((before) => [{ number: (before[0]?.number ?? 0) + 1, result }, ...before].slice(0, maxResults))
    setBusy(false)
  }

  return (
    <section className="card send-card" aria-labelledby="send-title">
      <h2 id="send-title">{send.title}</h2>
      <p className="muted">{send.lead}</p>
      <form onSubmit={(event) => void submit(event)} noValidate>
        <Segment
          legend={send.to}
          legendVisible
          value={form.kind}
          options={kinds.map((value) => ({ value, label: send[value] }))}
          onChange={(kind) => change({ kind })}
        />
        <div className="send-recipient">
          {form.kind === 'one' && (
            <TextField
              label={send.memberId}
              value={form.memberId}
              error={errors.recipient}
              onChange={(value) => change({ memberId: value })}
            />
          )}
          {form.kind === 'many' && (
            <TextField
              label={send.memberIds}
              value={form.memberIds}
              hint={send.memberIdsHint}
              error={errors.recipient}
              onChange={(value) => change({ memberIds: value })}
            />
          )}
          {form.kind === 'all' && <p className="send-everyone muted">{send.everyone}</p>}
        </div>
        <TextField
          label={send.message}
          value={form.message}
          multiline
          maxLength={maxMessageLength}
          error={errors.message}
          onChange={(message) => change({ message })}
        />
        <div className="send-last">
          <TextField
            label={send.path}
            value={form.redirectPath}
            className="send-path"
            error={errors.redirectPath}
            onChange={(redirectPath) => change({ redirectPath })}
          />
          <button type="submit" className="button strong" aria-disabled={busy}>
            {busy ? send.sending : send.submit}
          </button>
        </div>
      </form>
      <SentHistory results={results} />
    </section>
  )
}
