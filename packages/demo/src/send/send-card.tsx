import type { MemberId } from '@tidings/protocol'
import { parseMemberId } from '@tidings/protocol/parse-member-id'
import { type ReactNode, useState } from 'react'
import { Form } from '../control/form.tsx'
import { TextField } from '../control/text-field.tsx'
import { useMessages } from '../language/language.ts'
import { post } from '../post.ts'
import { type Sent, SentLine, type SentResult } from './sent-line.tsx'

const maxResults = 4
const maxMessageLength = 4_000

/** Sends a notification to one member, several or all, and shows which of them were online. notify-api validates it. */
export function SendCard({ memberId }: { readonly memberId: MemberId }): ReactNode {
  const { send } = useMessages()
  const [all, setAll] = useState(false)
  const [results, setResults] = useState<readonly { readonly number: number; readonly result: SentResult }[]>([])

  const submit = async (read: (name: string) => string) => {
    const memberIds = read('to')
      .split(/[\s,]+/)
      .map((id) => parseMemberId(id) ?? id)
    const to = all ? { all } : memberIds.length === 1 ? { memberId: memberIds[0] } : { memberIds }
    const content = { message: read('message'), redirectPath: read('redirectPath') }
    const result = await post<Sent | { notifications: Sent[] }>('/demo/send', { ...to, ...content })
    setResults((before) => [{ number: (before[0]?.number ?? 0) + 1, result }, ...before].slice(0, maxResults))
  }

  return (
    <section className="card" aria-labelledby="send-title">
      <h2 id="send-title">{send.title}</h2>
      <p className="muted">{send.lead}</p>
      <Form onSubmit={submit}>
        <TextField label={send.to} name="to" defaultValue={String(memberId)} hint={send.toHint} disabled={all} />
        <label>
          <input type="checkbox" checked={all} onChange={() => setAll(!all)} /> {send.toEveryone}
        </label>
        <TextField
          key={send.sample}
          label={send.message}
          name="message"
          defaultValue={send.sample}
          multiline
          maxLength={maxMessageLength}
        />
        <TextField label={send.path} name="redirectPath" defaultValue="/report/2026" />
        <button type="submit" className="strong">
          {send.submit}
        </button>
      </Form>
      <div className="sent small" role="log" aria-label={send.history}>
        {results.length === 0 && <p className="muted">{send.nothing}</p>}
        <ol>
          {results.map(({ number, result }) => (
            <SentLine key={number} result={result} />
          ))}
        </ol>
      </div>
    </section>
  )
}
