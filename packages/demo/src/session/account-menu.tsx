import type { MemberId } from '@tidings/protocol'
import { useTidings } from '@tidings/client/react'
import { type ReactNode, useId } from 'react'
import { Icon } from '../control/icon.tsx'
import { useMessages } from '../preference/preference.ts'
import './account-menu.css'
import { PreferenceControls } from './preference-controls.tsx'
import { signOut } from './session.ts'

/** A longer member id is replaced by an icon. */
const maxShownLength = 3

export function AccountMenu({ memberId }: { readonly memberId: MemberId }): ReactNode {
  const { session } = useMessages()
  const tidings = useTidings()
  const id = useId()
  return (
    <>
      <button type="button" className="account-button number" popoverTarget={id} aria-label={session.account(memberId)}>
        {`${memberId}`.length > maxShownLength ? <Icon name="person" /> : memberId}
      </button>
      <div className="account-menu floating" id={id} popover="auto" role="dialog" aria-label={session.account(memberId)}>
        <h2>{session.member(memberId)}</h2>
        <PreferenceControls />
        <button type="button" className="button" onClick={() => void tidings.signOut().then(signOut)}>
          {session.signOut}
        </button>
      </div>
    </>
  )
}
