import { type FormEvent, type ReactNode, useState } from 'react'
import { Field } from '../control/field.tsx'
import { Segment } from '../control/segment.tsx'
import { useMessages } from '../preference/preference.ts'
import { type AudienceKind, type Draft, type DraftErrors, parseDraft } from './draft.ts'
import { type Answer, postDemoSend } from './post-demo-send.ts'
import './send-card.css'
import { SentHistory } from './sent-history.tsx'

const kinds: readonly AudienceKind[] = ['one', 'many', 'all']
const kept = 4

/** The sender's side: to one member, several or all, and who was online. */
export function SendCard({ memberId }: { readonly memberId: number }): ReactNode {
  const { send } = useMessages()
  const [draft, setDraft] = useState<Draft>({
    kind: 'one',
    memberId: String(memberId),
    memberIds: `${memberId}, ${memberId + 1}, ${memberId + 2}`,
    message: send.sample,
    redirectPath: '/report/2026',
  })
  const [errors, setErrors] = useState<DraftErrors>({})
  const [busy, setBusy] = useState(false)
  const [answers, setAnswers] = useState<readonly { readonly number: number; readonly answer: Answer }[]>([])
  const change = (part: Partial<Draft>) => setDraft((before) => ({ ...before, ...part }))

  const submit = async (event: FormEvent) => {
    event.preventDefault()
    const parsed = parseDraft(draft, send)
    setErrors('errors' in parsed ? parsed.errors : {})
    if ('errors' in parsed || busy) return
    setBusy(true)
    const answer = await postDemoSend(parsed.audience, parsed.letter)
    setAnswers((before) => [{ number: (before[0]?.number ?? 0) + 1, answer }, ...before].slice(0, kept))
    setBusy(false)
  }

  return (
    <section className="card send-card" aria-labelledby="send-title">
      <h2 id="send-title">{send.title}</h2>
      <p className="quiet">{send.lead}</p>
      <form onSubmit={(event) => void submit(event)} noValidate>
        <Segment
          legend={send.to}
          legendSeen
          value={draft.kind}
          options={kinds.map((value) => ({ value, label: send[value] }))}
          onChange={(kind) => change({ kind })}
        />
        <div className="send-recipient">
          {draft.kind === 'one' && (
            <Field
              label={send.memberId}
              value={draft.memberId}
              inputMode="numeric"
              error={errors.recipient}
              onChange={(value) => change({ memberId: value })}
            />
          )}
          {draft.kind === 'many' && (
            <Field
              label={send.memberIds}
              value={draft.memberIds}
              hint={send.memberIdsHint}
              error={errors.recipient}
              onChange={(value) => change({ memberIds: value })}
            />
          )}
          {draft.kind === 'all' && <p className="send-everyone quiet">{send.everyone}</p>}
        </div>
        <Field
          label={send.message}
          value={draft.message}
          multiline
          maxLength={4_000}
          error={errors.message}
          onChange={(message) => change({ message })}
        />
        <div className="send-last">
          <Field
            label={send.path}
            value={draft.redirectPath}
            className="send-path"
            error={errors.redirectPath}
            onChange={(redirectPath) => change({ redirectPath })}
          />
          <button type="submit" className="button strong" aria-disabled={busy}>
            {busy ? send.sending : send.submit}
          </button>
        </div>
      </form>
      <SentHistory answers={answers} />
    </section>
  )
}
